"""Ports of its own for every worktree, so that servers which agents start side by side do not meet.

The ranges are numbered; a file in the state directory says which worktree has which number. A worktree keeps its number
as long as it exists, in whatever mission, so what runs in it at the same time as in another one never shares a port.
"""

from __future__ import annotations

import json
import os
import secrets
from itertools import count
from pathlib import Path
from typing import Final

from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.project import Project
from kitty_flow.ledger.lock import exclusive

__all__ = ["claim_ports", "known_ports"]

_LAST_PORT: Final = 65535
_LOCK_S: Final = 10.0


def claim_ports(project: Project, worktree: Path) -> dict[str, str]:
    """The variables that tell the range of a worktree; it gets the lowest free one when it has none yet.

    Raises:
        ExternalToolError: PORTS_EXHAUSTED.
        ConflictError: LOCK_TIMEOUT.
    """
    path, lock = _file(project), project.repository.state_dir / "locks" / "ports.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(lock, timeout_s=_LOCK_S, what="the list of port ranges"):
        known = _read(path)
        name = os.fspath(worktree)
        if name not in known:
            known = {place: number for place, number in known.items() if Path(place).is_dir()}
            taken = set(known.values())
            known[name] = next(number for number in count() if number not in taken)
            temporary = path.with_suffix(f".{secrets.token_hex(4)}")
            temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
            temporary.replace(path)
    return _variables(project, known[name])


def known_ports(project: Project, worktree: Path) -> dict[str, str]:
    """As `claim_ports` for a worktree that has a range; nothing for another one. Changes nothing."""
    number = _read(_file(project)).get(os.fspath(worktree))
    return {} if number is None or project.settings.workspace.ports is None else _variables(project, number)


def _variables(project: Project, number: int) -> dict[str, str]:
    ports = project.settings.workspace.ports
    assert ports is not None
    first = ports.first + number * ports.count
    if first + ports.count - 1 > _LAST_PORT:
        raise ExternalToolError(
            "PORTS_EXHAUSTED",
            f"range {number + 1} of {ports.count} ports from {ports.first} on ends beyond port {_LAST_PORT}",
            hint="lower first or count of [workspace.ports] in .kitty-flow/config.toml",
        )
    return {"KITTY_FLOW_PORT_FIRST": str(first), "KITTY_FLOW_PORT_COUNT": str(ports.count)}


def _file(project: Project) -> Path:
    return project.repository.state_dir / "ports.json"


def _read(path: Path) -> dict[str, int]:
    """The numbers by worktree. A file that is not readable counts as empty: it is made anew."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): number for name, number in found.items() if type(number) is int and number >= 0}
