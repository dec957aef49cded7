"""The root of the command line: quick to start, lists what exists, suggests what was meant."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import kitty_flow
from kitty_flow.cli.main import COMMANDS, root_command

HEAVY = {"filelock", "httpx", "networkx", "psutil", "pydantic", "rich", "sqlite_utils", "transitions", "ulid", "yaml"}


def imported(arguments: list[str], where: Path | None = None) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    script = (
        "import sys\n"
        "from kitty_flow.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=where, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stderr.splitlines()}
    assert "typer" in loaded
    return loaded


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--version", "--json"]])
def test_start_up_imports_no_heavy_library(arguments: list[str]) -> None:
    assert imported(arguments).isdisjoint(HEAVY)


def test_an_argument_that_needs_no_conversion_imports_no_converter() -> None:
    assert imported(["machines", "show", "work_package", "--json"]).isdisjoint(HEAVY)


def test_reading_commands_import_only_what_reads(kitty: Any, repo: Path) -> None:
    folder = repo / ".kitty-flow" / "missions"
    folder.mkdir(parents=True)
    (folder / "sample.toml").write_text('[mission]\n[[work_package]]\nid = "WP01"\nowned_files = ["a"]\n')
    assert kitty("plan", "sample", cwd=repo).exit == 0
    assert imported(["status"], repo).isdisjoint(HEAVY - {"rich"})
    for words in ("status sample --json", "next --agent a --role review --peek", "why WP01", "guard check"):
        assert imported(words.split(), repo).isdisjoint(HEAVY), words


def test_help_lists_every_command_under_its_purpose(kitty: Any) -> None:
    done = kitty("--help")
    assert done.exit == 0
    assert done.stderr == ""
    for row in COMMANDS:
        assert re.search(rf"^{row.purpose}:$", done.stdout, re.MULTILINE)
        assert re.search(rf"^  {row.name} +{re.escape(row.summary)}$", done.stdout, re.MULTILINE)
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_no_word_at_all_shows_the_help(kitty: Any) -> None:
    assert kitty() == kitty("--help") == kitty("-h")


@pytest.mark.parametrize("words", [["--json"], ["--json", "wp"], ["guard", "--json"], ["--json", "mission"]])
def test_a_script_that_forgot_the_command_is_told_so_in_one_document(kitty: Any, words: list[str]) -> None:
    done = kitty(*words)
    assert (done.exit, done.stderr) == (2, "")
    group = " ".join(["kitty-flow", *(word for word in words if word != "--json")])
    assert (done.json["error"]["code"], done.json["error"]["hint"]) == ("INVALID_USAGE", f"{group} --help")


@pytest.mark.parametrize("group", [row.name for row in COMMANDS if row.target.endswith(":app")])
def test_the_help_of_a_group_tells_whole_sentences(kitty: Any, group: str) -> None:
    lines = kitty(group, "--help").stdout.partition("Commands:\n")[2].splitlines()
    assert lines
    assert all(len(line) <= 80 and not line.endswith("...") for line in lines)
    assert lines[-1].endswith(".")


def test_version_names_the_event_schema_too(kitty: Any) -> None:
    expected = f"kitty-flow {kitty_flow.__version__} (event schema {kitty_flow.EVENT_SCHEMA})\n"
    assert kitty("--version").stdout == expected
    assert kitty("--version", "--json").json["data"] == {
        "version": kitty_flow.__version__,
        "event_schema": kitty_flow.EVENT_SCHEMA,
    }


@pytest.mark.parametrize(("typed", "meant"), [("machnies", "machines"), ("inti", "init"), ("dag", "dags")])
def test_an_unknown_command_suggests_the_nearest(kitty: Any, typed: str, meant: str) -> None:
    done = kitty(typed)
    assert done.exit == 2
    assert done.stdout == ""
    assert f"did you mean '{meant}'?" in done.stderr
    assert f"hint: kitty-flow {meant} --help" in done.stderr


def test_an_unknown_command_below_a_group_suggests_the_nearest(kitty: Any) -> None:
    error = kitty("machines", "lst", "--json").json["error"]
    assert error["code"] == "UNKNOWN_COMMAND"
    assert error["details"]["suggestions"] == ["list"]
    assert error["hint"] == "kitty-flow machines list --help"


def test_a_word_like_nothing_at_all_leads_to_the_help(kitty: Any) -> None:
    error = kitty("zzzzzz", "--json").json["error"]
    assert error["hint"] == "kitty-flow --help"


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_every_row_of_the_table_leads_to_a_command(row: Any) -> None:
    module, _, attribute = row.target.partition(":")
    assert hasattr(import_module(module), attribute)


def leaf_commands() -> list[tuple[str, ...]]:
    """The words of every command that is no group, found by asking the groups."""
    found: list[tuple[str, ...]] = []

    def walk(command: Any, words: tuple[str, ...]) -> None:
        if hasattr(command, "list_commands"):
            for name in command.list_commands(None):
                walk(command.get_command(None, name), (*words, name))
        else:
            found.append(words)

    walk(root_command(), ())
    return found


@pytest.mark.parametrize("words", leaf_commands(), ids=" ".join)
def test_every_command_has_json_and_an_example_that_starts_with_itself(words: tuple[str, ...]) -> None:
    command = root_command()
    for word in words:
        command = command.get_command(None, word)
    assert "--json" in {name for parameter in command.params for name in parameter.opts}
    examples = command.help.partition("Examples:\n")[2].splitlines()
    assert examples
    assert any(example.strip().startswith(" ".join(("kitty-flow", *words))) for example in examples)
    assert "Raises:" not in command.help


def test_shell_completion_knows_the_commands(kitty: Any) -> None:
    done = kitty(
        env={
            "_KITTY_FLOW_COMPLETE": "complete_bash",
            "COMP_WORDS": "kitty-flow mach",
            "COMP_CWORD": "1",
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        }
    )
    assert done.stdout.split() == ["machines"]


def test_the_installed_package_is_tested_where_that_is_promised() -> None:
    checkout = Path(__file__).resolve().parents[2]
    inside = Path(kitty_flow.__file__).resolve().is_relative_to(checkout / "kitty_flow")
    assert inside != (os.environ.get("KITTY_FLOW_TESTED") == "installed")


def test_python_m_is_the_same_command(kitty: Any, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kitty_flow", "--version", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == kitty("--version", "--json").json


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
def test_ctrl_c_before_there_is_a_command_is_no_traceback(words: list[str], tmp_path: Path) -> None:
    """While Python still imports; the document is there all the same."""
    script = (
        "import runpy, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'kitty_flow.cli.main':\n            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "runpy.run_module('kitty_flow', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 130
    assert done.stderr == ""
    if "--json" in words:
        document = json.loads(done.stdout)
        assert list(document) == ["schema", "ok", "data", "error", "diagnostics"]
        assert (document["ok"], document["error"]["code"]) == (False, "INTERRUPTED")
        assert len(done.stdout.splitlines()) == 1
    else:
        assert done.stdout == ""
