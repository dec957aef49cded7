"""What commands that came to nothing leave in the error log, and that the log never stands in their way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.error_log import append_errors
from kitty_flow.ledger.lock import exclusive
from kitty_flow.model.error_entry import ErrorEntry

REF = "refs/kitty/errors"
INVALID = "[mission]\ntitle = 'Nothing to do'\n"


def git(root: Path, *words: str | Path) -> str:
    done = subprocess.run(["git", *map(str, words)], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.fixture
def shop(repo: Path, kitty: Any) -> Path:
    """A repository with a planned mission, `shop`, and an invalid mission file."""
    assert kitty("mission", "create", "shop", cwd=repo).exit == 0
    (repo / ".kitty-flow" / "config.toml").write_text("[run]\nretry_backoff_s = 0\n")
    assert kitty("plan", "shop", cwd=repo).exit == 0
    (repo / "bad.toml").write_text(INVALID)
    return repo


@pytest.fixture
def listed(kitty: Any) -> Callable[..., list[dict[str, Any]]]:
    """The entries that `errors list` shows."""

    def run(root: Path, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = kitty("errors", "list", *words, "--json", cwd=root).json["data"]["errors"]
        return found

    return run


def test_each_kind_of_refusal_leaves_its_entry(shop: Path, kitty: Any, listed: Any) -> None:
    illegal = kitty("wp", "unblock", "WP01", "--reason", "why not", "--json", cwd=shop).json["error"]
    invalid = kitty("plan", "bad.toml", "--json", cwd=shop).json["error"]
    closed = kitty("merge", "--test-command", "true", "--json", cwd=shop).json["error"]

    transition, validation, *gates = listed(shop)
    assert transition["error_type"] == "StateTransitionError"
    assert (transition["entity_id"], transition["attempted_operation"]) == ("WP01", "wp unblock")
    assert transition["reason"] == illegal["message"]
    assert (transition["context"]["mission"], transition["context"]["code"]) == ("shop", "ILLEGAL_TRANSITION")
    assert transition["context"]["details"]["trigger"] == "unblock"
    assert (validation["error_type"], validation["context"]["code"]) == ("ValidationError", "INVALID_MISSION")
    assert (validation["entity_id"], validation["attempted_operation"]) == (str(shop / "bad.toml"), "plan")
    assert validation["context"]["details"]["problems"] == invalid["details"]["problems"]
    failed = {gate["gate"]: gate["message"] for gate in closed["details"]["gates"] if gate["outcome"] != "pass"}
    assert len(failed) >= 1
    assert {entry["context"]["gate"]: entry["reason"] for entry in gates} == failed
    assert {(e["error_type"], e["entity_id"], e["attempted_operation"]) for e in gates} == {
        ("GateFailure", "shop", "merge")
    }
    assert len({entry["error_id"] for entry in [transition, validation, *gates]}) == 2 + len(gates)
    assert transition["timestamp"] <= validation["timestamp"] <= gates[0]["timestamp"]


def test_a_run_leaves_one_entry_for_each_work_package_left_over(shop: Path, kitty: Any, listed: Any) -> None:
    done = kitty("run", "--command", "false", "--review-command", "true", "--json", cwd=shop)
    left = {name: w["message"] for name, w in done.json["data"]["work_packages"].items() if w["code"]}
    entries = listed(shop, "--mission", "shop")
    assert done.exit == 7
    assert {entry["entity_id"]: entry["reason"] for entry in entries} == left
    assert {entry["entity_id"]: entry["error_type"] for entry in entries}["WP01"] == "AgentFailure"
    assert {entry["error_type"] for entry in entries} == {"AgentFailure", "StateTransitionError"}


def test_filters(repo: Path, kitty: Any, listed: Any) -> None:
    kinds = [("GateFailure", "shop", 3), ("ValidationError", "shop", 2), ("ValidationError", "other", 1)]
    for error_type, mission, hours in kinds:
        at = datetime.now(UTC) - timedelta(hours=hours)
        entry = ErrorEntry(
            error_id=str(ULID()),
            error_type=error_type,
            entity_id="WP01",
            attempted_operation="wp start",
            reason="no",
            timestamp=at.isoformat(timespec="milliseconds"),
            context={"mission": mission, "code": "NO"},
        )
        append_errors(Repository.discover(repo), [entry], at)

    def kinds_of(*words: str) -> list[tuple[str, str]]:
        return [(entry["error_type"], entry["context"]["mission"]) for entry in listed(repo, *words)]

    everything = [("GateFailure", "shop"), ("ValidationError", "shop"), ("ValidationError", "other")]
    assert kinds_of() == everything
    assert kinds_of("--since", "150m", "--type", "validationerror", "--mission", "shop") == everything[1:2]
    assert kinds_of("--since", "150m", "--limit", "2") == everything[1:]
    assert kinds_of("--since", "9999-01-01") == []
    text = kitty("errors", "list", "--limit", "1", cwd=repo).stdout
    assert text.splitlines()[0].endswith("ValidationError  WP01 of other (wp start)")


def test_the_log_outlives_our_own_files(repo: Path, kitty: Any, listed: Any) -> None:
    (repo / "bad.toml").write_text(INVALID)
    kitty("plan", "bad.toml", cwd=repo)
    before = listed(repo)
    git(repo, "clean", "-fdxq")
    shutil.rmtree(repo / ".git" / "kitty-flow")
    assert listed(repo) == before
    (repo / "bad.toml").write_text(INVALID)
    kitty("plan", "bad.toml", cwd=repo)
    assert listed(repo)[:-1] == before
    assert len(git(repo, "ls-tree", "--name-only", REF, "log/").split()) == 1, "the same clone is the same writer"


def test_what_is_only_typed_wrongly_is_not_kept(repo: Path, kitty: Any, tmp_path: Path) -> None:
    (repo / "bad.toml").write_text(INVALID)
    for words in (
        ["plna"],
        ["plan", "--frobnicate"],
        ["status", "no-such-mission"],
        ["errors", "list", "--since", "x"],
    ):
        assert kitty(*words, cwd=repo).exit == 2
    assert git(repo, "for-each-ref", "refs/kitty") == ""
    assert kitty("plan", repo / "bad.toml", cwd=tmp_path).exit == 3, "outside a repository there is no log"
    assert git(repo, "for-each-ref", "refs/kitty") == ""
    assert kitty("errors", "list", cwd=repo).stdout == "nothing was refused yet\n"


def test_secrets_stay_out_and_control_characters_become_visible(repo: Path, kitty: Any, listed: Any) -> None:
    secrets = {"API_TOKEN": "hunter2/x", "PLAIN": "thirteen-letters"}
    name = "\x1b[2J hunter2/x thirteen-letters https://me:pass@example.invalid "
    (repo / "bad.toml").write_text(f"[mission]\n[[work_package]]\nid = {name!r}\n".replace("\\x1b", "\\u001b"))
    (repo / "bad.toml").write_text((repo / "bad.toml").read_text().replace("'", '"'))
    done = kitty("plan", "bad.toml", "--json", cwd=repo, env=secrets)
    assert "hunter2/x" in done.json["error"]["message"], "the user is told what is wrong"
    raw = git(repo, "log", "-p", "--format=%B", REF)
    for secret in (*secrets.values(), "me:pass"):
        assert secret not in raw
    assert "[API_TOKEN]" in listed(repo)[0]["reason"]
    shown = kitty("errors", "list", cwd=repo).stdout
    assert "\x1b" not in shown
    assert "[2J [API_TOKEN] [PLAIN]" in shown


def test_the_users_side_stays_as_it_is(repo: Path, kitty: Any) -> None:
    (repo / "bad.toml").write_text(INVALID)
    ours = (".git/objects/", ".git/kitty-flow/", ".git/refs/kitty/")
    (repo / "README.md").write_text("edited\n")
    git(repo, "add", "README.md")
    (repo / ".git" / "hooks" / "reference-transaction").write_text("#!/bin/sh\nexit 1\n")
    (repo / ".git" / "hooks" / "reference-transaction").chmod(0o755)

    def theirs() -> dict[str, bytes]:
        files = (path for path in repo.rglob("*") if path.is_file())
        names = {path.relative_to(repo).as_posix(): path for path in files}
        return {name: path.read_bytes() for name, path in names.items() if not name.startswith(ours)}

    before = theirs()
    assert kitty("plan", "bad.toml", cwd=repo).exit == 3
    assert git(repo, "for-each-ref", "--format=%(refname)", REF) == REF
    assert theirs() == before


def test_a_success_does_not_even_load_the_log(repo: Path) -> None:
    script = (
        "import sys\nfrom kitty_flow.cli.main import main\nmain(['machines', 'list'])\nsys.exit('{0}' in sys.modules)"
    )
    for name in ("kitty_flow.cli.error_record", "kitty_flow.ledger.error_log"):
        subprocess.run(
            [sys.executable, "-c", script.format(name)], cwd=repo, capture_output=True, timeout=60, check=True
        )


Way = Callable[[Path, Path, dict[str, str]], AbstractContextManager[None]]


@contextmanager
def _a_locked_ref(root: Path, aside: Path, env: dict[str, str]) -> Iterator[None]:
    lock = root / ".git" / f"{REF}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    yield
    lock.unlink()


@contextmanager
def _a_broken_ref(root: Path, aside: Path, env: dict[str, str]) -> Iterator[None]:
    ref = root / ".git" / REF
    ref.parent.mkdir(parents=True)
    ref.write_text("no object\n")
    yield
    ref.unlink()


@contextmanager
def _a_ref_whose_object_is_gone(root: Path, aside: Path, env: dict[str, str]) -> Iterator[None]:
    ref = root / ".git" / REF
    ref.parent.mkdir(parents=True)
    ref.write_text("1234" * 10 + "\n")
    yield
    ref.unlink()


@contextmanager
def _a_held_lock(root: Path, aside: Path, env: dict[str, str]) -> Iterator[None]:
    with exclusive(root / ".git/kitty-flow/locks/errors.lock", timeout_s=0, what="the log"):
        yield


@contextmanager
def _no_place_for_our_files(root: Path, aside: Path, env: dict[str, str]) -> Iterator[None]:
    place = root / ".git" / "kitty-flow"
    place.touch()
    yield
    place.unlink()


@contextmanager
def _no_git(root: Path, aside: Path, env: dict[str, str]) -> Iterator[None]:
    env["PATH"] = str(aside)
    yield


@contextmanager
def _a_full_disk(root: Path, aside: Path, env: dict[str, str]) -> Iterator[None]:
    env["KITTY_FLOW_FAILPOINT"] = "object.write:ENOSPC"
    yield


@contextmanager
def _a_git_that_hangs(root: Path, aside: Path, env: dict[str, str]) -> Iterator[None]:
    os.mkfifo(aside / "pipe")
    _stand_in(aside, env, "update-ref", f"read word < '{aside}/pipe'; exit 1")
    yield
    os.close(os.open(aside / "pipe", os.O_WRONLY))  # waits until the git that hangs reads, and ends it


def _stand_in(aside: Path, env: dict[str, str], command: str, action: str) -> None:
    """A git in front of the real one that does something else for one command."""
    script = f"#!/bin/sh\ncase \" $* \" in *' {command} '*) {action} ;; esac\nexec '{shutil.which('git')}' \"$@\"\n"
    (aside / "git").write_text(script)
    (aside / "git").chmod(0o755)
    env["PATH"] = f"{aside}{os.pathsep}{os.environ['PATH']}"


WAYS = (
    _a_locked_ref, _a_broken_ref, _a_ref_whose_object_is_gone, _a_held_lock, _no_place_for_our_files, _no_git,
    _a_full_disk, _a_git_that_hangs,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_a_log_that_fails_changes_nothing_for_the_command(repo: Path, tmp_path: Path, kitty: Any, way: Way) -> None:
    """Compared with what the same command says where a log is kept."""
    (repo / "bad.toml").write_text(INVALID)
    aside, env = tmp_path / "aside", dict[str, str]()
    aside.mkdir()
    with way(repo, aside, env):
        failing = kitty("plan", "bad.toml", "--json", cwd=repo, env=env)
    assert git(repo, "for-each-ref", REF) == "", "the log really failed"
    assert kitty("plan", "bad.toml", "--json", cwd=repo) == failing
    assert (failing.exit, failing.stderr) == (3, "")
    assert git(repo, "rev-list", "--count", REF) == "1", "and works now"


def test_a_broken_log_is_told_when_it_is_asked_for(repo: Path, tmp_path: Path, kitty: Any) -> None:
    for way in (_a_broken_ref, _a_ref_whose_object_is_gone):
        with way(repo, tmp_path, {}):
            error = kitty("errors", "list", "--json", cwd=repo).json["error"]
        (repo / ".git" / "refs" / "kitty").rmdir()
        assert error["code"] == "ERROR_LOG_UNREADABLE"
        assert REF in error["hint"]
