"""The project settings `.kitty-flow/config.toml` as a whole (`docs/reference/config.md`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError

from kitty_flow.agents.command import AgentRole, AgentSpec, Role, check_executable, command_agent
from kitty_flow.agents.settings_agent import AgentSettings, agent_spec
from kitty_flow.agents.settings_budget import BudgetSettings
from kitty_flow.agents.settings_file import SETTINGS_PATH, invalid, problem, read_settings
from kitty_flow.agents.settings_governance import GovernanceSettings
from kitty_flow.agents.settings_hooks import MAX_HOOKS, HookSettings, as_tables
from kitty_flow.agents.settings_hub import HubSettings
from kitty_flow.agents.settings_pools import PoolSettings
from kitty_flow.agents.settings_prompts import PromptSettings, prompt_problems
from kitty_flow.agents.settings_review import ReviewSettings
from kitty_flow.agents.settings_rules import is_preset, near, rule_problems
from kitty_flow.agents.settings_run import RunSettings
from kitty_flow.agents.settings_sample import settings_text
from kitty_flow.agents.settings_ship import (
    BuildSettings,
    PublishSettings,
    ReleaseGateSettings,
    ShipSettings,
    VersionPlace,
)
from kitty_flow.agents.settings_types import Command, Limit, Text
from kitty_flow.agents.settings_workspace import PortSettings, WorkspaceSettings
from kitty_flow.errors import UsageError
from kitty_flow.model.base import Model

__all__ = [
    "SETTINGS_PATH",
    "AgentSettings",
    "AgentSpec",
    "GovernanceSettings",
    "HubSettings",
    "MergeSettings",
    "PoolSettings",
    "PortSettings",
    "PromptSettings",
    "ReviewSettings",
    "RunSettings",
    "Settings",
    "ShipSettings",
    "SyncSettings",
    "WorkspaceSettings",
    "check_executable",
    "command_agent",
    "load_settings",
    "resolve_agent",
    "settings_text",
]

_WORK: Final[Mapping[Role, AgentRole]] = {"implementer": "implement", "reviewer": "review"}


_SHIP: Final[Mapping[str, type[Model]]] = {
    "build": BuildSettings,
    "gate": ReleaseGateSettings,
    "publish": PublishSettings,
    "version": VersionPlace,
}


class MergeSettings(Model):
    """The `[merge]` table: how the tree that will land is tested, as which commits it lands, whether it is pushed."""

    test_command: Command | None = None
    test_timeout_s: Limit = 1800.0
    strategy: Literal["merge", "squash", "rebase"] = "merge"
    push: Annotated[bool, Field(strict=True)] = False


class SyncSettings(Model):
    """The `[sync]` table: the remote at which clones meet, and whether claims are confirmed there."""

    remote: Text | None = None
    confirm_claims: Annotated[bool, Field(strict=True)] = False


class Settings(Model):
    """Everything in the settings file, with defaults for what it leaves out."""

    agents: dict[str, AgentSettings] = Field(default_factory=dict)
    pools: dict[str, PoolSettings] = Field(default_factory=dict)
    run: RunSettings = RunSettings()
    budget: BudgetSettings = BudgetSettings()
    review: ReviewSettings = ReviewSettings()
    prompts: PromptSettings = PromptSettings()
    merge: MergeSettings = MergeSettings()
    ship: ShipSettings = ShipSettings()
    workspace: WorkspaceSettings = WorkspaceSettings()
    sync: SyncSettings = SyncSettings()
    governance: GovernanceSettings = GovernanceSettings()
    hub: HubSettings = HubSettings()
    hooks: Annotated[tuple[HookSettings, ...], BeforeValidator(as_tables), Field(max_length=MAX_HOOKS)] = ()

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
    problems = rule_problems(table) + prompt_problems(root, table)
    try:
        settings = Settings.model_validate(table)
    except ValidationError as error:
        problems = [_explain(entry["type"], entry["loc"], entry["msg"]) for entry in error.errors()] + problems
    if problems:
        raise invalid(path, problems)
    return settings


def resolve_agent(settings: Settings, name: str, role: Role | None = None) -> AgentSpec:
    """The agent called `name`, with what its preset gives it; `role` is what it is wanted for.

    The name of a preset is an agent without a table of its own.

    Raises:
        UsageError: UNKNOWN_AGENT, listing the names there are; WRONG_ROLE, the settings keep it for the other one.
    """
    agent = settings.agents.get(name)
    if agent is None and is_preset(name):
        agent = AgentSettings(preset=name)
    if agent is None:
        names = sorted(settings.agents)
        raise UsageError(
            "UNKNOWN_AGENT",
            f"there is no agent {name!r}{near(name, names)}; "
            + (f"known agents: {', '.join(names)}" if names else "the settings name no agents"),
            hint=f"kitty-flow agents list; add [agents.NAME] to {SETTINGS_PATH.as_posix()}, or name a preset",
            details={"agent": name, "known": names},
        )
    if role is not None and agent.role not in ("any", _WORK[role]):
        raise UsageError(
            "WRONG_ROLE",
            f"agent {name} is for {agent.role} only (agents.{name}.role) and cannot be the {role}",
            hint="kitty-flow agents list",
            details={"agent": name, "role": agent.role, "wanted": _WORK[role]},
        )
    return agent_spec(name, agent)


def _explain(kind: str, location: Sequence[int | str], message: str) -> dict[str, str]:
    where = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1])
        unknown = f"unknown key{near(str(location[-1]), known)}; known here: {', '.join(known)}"
        return problem("UNKNOWN_KEY", unknown, where)
    if kind == "missing":
        return problem("MISSING_KEY", "is required", where)
    if kind == "literal_error":
        return problem("INVALID_VALUE", f"{message}; there are no others", where)
    if kind in {"model_type", "dict_type"}:
        return problem("INVALID_VALUE", "must be a table", where)
    return problem("INVALID_VALUE", message.removeprefix("Value error, "), where)


def _known_keys(location: Sequence[int | str]) -> list[str]:
    """The keys that may stand in the table at `location`."""
    if not location:
        return list(Settings.model_fields)
    if location[:2] == ("workspace", "ports"):
        return list(PortSettings.model_fields)
    if location[0] == "ship" and len(location) > 1:
        return list(_SHIP[str(location[1])].model_fields)
    named: dict[int | str, Any] = {"agents": AgentSettings, "hooks": HookSettings, "pools": PoolSettings}
    model = named.get(location[0]) or Settings.model_fields[str(location[0])].annotation
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, Model) else []
