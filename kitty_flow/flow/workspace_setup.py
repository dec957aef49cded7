"""Making a worktree usable: files that git does not carry, its own ports, and the project's setup command, once."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.workspace_files import copy_files
from kitty_flow.flow.workspace_ports import claim_ports
from kitty_flow.model.text import printable

if TYPE_CHECKING:
    from kitty_flow.agents.settings import WorkspaceSettings
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.run_context import RunContext
    from kitty_flow.git.worktrees import Checkout

__all__ = ["set_up"]

_MARK: Final = "kitty-flow-setup"
"""The file, in the worktree's own administrative directory, that says which setup it had; it goes with the worktree."""

_TAIL_LINES: Final = 12


def set_up(project: Project, checkout: Checkout, name: str, run: RunContext | None = None) -> dict[str, str]:
    """Make a worktree usable; what has been done already is not done again. Returns what its agents' environment gets.

    Args:
        name: of the worktree, such as ``mission-01ABCDEF/lane-a``: what its setup log is called.
        run: the run that it is done for; its stop ends the setup.

    Raises:
        RefusedError: COPY_NOT_IGNORED.
        ExternalToolError: SETUP_FAILED, with the end of the log; PORTS_EXHAUSTED.
        InterruptedRunError: INTERRUPTED, the run is being stopped; the setup counts as not done.
    """
    settings = project.settings.workspace
    if settings.copy_files:
        copy_files(project.root, checkout, settings.copy_files)
    ports = claim_ports(project, checkout.path) if settings.ports is not None else {}
    if settings.setup is not None and checkout.git_dir is not None:
        mark, wanted = checkout.git_dir / _MARK, _digest(settings.setup)
        if _read(mark) != wanted:
            _run(project, checkout, settings, name, ports, run)
            mark.write_text(wanted, encoding="ascii")
    return ports


def _run(
    project: Project,
    checkout: Checkout,
    settings: WorkspaceSettings,
    name: str,
    ports: dict[str, str],
    run: RunContext | None,
) -> None:
    """Run the setup command to its end; its log is new each time."""
    from kitty_flow.agents.command import AgentSpec, check_executable
    from kitty_flow.flow.project_command import run_command

    assert settings.setup is not None
    log = project.workspace_root / "setup" / f"{name}.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    spec = check_executable(AgentSpec("setup", settings.setup, settings.setup_timeout_s), project.root)
    ours = {"KITTY_FLOW_WORKTREE": os.fspath(checkout.path), "KITTY_FLOW_ROOT": os.fspath(project.root), **ports}
    outcome = run_command(spec, checkout.path, log, run, ours)
    if outcome.reason == "timeout":
        raise _failed(checkout, log, f"ran longer than {settings.setup_timeout_s:g} s and was stopped", outcome.tail)
    if outcome.exit_code != 0:
        raise _failed(checkout, log, f"ended with status {outcome.exit_code}", outcome.tail)
    changes = checkout.status().changes
    if changes:
        named = ", ".join(map(printable, changes[:5]))
        raise _failed(checkout, log, f"left changes that git does not ignore, in {len(changes)} path(s): {named}", "")


def _failed(checkout: Checkout, log: Path, what: str, tail: str) -> ExternalToolError:
    lines = [printable(line) for line in tail.splitlines()][-_TAIL_LINES:]
    end = f"; its last lines: {' | '.join(lines)[-1500:]}" if lines else ""
    return ExternalToolError(
        "SETUP_FAILED",
        f"the setup command of [workspace] {what}{end}",
        hint=f"read {log}, mend the setup in .kitty-flow/config.toml, then run the command again",
        details={"worktree": os.fspath(checkout.path), "log": os.fspath(log), "tail": lines},
    )


def _digest(setup: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(setup).encode()).hexdigest()


def _read(mark: Path) -> str:
    with suppress(OSError):
        return mark.read_text(encoding="ascii", errors="replace")
    return ""
