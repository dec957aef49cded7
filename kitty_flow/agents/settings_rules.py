"""What the agents and pools of a settings file need of each other: names that exist, roles that fit, no circles.

These rules look at the tables as they were read, so that their problems are reported together with those of single
keys; where a value has the wrong type, its own problem is enough and nothing is said here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kitty_flow.agents.placeholders import PLACEHOLDERS, misspelt
from kitty_flow.agents.settings_file import problem

__all__ = ["is_preset", "near", "rule_problems"]

_AGENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_NAME_RULE: Final = "use letters, digits, '.', '_' and '-', at most 63"
_USES: Final = (("agent", "implement"), ("reviewer", "review"))

_Problem = dict[str, str]
_Tables = Mapping[str, Mapping[str, Any]]


def rule_problems(table: Mapping[str, Any]) -> list[_Problem]:
    """Every broken rule of the settings `table`, in the order of the file's parts."""
    agents, pools, run = _tables(table.get("agents")), _tables(table.get("pools")), table.get("run")
    return [
        *_names(agents, pools),
        *(found for name, agent in agents.items() for found in _command(name, agent)),
        *(found for name, agent in agents.items() for found in _fallbacks(name, agent, agents)),
        *_circles(agents),
        *_pools(agents, pools),
        *_defaults(run if isinstance(run, dict) else {}, agents),
    ]


def is_preset(name: str) -> bool:
    """Whether `name` is a preset that is called by a command of its own, and so an agent without a table."""
    from kitty_flow.agents.presets import preset, preset_names

    return name in preset_names() and preset(name).command is not None


def near(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, in brackets; empty when none is near."""
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""


def _tables(value: object) -> _Tables:
    """The named tables below a key; one that is no table counts as empty and is refused by its type."""
    return {n: t if isinstance(t, dict) else {} for n, t in value.items()} if isinstance(value, dict) else {}


def _names(agents: _Tables, pools: _Tables) -> Iterator[_Problem]:
    for kind, names in (("agent", agents), ("pool", pools)):
        for name in names:
            if _AGENT_NAME.fullmatch(name) is None:
                yield problem(f"INVALID_{kind.upper()}_NAME", _NAME_RULE, f"{kind}s.{name}")
    for name, agent in agents.items():
        pool = agent.get("pool")
        if isinstance(pool, str) and _AGENT_NAME.fullmatch(pool) is None:
            yield problem("INVALID_POOL_NAME", _NAME_RULE, f"agents.{name}.pool")


def _command(name: str, agent: Mapping[str, Any]) -> Iterator[_Problem]:
    """A preset or a command says how it is called; `args` extend the first, `stdin` belongs to the second."""
    where, known = f"agents.{name}", agent.get("preset")
    if isinstance(known, str):
        from kitty_flow.agents.presets import preset, preset_names

        if known in preset_names():
            if "command" not in agent and not is_preset(known):
                yield problem("MISSING_KEY", f"is required: {preset(known).note}", f"{where}.command")
        else:
            message = f"there is no preset {known!r}{near(known, preset_names())}; kitty-flow agents list shows them"
            yield problem("UNKNOWN_PRESET", message, f"{where}.preset")
    if agent and "command" not in agent and "preset" not in agent:
        yield problem("MISSING_KEY", "is required, unless a preset gives it", f"{where}.command")
    if "args" in agent and ("command" in agent or "preset" not in agent):
        yield problem("UNUSED_KEY", "extend a preset's command; write these words into command", f"{where}.args")
    if "stdin" in agent and "command" not in agent:
        yield problem("UNUSED_KEY", "belongs to command; the preset decides for its own", f"{where}.stdin")
    for key in ("command", "args"):
        for word, meant in misspelt(_words(agent.get(key))).items():
            message = f"{{{word}}} is no placeholder; did you mean {{{meant}}}? known: {', '.join(PLACEHOLDERS)}"
            yield problem("UNKNOWN_PLACEHOLDER", message, f"{where}.{key}")


def _fallbacks(name: str, agent: Mapping[str, Any], agents: _Tables) -> Iterator[_Problem]:
    where = f"agents.{name}.fallbacks"
    for other in _words(agent.get("fallbacks")):
        role, others = agent.get("role", "any"), agents.get(other)
        if others is None and not is_preset(other):
            yield problem("UNKNOWN_AGENT", f"there is no table [agents.{other}]{near(other, agents)}", where)
        elif others is not None and others.get("role", "any") not in ("any", role):
            message = f"{other} is for {others['role']} only and cannot stand in for {name} ({role})"
            yield problem("ROLE_MISMATCH", message, where)


def _circles(agents: _Tables) -> Iterator[_Problem]:
    """Each agent that reaches itself through fallbacks, with the way that leads there."""
    follow = {name: [n for n in _words(agent.get("fallbacks")) if n in agents] for name, agent in agents.items()}
    for start in follow:
        came_from, queue = dict.fromkeys(follow[start], start), list(follow[start])
        while queue and start not in came_from:
            here = queue.pop(0)
            for other in follow[here]:
                if other not in came_from:
                    came_from[other] = here
                    queue.append(other)
        if start in came_from:
            way = [start]
            while (before := came_from[way[-1]]) != start:
                way.append(before)
            message = f"leads back to itself: {' > '.join([start, *reversed(way)])}"
            yield problem("FALLBACK_CIRCLE", message, f"agents.{start}.fallbacks")


def _pools(agents: _Tables, pools: _Tables) -> Iterator[_Problem]:
    """A pool that no agent draws on limits nothing: most likely its name is wrong."""
    named = (agent.get("pool") or agent.get("preset") or name for name, agent in agents.items())
    used = {pool for pool in named if isinstance(pool, str)}
    for pool in pools:
        if pool not in used and not is_preset(pool):
            message = f"no agent draws on it{near(pool, sorted(used))}"
            yield problem("UNUSED_POOL", message, f"pools.{pool}")


def _defaults(run: Mapping[str, Any], agents: _Tables) -> Iterator[_Problem]:
    for key, role in _USES:
        wanted = run.get(key)
        if not isinstance(wanted, str):
            continue
        if wanted not in agents and not is_preset(wanted):
            message = f"there is no table [agents.{wanted}]{near(wanted, agents)}"
            yield problem("UNKNOWN_AGENT", message, f"run.{key}")
        elif wanted in agents and (known := agents[wanted].get("role", "any")) not in ("any", role):
            yield problem("ROLE_MISMATCH", f"{wanted} is for {known} only", f"run.{key}")


def _words(value: object) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
