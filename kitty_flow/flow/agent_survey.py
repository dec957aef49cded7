"""Which agents there are and whether they can be used: those of the settings, and the presets that ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.presets import Preset, preset, preset_names
from kitty_flow.agents.probe import Finding, Probed, find_executable, probe_all
from kitty_flow.agents.settings import SETTINGS_PATH, AgentSettings, Settings, resolve_agent
from kitty_flow.agents.settings_agent import agent_spec
from kitty_flow.agents.settings_rules import near
from kitty_flow.errors import UsageError
from kitty_flow.flow.project import Project

__all__ = ["Candidate", "Checked", "agents_data", "candidates", "check", "presets_data", "project_here"]

_PROBE_S: Final = 30.0


@dataclass(frozen=True)
class Candidate:
    """An agent that can be checked; `known` is its preset where its command is the preset's own."""

    spec: AgentSpec
    known: Preset | None


@dataclass(frozen=True)
class Checked:
    """What a check found out about one agent; `trial` is None when it was only asked for its version and options."""

    spec: AgentSpec
    probed: Probed
    problems: tuple[Finding, ...]
    trial: dict[str, Any] | None = None

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.spec.name,
            "preset": self.spec.preset,
            "usable": not self.problems,
            "executable": self.probed.executable,
            "version": self.probed.version,
            "checked": preset(self.spec.preset).checked if self.spec.preset else None,
            "problems": [finding._asdict() for finding in self.problems],
            "remarks": [finding._asdict() for finding in self.probed.remarks],
            "trial": self.trial,
        }


def project_here() -> Project | None:
    """The project around the current directory; None outside of a repository, where only presets can be looked at."""
    try:
        return Project.discover()
    except UsageError as error:
        if error.code != "NO_REPOSITORY":
            raise
        return None


def agents_data(project: Project | None) -> list[dict[str, Any]]:
    """The agents of the settings with what they may do and whether their program is there."""
    if project is None:
        return []
    settings, found = project.settings, []
    for name in settings.agents:
        spec = resolve_agent(settings, name)
        found.append(
            {
                "name": name,
                "preset": spec.preset,
                "role": spec.role,
                "default": [key for key in ("agent", "reviewer") if getattr(settings.run, key) == name],
                "pool": spec.pool,
                "command": spec.argv,
                "executable": find_executable(spec, project.root),
                "timeout_s": spec.timeout_s,
                "stall_s": spec.stall_s,
                "retries": spec.retries,
                "concurrency": spec.concurrency,
                "pool_concurrency": settings.pools[spec.pool].concurrency if spec.pool in settings.pools else None,
                "fallbacks": spec.fallbacks,
            }
        )
    return found


def presets_data() -> list[dict[str, Any]]:
    """The presets with whether their program is on the PATH, and what of them was checked."""
    found = []
    for name in preset_names():
        known = preset(name)
        spec = AgentSpec(name, known.command or (name,), env=known.env)
        found.append(
            {
                "name": name,
                "title": known.title,
                "command": known.command,
                "executable": find_executable(spec, Path.cwd()),
                "install": known.install,
                "checked": known.checked,
                "checked_on": known.checked_on.isoformat() if known.checked_on else None,
                "tried": known.tried,
                "note": known.note,
            }
        )
    return found


def candidates(project: Project | None, name: str | None) -> list[Candidate]:
    """What `name` stands for: an agent of the settings, else a preset; without a name, every agent of the settings.

    Raises:
        UsageError: UNKNOWN_AGENT; or NO_AGENTS, the settings name none.
    """
    settings = project.settings if project is not None else Settings()
    if name is None:
        if not settings.agents:
            raise UsageError(
                "NO_AGENTS",
                "the settings name no agents",
                hint=f"name one in {SETTINGS_PATH.as_posix()}, or check a preset: kitty-flow agents check claude",
            )
        return [_candidate(each, settings.agents[each]) for each in settings.agents]
    if name in settings.agents:
        return [_candidate(name, settings.agents[name])]
    if name in preset_names():
        if preset(name).command is None:
            raise UsageError("PRESET_NEEDS_COMMAND", f"{name}: {preset(name).note}", hint="kitty-flow agents list")
        return [_candidate(name, AgentSettings(preset=name))]
    known = [*settings.agents, *preset_names()]
    raise UsageError(
        "UNKNOWN_AGENT",
        f"there is no agent and no preset {name!r}{near(name, known)}",
        hint="kitty-flow agents list",
        details={"agent": name, "known": known},
    )


def check(project: Project | None, chosen: Sequence[Candidate], *, trial_s: float | None) -> list[Checked]:
    """Ask the programs for version and options; with `trial_s`, let those that pass do a work package, one by one.

    `trial_s` is the longest time for one of them, in seconds.
    """
    root = project.root if project is not None else Path.cwd()
    probed = probe_all([(each.spec, each.known) for each in chosen], root, timeout_s=_PROBE_S)
    return [_checked(each.spec, found, trial_s) for each, found in zip(chosen, probed, strict=True)]


def _candidate(name: str, agent: AgentSettings) -> Candidate:
    own = agent.preset is not None and agent.command is None
    return Candidate(agent_spec(name, agent), preset(agent.preset) if own and agent.preset else None)


def _checked(spec: AgentSpec, probed: Probed, trial_s: float | None) -> Checked:
    if trial_s is None or probed.problems or probed.executable is None:
        return Checked(spec, probed, probed.problems)
    from kitty_flow.flow.agent_trial import try_agent

    spec = replace(spec, argv=(probed.executable, *spec.argv[1:]))
    trial = try_agent(spec, timeout_s=trial_s)
    data = {"passed": trial.code is None, "usage": trial.usage._asdict(), "kept": trial.kept}
    if trial.code is None:
        return Checked(spec, probed, (), data)
    problem = Finding(trial.code, f"{trial.message}", f"read {trial.kept}/output.log and prompt.md beside it")
    return Checked(spec, probed, (problem,), data)
