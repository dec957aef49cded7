"""Input that cannot work: the exact exit status, one JSON document, and nothing half-done."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from workbench import DIAMOND, Workbench, agent, files_of

RUN = ("--command", agent("implementer"), "--review-command", agent("reviewer"))


@contextmanager
def unchanged(bench: Workbench) -> Iterator[None]:
    """Neither a ref nor a file of the working tree changes, and no worktree is made."""
    before = bench.tips, files_of(bench.root, without=lambda name: name.startswith(".git/"))
    yield
    assert (bench.tips, files_of(bench.root, without=lambda name: name.startswith(".git/"))) == before
    assert bench.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert bench.agents_alive() == []


def test_no_repository(bench: Workbench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for words in (("run", "x", *RUN), ("status",), ("merge", "x"), ("next", "--agent", "me"), ("plan",), ("log",)):
        error = bench.refusal(*words, exit=2, cwd=outside)
        assert error["code"] == "NO_REPOSITORY"
    assert list(outside.iterdir()) == []


def test_git_too_old(bench: Workbench, tmp_path: Path) -> None:
    bench.mission()
    old = tmp_path / "old"
    old.mkdir()
    (old / "git").write_text('#!/bin/sh\ncase "$*" in *version*) echo git version 2.30.0 ;; *) exit 99 ;; esac\n')
    (old / "git").chmod(0o755)
    with unchanged(bench):
        bench.env["PATH"] = f"{old}{os.pathsep}{os.environ['PATH']}"
        for words in (("run", *RUN), ("status",), ("merge", "sample")):
            error = bench.refusal(*words, exit=7)
            assert error["code"] == "GIT_TOO_OLD"
            assert "2.38" in error["hint"]


def test_git_missing(bench: Workbench, tmp_path: Path) -> None:
    bench.env["PATH"] = str(tmp_path)
    assert bench.refusal("status", exit=7)["code"] == "GIT_MISSING"


@pytest.mark.parametrize("words", [("run", "nope", *RUN), ("status", "nope"), ("merge", "nope"), ("verify", "nope")])
def test_unknown_mission(bench: Workbench, words: tuple[str, ...]) -> None:
    bench.mission()
    with unchanged(bench):
        assert bench.refusal(*words, exit=2)["code"] == "MISSION_NOT_FOUND"


@pytest.mark.parametrize("known", [True, False])
def test_ambiguous_prefix(bench: Workbench, known: bool) -> None:
    bench.mission()
    bench.slug = "samples"
    bench.mission(id="01JZ5N3C8RWE5P1YF0K6SHTAVE")
    if known:
        bench.kitty("plan", "sample")
        bench.kitty("plan", "samples")
    with unchanged(bench):
        assert bench.refusal("run", "sam", *RUN, exit=2)["code"] == "AMBIGUOUS_MISSION"
        assert bench.refusal("run", "01JZ5N3C8RWE5P1YF0K6SHTAV", *RUN, exit=2)["code"] == "AMBIGUOUS_MISSION"
        assert bench.refusal("run", *RUN, exit=2)["code"] == "MISSION_REQUIRED"


def broken_frontmatter(root: Path) -> None:
    tasks = root / "kitty-specs" / "sample" / "tasks"
    tasks.mkdir(parents=True)
    (tasks.parent / "meta.json").write_text('{"slug": "sample", "target_branch": "trunk"}')
    (tasks / "WP01-x.md").write_text("---\nwork_package_id: WP01\ndependencies: [WP02\n---\n# x\n")


def native(**values: Any) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        Workbench(root, ()).mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"], **values}})

    return write


def no_toml(root: Path) -> None:
    native()(root)
    (root / ".kitty-flow" / "missions" / "sample.toml").write_text("[mission\n")


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (broken_frontmatter, "INVALID_YAML"),
        (native(dependencies=["WP99"]), "UNKNOWN_DEPENDENCY"),
        (native(owned_files=["../../etc/passwd"]), "INVALID_OWNED_FILES"),
        (native(owned_files=["/etc/passwd"]), "INVALID_OWNED_FILES"),
        (native(owned_files=[".git/hooks/**"]), "INVALID_OWNED_FILES"),
        (native(id="../WP02"), "INVALID_WORK_PACKAGE_ID"),
        (native(id="--output=x"), "INVALID_WORK_PACKAGE_ID"),
        (native(color="red"), "UNKNOWN_KEY"),
        (no_toml, "INVALID_TOML"),
    ],
)
def test_a_broken_mission(bench: Workbench, write: Callable[[Path], None], expected: str) -> None:
    write(bench.root)
    with unchanged(bench):
        for words in (("run", "sample", *RUN), ("plan", "sample")):
            error = bench.refusal(*words, exit=3)
            assert error["code"] == "INVALID_MISSION"
            assert any(expected in p["code"] for p in error["details"]["problems"]), error["details"]


def test_cyclic_dependencies_are_refused_with_the_path_named(bench: Workbench) -> None:
    bench.mission(
        {
            "WP01": {"dependencies": ["WP03"]},
            "WP02": {"dependencies": ["WP01"]},
            "WP03": {"dependencies": ["WP02"]},
            "WP04": {},
        }
    )
    with unchanged(bench):
        for words in (("run", "sample", *RUN), ("plan", "sample"), ("plan", ".kitty-flow/missions/sample.toml")):
            error = bench.refusal(*words, exit=3)
            assert {p["code"] for p in error["details"]["problems"]} == {"DEPENDENCY_CYCLE"}
            for name in ("WP01", "WP02", "WP03"):
                assert name in error["message"]
            assert "WP04" not in error["message"]


@pytest.mark.parametrize(
    ("words", "exit", "code"),
    [
        ((), 2, "AGENT_MISSING"),
        (("--agent", "nobody"), 2, "UNKNOWN_AGENT"),
        (("--command", "/no/such/agent"), 7, "AGENT_COMMAND_MISSING"),
        (("--command", "no-such-agent --yes"), 7, "AGENT_COMMAND_MISSING"),
        (("--command", "'unbalanced"), 2, "INVALID_AGENT_COMMAND"),
        (("--command", ""), 2, "INVALID_AGENT_COMMAND"),
        (("--command", "true", "--review-command", "no-such-reviewer"), 7, "AGENT_COMMAND_MISSING"),
        (("--command", "true", "--agent", "me"), 2, "AGENT_GIVEN_TWICE"),
        (("--command", "true", "-j", "0"), 2, "INVALID_USAGE"),
        (("--command", "true", "--until", "-1"), 2, "INVALID_USAGE"),
        (("--command", "true", "--schedule", "random"), 2, "INVALID_USAGE"),
        (("--no-such-option",), 2, "INVALID_USAGE"),
    ],
)
def test_bad_words_of_a_run(bench: Workbench, words: tuple[str, ...], exit: int, code: str) -> None:
    bench.mission()
    with unchanged(bench):
        assert bench.refusal("run", "sample", *words, exit=exit)["code"] == code


def test_an_agent_does_not_review_itself(bench: Workbench) -> None:
    bench.mission()
    bench.settings('[agents.solo]\ncommand = ["true"]\n')
    with unchanged(bench):
        error = bench.refusal("run", "sample", "--agent", "solo", "--reviewer", "solo", exit=4)
        assert error["code"] == "SELF_REVIEW"


def test_an_implementer_is_not_handed_its_own_work_to_review(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["a"]}})
    bench.settings(
        "[agents.ann]\ncommand = {0}\n[agents.bob]\ncommand = {0}\n".format(
            str(agent("implementer").split()).replace("'", '"')
        )
    )
    bench.kitty("run", "--agent", "ann", exit=4)
    error = bench.kitty("run", "--agent", "bob", "--reviewer", "ann", exit=4)["error"]
    assert error["code"] == "RUN_INCOMPLETE"
    assert bench.states() == {"WP01": "for_review"}
    assert bench.kitty("next", "--agent", "ann", "--role", "review")["data"]["kind"] in ("wait", "blocked")


def test_bad_settings(bench: Workbench) -> None:
    bench.mission()
    bench.settings("[run]\njobs = 0\nmax_attempt = 3\n")
    with unchanged(bench):
        error = bench.refusal("run", "sample", *RUN, exit=3)
        assert error["code"] == "INVALID_SETTINGS"
        assert len(error["details"]["problems"]) == 2


def test_target_branch_missing(bench: Workbench) -> None:
    bench.mission(target_branch="release")
    bench.kitty("plan", "sample")
    with unchanged(bench):
        error = bench.refusal("run", "sample", *RUN, exit=2)
        assert error["code"] == "TARGET_BRANCH_MISSING"
        assert "--target" in error["hint"]
        assert bench.refusal("run", "sample", *RUN, "--target", "nope", exit=2)["code"] == "TARGET_BRANCH_MISSING"
    bench.kitty("run", "sample", *RUN, "--target", "trunk")
    assert bench.kitty("merge", "sample", "--test-command", "true")["data"]["target_ref"] == "refs/heads/trunk"


def test_a_repository_without_a_commit(bench: Workbench, tmp_path: Path) -> None:
    root = tmp_path / "unborn"
    bench.git("init", "-q", root, cwd=tmp_path)
    empty = Workbench(root, bench.command)
    empty.mission()
    assert empty.kitty("plan", "sample")["data"]["waves"][0] == ["WP01"]
    with unchanged(empty):
        error = empty.refusal("run", "sample", *RUN, exit=2)
        assert error["code"] == "TARGET_BRANCH_MISSING"
        step = empty.kitty("next", "--agent", "me", "--peek")["data"]
        assert step["kind"] == "step"
        assert empty.refusal("next", "--agent", "me", exit=2)["code"] == "TARGET_BRANCH_MISSING"


def test_two_runs_at_once(bench: Workbench) -> None:
    """The second is refused at once and disturbs nothing; here an agent of the first starts the second."""
    bench.mission({"WP01": {"owned_files": ["a"]}})
    answer = bench.root.parent / "answer.json"
    inner = bench.root.parent / "inner.py"
    words = [*bench.command, *bench.run_words(), "--json"]
    inner.write_text(
        "import subprocess, sys\n"
        f"done = subprocess.run({words!r}, capture_output=True, cwd={str(bench.root)!r})\n"
        f"open({str(answer)!r}, 'wb').write(done.stdout)\n"
        "sys.exit(0 if done.returncode == 5 else 1)\n"
    )
    script = bench.root.parent / "agent.sh"
    script.write_text(f"#!/bin/sh\nset -e\n{sys.executable} {inner}\nexec {agent('implementer')}\n")
    script.chmod(0o755)
    bench.kitty("run", "sample", "--command", str(script), "--review-command", agent("reviewer"))
    assert '"RUN_ACTIVE"' in answer.read_text()
    bench.expect_sound_ledger()


def test_the_name_of_the_mission_branch_is_taken(bench: Workbench) -> None:
    bench.mission()
    bench.git("branch", bench.mission_branch)
    bench.kitty("plan", "sample")
    with unchanged(bench):
        error = bench.refusal("run", "sample", *RUN, exit=4)
        assert error["code"] == "BRANCH_TAKEN"
    bench.git("branch", "-m", bench.mission_branch, "mine")
    bench.run()
    assert set(bench.states().values()) == {"approved"}


def test_somebody_elses_folder_is_where_the_worktrees_would_go(bench: Workbench) -> None:
    bench.mission()
    beside = bench.root.parent / "repo.kitty"
    beside.mkdir()
    (beside / "precious.txt").write_text("mine\n")
    bench.run()
    assert files_of(beside) == {"precious.txt": files_of(beside)["precious.txt"]}
    assert set(bench.states().values()) == {"approved"}


def test_the_mission_is_edited_while_it_runs(bench: Workbench) -> None:
    """What was planned goes on; the edit is pointed out, not taken over silently."""
    bench.mission()
    bench.kitty(*bench.run_words(), "--until", "1")
    bench.mission({**DIAMOND, "WP05": {"owned_files": ["late.txt"]}})
    envelope = bench.run()
    assert [d["diagnostic_code"] for d in envelope["diagnostics"]] == ["DEFINITION_DIFFERS"]
    assert "WP05" not in bench.states()


def test_unknown_work_package(bench: Workbench) -> None:
    bench.mission()
    bench.kitty("plan")
    with unchanged(bench):
        for words in (("why", "WP99"), ("wp", "show", "../WP01"), ("wp", "block", "WP99", "--reason", "x")):
            assert bench.refusal(*words, exit=2)["code"] == "UNKNOWN_WORK_PACKAGE"
