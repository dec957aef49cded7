"""Sending work back that makes the tests fail, with everything that builds on it, so that the rest can land.

The mission branch stays as it is: the next attempt goes on from the very commit on which the tests failed, and its head
supersedes what is on the branch. What only builds on it starts at the mission branch, where its work is already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.workspace import keep
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts
from kitty_flow.model.text import printable
from kitty_flow.release.landing import Landing, Red, contains

__all__ = ["eject", "ejected", "is_ejected"]

_TAIL_LINES: Final = 40
_TAIL: Final = 4000


def is_ejected(entity: EntityState) -> bool:
    """Whether a merge sent the work package back and nobody has begun it since."""
    anew = entity.facts.get("attempts_before") == entity.counts.get("start", 0)
    return entity.state == "planned" and bool(entity.facts.get("ejected_from")) and anew


def ejected(mission: OpenMission, view: LedgerView) -> tuple[str, ...]:
    """What merges sent back and is not taken up yet, in merge order."""
    return tuple(i for i in mission.plan.merge_order if is_ejected(mission.work_package(i, view)))


def eject(landing: Landing, red: Red) -> tuple[str, ...]:
    """Reopen the culprit and everything that depends on it or contains its commits, in one batch; returns them.

    The reason of each carries the end of the failing output as feedback for the next attempt. An accepted mission is
    running again afterwards. One that was sent back already stays as it is.

    Raises:
        RefusedError: ILLEGAL_TRANSITION, its approval was withdrawn meanwhile.
    """
    mission, culprit = landing.mission, str(red.culprit)
    chosen = _with_dependents(mission, landing.heads, culprit)
    keep(mission, red.bad, work_package_id=culprit, label="tests-failed")

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=landing.id)
        for name in chosen:
            entity = mission.work_package(name, view)
            if is_ejected(entity):
                continue
            reason = _reason(name, culprit)
            facts = Facts(actor=current_user(), reason=reason)
            evidence = _evidence(landing, entity, red, culprit, reason)
            builder.transition("work_package", name, "reopen", facts, reason=reason, evidence=evidence)
        if mission.state(view) == "accepted":
            reason = f"the tests of its merge failed with {culprit}"
            builder.transition("mission", mission.id, "reopen", Facts(reason=reason), reason=reason)
        return builder.build()

    mission.ledger.record(build)
    landing.remarks.append(f"sent back to work: {', '.join(chosen)}; {culprit} fails in {red.run.log_path}")
    return chosen


def _with_dependents(mission: OpenMission, approved: Mapping[str, str], culprit: str) -> tuple[str, ...]:
    """The culprit, what depends on it directly or not, and what contains its head, whatever the plan says of it."""
    found = {culprit}
    bad = approved[culprit]
    for name in mission.plan.merge_order:  # prerequisites come first
        if name not in approved or name in found:
            continue
        if found.intersection(mission.plan.prerequisites(name)) or contains(mission, approved[name], bad):
            found.add(name)
    return tuple(name for name in mission.plan.merge_order if name in found)


def _reason(name: str, culprit: str) -> str:
    if name == culprit:
        return f"the tests fail with {culprit} on the target, and pass without it"
    return f"it builds on {culprit}, with which the tests fail"


def _evidence(landing: Landing, entity: EntityState, red: Red, culprit: str, reason: str) -> dict[str, Any]:
    """As when a person reopens it (`flow/person.py`), and where the culprit's next attempt begins."""
    lines = [printable(line) for line in red.run.tail.splitlines()[-_TAIL_LINES:]]
    output = "\n".join(lines)[-_TAIL:]
    told = f"{reason}.\n\nThe command: {printable(' '.join(red.run.command))}\nThe end of its output:\n{output}"
    start: dict[str, Any] = {"continue_at": None}
    if entity.entity_id == culprit:
        start = {"continue_at": red.bad, "base_commit": red.good}
        told += f"\n\nThe attempt starts from the commit on which they failed, {red.bad[:12]}."
    else:
        told += (
            f"\n\nThe attempt starts from the mission branch, which has your earlier work and {culprit} done again. "
            "If nothing has to change, hand in an empty commit that says what was checked."
        )
    return {
        "feedback": {"summary": told, "findings": []},
        "verdict": None,
        "last_review": None,
        "attempts_before": entity.counts.get("start", 0),
        "cycles_before": entity.counts.get("request_changes", 0),
        "ejected_from": landing.id,
        **start,
    }
