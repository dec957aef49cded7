"""Every command under ``--json``: exactly one JSON document on stdout, whatever else goes wrong (seed 004, FR-010).

Each command of the table has a row; a new one fails here until it gets one. The commands run in forks of one warm
process (`forked.py`), with standard streams that are closed, full, or read by nobody.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from kitty_flow.cli.main import main, root_command

pytestmark = pytest.mark.slow

FULL_DISK: Final = "/dev/full" if Path("/dev/full").exists() else "gone"
FAILPOINTS: Final = ("object.write:ENOSPC", "ref.commit:EIO", "object.sync:EIO")
IN_COLOUR: Final = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm-256color", "COLUMNS": "80"}
SLUG: Final = "sample"
GONE: Final = "no\udcffwhere"
"""A name that is not there, and that is no UTF-8."""
NAMES: Final = ("reviewer", SLUG, "phased", "elsewhere.toml", "WP01", "WP02", "WP03", "mission", "software-dev")


class Row(NamedTuple):
    """How a command is typed so that it has something to do in the sample, and the exit status that it then has.

    `records`: it may change the repository; `anywhere`: it needs none.
    """

    words: str
    exit: int = 0
    records: bool = False
    anywhere: bool = False


ROWS: Final = {
    "init": Row("init .", records=True),
    "mission amend": Row("mission amend sample --drop-wp WP04 --reason why", records=True),
    "mission create": Row("mission create another", records=True),
    "mission import": Row("mission import elsewhere.toml", records=True),
    "mission export": Row("mission export sample"),
    "mission list": Row("mission list"),
    "mission show": Row("mission show sample"),
    "mission answer": Row("mission answer request more -m phased", records=True),
    "mission pause": Row("mission pause sample --reason why", records=True),
    "mission resume": Row("mission resume sample", exit=4, records=True),
    "mission abort": Row("mission abort sample --reason why", records=True),
    "mission accept": Row("mission accept sample", exit=4, records=True),
    "plan": Row("plan sample"),
    "graph": Row("graph sample --format mermaid"),
    "run": Row("run sample --command true --review-command true --dry-run"),
    "next": Row("next --agent bob -m sample", records=True),
    "wp show": Row("wp show WP01 -m sample"),
    "wp block": Row("wp block WP01 --reason why -m sample", records=True),
    "wp unblock": Row("wp unblock WP03 --reason why -m sample", records=True),
    "wp release": Row("wp release WP01 --reason why -m sample", exit=4, records=True),
    "wp cancel": Row("wp cancel WP01 --reason why -m sample", records=True),
    "wp reopen": Row("wp reopen WP01 --reason why -m sample", exit=4, records=True),
    "wp start": Row("wp start WP01 --agent bob -m sample", records=True),
    "wp submit": Row("wp submit WP01 --agent bob -m sample", exit=2, records=True),
    "wp heartbeat": Row("wp heartbeat WP01 --agent bob -m sample", exit=4, records=True),
    "wp force": Row("wp force WP01 --to done --reason why --actor ann -m sample", records=True),
    "wp review": Row("wp review WP01 --mission sample", exit=4, records=True),
    "wp approve": Row("wp approve WP01 --mission sample", exit=4, records=True),
    "wp reject": Row("wp reject WP01 -m why --mission sample", exit=4, records=True),
    "agents list": Row("agents list", anywhere=True),
    "agents check": Row("agents check", exit=2, anywhere=True),
    "guard install": Row("guard install", records=True),
    "guard uninstall": Row("guard uninstall", records=True),
    "guard check": Row("guard check"),
    "skills install": Row("skills install", records=True),
    "skills list": Row("skills list", anywhere=True),
    "demo": Row("demo --dir .", exit=2, anywhere=True),
    "profiles list": Row("profiles list", anywhere=True),
    "profiles show": Row("profiles show reviewer", anywhere=True),
    "advise": Row("advise review --profile reviewer", records=True),
    "ask": Row("ask reviewer review", records=True),
    "do": Row("do fix", records=True),
    "status": Row("status sample"),
    "why": Row("why WP02 -m sample"),
    "log": Row("log sample"),
    "invocations list": Row("invocations list"),
    "invocations show": Row("invocations show 01KPQRX2", exit=2),
    "profile-invocation complete": Row(
        "profile-invocation complete --invocation-id 01KPQRX2 --outcome done", exit=2, records=True
    ),
    "errors list": Row("errors list"),
    "ledger export": Row("ledger export out sample", records=True),
    "ledger verify": Row("ledger verify sample"),
    "machines list": Row("machines list", anywhere=True),
    "machines show": Row("machines show mission", anywhere=True),
    "machines diagram": Row("machines diagram mission", anywhere=True),
    "dags list": Row("dags list", anywhere=True),
    "dags show": Row("dags show software-dev", anywhere=True),
    "merge": Row("merge sample", exit=4, records=True),
    "ship": Row("ship sample --version 1.0.0", exit=4, records=True),
    "verify": Row("verify sample"),
    "auth login": Row("auth login --hub http://127.0.0.1:9", exit=7, anywhere=True),
    "auth refresh": Row("auth refresh --hub http://127.0.0.1:9", exit=4, anywhere=True),
    "auth status": Row("auth status --hub http://127.0.0.1:9", anywhere=True),
    "auth logout": Row("auth logout --hub http://127.0.0.1:9", anywhere=True),
    "sync": Row("sync", exit=2, records=True),
    "doctor": Row("doctor"),
    "doctor ledger": Row("doctor ledger"),
    "doctor locks": Row("doctor locks"),
    "doctor worktrees": Row("doctor worktrees"),
    "doctor conflicts": Row("doctor conflicts"),
    "doctor ops": Row("doctor ops --close-stale", records=True),
}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that can be typed; a group that does something by itself is one too."""
    if not hasattr(group, "list_commands"):
        yield " ".join(path)
        return
    if path and group.invoke_without_command:
        yield " ".join(path)
    for name in group.list_commands(None):
        yield from commands(group.get_command(None, name), (*path, name))


@dataclass
class Ended:
    """How a command ended, and what is in the files behind its streams."""

    exit: int
    stdout: bytes
    stderr: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The one document, read by a parser that allows nothing JSON does not."""
        text = self.stdout.decode("ascii")
        assert text.endswith("\n") and text.count("\n") == 1, text
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        assert list(found) == ["schema", "ok", "data", "error", "diagnostics"]
        assert found["ok"] is (found["error"] is None)
        if found["error"] is not None:
            assert set(found["error"]) == {"code", "message", "hint", "details"}
            assert found["error"]["message"] and found["error"]["hint"], found["error"]
        for each in found["diagnostics"]:
            assert {"severity", "diagnostic_code", "message", "fatal", "phase"} <= set(each), each
        told = [(d["diagnostic_code"], d["phase"], " ".join(d["message"].split())) for d in found["diagnostics"]]
        assert len(set(told)) == len(told), "a diagnostic is told twice"
        return dict(found)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), pairs
    return found


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@dataclass
class Site:
    """A sample repository that is put back as it was, and the process that runs commands in it."""

    root: Path
    server: subprocess.Popen[str]
    is_touched: bool = False
    places: tuple[Path, ...] = field(default=())

    def do(
        self,
        words: list[str],
        *,
        cwd: Path | None = None,
        stdout: str = "file",
        stderr: str = "file",
        env: dict[str, str] | None = None,
        failpoint: str | None = None,
        interrupt: bool = False,
        encoding: str = "utf-8",
    ) -> Ended:
        """Run one command; it is ended when it hangs, and then its exit status is that of an alarm."""
        files = {"stdout": self.root.parent / "stdout", "stderr": self.root.parent / "stderr"}
        for file in files.values():
            file.write_bytes(b"")
        errand = {
            "words": words,
            "cwd": str(cwd or self.root),
            "stdout": str(files["stdout"]) if stdout == "file" else stdout,
            "stderr": str(files["stderr"]) if stderr == "file" else stderr,
            "env": env or {},
            "failpoint": failpoint,
            "interrupt": interrupt,
            "encoding": encoding,
        }
        assert self.server.stdin and self.server.stdout
        self.server.stdin.write(json.dumps(errand) + "\n")
        self.server.stdin.flush()
        exit_status = int(self.server.stdout.readline())
        return Ended(exit_status, files["stdout"].read_bytes(), files["stderr"].read_bytes())

    def keep(self) -> None:
        """Remember how everything is now."""
        kept = self.root.parent / "kept"
        self.places = tuple(place for place in (self.root, Path(f"{self.root}.kitty")) if place.exists())
        for place in self.places:
            shutil.copytree(place, kept / place.name, symlinks=True, copy_function=_linked)

    def put_back(self) -> None:
        """Bring everything back to where it was. What git writes once is linked, not copied."""
        for place in (self.root, Path(f"{self.root}.kitty")):
            shutil.rmtree(place, ignore_errors=True)
        for place in self.places:
            shutil.copytree(self.root.parent / "kept" / place.name, place, symlinks=True, copy_function=_linked)


def _linked(source: str, target: str) -> None:
    if "/objects/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A mission in the middle of its way, one in its phases, and a title that no ASCII terminal can show."""
    folder = tmp_path_factory.mktemp("parseable")
    root = folder / "repo"
    missions = root / ".kitty-flow" / "missions"
    missions.mkdir(parents=True)
    mission = '[mission]\ntitle = "{}"\ntarget_branch = "trunk"\n'
    package = '[[work_package]]\nid = "{}"\ntitle = "左の \\u001b[31m枠"\nowned_files = ["{}"]\ndependencies = {}\n'
    packages = [("WP01", "a", []), ("WP02", "b", ["WP01"]), ("WP03", "c", ["WP01"]), ("WP04", "d", ["WP03"])]
    text = mission.format("計画 \\u202e") + "".join(package.format(*map(_toml, each)) for each in packages)
    (missions / f"{SLUG}.toml").write_text(text, encoding="utf-8")
    (missions / "phased.toml").write_text(mission.format("Phased") + 'template = "software-dev"\n', encoding="utf-8")
    (root / "elsewhere.toml").write_text(text.replace("計画", "Elsewhere"), encoding="utf-8")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=root, check=True, timeout=60)
    command = [sys.executable, "-P", str(Path(__file__).with_name("forked.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii") as server:
        made = Site(root, server)
        for words in ("plan sample", "wp block WP03 --reason why -m sample", "mission show phased"):
            done = made.do([*words.split(), "--json"])
            assert done.exit == 0, done.stdout
        made.keep()
        yield made
        assert server.stdin
        server.stdin.close()


def _toml(value: object) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)


@pytest.fixture
def do(site: Site) -> Iterator[Callable[..., Ended]]:
    """Run a command in the sample as it was made."""
    is_first = True

    def run(row: Row, *more: str, words: list[str] | None = None, **how: Any) -> Ended:
        nonlocal is_first
        if row.records and not is_first:
            site.put_back()
        is_first = False
        return site.do([*(words or row.words.split()), *more], **how)

    yield run
    site.put_back()


def test_every_command_has_a_row() -> None:
    assert sorted(ROWS) == sorted(set(commands(root_command())))


def _cases(*conditions: str) -> Any:
    """Every command under one of the conditions, in turn; under the others only in the thorough suite."""
    cases = []
    for number, name in enumerate(ROWS):
        for place, condition in enumerate(conditions):
            if ROWS[name].anywhere and condition in ("no repository", "no git"):
                continue
            marks = () if place == number % len(conditions) else pytest.mark.crash
            cases.append(pytest.param(name, condition, id=f"{name}, {condition}", marks=marks))
    return pytest.mark.parametrize(("name", "condition"), cases)


every_command = pytest.mark.parametrize("name", ROWS)


def _half(first: int) -> Any:
    """Every other command; the rest only in the thorough suite."""
    marks = [() if number % 2 == first else pytest.mark.crash for number in range(len(ROWS))]
    return pytest.mark.parametrize("name", [pytest.param(name, marks=m) for name, m in zip(ROWS, marks, strict=True)])


@every_command
def test_a_command_prints_one_document(name: str, do: Callable[..., Ended]) -> None:
    """In colour, with warnings as errors, without a stderr."""
    row = ROWS[name]
    done = do(row, "--json", env=IN_COLOUR, stderr="closed")
    document = done.document
    assert done.exit == row.exit, document
    assert document["schema"] == f"kitty-flow/{name.replace(' ', '-')}/1"


@_half(1)
def test_help_and_wrong_options_are_one_document(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*ROWS[name].words.split(), "--json"]
    assert main([*words, "--help"]) == 0
    helped = Ended(0, capsys.readouterr().out.encode(), b"").document
    assert "Examples:" in helped["data"]["text"] or name == "doctor"
    assert main([*words, "--bogus"]) == 2
    assert Ended(2, capsys.readouterr().out.encode(), b"").document["error"]["code"] == "INVALID_USAGE"


def _unknown(name: str) -> list[str]:
    """The words of a row, with a name that is not there where the row has one that is."""
    words, own = ROWS[name].words.split(), len(name.split())
    return [GONE if place >= own and word in NAMES else word for place, word in enumerate(words)]


@pytest.mark.parametrize("name", [name for name in ROWS if GONE in _unknown(name)])
def test_an_unknown_name_is_one_document(name: str, do: Callable[..., Ended]) -> None:
    done = do(ROWS[name], "--json", words=_unknown(name))
    assert not done.document["ok"], done.document
    assert done.exit in (2, 3, 4, 6, 7), done.document


@_cases("no repository", "no git")
def test_a_missing_foundation_is_one_document(
    name: str, condition: str, do: Callable[..., Ended], tmp_path: Path
) -> None:
    row = ROWS[name]
    if condition == "no git":
        done = do(row, "--json", env={"PATH": str(tmp_path)})
        assert (done.exit, done.document["ok"]) == (4 if name == "doctor" else 7, False), done.document
        return
    done = do(row, "--json", cwd=tmp_path)
    document = done.document
    assert done.exit in (0, 2, 3), document
    assert document["ok"] or document["error"]["code"] in ("NO_REPOSITORY", "MISSION_NOT_FOUND", "FILE_MISSING")


@_half(0)
def test_a_damaged_ledger_is_one_document(name: str, site: Site, do: Callable[..., Ended]) -> None:
    """Also when what would be told on stderr cannot be."""
    row = ROWS[name]
    folder = site.root / ".git" / "refs" / "kitty" / "m"
    for ref in folder.iterdir():
        ref.write_bytes(b"\x00garbage\xff\n")
    done = do(Row(""), "--json", words=row.words.split(), env=IN_COLOUR, stderr=FULL_DISK)
    assert done.document["ok"] is (done.exit == 0)
    assert done.exit in (0, 2, 3, 4, 6, 7), done.document


@_cases("nobody reads", "full disk", "document on a full disk", "closed")
def test_a_bad_stdout_is_no_traceback(name: str, condition: str, do: Callable[..., Ended]) -> None:
    """A reader that left or was never there changes nothing; what cannot be written is no success."""
    row = ROWS[name]
    as_json = [] if condition == "full disk" else ["--json"]
    if condition in ("nobody reads", "closed"):
        done = do(row, *as_json, stdout="gone" if condition == "nobody reads" else "closed")
        assert done.exit == row.exit, done
    else:
        done = do(row, *as_json, stdout=FULL_DISK)
        assert done.exit in (7, row.exit or 7), done
    assert not _noise(done), done.stderr


@every_command
def test_text_for_a_file_has_no_escapes(name: str, do: Callable[..., Ended]) -> None:
    """Nor in an encoding that lacks most characters."""
    row = ROWS[name]
    done = do(row, encoding="ascii", env={"TERM": "xterm-256color"})
    assert done.exit == row.exit, done
    assert b"\x1b" not in done.stdout + done.stderr
    assert not _noise(done), done.stderr
    assert done.stdout.isascii()


@_cases("Ctrl-C", "object.write:ENOSPC", "ref.commit:EIO")
def test_a_failure_in_the_middle_is_one_document(name: str, condition: str, do: Callable[..., Ended]) -> None:
    row = ROWS[name]
    if condition == "Ctrl-C":
        done = do(row, "--json", interrupt=True)
        expected = (row.exit, 130) if row.anywhere else (130,)
    else:
        done = do(row, "--json", failpoint=condition)
        expected = (row.exit, 6, 7)
    assert done.document["ok"] is (done.exit == 0)
    assert done.exit in expected, done.document
    assert not _noise(done), done.stderr


def _noise(done: Ended) -> bool:
    return any(word in done.stderr for word in (b"Traceback", b"Exception ignored", b"INTERNAL_ERROR", b"unexpected"))
