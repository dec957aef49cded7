"""From the rows of a foreign log to drafts for the ledger: what our machine allows stays a plain transition, the rest
is forced and says why.

A guard is asked with what a row, and the rows before it, establish. Most of what our guards want is not in such a log
(a worktree at the right base, a head commit, a landing proof), so most steps forwards are forced; nothing is made up.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from kitty_flow.flow.actor import plain_actor
from kitty_flow.flow.standing import ACTIVE
from kitty_flow.graph.ownership import shared_patterns
from kitty_flow.ledger.ledger import Draft
from kitty_flow.machines import FORCE, Facts, check_guards, machine, next_states
from kitty_flow.missions.foreign_history import ForeignHistory
from kitty_flow.missions.foreign_row import LaneRow
from kitty_flow.model.mission import MissionDefinition

__all__ = ["Replay", "replay"]

_SATISFIED: Final = ("approved", "done")
_UNHELD: Final = ("planned", "approved", "done", "canceled")
_REASON_LENGTH: Final = 2000
_DETAIL_BYTES: Final = 8 * 1024
"""A larger detail of a row stays in the attached log only: an event has 64 KB."""

_DETAIL_DEPTH: Final = 16


@dataclass
class Replay:
    """What a log comes to in our terms.

    `drafts` are one event for each row of a known work package. `why_forced` counts the reasons of the forced ones:
    FORCED_AT_SOURCE, and NO_SUCH_EDGE or NOT_ESTABLISHED (a guard); a row can have two. `illegal` are the rows for
    which the machine has no edge. `unknown` counts the rows of work packages that the mission does not define.
    """

    drafts: list[Draft] = field(default_factory=list)
    final: dict[str, str] = field(default_factory=dict)
    forced: int = 0
    why_forced: Counter[str] = field(default_factory=Counter)
    illegal: list[dict[str, Any]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def mission_state(self) -> str:
        """Where the mission stands after it: planned, running, or merged."""
        begun = any(draft.to_state in (*ACTIVE, *_SATISFIED) for draft in self.drafts)
        states = set(self.final.values())
        if "done" in states and states <= {"done", "canceled"}:
            return "merged"
        return "running" if begun else "planned"


def replay(history: ForeignHistory, definition: MissionDefinition, source: str) -> Replay:
    """Replay the rows for a mission whose work packages are all planned and untouched. Pure.

    `source` is the path of the log, kept with every event.
    """
    origin = {"source": source, "sha256": history.sha256}
    replayer = _Replayer(definition, origin)
    for row in history.rows:
        replayer.take(row)
    replayer.made.final = {name: standing.state for name, standing in replayer.standings.items()}
    return replayer.made


@dataclass(slots=True)
class _Standing:
    """A work package as the rows so far have it."""

    state: str = "planned"
    epoch: int = 0
    starts: int = 0
    holder: str = ""
    implementer: str | None = None
    before_block: str | None = None


class _Replayer:
    def __init__(self, definition: MissionDefinition, origin: Mapping[str, str]) -> None:
        self.made = Replay()
        self.standings = {each.id: _Standing() for each in definition.work_packages}
        self._work_packages = {each.id: each for each in definition.work_packages}
        self._origin = origin
        self._machine = machine("work_package")
        self._overlap = cache(self._owns_same_files)

    def take(self, row: LaneRow) -> None:
        """Collect the event of one row, or note why there is none."""
        standing = self.standings.get(row.wp_id)
        if standing is None:
            self.made.unknown[row.wp_id] += 1
            return
        if row.from_lane is None and row.to_lane == standing.state == "planned" and not row.force:
            # It enters the log: adoption has recorded just that, so it is kept as a remark.
            self._collect(row, standing, "seed", None, (), {})
            return
        trigger, missing = self._choose(row, standing)
        if trigger == FORCE:
            self._note_illegal(row, standing)
        evidence = self._evidence(row, standing, trigger)
        self._collect(row, standing, trigger, row.to_lane, missing, evidence)
        standing.state = row.to_lane

    def _choose(self, row: LaneRow, standing: _Standing) -> tuple[str, tuple[str, ...]]:
        """The trigger, and the guards of its edge that are not established; `FORCE` where there is no edge."""
        triggers = [t for t, target in next_states(self._machine, standing.state) if target == row.to_lane]
        if not triggers:
            return FORCE, ()
        facts = self._facts(row, standing)
        missing = {t: self._missing(standing.state, t, row.to_lane, facts) for t in triggers}
        best = min(triggers, key=lambda t: len(missing[t]))
        return best, missing[best]

    def _missing(self, state: str, trigger: str, to_state: str, facts: Facts) -> tuple[str, ...]:
        outcomes = check_guards(self._machine, state, trigger, facts)
        missing = tuple(outcome.guard for outcome in outcomes if not outcome.passed)
        edge = self._machine.transition(state, trigger)
        target = edge.target if edge else None
        return missing if target is None or getattr(facts, target) == to_state else (*missing, target)

    def _note_illegal(self, row: LaneRow, standing: _Standing) -> None:
        edge = {"wp": row.wp_id, "from": standing.state, "to": row.to_lane}
        place = {"from_lane": row.from_lane, "event_id": row.event_id, "line": row.line, "force": row.force}
        self.made.illegal.append(edge | place)

    def _facts(self, row: LaneRow, standing: _Standing) -> Facts:
        dependencies = self._work_packages[row.wp_id].dependencies
        active = [name for name, other in self.standings.items() if name != row.wp_id and other.state in ACTIVE]
        conflicts = [name for name in active if row.to_lane == "claimed" and self._overlap(*sorted((name, row.wp_id)))]
        return Facts(
            actor=row.actor,
            reason=row.reason,
            unsatisfied_dependencies=tuple(d for d in dependencies if self.standings[d].state not in _SATISFIED),
            holder="" if standing.state == "planned" else standing.holder,
            ownership_conflicts=tuple(conflicts),
            epoch=standing.epoch if row.actor == standing.holder else None,
            current_epoch=standing.epoch,
            implementer=standing.implementer,
            reviewer=row.actor,
            feedback=_feedback(row),
            requested_state=row.to_lane,
            state_before_block=standing.before_block,
        )

    def _owns_same_files(self, one: str, other: str) -> bool:
        left, right = self._work_packages[one].owned_files, self._work_packages[other].owned_files
        return shared_patterns(left, right) is not None

    def _evidence(self, row: LaneRow, standing: _Standing, trigger: str) -> dict[str, Any]:
        """The facts that the flow looks at later; the standing is brought up to date with them."""
        evidence: dict[str, Any] = {}
        before, after, actor = standing.state, row.to_lane, plain_actor(row.actor)
        if (after == "claimed" and trigger != "unblock") or (after == "in_progress" and before in _UNHELD):
            standing.epoch += 1
        if after in ("claimed", "in_progress"):
            standing.holder = row.actor
            evidence |= {"holder": actor, "lease_expires_at": None, "run_id": None}
        if trigger == "start":
            standing.starts += 1
            evidence["attempts_before"] = standing.starts  # attempts elsewhere use up none of those allowed here
        elif after == "for_review":
            standing.implementer = row.actor
            evidence["implementer"] = actor
        elif after in ("in_review", "approved"):
            evidence["reviewer"] = actor
        elif after == "blocked" and before != "blocked":
            standing.before_block = before
            evidence["state_before_block"] = before
        if before in ("for_review", "in_review", "approved") and after in ("planned", "in_progress"):
            evidence["feedback"] = {"summary": _feedback(row) or "no reason is recorded", "findings": []}
        elif after in _SATISFIED:
            evidence["feedback"] = None
        return evidence

    def _collect(
        self,
        row: LaneRow,
        standing: _Standing,
        trigger: str,
        to_state: str | None,
        missing: tuple[str, ...],
        evidence: Mapping[str, Any],
    ) -> None:
        reason = row.reason[:_REASON_LENGTH] if row.reason else None
        why = ["FORCED_AT_SOURCE"] if row.force else []
        why += ["NO_SUCH_EDGE"] if trigger == FORCE else ["NOT_ESTABLISHED"] if missing else []
        if why:
            self.made.forced += 1
            self.made.why_forced.update(why)
            reason = reason or f"imported history: {', '.join((*why, *missing))}"
        self.made.drafts.append(
            Draft(
                "work_package",
                row.wp_id,
                self._machine.name,
                self._machine.digest,
                trigger,
                plain_actor(row.actor),
                from_state=standing.state if to_state else None,
                to_state=to_state,
                reason=reason,
                epoch=standing.epoch or None,
                force=bool(why),
                evidence=evidence,
                payload={"foreign": self._provenance(row), "why_forced": why, "not_established": list(missing)},
            )
        )

    def _provenance(self, row: LaneRow) -> dict[str, Any]:
        told = {"event_id": row.event_id, "from_lane": row.from_lane, "at": row.at, "force": row.force}
        kept = {name: _bounded(value) for name, value in row.details.items()}
        return {**self._origin, "line": row.line, **told, **kept}


def _feedback(row: LaneRow) -> str | None:
    """What the reviewer asked for, as far as the row says."""
    result = row.details.get("review_result", {})
    found = (row.reason, row.details.get("review_ref"), result.get("reference"), result.get("feedback_path"))
    return next((text[:_REASON_LENGTH] for text in found if isinstance(text, str) and text.strip()), None)


def _bounded(value: Any) -> Any:
    """A detail whole, or the remark that only the attached log has it."""
    if _depth_at_most(value, _DETAIL_DEPTH) and len(json.dumps(value, ensure_ascii=False).encode()) <= _DETAIL_BYTES:
        return value
    return {"omitted": "too large or too deep for an event; see the attached log"}


def _depth_at_most(value: Any, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_depth_at_most(each, depth - 1) for each in inner)
