"""Agents that come by themselves (`next`, `wp start`): what the settings say of the one that asks, if anything."""

from __future__ import annotations

from dataclasses import replace

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.command import Role as Part
from kitty_flow.flow.peek import Role
from kitty_flow.flow.project import Project

__all__ = ["agent_by_hand", "role_by_hand"]


def agent_by_hand(project: Project, name: str, part: Part | None = None) -> AgentSpec:
    """The agent called `name`, with the preset and the pool of its table; without a command, nobody starts it.

    Raises:
        UsageError: WRONG_ROLE, the settings keep it for another part than `part`.
        DefinitionError: INVALID_SETTINGS.
    """
    from kitty_flow.agents.settings_file import read_settings

    # The checks of the settings take longer than the rest of a short command, and mostly it has no table.
    tables = read_settings(project.root).get("agents")
    if not isinstance(tables, dict) or name not in tables:
        return AgentSpec(name, ())
    from kitty_flow.agents.settings import resolve_agent

    return replace(resolve_agent(project.settings, name, part), argv=())


def role_by_hand(project: Project, name: str, asked: Role | None) -> Role:
    """What the agent is given to do: what was asked for, within the role that the settings keep it for.

    Raises:
        UsageError: WRONG_ROLE.
        DefinitionError: INVALID_SETTINGS.
    """
    if asked in ("implement", "review"):
        agent_by_hand(project, name, "implementer" if asked == "implement" else "reviewer")
        return asked
    own = agent_by_hand(project, name).role
    return own if own != "any" else asked or "implement"
