"""Which command executes an agent: an argument vector with limits, never a shell line."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from kitty_flow.errors import ExternalToolError, UsageError

__all__ = ["DEFAULT_STALL_S", "DEFAULT_TIMEOUT_S", "AgentSpec", "Role", "check_executable", "command_agent"]

Role = Literal["implementer", "reviewer"]

DEFAULT_TIMEOUT_S = 3600.0
DEFAULT_STALL_S = 900.0

_OPTIONS: dict[Role, str] = {"implementer": "--command", "reviewer": "--review-command"}


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent: its name in the ledger, its command and its limits in seconds (`stall_s` 0 = no stall detection)."""

    name: str
    argv: tuple[str, ...]
    timeout_s: float = DEFAULT_TIMEOUT_S
    stall_s: float = DEFAULT_STALL_S
    env: Mapping[str, str] = field(default_factory=dict)


def command_agent(role: Role, command: str) -> AgentSpec:
    """The agent that `--command` or `--review-command` describes; quotes are honoured, no shell ever sees the text.

    Raises:
        UsageError: INVALID_AGENT_COMMAND, when the text is empty or its quotes do not match.
    """
    try:
        argv = tuple(shlex.split(command, posix=True))
        problem = None if argv and argv[0] else "it is empty"
    except ValueError as error:
        argv, problem = (), str(error).lower()
    if problem is None and "\0" in command:
        problem = "it contains a NUL character"
    if problem is not None:
        option = _OPTIONS[role]
        raise UsageError(
            "INVALID_AGENT_COMMAND",
            f"the {role} command {command[:200]!r} cannot be used: {problem}",
            hint=f"kitty-flow run {option} 'my-agent --flag'",
            details={"role": role, "option": option, "command": command[:1000]},
        )
    return AgentSpec(f"{role}-command", argv)


def check_executable(spec: AgentSpec, cwd: Path) -> AgentSpec:
    """Return `spec` with its executable made absolute, so that every worktree runs the very same file.

    A name without a slash is looked up on the PATH (the one in `spec.env` if it sets one); a relative path is
    relative to `cwd`. There is no `~` and no variable expansion.

    Raises:
        ExternalToolError: AGENT_COMMAND_MISSING, when there is no such executable.
    """
    name = spec.argv[0]
    if Path(name).name != name:
        wanted = str(cwd / name)
        found = shutil.which(wanted)
        place = f"no executable file {wanted}"
    else:
        found = shutil.which(name, path=spec.env.get("PATH"))
        place = "no such executable on the PATH"
    if found is None:
        raise ExternalToolError(
            "AGENT_COMMAND_MISSING",
            f"agent {spec.name} cannot be started: {name!r}: {place}",
            hint="install it, correct [agents] in .kitty-flow/config.toml, or name another command: "
            "kitty-flow run --command 'CMD' --review-command 'CMD'",
            details={"agent": spec.name, "executable": name, "cwd": str(cwd)},
        )
    # Not resolve(): a virtual environment's python is a link and must be called by its own name.
    return replace(spec, argv=(str(Path(found).absolute()), *spec.argv[1:]))
