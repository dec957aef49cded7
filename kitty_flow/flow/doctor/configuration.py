"""Can the settings be used? The file itself, the programs of its agents, and the command that tests a landing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.agents.settings import SETTINGS_PATH, Settings, load_settings, resolve_agent
from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, ok, problem, warning

__all__ = ["examine_settings"]

_FILE = SETTINGS_PATH.as_posix()


def examine_settings(root: Path) -> Iterator[DoctorFinding]:
    """The settings of the repository at `root`."""
    try:
        settings = load_settings(root)
    except KittyFlowError as error:
        yield broken("settings", _FILE, error)
        return
    if (root / SETTINGS_PATH).exists():
        yield ok("settings", _FILE, "valid")
    else:
        yield ok("settings", _FILE, "there is none, the defaults hold", "kitty-flow init")
    for name in settings.agents:
        yield _agent(settings, name, root)
    yield _test_command(settings, root)


def _agent(settings: Settings, name: str, root: Path) -> DoctorFinding:
    """Only an agent that runs by default keeps a run from starting; another one is just not there to be chosen."""
    subject = f"agents.{name}"
    try:
        spec = check_executable(resolve_agent(settings, name), root)
    except KittyFlowError as error:
        remedy = f"install it, or correct [{subject}] in {_FILE}"
        report = problem if name in (settings.run.agent, settings.run.reviewer) else warning
        return report("settings", subject, error.message, remedy)
    return ok("settings", subject, f"runs {spec.argv[0]}")


def _test_command(settings: Settings, root: Path) -> DoctorFinding:
    command = settings.merge.test_command
    if command is None:
        message = "not set: a merge has to be told how to test the tree that lands"
        return warning("settings", "merge.test_command", message, f"set test_command under [merge] in {_FILE}")
    try:
        check_executable(AgentSpec("test_command", command), root)
    except KittyFlowError:
        message = f"{command[0]!r} is no executable program here"
        return problem("settings", "merge.test_command", message, f"install it, or correct [merge] in {_FILE}")
    return ok("settings", "merge.test_command", f"runs {command[0]}")
