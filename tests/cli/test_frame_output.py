"""The frame around every command: one document, the right exit status, nothing else on stdout."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer

from kitty_flow import errors
from kitty_flow.cli import main as root
from kitty_flow.cli.output import Output, Result, command
from kitty_flow.cli.terminal import table
from kitty_flow.errors import KittyFlowError, RefusedError
from kitty_flow.model.diagnostic import Diagnostic


class Colour(Enum):
    RED = "red"


def succeed() -> Result:
    """A plain success."""
    remark = Diagnostic(severity="warning", diagnostic_code="ODD", message="odd \x1b[2J name")
    data = {"path": Path("a/b"), "set": {"b", "a"}, "tuple": (1, 2), "colour": Colour.RED, "remark": remark}
    return Result(data, "fine \x1b[31mtext\u202e\nsecond line", [remark])


def refuse() -> Result:
    """A refusal with two problems."""
    problems = [{"code": "A", "message": "first\x07", "where": "WP01.md"}, {"code": "B", "message": "second"}]
    raise RefusedError("NOPE", "it was refused", hint="kitty-flow why WP01", details={"problems": problems})


def partly() -> Result:
    """A failure that has data to show."""
    return Result({"outcome": "blocked"}, "WP01 blocked", error=RefusedError("BLOCKED", "one is blocked"))


def break_down() -> Result:
    """A bug."""
    raise ZeroDivisionError("secret\nsecond line")


def nan() -> Result:
    """A number that JSON does not have."""
    return Result({"half": 0.5, "none": float("nan")})


def unprintable() -> Result:
    """A value that has no JSON form."""
    return Result({"thing": object()})


def repeated() -> Result:
    """The same remark several times, as two layers that meet the same trouble tell it."""
    told = [("final", "the lock  is held"), ("final", "The lock is\nheld"), ("first", "the lock is held")]
    remarks = [
        Diagnostic(severity="warning", diagnostic_code="LOCK", phase=phase, message=text) for phase, text in told
    ]
    return Result({}, "", remarks)


def interrupted() -> Result:
    """Ctrl-C."""
    raise KeyboardInterrupt


def noisy() -> Result:
    """Prints where it must not, itself and through a child process."""
    sys.stdout.write("stray line\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True, timeout=60)
    os.write(1, b"raw write\n")
    return Result({"noisy": True}, "done")


def wrong_argument() -> Result:
    """A usage error found late."""
    raise typer.BadParameter("that will not do")


def tabular() -> Result:
    """A table with hostile cells."""
    rows = [("WP01", "[bold]not markup[/bold] \x1b]0;title\x07"), ("WP02", ["one", "two"]), ("WP03", "word " * 40)]
    return Result({}, lambda: table(("ID", "TITLE"), rows))


USE_CASES = (
    succeed, refuse, partly, break_down, nan, unprintable, interrupted, noisy, wrong_argument, tabular, repeated
)  # fmt: skip
READY = {use_case.__name__.replace("_", "-"): command(examples=["kitty-flow x"])(use_case) for use_case in USE_CASES}
HERE = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_frame_output as t; sys.exit(t.go())"
)


def go() -> int:
    """The real root with the use cases above in its table; runs in a process of its own."""
    module = sys.modules[__name__]
    rows = []
    for name, ready in READY.items():
        setattr(module, f"ready_{name}", ready)
        rows.append(root.Row(name, f"{__name__}:ready_{name}", name, "Run"))
    root.COMMANDS = tuple(rows)  # type: ignore[misc]
    return root.main()


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one of the use cases behind the frame, as a real process, outside any repository (no error log is kept)."""

    def run(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", HERE, *arguments],
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=False,
        )

    return run


Call = Callable[..., subprocess.CompletedProcess[str]]


def test_a_success_is_one_document(call: Call) -> None:
    done = call("succeed", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert list(document) == ["schema", "ok", "data", "error", "diagnostics"]
    assert document["schema"] == "kitty-flow/succeed/1"
    assert document["ok"] is True
    assert document["error"] is None
    assert document["data"]["set"] == ["a", "b"]
    assert document["data"]["path"] == str(Path("a/b"))
    assert document["data"]["colour"] == "red"
    assert document["diagnostics"] == [
        {
            "severity": "warning",
            "diagnostic_code": "ODD",
            "message": "odd \x1b[2J name",
            "fatal": False,
            "phase": "",
        }
    ]
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_a_success_for_people_is_safe_text_with_remarks_aside(call: Call) -> None:
    done = call("succeed")
    assert done.stdout == "fine \\x1b[31mtext\\u202e\nsecond line\n"
    assert done.stderr == "warning: odd \\x1b[2J name\n"


def test_a_remark_is_told_once_for_its_code_phase_and_message(call: Call) -> None:
    told = json.loads(call("repeated", "--json").stdout)["diagnostics"]
    assert [(d["phase"], d["message"]) for d in told] == [("final", "the lock  is held"), ("first", "the lock is held")]
    assert call("repeated").stderr.count("warning") == 2


def test_a_refusal_keeps_its_code_hint_and_details(call: Call) -> None:
    done = call("refuse", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 4
    assert document["ok"] is False
    assert document["data"] is None
    assert document["error"]["code"] == "NOPE"
    assert document["error"]["hint"] == "kitty-flow why WP01"
    assert len(document["error"]["details"]["problems"]) == 2


def test_a_refusal_for_people_lists_every_problem_and_the_next_command(call: Call) -> None:
    done = call("refuse")
    assert done.stdout == ""
    assert done.stderr == ("error: it was refused\n  - WP01.md: first\\x07\n  - second\nhint: kitty-flow why WP01\n")


def test_a_failure_may_keep_its_data(call: Call) -> None:
    done = call("partly", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["data"]) == (4, False, {"outcome": "blocked"})
    assert document["error"]["code"] == "BLOCKED"
    for_people = call("partly")
    assert for_people.stdout == "WP01 blocked\n"
    assert for_people.stderr == "error: one is blocked\n"


@pytest.mark.parametrize("name", ["break-down", "nan", "unprintable"])
def test_a_bug_is_still_one_document_with_status_70(call: Call, name: str) -> None:
    done = call(name, "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 70
    assert document["error"]["code"] == "INTERNAL_ERROR"
    assert "\n" not in document["error"]["message"]
    assert "NaN" not in done.stdout
    assert done.stderr == ""


def test_a_bug_shows_its_traceback_only_when_asked(call: Call) -> None:
    assert "Traceback" not in call("break-down").stderr
    done = call("break-down", env={"KITTY_FLOW_DEBUG": "1"})
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert done.stdout == ""


def test_ctrl_c_is_status_130_and_one_document(call: Call) -> None:
    done = call("interrupted", "--json")
    assert done.returncode == 130
    assert json.loads(done.stdout)["error"]["code"] == "INTERRUPTED"


def test_stray_output_never_reaches_the_document(call: Call) -> None:
    done = call("noisy", "--json")
    assert json.loads(done.stdout)["data"] == {"noisy": True}
    assert {"stray line", "from a child", "raw write"} <= set(done.stderr.splitlines())


def test_stray_output_never_reaches_the_document_when_stderr_is_closed(call: Call) -> None:
    done = call("noisy", "--json", stderr=None, preexec_fn=lambda: os.close(2))
    assert json.loads(done.stdout)["data"] == {"noisy": True}


@pytest.mark.parametrize(
    ("arguments", "schema"),
    [
        (["succeed", "--bogus", "--json"], "succeed"),
        (["--json", "succeed", "surplus"], "succeed"),
        (["wrong-argument", "--json"], "wrong-argument"),
        (["--json", "--bogus"], "usage"),
        (["nonsense", "--json"], "usage"),
        (["--json"], "usage"),
    ],
)
def test_usage_errors_are_one_document_too(call: Call, arguments: list[str], schema: str) -> None:
    done = call(*arguments)
    document = json.loads(done.stdout)
    assert done.returncode == 2
    assert document["schema"] == f"kitty-flow/{schema}/1"
    assert document["error"]["code"] in {"INVALID_USAGE", "UNKNOWN_COMMAND"}
    assert document["error"]["hint"].startswith("kitty-flow")


def test_json_before_the_command_counts(call: Call) -> None:
    assert json.loads(call("--json", "succeed").stdout)["ok"] is True


def test_help_under_json_is_one_document(call: Call) -> None:
    done = call("succeed", "--help", "--json")
    assert done.returncode == 0
    assert "Examples:" in json.loads(done.stdout)["data"]["text"]


@pytest.mark.parametrize("arguments", [["succeed"], ["succeed", "--json"], ["tabular"], ["--help"]])
def test_a_reader_that_left_is_no_error(call: Call, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = call(*arguments, stdout=writer)
    os.close(writer)
    assert "error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("arguments", [["succeed"], ["succeed", "--json"]])
def test_output_that_cannot_be_written_is_not_a_success(call: Call, arguments: list[str]) -> None:
    with Path(os.devnull).open() as read_only:
        done = call(*arguments, stdout=read_only)
    assert done.returncode == 7
    assert "could not be written" in done.stderr


def test_closed_stdout_does_not_hide_the_exit_status(call: Call) -> None:
    for arguments in (["refuse"], ["refuse", "--json"]):
        assert call(*arguments, stdout=None, preexec_fn=lambda: os.close(1)).returncode == 4


def test_an_encoding_that_lacks_a_character_gets_an_escape(call: Call) -> None:
    done = call("tabular", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"})
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_tables_fit_80_columns_and_show_hostile_cells_as_they_are(call: Call) -> None:
    lines = call("tabular").stdout.splitlines()
    assert lines[0] == "ID    TITLE"
    assert lines[1] == "WP01  [bold]not markup[/bold] \\x1b]0;title\\x07"
    assert lines[2:4] == ["WP02  one", "      two"]
    assert max(map(len, lines)) <= 80
    assert sum(line.count("word") for line in lines) == 40


def test_colour_comes_only_when_forced_or_seen(call: Call) -> None:
    assert "\x1b" not in call("tabular").stdout
    coloured = call("tabular", env={"FORCE_COLOR": "1", "TERM": "xterm-256color"}).stdout
    assert coloured.startswith("\x1b[1m")
    assert "\x1b]0;" not in coloured


def test_the_exit_status_follows_the_kind_of_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    statuses = {}
    for name in errors.__all__:
        kind = getattr(errors, name)

        def raise_it(kind: type[KittyFlowError] = kind) -> Result:
            raise kind("CODE", "message")

        statuses[name] = Output(document=io.StringIO()).perform(raise_it)
    assert statuses == {
        "KittyFlowError": 70,
        "UsageError": 2,
        "DefinitionError": 3,
        "RefusedError": 4,
        "ConflictError": 5,
        "LedgerError": 6,
        "ExternalToolError": 7,
        "InterruptedRunError": 130,
    }
