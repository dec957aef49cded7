"""Whether a machine definition is sound, checked as a whole before the `transitions` library sees any of it.

The library accepts misspelt states at construction and imports dotted callback names; here both are problems, and all
problems of a definition are reported together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from kitty_flow.machines.facts import TARGET_FACTS
from kitty_flow.machines.guards import GUARDS
from kitty_flow.machines.problems import Problems

__all__ = ["FORCE", "NEW", "check_machine"]

NEW: Final = "(new)"
"""The place before the first event; allowed only as the source of the creating transition."""

FORCE: Final = "force"
"""The reserved trigger of a forced move; no definition may use it."""

_MACHINE_KEYS: Final = ("name", "description", "initial", "states", "transitions")
_TRANSITION_KEYS: Final = ("trigger", "from", "to", "guards", "event", "evidence", "description")


class _Edge(NamedTuple):
    """The parts of a transition that could be read, for the checks that look at the whole graph."""

    where: str
    trigger: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]


def check_machine(document: Mapping[str, Any], problems: Problems) -> None:
    """Add every problem of a decoded machine definition to `problems`."""
    problems.keys(document, _MACHINE_KEYS, (), "machine")
    problems.named(document, "name", "machine")
    problems.typed(document, "description", str, "", "machine")
    states = _check_states(document, problems)
    initial = problems.typed(document, "initial", str, "", "machine")
    if "initial" in document and initial not in states:
        problems.add("UNKNOWN_STATE", f"the initial state {initial!r:.80} is not declared", "machine.initial")
    edges = _check_transitions(document, states, problems)
    if initial in states:
        _check_creation(edges, initial, problems)
    _check_reachability(edges, states, problems)


def _check_states(document: Mapping[str, Any], problems: Problems) -> dict[str, bool]:
    """The declared states, each with its final flag."""
    states: dict[str, bool] = {}
    tables = problems.typed(document, "states", dict, {}, "machine")
    for name in tables:
        where = f"states.{name}"
        problems.name(name, where)
        table = problems.typed(tables, name, dict, {}, where)
        problems.keys(table, ("description",), ("final",), where)
        problems.typed(table, "description", str, "", where)
        states[name] = problems.typed(table, "final", bool, False, where)
    if states and not any(states.values()):
        problems.add("NO_FINAL_STATE", "no state is final", "states")
    return states


def _check_transitions(document: Mapping[str, Any], states: Mapping[str, bool], problems: Problems) -> list[_Edge]:
    edges: list[_Edge] = []
    seen: dict[tuple[str, str], str] = {}
    for index, table in enumerate(problems.typed(document, "transitions", list, [], "machine")):
        where = f"transitions[{index}]"
        if not isinstance(table, dict):
            problems.add("WRONG_TYPE", "a transition must be a table", where)
            continue
        edge = _check_transition(table, where, problems)
        _check_edge_states(edge, states, problems)
        for source in edge.sources if edge.trigger else ():
            first = seen.setdefault((source, edge.trigger), where)
            if first != where:
                message = f"the trigger {edge.trigger!r} from {source!r} is already defined by {first}"
                problems.add("DUPLICATE_TRIGGER", message, where)
        edges.append(edge)
    return edges


def _check_transition(table: Mapping[str, Any], where: str, problems: Problems) -> _Edge:
    problems.keys(table, _TRANSITION_KEYS, ("target",), where)
    trigger = problems.named(table, "trigger", where)
    if trigger == FORCE:
        problems.add("RESERVED_NAME", f"{FORCE!r} is a property of every machine, not a trigger", f"{where}.trigger")
    problems.named(table, "event", where)
    problems.typed(table, "description", str, "", where)
    for name in problems.texts(table, "evidence", where):
        problems.name(name, f"{where}.evidence")
    _check_guards(problems.texts(table, "guards", where), f"{where}.guards", problems)
    targets = problems.texts(table, "to", where)
    _check_target(table, targets, where, problems)
    return _Edge(where, trigger, problems.texts(table, "from", where), targets)


def _check_guards(names: Iterable[str], where: str, problems: Problems) -> None:
    for name in names:
        problems.name(name, where)
        if name not in GUARDS:
            problems.add("UNKNOWN_GUARD", f"there is no guard {name!r:.80}", where)


def _check_target(table: Mapping[str, Any], targets: tuple[str, ...], where: str, problems: Problems) -> None:
    """Several targets need a fact that chooses; a single one must not pretend to have a choice."""
    target = problems.typed(table, "target", str, "", where)
    if "target" in table and target not in TARGET_FACTS:
        problems.add("UNKNOWN_TARGET_FACT", f"{target!r:.80} is not a fact that can choose a target", f"{where}.target")
    if len(targets) > 1 and "target" not in table:
        problems.add("TARGET_NOT_CHOSEN", "several targets need a 'target' that names the deciding fact", where)
    if len(targets) == 1 and "target" in table:
        problems.add("TARGET_WITHOUT_CHOICE", "'target' makes no sense with a single target", f"{where}.target")


def _check_edge_states(edge: _Edge, states: Mapping[str, bool], problems: Problems) -> None:
    for key, names in (("from", edge.sources), ("to", edge.targets)):
        where = f"{edge.where}.{key}"
        if not names:
            problems.add("NO_STATE", f"{key!r} names no state", where)
        for name in names:
            if name not in states and not (key == "from" and name == NEW):
                problems.add("UNKNOWN_STATE", f"the state {name!r:.80} is not declared", where)
            elif key == "from" and states.get(name, False):
                problems.add("FINAL_STATE_LEFT", f"{edge.trigger!r} leaves the final state {name!r}", where)


def _check_creation(edges: Iterable[_Edge], initial: str, problems: Problems) -> None:
    creating = [edge for edge in edges if NEW in edge.sources]
    if not creating:
        problems.add("NO_CREATION", f"no transition leads from {NEW!r} to the initial state", "transitions")
    for edge in creating:
        if edge.sources != (NEW,) or edge.targets != (initial,):
            message = f"a creating transition leads from {NEW!r} alone to the initial state alone"
            problems.add("CREATION_NOT_INITIAL", message, edge.where)


def _check_reachability(edges: Iterable[_Edge], states: Mapping[str, bool], problems: Problems) -> None:
    pairs = {(source, target) for edge in edges for source in edge.sources for target in edge.targets}
    forward = _closure({NEW}, pairs)
    backward = _closure({name for name, final in states.items() if final}, {(b, a) for a, b in pairs})
    for name, final in states.items():
        if name not in forward:
            problems.add("UNREACHABLE_STATE", f"no way leads to the state {name!r}", f"states.{name}")
        # Without any final state every state would be a dead end; NO_FINAL_STATE says that once.
        if not final and name not in backward and any(states.values()):
            problems.add("DEAD_END", f"no way leads from {name!r} to a final state", f"states.{name}")


def _closure(start: set[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    pairs = tuple(pairs)
    reached = set(start)
    frontier = set(start)
    while frontier:
        frontier = {target for source, target in pairs if source in frontier} - reached
        reached |= frontier
    return reached
