"""Every gate of the merge pipeline, red and green and broken, asked in this process about one real repository.

The repository is built once, and brought back to where it was before each case.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from workbench import Workbench, kept

from kitty_flow.errors import ExternalToolError, RefusedError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project
from kitty_flow.release.candidate import build_candidate
from kitty_flow.release.gate_answers import moved
from kitty_flow.release.gates import GATES, ask_gate, check_gates
from kitty_flow.release.landing import Landing, MergeOptions, TestRun, heads

PAIR = {"WP01": {"owned_files": ["one.txt"]}, "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]}}
PASSED = TestRun(("true",), 0, "exited", 0.0, "", "log", ())
HUB = ".hub.git"


class Case(NamedTuple):
    """A gate, what is done to the repository or to the landing so that it closes, and what it then answers."""

    gate: str
    code: str
    subject: str
    words: str
    spoil: Callable[[Workbench], object] = lambda bench: None
    late: Callable[[Workbench, Landing], object] = lambda bench, landing: None
    outcome: str = "fail"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, Callable[[], None]]]:
    root = tmp_path_factory.mktemp("gates") / "repo"
    root.mkdir()
    (root / "README.md").write_text("# Sample\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=root, check=True, timeout=60)
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "kitty_flow")
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        command = (str(Path(sys.executable).with_name("kitty-flow")),)
    bench = Workbench(root, command)
    bench.commit("Ignore", __gitignore="*.log\n.kitty-flow/\n")
    hub = root.parent / HUB
    bench.git("init", "-q", "--bare", hub)
    bench.git("remote", "add", "origin", hub)
    bench.git("push", "-q", "-u", "origin", "trunk")
    bench.mission(PAIR, target_branch="trunk")
    bench.run(jobs=1)
    yield bench, kept(bench)


@pytest.fixture
def bench(built: tuple[Workbench, Callable[[], None]]) -> Iterator[Workbench]:
    bench, bring_back = built
    first = bench.git("rev-list", "--max-parents=0", "trunk")
    tip = bench.git("rev-parse", "trunk")
    yield bench
    bring_back()
    assert bench.git("rev-parse", "trunk") == tip != first
    bench.git("push", "-q", "--force", "origin", "trunk")


@contextmanager
def landing_of(bench: Workbench, *overrides: str) -> Iterator[Landing]:
    """A landing as a merge has it after the tests."""
    with open_mission(Project.discover(bench.root), "sample") as mission:
        refs = mission.project.repository.refs
        target, head = refs.commit(mission.target_ref), refs.commit(mission.branch)
        options = MergeOptions(("true",), overrides=overrides, reason="because")
        approved = heads(mission, mission.view(), "approved")
        landing = Landing(mission, options, "01JZ5N3C8RWE5P1YF0K6SHTAVZ", None, target, head, approved)
        if target and head:
            build_candidate(landing)
        landing.test_run = PASSED
        yield landing


def facts(work_package: str, **evidence: Any) -> Callable[[Workbench], None]:
    def record(bench: Workbench) -> None:
        with open_mission(Project.discover(bench.root), "sample") as mission:

            def build(view: Any) -> Any:
                builder = BatchBuilder(view, actor="somebody")
                builder.annotate("work_package", work_package, "found", evidence=evidence)
                return builder.build()

            mission.ledger.record(build)

    return record


def aside(bench: Workbench, message: str, **files: str) -> str:
    """A commit on top of trunk that is on no branch."""
    commit = bench.commit(message, **files)
    bench.git("reset", "-q", "--hard", "HEAD~1")
    return commit


def lane(bench: Workbench) -> Path:
    return next(Path(f"{bench.root}.kitty", "worktrees").glob("*/lane-*"))


def on_mission(bench: Workbench, name: str, text: str) -> None:
    """One more commit on the mission branch, as an agent might have made it."""
    bench.git("checkout", "-q", bench.mission_branch)
    bench.commit("More", **{name: text})
    bench.git("checkout", "-q", "trunk")


def diverge(bench: Workbench) -> None:
    theirs = aside(bench, "Theirs", theirs__txt="theirs\n")
    bench.git("push", "-q", "origin", f"{theirs}:refs/heads/trunk")
    bench.commit("Ours", ours__txt="ours\n")


def rewind(bench: Workbench) -> None:
    ref = next(ref for ref in bench.tips if ref.startswith("refs/kitty/m/"))
    bench.git("update-ref", ref, f"{ref}~1")


def rewind_and_forget(bench: Workbench) -> None:
    """The index went too: only what the remote was seen with tells."""
    bench.kitty("sync", "origin")
    rewind(bench)
    for path in (bench.root / ".git" / "kitty-flow").glob("index*"):
        path.unlink() if path.is_file() else None
        if path.is_dir():
            for each in path.iterdir():
                each.unlink()


def attributes(bench: Workbench) -> None:
    (bench.root / ".git" / "info" / "attributes").write_text("* merge=ours\n")


def config(*words: str) -> Callable[[Workbench], None]:
    return lambda bench: bench.git("config", *words) and None


TOKEN = "ghp_" + "a1B2" * 9

RED = [
    Case("config_unchanged", "CONFIG_CHANGED", ".git", "core.hookspath", config("core.hooksPath", "elsewhere")),
    Case("config_unchanged", "CONFIG_CHANGED", ".git", "filter.x.clean", config("filter.x.clean", "touch ran")),
    Case("config_unchanged", "CONFIG_CHANGED", ".git", "include.path", config("include.path", "more")),
    Case("config_unchanged", "CONFIG_CHANGED", ".git", ".git/info/attributes", attributes),
    Case("ledger_descends", "LEDGER_REWOUND", "refs/kitty/m/", "this clone has seen", rewind),
    Case("ledger_descends", "LEDGER_REWOUND", "refs/kitty/m/", "the remote origin", rewind_and_forget),
    Case(
        "approved_heads_integrated",
        "WORK_NOT_INTEGRATED",
        "refs/heads/kitty/mission-sample",
        "WP02",
        lambda bench: bench.git("branch", "-q", "-f", bench.mission_branch, f"{bench.mission_branch}~1"),
    ),
    Case(
        "mission_accepted",
        "MISSION_NOT_ACCEPTED",
        "sample",
        "WP02",
        lambda bench: bench.kitty("wp", "reopen", "WP02", "--reason", "too quiet"),
    ),
    Case(
        "verdicts_consistent",
        "REVIEW_ARTIFACT_INCONSISTENT",
        "WP02",
        "WP02 is approved",
        facts("WP02", verdict="changes_requested"),
    ),
    Case("approved_heads_reviewed", "HEAD_NOT_REVIEWED", "WP01", "WP01", facts("WP01", reviewed_commit="0" * 40)),
    Case(
        "reviewers_are_not_implementers", "SELF_REVIEW", "WP01", "WP01", facts("WP01", reviewer="implementer-command")
    ),
    Case(
        "owned_files_respected",
        "OWNERSHIP_VIOLATED",
        "WP02",
        "one.txt",
        lambda bench: facts("WP02", base_commit=bench.git("rev-parse", "trunk"))(bench),
    ),
    Case(
        "target_exists",
        "BRANCH_MISSING",
        "refs/heads/kitty/mission-sample",
        "does not exist",
        lambda bench: bench.git("branch", "-q", "-D", bench.mission_branch),
    ),
    Case("target_in_sync", "TARGET_BRANCH_NOT_SYNCHRONIZED", "trunk", "diverged", diverge),
    Case(
        "target_in_sync",
        "GATE_ERROR",
        "sample",
        "could not be checked",
        lambda bench: bench.git("remote", "set-url", "origin", "gone.git"),
        outcome="error",
    ),
    Case(
        "checkout_clean",
        "CHECKOUT_DIRTY",
        "repo",
        "README.md",
        lambda bench: (bench.root / "README.md").write_text("mine\n"),
    ),
    Case(
        "worktrees_clean",
        "WORKTREE_DIRTY",
        "lane-",
        "note.txt",
        lambda bench: (lane(bench) / "note.txt").write_text("unsaved\n"),
    ),
    Case(
        "no_user_operation_in_progress",
        "USER_OPERATION_IN_PROGRESS",
        "repo",
        "merge of yours",
        lambda bench: (bench.root / ".git" / "MERGE_HEAD").write_text(bench.git("rev-parse", "trunk") + "\n"),
    ),
    Case(
        "merge_clean",
        "MERGE_CONFLICT",
        "trunk",
        "one.txt",
        lambda bench: bench.commit("Meanwhile", one__txt="something else\n"),
    ),
    Case(
        "checkout_can_follow",
        "CHECKOUT_WOULD_LOSE_EDITS",
        "repo",
        "overwrite",
        lambda bench: (bench.root / "two.txt").write_text("mine\n"),
    ),
    Case(
        "no_secrets",
        "SECRET_FOUND",
        "more.py",
        "more.py:2 (GitHub Token)",
        lambda bench: on_mission(bench, "more__py", f"x = 1\ntoken = '{TOKEN}'\n"),
    ),
    Case(
        "tests_pass",
        "TESTS_FAILED",
        "",
        "status 1",
        late=lambda bench, landing: setattr(landing, "test_run", TestRun(("false",), 1, "exited", 0.0, "", "log", ())),
    ),
    Case(
        "tests_pass",
        "TESTS_NOT_RUN",
        "",
        "did not run",
        late=lambda bench, landing: setattr(landing, "test_run", None),
        outcome="error",
    ),
    Case(
        "mission_unmoved",
        "MISSION_MOVED",
        "refs/heads/kitty/mission-sample",
        "moved from",
        late=lambda bench, landing: on_mission(bench, "more__txt", "more\n"),
    ),
    Case(
        "target_unmoved",
        "TARGET_MOVED",
        "refs/heads/trunk",
        "moved from",
        late=lambda bench, landing: bench.commit("Meanwhile", three__txt="three\n"),
    ),
    Case(
        "landing_recomputed",
        "LANDING_DIFFERS",
        "",
        "another.txt",
        late=lambda bench, landing: setattr(
            landing, "candidate_commit", aside(bench, "Another base", another__txt="another\n")
        ),
    ),
    Case("landing_proved", "LANDING_NOT_PROVED", "refs/heads/trunk", "does not contain"),
]


def test_every_gate_is_in_the_table() -> None:
    assert {case.gate for case in RED} == set(GATES)


def test_all_gates_are_green_and_say_what_they_saw(bench: Workbench) -> None:
    with landing_of(bench) as landing:
        answers = {name: ask_gate(name, landing) for name in GATES if name != "landing_proved"}
        assert {name for name, answer in answers.items() if answer.outcome != "pass"} == set()
        assert all(answer.message and not answer.diagnostic_code for answer in answers.values())
        bench.git("merge", "-q", "--ff-only", landing.candidate_commit)
        assert ask_gate("landing_proved", landing).outcome == "pass"


@pytest.mark.parametrize("case", RED, ids=lambda case: f"{case.gate}-{case.words}")
def test_a_gate_closes(bench: Workbench, case: Case) -> None:
    case.spoil(bench)
    with landing_of(bench) as landing:
        case.late(bench, landing)
        answer = ask_gate(case.gate, landing)
    assert (answer.outcome, answer.diagnostic_code) == (case.outcome, case.code), answer
    assert case.words in answer.message and case.subject in answer.subject, answer
    assert answer.violated_invariant and answer.remediation and answer.subject, answer
    assert TOKEN not in repr(answer), "a secret is named by its place and kind only"


class Broken:
    """A landing of which nothing can be read."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @property
    def mission(self) -> Broken:
        return self

    slug = "sample"
    commands: Mapping[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        raise self._error


@pytest.mark.parametrize("error", [OSError("disk"), ExternalToolError("GIT_FAILED", "disk")], ids=["os", "git"])
@pytest.mark.parametrize("name", sorted(GATES))
def test_a_gate_that_cannot_look_is_an_error_and_closed(name: str, error: Exception) -> None:
    answer = ask_gate(name, Broken(error))  # type: ignore[arg-type]
    assert (answer.outcome, answer.diagnostic_code, answer.is_open) == ("error", "GATE_ERROR", False)
    assert "disk" in answer.message and answer.violated_invariant and answer.remediation


def test_a_branch_that_is_gone_has_not_moved_to_none() -> None:
    assert (
        moved("refs/heads/trunk", "a" * 40, "b" * 40)
        == f"refs/heads/trunk moved from {'a' * 12} to {'b' * 12} meanwhile"
    )
    gone = moved("refs/heads/trunk", "a" * 40, None)
    assert "is gone" in gone and "None" not in gone


def test_what_is_closed_stops_the_landing_and_an_override_is_recorded(bench: Workbench) -> None:
    config("core.sshCommand", "touch ran")(bench)
    on_mission(bench, "more__py", f"token = '{TOKEN}'\nsame = '{TOKEN}'  # pragma: allowlist secret\n")
    names = ("config_unchanged", "no_secrets")
    with landing_of(bench) as landing, pytest.raises(RefusedError) as refused:
        check_gates(landing, names)
    assert [g["gate"] for g in refused.value.details["gates"]] == ["config_unchanged"], "nothing else is asked then"
    with landing_of(bench, "config_unchanged") as landing:
        with pytest.raises(RefusedError) as refused:
            check_gates(landing, names)
        assert refused.value.code == "SECRET_FOUND"
        assert "more.py:2" not in refused.value.message and "1 allowed by a comment" in refused.value.message
    with landing_of(bench, *names) as landing:
        check_gates(landing, names)
    recorded = [e for e in bench.events() if e["trigger"] == "override_gate"]
    assert [e["evidence"]["overridden_gate"] for e in recorded] == ["config_unchanged", *names]
    assert {e["reason"] for e in recorded} == {"because"}
    assert TOKEN not in repr(bench.events())
