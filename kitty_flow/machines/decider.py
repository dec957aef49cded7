"""Deciding whether a trigger may be pulled: the only door to the `transitions` library.

The library is used as a pure decider. One machine is built per definition, without automatic transitions, without a
queue, with no callback except conditions, and with no model of its own; each decision runs on a throw-away subject.
So nothing is persisted in a callback, no name is resolved by import, and an exception cannot leave a state half moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from kitty_flow.errors import DefinitionError, RefusedError
from kitty_flow.machines.definition import MachineDefinition, Transition
from kitty_flow.machines.facts import Facts
from kitty_flow.machines.guard import Guard, GuardOutcome, evaluate
from kitty_flow.machines.guards import GUARDS
from kitty_flow.machines.validation import FORCE, NEW

if TYPE_CHECKING:
    from transitions import Machine

__all__ = ["Decision", "check_guards", "decide", "is_final", "next_states"]


@dataclass(frozen=True)
class Decision:
    """A transition that may be recorded. `from_state` is None for the first event of an entity."""

    machine: str
    machine_digest: str
    trigger: str
    event: str
    from_state: str | None
    to_state: str
    guards: tuple[GuardOutcome, ...]
    forced: bool = False


@dataclass
class _Subject:
    """What the library moves: thrown away after each decision."""

    state: str


@dataclass(frozen=True)
class _Answers:
    """What the conditions read: the guards were asked once, before the library runs."""

    passed: Mapping[str, bool]
    chosen: str | None


def decide(
    definition: MachineDefinition,
    state: str | None,
    trigger: str,
    facts: Facts,
    *,
    force_to: str | None = None,
    guards: Mapping[str, Guard] = GUARDS,
) -> Decision:
    """Decide on `trigger` for an entity in `state` (None: not created yet). Pure: nothing is recorded or changed.

    Every guard is asked, so that a refusal names all that is missing. `force_to` moves an existing entity to any
    declared state under the trigger ``force``; it needs an actor and a reason.

    Raises:
        RefusedError: ILLEGAL_TRANSITION when the edge does not exist, UNKNOWN_STATE for a force to no declared state,
            otherwise the code of the first guard that failed.
        DefinitionError: UNKNOWN_STATE when `state` is not a state of the machine.
    """
    _check_state(definition, state)
    if force_to is not None:
        return _force(definition, state, trigger, force_to, facts, guards)
    edge = definition.transition(state, trigger)
    if edge is None:
        raise _illegal(definition, state, trigger)
    outcomes = _ask(edge, facts, guards)
    answers = _Answers({outcome.guard: outcome.passed for outcome in outcomes}, _chosen(edge, facts))
    subject = _Subject(NEW if state is None else state)
    moved = _compiled(definition).events[trigger].trigger(subject, answers)
    # Exactly True: the library answers with the result of the move, and anything else is a refusal.
    if moved is not True:
        raise _refused(definition, state, trigger, outcomes)
    return Decision(definition.name, definition.digest, trigger, edge.event, state, subject.state, outcomes)


def check_guards(
    definition: MachineDefinition, state: str | None, trigger: str, facts: Facts
) -> tuple[GuardOutcome, ...]:
    """What every guard of an edge says, without deciding; for explanations.

    Raises:
        RefusedError: ILLEGAL_TRANSITION when the edge does not exist.
        DefinitionError: UNKNOWN_STATE when `state` is not a state of the machine.
    """
    _check_state(definition, state)
    edge = definition.transition(state, trigger)
    if edge is None:
        raise _illegal(definition, state, trigger)
    return _ask(edge, facts, GUARDS)


def next_states(definition: MachineDefinition, state: str | None) -> tuple[tuple[str, str], ...]:
    """The (trigger, target state) pairs of the table for `state` (None: not created yet), guards not asked.

    Raises:
        DefinitionError: UNKNOWN_STATE when `state` is not a state of the machine.
    """
    _check_state(definition, state)
    edges = [edge for edge in definition.transitions if (NEW if state is None else state) in edge.from_states]
    return tuple((edge.trigger, target) for edge in edges for target in edge.to_states)


def is_final(definition: MachineDefinition, state: str) -> bool:
    """Whether nothing but force leads out of `state`.

    Raises:
        DefinitionError: UNKNOWN_STATE when `state` is not a state of the machine.
    """
    _check_state(definition, state)
    return state in definition.final_states


def _ask(edge: Transition, facts: Facts, guards: Mapping[str, Guard]) -> tuple[GuardOutcome, ...]:
    """The outcomes of all guards and, where the edge has several targets, of the choice among them."""
    outcomes = evaluate(edge.guards, facts, guards)
    if edge.target is None:
        return outcomes
    chosen = _chosen(edge, facts)
    if chosen in edge.to_states:
        return (*outcomes, GuardOutcome("target_allowed", True))
    named = "is not established" if chosen is None else f"is {chosen!r:.80}"
    message = f"the target must be one of {', '.join(edge.to_states)}, but {edge.target} {named}"
    return (*outcomes, GuardOutcome("target_allowed", False, "TARGET_NOT_ALLOWED", message, "name one of these states"))


def _chosen(edge: Transition, facts: Facts) -> str | None:
    """The target: the only one, or what the fact that the edge names says."""
    if edge.target is None:
        return edge.to_states[0]
    value: object = getattr(facts, edge.target)
    return value if isinstance(value, str) else None


def _force(
    definition: MachineDefinition,
    state: str | None,
    trigger: str,
    force_to: str,
    facts: Facts,
    guards: Mapping[str, Guard],
) -> Decision:
    if trigger != FORCE or state is None:
        raise _illegal(definition, state, trigger)
    if force_to not in definition.state_names:
        raise RefusedError(
            "UNKNOWN_STATE",
            f"{force_to!r:.80} is not a state of the {definition.name} machine, so nothing can be forced there",
            hint=f"kitty-flow machines show {definition.name}",
            details={"machine": definition.name, "state": force_to[:80], "states": list(definition.state_names)},
        )
    outcomes = evaluate(("actor_named", "reason_given"), facts, guards)
    if not all(outcome.passed for outcome in outcomes):
        raise _refused(definition, state, trigger, outcomes)
    return Decision(definition.name, definition.digest, FORCE, "forced", state, force_to, outcomes, forced=True)


@cache
def _compiled(definition: MachineDefinition) -> Machine:
    """The library's machine for a definition. It holds no model and is never changed, so threads may share it."""
    from transitions import Machine

    machine = Machine(
        model=None,
        states=[NEW, *definition.state_names],
        initial=NEW,
        auto_transitions=False,
        ignore_invalid_triggers=False,
        send_event=False,
        queued=False,
    )
    for edge in definition.transitions:
        for source in edge.from_states:
            for target in edge.to_states:
                conditions = [partial(_guard_passed, name) for name in edge.guards]
                machine.add_transition(
                    edge.trigger, source, target, conditions=[*conditions, partial(_is_chosen, target)]
                )
    return machine


def _guard_passed(name: str, answers: _Answers) -> bool:
    return answers.passed[name] is True


def _is_chosen(target: str, answers: _Answers) -> bool:
    return answers.chosen == target


def _check_state(definition: MachineDefinition, state: str | None) -> None:
    if state is None or state in definition.state_names:
        return
    raise DefinitionError(
        "UNKNOWN_STATE",
        f"{state!r:.80} is not a state of the {definition.name} machine",
        hint=f"kitty-flow machines show {definition.name}",
        details={"machine": definition.name, "state": state[:80], "states": list(definition.state_names)},
    )


def _illegal(definition: MachineDefinition, state: str | None, trigger: str) -> RefusedError:
    allowed = definition.triggers(state)
    place = "before it is created" if state is None else f"in the state {state}"
    possible = f"possible: {', '.join(allowed)}" if allowed else "the state is final"
    return RefusedError(
        "ILLEGAL_TRANSITION",
        f"the {definition.name} machine has no trigger {trigger!r:.80} {place}; {possible}",
        hint=f"kitty-flow machines show {definition.name}",
        details={"machine": definition.name, "state": state, "trigger": trigger[:80], "allowed": list(allowed)},
    )


def _refused(
    definition: MachineDefinition, state: str | None, trigger: str, outcomes: tuple[GuardOutcome, ...]
) -> RefusedError:
    failed = [outcome for outcome in outcomes if not outcome.passed]
    details: dict[str, Any] = {
        "machine": definition.name,
        "state": state,
        "trigger": trigger,
        "guards": [outcome.as_details() for outcome in outcomes],
    }
    message = f"{trigger} is refused: " + "; ".join(outcome.message for outcome in failed)
    return RefusedError(failed[0].code, message, hint=failed[0].hint, details=details)
