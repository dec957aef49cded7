"""What a review comes to: cycles with an end, no own judge, no hollow approval unseen, no change by a reviewer."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, agent

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.settings import ReviewSettings
from kitty_flow.errors import ConflictError
from kitty_flow.flow.cycles import cycles_left, cycles_used
from kitty_flow.flow.hollow import hollow
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project
from kitty_flow.flow.review import apply_verdict, begin_review, close_failed
from kitty_flow.ledger.state import EntityState, LastEvent
from kitty_flow.model.result import ReviewResult

ONE = {"WP01": {"owned_files": ["one.txt"]}}
HEAD = "a" * 40
STATE = EntityState(
    "work_package",
    "WP01",
    "approved",
    "work_package",
    LastEvent("01E", 1, "w", "s", "approve", "", "", "bob", None, None),
)
SOUND = {
    "verdict": "approved",
    "reviewed_commit": HEAD,
    "head_commit": HEAD,
    "implementer": "amy",
    "reviewer": "bob",
    "review_summary": "read it",
    "review_findings": 0,
    "same_command": False,
}


def take(bench: Workbench, name: str, *words: str) -> dict[str, Any]:
    data: dict[str, Any] = bench.kitty("next", "--agent", name, *words)["data"]
    return data


def submit(bench: Workbench, text: str) -> str:
    """Amy works on WP01 and hands it in; returns the head."""
    step = take(bench, "amy")
    worktree = Path(step["worktree"])
    (worktree / "one.txt").write_text(text, encoding="utf-8")
    bench.git("add", "-A", cwd=worktree)
    bench.git("commit", "-q", "-m", "work", cwd=worktree)
    head = bench.git("rev-parse", "HEAD", cwd=worktree)
    take(bench, "amy", "--result", "success")
    return head


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({}, []),
        ({"reviewer": " AMY"}, ["SELF_REVIEWED"]),
        ({"review_summary": " "}, ["APPROVAL_WITHOUT_EVIDENCE"]),
        ({"review_summary": "", "review_findings": 1}, []),
        ({"same_command": True}, ["SAME_COMMAND"]),
        (
            {"reviewer": "amy", "review_summary": "", "same_command": True},
            ["SELF_REVIEWED", "APPROVAL_WITHOUT_EVIDENCE"],
        ),
        ({"head_commit": "b" * 40}, ["APPROVAL_FORCED"]),
        ({"verdict": None}, ["APPROVAL_FORCED"]),
    ],
)
def test_what_makes_an_approval_hollow(changed: dict[str, Any], codes: list[str]) -> None:
    entity = replace(STATE, facts=SOUND | changed, forced=1)
    assert [reason.code for reason in hollow(entity)] == codes
    assert hollow(replace(entity, state="in_review")) == ()
    assert "APPROVAL_FORCED" not in [reason.code for reason in hollow(replace(entity, forced=0))]


def test_cycles_are_counted_from_the_last_word_of_a_person() -> None:
    entity = replace(STATE, counts={"request_changes": 5}, facts={"cycles_before": 3})
    assert cycles_used(entity) == 2
    assert [cycles_left(entity, ReviewSettings(max_cycles=n)) for n in (1, 2, 3, 9)] == [0, 0, 1, 7]


@pytest.mark.slow
def test_after_the_last_cycle_a_person_has_to_look(bench: Workbench) -> None:
    """Also without a run: agents that use `next`, and people who reject, come to the same end."""
    bench.mission(ONE)
    bench.settings("[review]\nmax_cycles = 2\n")
    submit(bench, "first\n")
    bench.kitty("wp", "reject", "WP01", "--actor", "bob", "-m", "say it louder")
    step = take(bench, "amy")
    prompt = Path(step["prompt_path"]).read_text(encoding="utf-8")
    assert "say it louder" in prompt
    assert "- Reviews that may still send it back: `1`\n" in prompt
    head = submit(bench, "second\n")
    review = take(bench, "bob", "--role", "review")
    text = Path(review["prompt_path"]).read_text(encoding="utf-8")
    assert "## Only what is new" in text
    assert "say it louder" in text
    path = Path(review["result_path"])
    path.write_text(
        json.dumps({"verdict": "changes_requested", "reviewed_commit": head, "summary": "LOUDER"}), encoding="utf-8"
    )
    assert take(bench, "bob", "--role", "any", "--result", str(path))["kind"] == "blocked"
    shown = bench.kitty("wp", "show", "WP01")["data"]
    assert (shown["state"], shown["feedback"]["summary"]) == ("blocked", "LOUDER")
    assert (
        shown["reason"]
        == "REVIEW_CYCLES_EXHAUSTED: 2 reviews sent it back, and no more are allowed; the last, by bob: LOUDER"
    )
    bench.kitty("wp", "unblock", "WP01", "--reason", "one more round")
    submit(bench, "third\n")
    data = bench.kitty("wp", "reject", "WP01", "--actor", "bob", "-m", "nearly")["data"]
    assert (data["state"], data["blocked"]) == ("planned", None)


def test_a_run_ends_with_the_last_cycle(bench: Workbench) -> None:
    bench.mission(ONE)
    bench.settings("[run]\nmax_attempts = 9\n[review]\nmax_cycles = 1\n")
    outcome = bench.run(review="reject-always", exit=4)["data"]["work_packages"]["WP01"]
    assert (outcome["state"], outcome["attempts"], outcome["rejections"]) == ("blocked", 1, 1)
    assert outcome["code"] == "REVIEW_CYCLES_EXHAUSTED"
    assert "say it louder" in outcome["message"]


@pytest.mark.slow
def test_nobody_reviews_its_own_work_unless_the_policy_says_so(bench: Workbench) -> None:
    bench.mission(ONE)
    head = submit(bench, "first\n")
    assert take(bench, " AMY ", "--role", "review")["kind"] == "wait"
    for words in (("review", "WP01"), ("approve", "WP01"), ("reject", "WP01", "-m", "no")):
        assert bench.refusal("wp", *words, "--actor", " AMY ", exit=4)["code"] == "SELF_REVIEW"
    bench.settings("[review]\nallow_self_review = true\n")
    step = take(bench, "Amy", "--role", "review")
    path = Path(step["result_path"])
    path.write_text(json.dumps({"verdict": "approved", "reviewed_commit": head, "summary": "mine"}), encoding="utf-8")
    take(bench, "Amy", "--role", "review", "--result", str(path))
    said = "WP01 was approved by Amy, who made it"
    assert f"hollow approval: {said}" in bench.kitty("status")["data"]["warnings"]
    assert bench.kitty("wp", "show", "WP01")["data"]["hollow"] == [said]
    approved = next(e for e in bench.events() if e["trigger"] == "approve")
    assert approved["evidence"]["self_review"] is True
    test = f"{sys.executable} -c pass"
    remarks = bench.kitty("merge", "sample", "--test-command", test)["diagnostics"]
    assert [(r["severity"], r["diagnostic_code"], r["message"]) for r in remarks if r["phase"] == "review"] == [
        ("warning", "SELF_REVIEWED", said)
    ]


CHANGING = """
import json, os, shutil, subprocess, sys
from pathlib import Path
def git(*words):
    return subprocess.run(["git", "-c", "user.name=r", "-c", "user.email=r@r", *words], check=True,
                          capture_output=True, text=True).stdout.strip()
head = git("rev-parse", "HEAD")
Path("one.txt").write_text("better\\n")
Path("new.txt").write_text("left behind\\n")
done = Path(sys.argv[2])
first = not done.exists()
done.touch()
if sys.argv[1] == "hidden" and first:
    git("commit", "-qam", "mended")
    git("checkout", "-q", "--force", "--detach", head)
Path(os.environ["KITTY_FLOW_RESULT"]).write_text(
    json.dumps({"verdict": "approved", "reviewed_commit": head, "summary": "better now"}))
if sys.argv[1] == "removes" and first:
    shutil.rmtree(os.getcwd())
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["dirty", "hidden", "removes"])
def test_what_a_reviewer_changes_is_kept_and_taken_back(bench: Workbench, tmp_path: Path, how: str) -> None:
    """A verdict does not count if the head was moved, even when it was moved back; the next review is undisturbed."""
    bench.mission(ONE)
    script = tmp_path / "changing.py"
    script.write_text(CHANGING, encoding="utf-8")
    command = f"{sys.executable} -I -S {script} {how} {tmp_path / 'done'}"
    bench.kitty("run", "--command", agent("implementer"), "--review-command", command)
    shown = bench.kitty("wp", "show", "WP01")["data"]
    assert shown["state"] == "approved"
    states = [i["state"] for i in shown["invocations"] if i["action"] == "review"]
    assert states == (["done"] if how == "dirty" else ["failed", "done"])
    kept = {ref: oid for ref, oid in bench.tips.items() if ref.startswith("refs/kitty/salvage/")}
    texts = {bench.git("show", f"{oid}:one.txt") for oid in kept.values()}
    assert "better" in texts
    assert bench.git("show", f"{bench.mission_branch}:one.txt") == "WP01 was here"
    assert bench.git("status", "--porcelain", cwd=Path(shown["worktree"])) == ""
    assert bench.git("rev-parse", "HEAD", cwd=Path(shown["worktree"])) == shown["head_commit"]
    if how != "dirty":
        assert any(e["evidence"].get("code") == "REVIEWER_MOVED_HEAD" for e in bench.events())


def test_who_does_not_review_any_more_puts_nothing_right(bench: Workbench) -> None:
    """The lane's worktree belongs to the next reviewer by then."""
    bench.mission(ONE)
    head = submit(bench, "first\n")
    told = ReviewResult(verdict="approved", reviewed_commit=head, summary="late")
    with open_mission(Project.discover(bench.root), None) as mission:
        late = begin_review(mission, "WP01", AgentSpec("bob", ()))
        close_failed(mission, late, "INTERRUPTED", "gone", None)
        now = begin_review(mission, "WP01", AgentSpec("eve", ()))
        note = now.workspace.checkout.path / "notes.txt"
        note.write_text("not finished\n", encoding="utf-8")
        with pytest.raises(ConflictError) as caught:
            apply_verdict(mission, late, told)
        assert caught.value.code == "REVIEW_SUPERSEDED"
        assert note.read_text(encoding="utf-8") == "not finished\n"
        assert mission.work_package("WP01").state == "in_review"
