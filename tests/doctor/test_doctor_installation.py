"""The installation and the settings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kitty_flow import resources
from kitty_flow.errors import DefinitionError
from kitty_flow.flow.doctor import installation
from kitty_flow.flow.doctor.configuration import examine_settings
from kitty_flow.flow.doctor.finding import DoctorFinding
from kitty_flow.flow.doctor.installation import (
    examine_installation,
    missing_distributions,
    required_distributions,
)


def test_what_is_required_is_known_without_importing_it() -> None:
    required = required_distributions()
    assert {"pydantic", "typer", "networkx", "transitions", "pyyaml"} <= {name.lower() for name in required}
    assert {"pytest", "mypy", "hypothesis"}.isdisjoint(required)
    assert missing_distributions(required) == ()


def test_a_missing_distribution_is_a_problem_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_distributions(["pydantic", "no-such-thing"]) == ("no-such-thing",)
    monkeypatch.setattr(installation, "required_distributions", lambda: ("pydantic", "no-such-thing"))
    (found,) = (f for f in examine_installation() if f.status == "problem")
    assert found.subject == "distributions"
    assert found.remedy == "python -m pip install no-such-thing"


def test_a_missing_data_file_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*parts: str) -> tuple[str, ...]:
        raise DefinitionError("BUNDLED_DATA_MISSING", f"{parts} is missing", hint="reinstall kitty-flow")

    monkeypatch.setattr(resources, "names", nothing)
    (found,) = (f for f in examine_installation() if f.status == "problem")
    assert (found.subject, found.remedy) == ("definitions", "reinstall kitty-flow")


def test_no_settings_file_is_fine_but_nothing_tests_the_landing(tmp_path: Path) -> None:
    findings = list(examine_settings(tmp_path))
    assert [(f.status, f.subject) for f in findings] == [
        ("ok", ".kitty-flow/config.toml"),
        ("warning", "merge.test_command"),
    ]


def test_settings_that_cannot_be_used_are_one_problem_with_all_its_reasons(tmp_path: Path) -> None:
    (found,) = _settings(tmp_path, "[run]\njobs = 0\ncolour = 'red'\n")
    assert found.status == "problem"
    assert "run.jobs" in found.message
    assert "run.colour" in found.message


def test_every_program_that_the_settings_name_is_looked_for(tmp_path: Path) -> None:
    text = f"""
        [agents.good]
        command = ["{sys.executable}"]
        [agents.used]
        command = ["no-such-program"]
        [agents.spare]
        command = ["./no-such-file"]
        [run]
        agent = "used"
        reviewer = "good"
        [merge]
        test_command = ["no-such-tests"]
    """
    statuses = {f.subject: f.status for f in _settings(tmp_path, text)}
    assert statuses == {
        ".kitty-flow/config.toml": "ok",
        "agents.good": "ok",
        "agents.used": "problem",
        "agents.spare": "warning",
        "merge.test_command": "problem",
    }


def test_a_test_command_that_is_there_is_fine(tmp_path: Path) -> None:
    findings = _settings(tmp_path, f"[merge]\ntest_command = ['{sys.executable}']\n")
    assert {f.status for f in findings} == {"ok"}


def _settings(root: Path, text: str) -> list[DoctorFinding]:
    (root / ".kitty-flow").mkdir()
    (root / ".kitty-flow" / "config.toml").write_text(text)
    return list(examine_settings(root))
