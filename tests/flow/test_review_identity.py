"""No prompt crosses: what is handed out or launched is the prompt of exactly this repository and work package."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, agent

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.local_executor import LocalExecutor
from kitty_flow.agents.prompt import IDENTITY_FIELDS, prompt_identity
from kitty_flow.errors import RefusedError
from kitty_flow.flow.invocation import launch
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.policies import Policies
from kitty_flow.flow.project import Project
from kitty_flow.flow.review import begin_review
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.stopping import Stop

ONE = {"WP01": {"owned_files": ["one.txt"]}}
OTHER_ID = "01JZ5N3C8RWE5P1YF0K6SHTAVE"  # the same first eight characters, which is all that a branch name has

# A reviewer that approves only what is its own, and not before the other reviewer is at work too.
REVIEWER = """
import json, os, subprocess, sys, time
from pathlib import Path

def git(*words):
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()

meeting, own, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
(meeting / own).touch()
deadline = time.monotonic() + 60
while not (meeting / other).exists() and time.monotonic() < deadline:
    time.sleep(0.01)
text = Path(os.environ["KITTY_FLOW_PROMPT"]).read_text()
told = json.loads(text.split("\\n```\\n", 1)[0].partition("\\n")[2])
common = git("rev-parse", "--path-format=absolute", "--git-common-dir")
wrong = [name for name, is_right in {
    "repository": Path(told["repo_root"], ".git") == Path(common),
    "mission": told["mission_slug"] == os.environ["KITTY_FLOW_MISSION"] == own.partition("@")[0],
    "invocation": told["invocation_id"] == os.environ["KITTY_FLOW_INVOCATION"],
    "work package": told["work_package_id"] == os.environ["KITTY_FLOW_WP"],
    "worktree": told["lane_worktree"] == os.getcwd() == os.environ["KITTY_FLOW_WORKTREE"],
    "path": told["prompt_path"] == os.environ["KITTY_FLOW_PROMPT"],
    "branch": told["lane_branch"] == git("symbolic-ref", "HEAD"),
    "both": (meeting / other).exists(),
    "head": git("rev-parse", "HEAD") in text,
}.items() if not is_right]
Path(os.environ["KITTY_FLOW_RESULT"]).write_text(json.dumps({
    "verdict": "changes_requested" if wrong else "approved", "reviewed_commit": git("rev-parse", "HEAD"),
    "summary": "wrong: " + ", ".join(wrong) if wrong else "all mine"}))
"""


def run_words(bench: Workbench, slug: str, reviewer: Path, own: str, other: str) -> tuple[str, ...]:
    command = f"{sys.executable} -I -S {reviewer} {reviewer.parent} {own} {other}"
    return ("run", slug, "--command", agent("implementer"), "--review-command", command, "--json")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two_repos", "two_missions"])
def test_concurrent_reviews_get_their_own_prompts(bench: Workbench, tmp_path: Path, kind: str) -> None:
    """Seed fixtures concurrent_prompts_two_repos, …_two_missions and mission_slug_prefixed_with_mission."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    reviewer = meeting / "reviewer.py"
    reviewer.write_text(REVIEWER, encoding="utf-8")
    shared = f'[workspace]\nroot = "{tmp_path / "shared"}"\n'
    if kind == "two_repos":
        # The same mission of the same name and id, in the same workspace root: only the repositories differ.
        bench.mission(ONE)
        bench.settings(shared)
        other = replace(bench, root=tmp_path / "elsewhere" / bench.root.name)
        shutil.copytree(bench.root, other.root)
        slugs = (bench.slug, bench.slug)
    else:
        bench.mission(ONE)
        bench.settings(shared)
        other = replace(bench, slug="mission-sample")
        other.mission(ONE, id=OTHER_ID)
        slugs = (bench.slug, other.slug)
    names = [f"{slug}@{number}" for number, slug in enumerate(slugs)]
    running = [
        place.start(*run_words(place, slug, reviewer, own, their))
        for place, slug, own, their in zip((bench, other), slugs, names, reversed(names), strict=True)
    ]
    ended = [process.communicate(timeout=120)[0] for process in running]
    found = [json.loads(text)["data"]["work_packages"]["WP01"] for text in ended]
    assert [(one["state"], one["rejections"]) for one in found] == [("approved", 0)] * 2, ended
    shown = [
        place.kitty("wp", "show", "WP01", "-m", slug)["data"]["invocations"]
        for place, slug in zip((bench, other), slugs, strict=True)
    ]
    paths = [Path(one["prompt_path"]) for rows in shown for one in rows]
    assert len({*paths}) == len(paths) == 4
    # Unique by construction: already without the invocation, the folders of the two differ.
    assert not {path.parents[1] for path in paths[:2]} & {path.parents[1] for path in paths[2:]}
    assert {*prompt_identity(paths[1].read_text(encoding="utf-8"))} == {*IDENTITY_FIELDS}


def submitted(bench: Workbench) -> None:
    """A work package is handed in by amy."""
    bench.mission(ONE)
    step = bench.kitty("next", "--agent", "amy")["data"]
    worktree = Path(step["worktree"])
    (worktree / "one.txt").write_text("one\n", encoding="utf-8")
    bench.git("add", "-A", cwd=worktree)
    bench.git("commit", "-q", "-m", "work", cwd=worktree)
    bench.kitty("next", "--agent", "amy", "--result", "success")


def edit(old: str, new: str) -> Callable[[Path, Path], None]:
    def tamper(prompt: Path, aside: Path) -> None:
        text = prompt.read_text(encoding="utf-8")
        assert old in text
        prompt.write_text(text.replace(old, new), encoding="utf-8")

    return tamper


def link(prompt: Path, aside: Path) -> None:
    prompt.rename(aside)
    prompt.symlink_to(aside)


def pipe(prompt: Path, aside: Path) -> None:
    import os

    prompt.unlink()
    os.mkfifo(prompt)


TAMPERED: dict[str, tuple[Callable[[Path, Path], None], str, str]] = {
    "another mission": (edit('"mission_slug": "sample"', '"mission_slug": "simple"'), "MISMATCH", "mission_slug"),
    "another work package": (
        edit('"work_package_id": "WP01"', '"work_package_id": "WP02"'),
        "MISMATCH",
        "work_package_id",
    ),
    "one more field": (edit('"created_at"', '"x": "y",\n  "created_at"'), "MISMATCH", "x"),
    "another task": (edit("Change nothing", "Change everything"), "MISMATCH", "content"),
    "no identity": (edit("kitty-flow-identity", "identity"), "MISSING", ""),
    "a link": (link, "MISSING", ""),
    "a pipe": (pipe, "MISSING", ""),
    "nothing": (lambda prompt, aside: prompt.unlink(), "MISSING", ""),
}


def test_nothing_is_launched_with_a_prompt_that_was_tampered_with(bench: Workbench, tmp_path: Path) -> None:
    """RPM-001, RPM-002: fails closed, says what differs, and the work package stays reviewable."""
    submitted(bench)
    marker = tmp_path / "launched"
    spec = AgentSpec("eve", (sys.executable, "-c", f"open({str(marker)!r}, 'w')"))
    with open_mission(Project.discover(bench.root), None) as mission, LocalExecutor() as executor:
        run = RunContext("01RUN", executor, Stop())
        for number, (name, (tamper, kind, field)) in enumerate(TAMPERED.items()):
            invocation = begin_review(mission, "WP01", spec)
            tamper(invocation.prompt_path, tmp_path / f"aside-{number}")
            with pytest.raises(RefusedError) as caught:
                launch(mission, invocation, run)
            error = caught.value
            assert error.code == error.details["diagnostic_code"] == f"REVIEW_PROMPT_METADATA_{kind}", name
            assert {*error.details["mismatches"]} == ({field, "content"} if field else set()), name
            assert error.details["requested_context"]["work_package_id"] == "WP01"
            assert (error.details["prompt_context"] is None) is (kind == "MISSING")
            assert error.details["prompt_path"] == str(invocation.prompt_path)
            assert error.details["violated_invariant"].startswith("RPM-00")
            assert error.details["remediation"]
            from kitty_flow.flow.review import close_failed

            close_failed(mission, invocation, error.code, error.message, None, error.details)
            assert mission.work_package("WP01").state == "in_review"
        assert not marker.exists()
        invocation = begin_review(mission, "WP01", spec)
        launch(mission, invocation, run)
        assert marker.exists()
        # The same prompt a second time, after its invocation was closed: it is not the ledger's any more.
        close_failed(mission, invocation, "INTERRUPTED", "enough", None)
        with pytest.raises(RefusedError) as caught:
            launch(mission, invocation, run)
        assert caught.value.details["mismatches"] == ["invocation_state"]


def test_next_hands_no_tampered_prompt_out(bench: Workbench) -> None:
    submitted(bench)
    words = ("next", "--agent", "bob", "--role", "review")
    step = bench.kitty(*words)["data"]
    edit("Change nothing", "Change everything")(Path(step["prompt_path"]), Path())
    tips = bench.tips
    error = bench.refusal(*words, "--peek", exit=4)
    assert (error["code"], bench.tips) == ("REVIEW_PROMPT_METADATA_MISMATCH", tips)
    error = bench.refusal(*words, exit=4)
    assert error["details"]["mismatches"] == ["content"]
    again = bench.kitty(*words)["data"]
    assert (again["kind"], again["wp_id"]) == ("step", "WP01")
    assert again["invocation_id"] != step["invocation_id"]
    closed = {i["invocation_id"]: i["state"] for i in bench.kitty("wp", "show", "WP01")["data"]["invocations"]}
    assert closed[step["invocation_id"]] == "failed"


def test_an_implementers_prompt_is_checked_as_well(bench: Workbench) -> None:
    bench.mission(ONE)
    step = bench.kitty("next", "--agent", "amy")["data"]
    edit("## Rules", "## No rules")(Path(step["prompt_path"]), Path())
    error = bench.refusal("next", "--agent", "amy", exit=4)
    assert (error["code"], error["details"]["mismatches"]) == ("PROMPT_METADATA_MISMATCH", ["content"])
    assert "wp release WP01" in error["hint"]
    # What the holder has done so far is not thrown away because of a file: it can still report.
    assert bench.states() == {"WP01": "in_progress"}


def test_a_tampered_prompt_ends_a_run_before_its_reviewer(bench: Workbench, tmp_path: Path) -> None:
    """The prompt of a run's reviewer is read again at the very last moment: here another process has changed it."""
    submitted(bench)
    details: dict[str, Any] = {}
    with open_mission(Project.discover(bench.root), None) as mission, LocalExecutor() as executor:
        from kitty_flow.flow import review as reviews

        run = RunContext("01RUN", executor, Stop())

        begun = reviews.begin_review

        def begin_and_tamper(*words: Any) -> Any:
            invocation = begun(*words)
            edit("Change nothing", "Change everything")(invocation.prompt_path, Path())
            return invocation

        with pytest.MonkeyPatch.context() as patch, pytest.raises(RefusedError) as caught:
            patch.setattr(reviews, "begin_review", begin_and_tamper)
            reviews.review(mission, "WP01", AgentSpec("eve", ("/nowhere",)), run, Policies(()))
        details = caught.value.details
        entity = mission.work_package("WP01")
        known = mission.view().entity("invocation", str(entity.facts["review_invocation_id"]))
    assert details["mismatches"] == ["content"]
    assert known is not None
    assert (known.state, known.facts["code"]) == ("failed", "REVIEW_PROMPT_METADATA_MISMATCH")
    assert known.facts["details"] == details
