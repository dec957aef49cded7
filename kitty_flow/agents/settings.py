"""The project settings `.kitty-flow/config.toml` as a whole (`docs/reference/config.md`)."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from kitty_flow.agents.command import AgentSpec, check_executable, command_agent
from kitty_flow.agents.settings_agent import AgentSettings
from kitty_flow.agents.settings_file import SETTINGS_PATH, invalid, problem, read_settings
from kitty_flow.agents.settings_prompts import PromptSettings, prompt_problems
from kitty_flow.agents.settings_review import ReviewSettings
from kitty_flow.agents.settings_run import RunSettings
from kitty_flow.agents.settings_sample import settings_text
from kitty_flow.agents.settings_types import Command, Limit, Text
from kitty_flow.agents.settings_workspace import WorkspaceSettings
from kitty_flow.errors import UsageError
from kitty_flow.model.base import Model

__all__ = [
    "SETTINGS_PATH",
    "AgentSettings",
    "AgentSpec",
    "MergeSettings",
    "PromptSettings",
    "ReviewSettings",
    "RunSettings",
    "Settings",
    "SyncSettings",
    "WorkspaceSettings",
    "check_executable",
    "command_agent",
    "load_settings",
    "resolve_agent",
    "settings_text",
]

_AGENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)


class MergeSettings(Model):
    """The `[merge]` table: how the tree that will land is tested."""

    test_command: Command | None = None
    test_timeout_s: Limit = 1800.0
    strategy: Literal["merge"] = "merge"


class SyncSettings(Model):
    """The `[sync]` table: the remote at which clones meet, and whether claims are confirmed there."""

    remote: Text | None = None
    confirm_claims: Annotated[bool, Field(strict=True)] = False


class Settings(Model):
    """Everything in the settings file, with defaults for what it leaves out."""

    agents: dict[str, AgentSettings] = Field(default_factory=dict)
    run: RunSettings = RunSettings()
    review: ReviewSettings = ReviewSettings()
    prompts: PromptSettings = PromptSettings()
    merge: MergeSettings = MergeSettings()
    workspace: WorkspaceSettings = WorkspaceSettings()
    sync: SyncSettings = SyncSettings()

    def workspace_root(self, root: Path) -> Path | None:
        """The configured workspace folder as an absolute path, or None when kitty-flow chooses."""
        return None if self.workspace.root is None else Path(os.path.abspath(root / self.workspace.root))  # noqa: PTH100 - links stay as they are


def load_settings(root: Path) -> Settings:
    """Read the settings of the repository at `root`; defaults when there is no file.

    Raises:
        DefinitionError: INVALID_SETTINGS, with every problem of the file in `details["problems"]`.
    """
    path = root / SETTINGS_PATH
    table = read_settings(root)
    problems = _name_problems(table) + prompt_problems(root, table)
    try:
        settings = Settings.model_validate(table)
    except ValidationError as error:
        problems = [_explain(entry["type"], entry["loc"], entry["msg"]) for entry in error.errors()] + problems
    if problems:
        raise invalid(path, problems)
    return settings


def resolve_agent(settings: Settings, name: str) -> AgentSpec:
    """The agent called `name`.

    Raises:
        UsageError: UNKNOWN_AGENT, listing the names there are.
    """
    agent = settings.agents.get(name)
    if agent is None:
        names = sorted(settings.agents)
        raise UsageError(
            "UNKNOWN_AGENT",
            f"there is no agent {name!r}{_near(name, names)}; "
            + (f"known agents: {', '.join(names)}" if names else "the settings name no agents"),
            hint=f"add [agents.NAME] to {SETTINGS_PATH.as_posix()}, or kitty-flow run --command 'CMD'",
            details={"agent": name, "known": names},
        )
    return AgentSpec(name, agent.command, agent.timeout_s, agent.stall_s, dict(agent.env))


def _name_problems(table: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the shape alone cannot tell: unusable agent names, and a default agent that nobody defines."""
    agents, run = table.get("agents"), table.get("run")
    names = list(agents) if isinstance(agents, dict) else []
    problems = [
        problem("INVALID_AGENT_NAME", "use letters, digits, '.', '_' and '-', at most 63", f"agents.{name}")
        for name in names
        if _AGENT_NAME.fullmatch(name) is None
    ]
    for key in ("agent", "reviewer"):
        wanted = run.get(key) if isinstance(run, dict) else None
        if isinstance(wanted, str) and wanted not in names:
            message = f"there is no table [agents.{wanted}]{_near(wanted, names)}"
            problems.append(problem("UNKNOWN_AGENT", message, f"run.{key}"))
    return problems


def _explain(kind: str, location: Sequence[int | str], message: str) -> dict[str, str]:
    where = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1])
        unknown = f"unknown key{_near(str(location[-1]), known)}; known here: {', '.join(known)}"
        return problem("UNKNOWN_KEY", unknown, where)
    if kind == "missing":
        return problem("MISSING_KEY", "is required", where)
    if kind == "literal_error":
        return problem("INVALID_VALUE", f"{message}; other strategies are not available", where)
    if kind in {"model_type", "dict_type"}:
        return problem("INVALID_VALUE", "must be a table", where)
    return problem("INVALID_VALUE", message.removeprefix("Value error, "), where)


def _known_keys(location: Sequence[int | str]) -> list[str]:
    """The keys that may stand in the table at `location`."""
    if not location:
        return list(Settings.model_fields)
    model = AgentSettings if location[0] == "agents" else Settings.model_fields[str(location[0])].annotation
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, Model) else []


def _near(word: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""
