"""Which command executes an agent: an argument vector with limits, never a shell line."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from kitty_flow.agents.placeholders import argument_text, fill
from kitty_flow.errors import ExternalToolError, UsageError

__all__ = [
    "DEFAULT_RETRIES",
    "DEFAULT_STALL_S",
    "DEFAULT_TIMEOUT_S",
    "AgentRole",
    "AgentSpec",
    "Role",
    "check_executable",
    "command_agent",
]

Role = Literal["implementer", "reviewer"]
AgentRole = Literal["implement", "review", "any"]
"""What an agent may be used for."""

DEFAULT_TIMEOUT_S = 3600.0
DEFAULT_STALL_S = 900.0
DEFAULT_RETRIES = 2

_OPTIONS: dict[Role, str] = {"implementer": "--command", "reviewer": "--review-command"}


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent: its name in the ledger, its command and its limits.

    Args:
        name: the actor that the ledger shows.
        argv: the program and its arguments, with placeholders (`placeholders`); `argv_for` fills them.
        timeout_s: hard limit of one invocation, in seconds.
        stall_s: limit without output, in seconds; 0 turns it off.
        env: more environment variables.
        pool: the credential pool that the agent draws on, empty for one of its own.
        role: what it may be used for.
        retries: further tries after a failure that may pass.
        concurrency: how many of this agent may work at once; None is no limit of its own.
        fallbacks: the agents that take over, in this order.
        preset: the coding CLI that it is; decides how its usage and its quota messages are read.
        prompt_on_stdin: whether the prompt is its standard input, which is empty otherwise.
    """

    name: str
    argv: tuple[str, ...]
    timeout_s: float = DEFAULT_TIMEOUT_S
    stall_s: float = DEFAULT_STALL_S
    env: Mapping[str, str] = field(default_factory=dict)
    pool: str = ""
    role: AgentRole = "any"
    retries: int = DEFAULT_RETRIES
    concurrency: int | None = None
    fallbacks: tuple[str, ...] = ()
    preset: str | None = None
    prompt_on_stdin: bool = False

    def argv_for(self, *, prompt_path: Path, result_path: Path, worktree: Path) -> tuple[str, ...]:
        """The argument vector of one invocation, its placeholders filled; the program itself stays as it is."""
        values = {
            "prompt": lambda: argument_text(prompt_path),
            "prompt_path": lambda: str(prompt_path),
            "result_path": lambda: str(result_path),
            "folder": lambda: str(result_path.parent),
            "worktree": lambda: str(worktree),
        }
        return (*self.argv[:1], *fill(self.argv[1:], values))

    def stdin_for(self, prompt_path: Path) -> Path | None:
        """The file that becomes the standard input of one invocation; None for an empty one."""
        return prompt_path if self.prompt_on_stdin else None


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
    return AgentSpec(name := f"{role}-command", argv, pool=name)


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
