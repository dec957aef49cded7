"""`mission import` and `mission export`: the loss report, the forced reader, and that nothing floods a terminal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from kitty_flow.cli.mission_cmd import SourceOption
from kitty_flow.cli.remark_lines import remark_lines
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.readers import KINDS

Kitty = Callable[..., Any]

FIXTURES = Path(__file__).parents[2] / "fixtures" / "missions"


@pytest.fixture
def library(repo: Path) -> Path:
    """A repository with the issues of beads."""
    shutil.copytree(FIXTURES / "beads" / ".beads", repo / ".beads")
    return repo


def test_a_rehearsal_reports_every_loss_with_its_line(library: Path, kitty: Kitty) -> None:
    done = kitty("mission", "import", ".beads", "--dry-run", cwd=library)
    assert (done.exit, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "repo would be imported; nothing was written",
        "read as beads",
        "understood: 5 work packages, 6 dependencies, 5 prompts",
    ]
    assert lines[3] == "guessed: 6"
    assert "  issues.jsonl:3: lib-a3f.2 is 'in_progress' there and not begun here" in lines
    assert "dropped: 10" in lines
    assert "  issues.jsonl:4: closed issues, for which nothing waits: 1 (line 4)" in lines
    document = kitty("mission", "import", ".beads", "--dry-run", "--json", cwd=library).json
    report = document["data"]["loss_report"]
    assert (report["reader"], report["understood"]["work_packages"]) == ("beads", 5)
    rows = [*report["guessed"], *report["dropped"], *report["warnings"]]
    assert len(rows) == len(document["diagnostics"]) == 6 + 10 + 5
    assert {"code": "DONE_DROPPED", "where": "issues.jsonl:4"}.items() <= report["dropped"][-1].items()
    assert kitty("mission", "list", "--json", cwd=library).json["data"]["missions"] == []


@pytest.mark.slow
def test_an_import_says_in_short_what_it_lost_and_a_plan_does_not_flood(library: Path, kitty: Kitty) -> None:
    file = library / "odd.data"
    (library / ".beads" / "issues.jsonl").rename(file)
    assert kitty("mission", "import", file, cwd=library).exit == 2
    done = kitty("mission", "import", file, "--from", "beads", cwd=library)
    assert (done.exit, done.stderr) == (0, "")
    assert "6 guessed, 10 dropped, 5 warnings: --dry-run shows them line by line" in done.stdout
    issues = file.read_text()
    file.write_text(issues.replace("Write the letter", "Write the second letter"))
    plan = kitty("plan", "odd", cwd=library)
    assert plan.exit == 0
    assert "second" in plan.stdout, "the reader that was forced reads the edited source again"
    assert plan.stderr.splitlines()[-1].startswith("note: reading the source, 6 guessed, 10 dropped; see: kitty-flow")
    assert len(plan.stderr.splitlines()) == 5


@pytest.mark.slow
def test_an_exported_source_is_the_same_mission(library: Path, kitty: Kitty) -> None:
    file = library / "lending.toml"
    written = kitty("mission", "export", ".beads/issues.jsonl", "-o", file, "--json", cwd=library).json["data"]
    printed = kitty("mission", "export", file, "--json", cwd=library).json["data"]
    assert printed["text"] == file.read_text()
    assert (printed["definition_digest"], printed["slug"]) == (written["definition_digest"], "repo")
    imported = kitty("mission", "import", file, "--json", cwd=library).json["data"]["mission"]
    assert f'id = "{imported["id"]}"' in kitty("mission", "export", "repo", cwd=library).stdout
    refused = kitty("mission", "export", "repo", "-o", file / "no" / "folder", "--json", cwd=library)
    assert (refused.exit, refused.json["error"]["code"]) == (7, "OUTPUT_NOT_WRITTEN")


def test_an_exported_source_is_planned_as_the_how_to_says(library: Path, kitty: Kitty) -> None:
    file = Path(".kitty-flow", "missions", "lending.toml")
    assert kitty("mission", "export", ".beads/issues.jsonl", "-o", file, cwd=library).exit == 0
    slug = kitty("mission", "export", file, "-o", "-", "--json", cwd=library).json["data"]["slug"]
    assert kitty("plan", slug, cwd=library).exit == 0
    assert kitty("mission", "export", file, "-o", "-", cwd=library).stdout == (library / file).read_text()
    assert not (library / "-").exists()


def test_a_source_can_be_looked_at_without_a_repository(tmp_path: Path, kitty: Kitty) -> None:
    done = kitty("mission", "import", FIXTURES / "taskmaster" / ".taskmaster", "--dry-run", cwd=tmp_path)
    assert done.exit == 0
    assert "  tasks.json:107: subtask 4.2 waits for 3.1: its whole task waits for task 3" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--from", "jira"), "INVALID_USAGE"),
        (("--history",), "HISTORY_MISSING"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], code: str, library: Path, kitty: Kitty) -> None:
    done = kitty("mission", "import", ".beads", *arguments, "--json", cwd=library)
    assert (done.exit, done.json["error"]["code"]) == (2, code)


def test_the_option_offers_every_reader() -> None:
    choices = get_args(get_args(SourceOption)[0])
    assert set(choices) == {"auto", "text", *KINDS}


def test_many_remarks_of_one_kind_are_told_once() -> None:
    findings = Findings()
    for number in range(20):
        findings.warn("ODD", f"odd {number}", "x")
        findings.guessed("G", "guess", "x")
        findings.dropped("D", "drop", "x")
    lines = list(remark_lines(findings.diagnostics))
    assert lines[:8] == [f"warning: x: odd {number}" for number in range(8)]
    assert lines[8:] == [
        "warning: and 12 more ODD; --json has them all",
        "note: reading the source, 20 guessed, 20 dropped; see: kitty-flow mission import PATH --dry-run",
    ]
    assert json.dumps(lines)
