"""The ownership guard: whose files are in a worktree is decided at the moment of the question, from the ledger."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import Workbench

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.guard import check, outside
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.next_step import next_step
from kitty_flow.flow.project import Project
from kitty_flow.graph.ownership import owns
from kitty_flow.ledger.ledger import Batch, Draft
from kitty_flow.machines import machine
from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage

CHAIN: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["core.txt"]},
    "WP02": {"owned_files": ["left/**"], "dependencies": ["WP01"]},
    "WP03": {"owned_files": ["far.txt"], "dependencies": ["WP02"]},
}
"""Three work packages that share an execution lane, one after the other."""


@pytest.fixture
def chain(bench: Workbench) -> Workbench:
    bench.mission(CHAIN)
    return bench


def take(bench: Workbench, agent: str, *words: str) -> dict[str, Any]:
    """The next step of an agent; a plain claim is made in this process, which is quicker."""
    if words:
        step: dict[str, Any] = bench.kitty("next", "--agent", agent, *words)["data"]
        return step
    with open_mission(Project.discover(bench.root), "sample") as mission:
        return next_step(mission, agent).as_data()


def stage(bench: Workbench, worktree: str | Path, name: str, text: str = "new\n") -> None:
    path = Path(worktree) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    bench.git("add", "--", name, cwd=Path(worktree))


def commit(bench: Workbench, worktree: str | Path) -> str:
    bench.git("commit", "-q", "-m", "work", cwd=Path(worktree))
    return bench.git("rev-parse", "HEAD", cwd=Path(worktree))


def approve(bench: Workbench, step: dict[str, Any], head: str) -> None:
    take(bench, "amy", "--result", "success")
    review = take(bench, "ben", "--role", "review")
    result = Path(review["result_path"])
    result.write_text(json.dumps({"verdict": "approved", "reviewed_commit": head, "summary": "seen"}), "utf-8")
    bench.kitty("next", "--agent", "ben", "--role", "review", "--result", result)


def asked(bench: Workbench, worktree: str | Path, *words: str, exit: int = 0) -> dict[str, Any]:
    """The data of a check that passes, or the error of one that does not; asked in this process, which is quicker."""
    try:
        data = check("head" if words else "staged", bench.env, Path(worktree)).as_data()
        assert exit == 0, data
        return data
    except KittyFlowError as error:
        assert error.exit_status == exit, error
        return {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}


def violation(bench: Workbench, worktree: str | Path, *words: str) -> list[tuple[str, list[str]]]:
    error = asked(bench, worktree, *words, exit=4)
    assert error["code"] == "SCOPE_VIOLATION"
    assert error["details"]["diagnostic_code"] == "scope_violation"
    assert error["details"]["violated_invariant"].startswith("OWN-001")
    assert error["details"]["remediation"] in error["hint"]
    assert "--agent NAME" not in error["hint"], "who holds it is known"
    return [(p["path"], p["owners"]) for p in error["details"]["problems"]]


def stale(bench: Workbench, worktree: str | Path, **environment: str) -> str:
    bench.env.update(environment)
    error = asked(bench, worktree, exit=4)
    for name in environment:
        del bench.env[name]
    assert error["code"] == "STALE_OR_AMBIGUOUS_CONTEXT"
    assert error["details"]["diagnostic_code"] == "stale_or_ambiguous_context"
    assert error["details"]["violated_invariant"].startswith("OWN-002")
    assert error["hint"]
    return str(error["message"])


@pytest.mark.slow
def test_a_shared_lane_changes_its_owner_with_the_active_work_package(chain: Workbench) -> None:
    first = take(chain, "amy")
    lane = first["worktree"]
    stage(chain, lane, "core.txt")
    context = chain.kitty("guard", "check", "--staged", cwd=Path(lane))["data"]["context"]
    assert context == asked(chain, lane)["context"]
    assert context == {
        "mission": "sample",
        "active_work_package_id": "WP01",
        "lane_id": Path(lane).name,
        "epoch": 1,
        "owned_files": ["core.txt"],
        "staged_files": ["core.txt"],
        "context_source": "ledger",
    }
    head = commit(chain, lane)
    assert asked(chain, lane, "--head")["context"]["staged_files"] == ["core.txt"]
    approve(chain, first, head)

    second = take(chain, "amy")
    assert (second["wp_id"], second["worktree"]) == ("WP02", lane)
    stage(chain, lane, "left/a.txt")
    assert asked(chain, lane)["context"]["active_work_package_id"] == "WP02"
    stage(chain, lane, "core.txt", "mine now\n")
    stage(chain, lane, "nobodys.txt")
    assert violation(chain, lane) == [("core.txt", ["WP01"]), ("nobodys.txt", [])]
    (Path(lane) / "left" / "deep").mkdir()
    assert violation(chain, Path(lane) / "left" / "deep") == [("core.txt", ["WP01"]), ("nobodys.txt", [])]
    error = chain.refusal("guard", "check", cwd=Path(lane) / "left", exit=4)
    assert error == asked(chain, lane, exit=4)
    shown = chain.start("guard", "check", cwd=Path(lane)).communicate(timeout=60)
    assert shown[0] == ""
    assert "  - WP01 owns core.txt\n  - nobody owns nobodys.txt\nhint: git restore --staged -- core.txt" in shown[1]


def test_a_worktree_in_which_nobody_is_at_work(chain: Workbench) -> None:
    step = take(chain, "amy")
    lane = step["worktree"]
    stage(chain, lane, "core.txt")
    head = commit(chain, lane)
    take(chain, "amy", "--result", "success")
    assert "WP01, which was last, is for_review" in stale(chain, lane)
    take(chain, "ben", "--role", "review")
    assert "WP01, which was last, is in_review" in stale(chain, lane)
    assert chain.git("rev-parse", "HEAD", cwd=Path(lane)) == head


def test_what_an_agents_environment_says_is_compared_with_the_ledger(chain: Workbench) -> None:
    old = take(chain, "amy")
    chain.kitty("wp", "release", "WP01", "--reason", "amy is gone")
    new = take(chain, "ben")
    lane = new["worktree"]
    assert (old["worktree"], new["epoch"]) == (lane, 2)
    stage(chain, lane, "core.txt")
    mine = {
        "KITTY_FLOW_MISSION": "sample",
        "KITTY_FLOW_WP": "WP01",
        "KITTY_FLOW_EPOCH": "2",
        "KITTY_FLOW_INVOCATION": new["invocation_id"],
        "KITTY_FLOW_WORKTREE": lane,
    }
    chain.env.update(mine)
    assert asked(chain, lane)["context"]["context_source"] == "ledger+environment"
    for name, other in {
        "KITTY_FLOW_MISSION": "another",
        "KITTY_FLOW_WP": "WP02",
        "KITTY_FLOW_EPOCH": "1",
        "KITTY_FLOW_INVOCATION": old["invocation_id"],
    }.items():
        assert name in stale(chain, lane, **{**mine, name: other})


def test_outside_of_the_worktrees_of_kitty_flow_there_is_nothing_to_check(chain: Workbench) -> None:
    lane = take(chain, "amy")["worktree"]
    own = chain.root.parent / "own"
    chain.git("worktree", "add", "-q", "-b", "own", own)
    for place in (chain.root, own):
        stage(chain, place, "anything.txt")
        data = asked(chain, place)
        assert (data["result"], data["context"]) == ("nothing_to_check", None)
        # But an agent that strayed from its worktree must not commit here.
        told = stale(chain, place, KITTY_FLOW_WP="WP01", KITTY_FLOW_WORKTREE=lane)
        assert lane in told
        # An agent of another repository has nothing to do with this one.
        chain.env.update(KITTY_FLOW_WP="WP01", KITTY_FLOW_WORKTREE=str(chain.root.parent))
        assert asked(chain, place)["result"] == "nothing_to_check"
        del chain.env["KITTY_FLOW_WP"]
    assert asked(chain, chain.root / ".git")["result"] == "nothing_to_check"


def test_a_mission_that_is_over_and_one_that_cannot_be_read(chain: Workbench) -> None:
    lane = take(chain, "amy")["worktree"]
    stage(chain, lane, "core.txt")
    chain.kitty("mission", "pause", "sample", "--reason", "wait")
    assert asked(chain, lane)["result"] == "passed"
    chain.kitty("mission", "resume", "sample")
    ref, oid = next((ref, oid) for ref, oid in chain.tips.items() if ref.startswith("refs/kitty/m/"))
    path = chain.root / ".git" / ref
    path.write_text("0" * 39 + "1\n")
    assert asked(chain, lane, exit=6)["code"] == "LEDGER_UNREADABLE"
    path.write_text(oid + "\n")
    chain.kitty("mission", "abort", "sample", "--reason", "no")
    assert "is aborted" in stale(chain, lane)


def begun(bench: Workbench, work_package_id: str, **evidence: object) -> None:
    """Record a claim and a start, as another clone, an import or a forced move could have."""
    found = machine("work_package")
    with open_mission(Project.discover(bench.root), "sample") as mission:
        for trigger, before, after in (("claim", "planned", "claimed"), ("start", "claimed", "in_progress")):
            draft = Draft(
                "work_package",
                work_package_id,
                found.name,
                found.digest,
                trigger,
                "zed",
                before,
                after,
                evidence={"holder": "zed", **evidence},
            )
            mission.ledger.record(lambda _view, draft=draft: Batch([draft]))  # type: ignore[misc]


def test_two_that_are_in_progress_in_one_worktree(chain: Workbench) -> None:
    """Then nobody knows whose files these are."""
    lane = take(chain, "amy")["worktree"]
    begun(chain, "WP02", worktree=lane)
    stage(chain, lane, "core.txt")
    assert "WP01, WP02" in stale(chain, lane)


def test_the_main_checkout_while_planning_work_uses_it(chain: Workbench) -> None:
    chain.kitty("plan", "sample")
    base = chain.git("rev-parse", "HEAD")
    begun(chain, "WP02", worktree=str(chain.root), place="checkout", base_commit=base)
    stage(chain, chain.root, "left/plan.md")
    assert asked(chain, chain.root)["context"]["active_work_package_id"] == "WP02"
    stage(chain, chain.root, "core.txt")
    assert violation(chain, chain.root) == [("core.txt", ["WP01"])]
    own = chain.root.parent / "own"
    chain.git("worktree", "add", "-q", "-b", "own", own)
    assert asked(chain, own)["result"] == "nothing_to_check"


def test_paths_are_judged_as_the_tree_has_them(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["own/**"]}, "WP02": {"owned_files": ["other/**"]}})
    for name in ("own/a.txt", "other/b.txt", "run.sh"):
        stage(bench, bench.root, name, f"{name}\n" * 20)
    bench.commit("files")
    bench.git("config", "core.quotePath", "true")
    bench.git("config", "diff.renames", "copies")
    lane = Path(take(bench, "amy")["worktree"])
    base = bench.git("rev-parse", "HEAD", cwd=lane)

    def clean() -> None:
        bench.git("reset", "-q", "--hard", base, cwd=lane)
        bench.git("clean", "-qfdx", cwd=lane)

    def seen() -> list[str]:
        return [path for path, _ in violation(bench, lane)]

    bench.git("mv", "other/b.txt", "own/b.txt", cwd=lane)  # a rename has two sides
    assert seen() == ["other/b.txt"]
    clean()
    bench.git("mv", "own/a.txt", "a.txt", cwd=lane)
    assert seen() == ["a.txt"]
    clean()
    bench.git("rm", "-q", "other/b.txt", cwd=lane)
    assert violation(bench, lane) == [("other/b.txt", ["WP02"])]
    clean()
    bench.git("update-index", "--chmod=+x", "run.sh", cwd=lane)
    assert seen() == ["run.sh"]
    clean()
    (lane / "other" / "b.txt").unlink()
    (lane / "other" / "b.txt").symlink_to("../own/a.txt")  # what it leads to does not count
    (lane / "own" / "link").symlink_to("../../../../elsewhere")
    bench.git("add", "-A", cwd=lane)
    assert seen() == ["other/b.txt"]
    clean()
    # A submodule, and a setting of the agent that would hide it.
    bench.git("update-index", "--add", "--cacheinfo", f"160000,{base},other/sub", cwd=lane)
    stage(bench, lane, "own/.gitmodules")
    bench.git("config", "submodule.other/sub.ignore", "all", cwd=lane)
    assert seen() == ["other/sub"]
    clean()
    blob = bench.git("rev-parse", "HEAD:run.sh", cwd=lane)
    entry = f"100644 {blob}\t".encode()
    odd = [b"OWN/a.txt", b"own/\xff\n.txt", b"\xff \"'\n.txt", "größe".encode()]
    index = b"".join(entry + name + b"\0" for name in odd)
    subprocess.run(["git", "update-index", "-z", "--index-info"], cwd=lane, input=index, check=True)
    assert seen() == ["OWN/a.txt", "größe", "\\xff \"'\n.txt"]
    bench.git("config", "core.ignoreCase", "true")
    assert "OWN/a.txt" in seen()


def test_what_is_brought_back_to_its_base_is_never_wrong(chain: Workbench) -> None:
    lane = take(chain, "amy")["worktree"]
    stage(chain, lane, "core.txt")
    stage(chain, lane, "far.txt")
    commit(chain, lane)
    assert violation(chain, lane, "--head") == [("far.txt", ["WP03"])]
    assert asked(chain, lane)["context"]["staged_files"] == []
    chain.git("rm", "-q", "far.txt", cwd=Path(lane))
    assert asked(chain, lane)["result"] == "passed"
    commit(chain, lane)
    assert asked(chain, lane, "--head")["context"]["staged_files"] == ["core.txt"]


def test_a_submission_is_refused_in_the_same_words(chain: Workbench) -> None:
    lane = take(chain, "amy")["worktree"]
    for name in ("core.txt", "far.txt", "nobodys.txt"):
        stage(chain, lane, name)
    commit(chain, lane)
    error = chain.refusal("next", "--agent", "amy", "--result", "success", exit=4)
    details = error["details"]
    assert (error["code"], details["diagnostic_code"]) == ("OWNERSHIP_VIOLATED", "scope_violation")
    assert "WP03 owns far.txt" in error["message"]
    assert [(p["path"], p["owners"]) for p in details["problems"]] == [("far.txt", ["WP03"]), ("nobodys.txt", [])]
    assert details["violated_invariant"].startswith("OWN-001")
    assert details["work_package_id"] == "WP01"


def test_a_hidden_submodule_is_not_handed_in(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["own/**"]}})
    lane = take(bench, "amy")["worktree"]
    stage(bench, lane, "own/a.txt")
    base = bench.git("rev-parse", "HEAD", cwd=Path(lane))
    bench.git("update-index", "--add", "--cacheinfo", f"160000,{base},sub", cwd=Path(lane))
    bench.git("config", "submodule.sub.ignore", "all", cwd=Path(lane))
    stage(bench, lane, ".gitmodules", '[submodule "sub"]\n\tpath = sub\n\turl = ../sub\n\tignore = all\n')
    commit(bench, lane)
    error = bench.refusal("next", "--agent", "amy", "--result", "success", exit=4)
    assert [p["path"] for p in error["details"]["problems"]] == [".gitmodules", "sub"]


def test_a_base_that_was_replaced_hides_nothing(chain: Workbench) -> None:
    step = take(chain, "amy")
    lane = Path(step["worktree"])
    stage(chain, lane, "core.txt")
    stage(chain, lane, "far.txt")
    commit(chain, lane)
    forged = chain.git("commit-tree", "-m", "forged", "HEAD^{tree}", cwd=lane)
    chain.git("replace", step["base_commit"], forged, cwd=lane)
    assert chain.git("diff", "--name-only", step["base_commit"], "HEAD", cwd=lane) == ""
    assert violation(chain, lane, "--head") == [("far.txt", ["WP03"])]
    error = chain.refusal("next", "--agent", "amy", "--result", "success", exit=4)
    assert "WP03 owns far.txt" in error["message"]


def test_two_scopes_at_once_are_no_question(bench: Workbench) -> None:
    assert bench.refusal("guard", "check", "--head", "--staged", exit=2)["code"] == "ONE_SCOPE"


NAMES = st.sampled_from(["a", "b", "src", "x.py", "**", "*", "?", "s*c", "[ab]"])
PATTERNS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "!"]),
    st.lists(NAMES, min_size=1, max_size=4).map("/".join),
    st.sampled_from(["", "/"]),
)
PATHS = st.lists(st.sampled_from(["a", "b", "src", "x.py", "sxc"]), min_size=1, max_size=4).map("/".join)


@given(st.lists(st.lists(PATTERNS, max_size=3), min_size=2, max_size=4), st.lists(PATHS, max_size=5, unique=True))
def test_who_owns_a_path_outside_is_found_by_the_same_rules(owned: list[list[str]], changed: list[str]) -> None:
    packages = [WorkPackage(f"WP{n:02}", "", owned_files=tuple(patterns)) for n, patterns in enumerate(owned, 1)]
    source = MissionSource("native", "sample.toml")
    definition = MissionDefinition(None, "sample", "", None, source, tuple(packages))
    found = {v.path: v.owners for v in outside(definition, "WP01", changed)}
    expected = {p: tuple(w.id for w in packages[1:] if owns(w.owned_files, p)) for p in changed}
    assert found == {p: owners for p, owners in expected.items() if owned[0] and not owns(owned[0], p)}


def test_the_index_that_git_names_is_the_one_that_is_judged(chain: Workbench) -> None:
    lane = Path(take(chain, "amy")["worktree"])
    stage(chain, lane, "core.txt")
    other = chain.root.parent / "other-index"
    environment = {**os.environ, "GIT_INDEX_FILE": str(other)}
    for words in (["read-tree", "HEAD"], ["update-index", "--force-remove", "README.md"]):
        subprocess.run(["git", *words], cwd=lane, env=environment, check=True)
    chain.env["GIT_INDEX_FILE"] = str(other)
    assert [path for path, _ in violation(chain, lane)] == ["README.md"]
