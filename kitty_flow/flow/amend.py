"""Amending a mission: definition and plan are replaced for a reason, in one commit; what has started stays put."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from kitty_flow.errors import DefinitionError, RefusedError, UsageError
from kitty_flow.flow.amend_lanes import used_lanes
from kitty_flow.flow.amend_plan import replan
from kitty_flow.flow.amend_request import AmendRequest, Change, read_change
from kitty_flow.flow.amend_rules import REFUSALS, Amendment
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.give_back import cancel
from kitty_flow.flow.life import accept_if_finished
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Facts
from kitty_flow.missions.findings import Findings
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

__all__ = ["Amended", "amend"]

_SHOWN = 5
_KEPT = 200
_REASON_LENGTH = 2000


@dataclass(frozen=True)
class Amended:
    """A mission before and after an amendment; `event_id` is None when nothing was recorded.

    `was_recorded_before`: the same command had been recorded, so that nothing was done now.
    """

    before: tuple[MissionDefinition, Plan]
    after: tuple[MissionDefinition, Plan]
    changes: dict[str, Any]
    canceled: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    event_id: str | None = None
    was_recorded_before: bool = False


def amend(mission: OpenMission, request: AmendRequest, *, reason: str, actor: str, dry_run: bool = False) -> Amended:
    """Change what a mission consists of, and replan what has not started.

    Decided under the ledger's lock on the definition that counts then. A command that was killed before it could
    answer is typed again: what it recorded is not recorded twice. Where nothing is left to do then, the mission is
    accepted, unless there is a wave gate: only a run asks that.

    Raises:
        UsageError: NOTHING_TO_AMEND.
        DefinitionError: INVALID_AMENDMENT, with every problem in `details.problems`.
        RefusedError: AMENDMENT_REFUSED, likewise, where only the state of the mission is against it; REASON_MISSING or
            ILLEGAL_TRANSITION, the mission is over.
    """
    if request == AmendRequest():
        raise UsageError(
            "NOTHING_TO_AMEND",
            "the amendment changes nothing",
            hint="kitty-flow mission amend --help",
        )
    decider = _Decider(mission, read_change(request), reason[:_REASON_LENGTH], actor)
    if dry_run:
        decider.build(mission.view())
        return decider.amended()
    receipt = mission.ledger.record(decider.build)
    if mission.project.settings.run.wave_gate is None:
        accept_if_finished(mission, run_id=None)
    return decider.amended(next((e.event_id for e in receipt.events if e.trigger == "amend"), None))


@dataclass
class _Decider:
    """Decides one change against a view; keeps what it decided last, which is what was recorded."""

    mission: OpenMission
    change: Change
    reason: str
    actor: str
    _decided: dict[str | None, tuple[Batch, Amended]] = field(default_factory=dict)

    def build(self, view: LedgerView) -> Batch:
        """The batch for a view: deciding twice on the same view costs nothing."""
        if view.tip not in self._decided:
            self._decided = {view.tip: self._decide(view)}
        return self._decided[view.tip][0]

    def amended(self, event_id: str | None = None) -> Amended:
        """What was decided last."""
        (_, amended), *_ = self._decided.values()
        return amended if event_id is None else Amended(**{**vars(amended), "event_id": event_id})

    def _decide(self, view: LedgerView) -> tuple[Batch, Amended]:
        mission, fingerprint = self.mission.at(view), self.change.fingerprint(self.reason, self.actor)
        entity = view.entity("mission", mission.id)
        assert entity is not None, "an open mission is in its ledger"
        recorded = (mission.definition, mission.plan)
        digest = mission.recorded.definition if mission.recorded else None
        last = entity.facts.get("amendment") or {}
        if last.get("request") == fingerprint:
            return Batch(()), Amended(recorded, recorded, _changes(last), (), was_recorded_before=True)
        amendment = Amendment(mission.definition, mission.plan, self.change, view)
        _refuse(amendment.findings, mission)
        definition = amendment.definition
        plan = replan(definition, mission.plan, used_lanes(view, mission.plan))
        content = plan.as_json()
        plan_name = f"{definition.digest}-{hashlib.sha256(content).hexdigest()[:16]}"
        evidence = {
            "definition_digest": definition.digest,
            "plan_name": plan_name,
            "source_digest": entity.facts.get("source_digest", digest),
            "amendment": {"request": fingerprint, "from": digest, **amendment.as_data()},
        }
        batch = self._batch(view, mission, definition, amendment.canceled, evidence)
        attachments = {f"definition/{definition.digest}.json": definition.as_json(), f"plan/{plan_name}.json": content}
        done = Amended(recorded, (definition, plan), amendment.as_data(), amendment.canceled, self.change.diagnostics)
        return Batch(batch.drafts, attachments), done

    def _batch(
        self,
        view: LedgerView,
        mission: OpenMission,
        definition: MissionDefinition,
        canceled: tuple[str, ...],
        evidence: dict[str, Any],
    ) -> Batch:
        builder = BatchBuilder(view, actor=self.actor)
        facts = Facts(actor=self.actor, mission_valid=True, reason=self.reason)
        if mission.state(view) == "accepted":
            builder.transition("mission", mission.id, "reopen", facts, reason=self.reason)
        builder.transition("mission", mission.id, "amend", facts, reason=self.reason, evidence=evidence)
        for work_package_id in canceled:
            if builder.state("work_package", work_package_id) != "canceled":
                cancel(builder, work_package_id, self.reason)
        planned = {"definition_digest": definition.digest}
        for work_package in definition.work_packages:
            if builder.state("work_package", work_package.id) is None:
                builder.transition("work_package", work_package.id, "plan", facts, evidence=planned)
        return builder.build()


def _changes(recorded: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recorded.items() if name not in ("request", "from")}


def _refuse(findings: Findings, mission: OpenMission) -> None:
    problems = findings.problems
    if not problems:
        return
    shown = "; ".join(f"{p.where}: {p.message}" for p in problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    only_state = all(p.code in REFUSALS for p in problems)
    kind = RefusedError if only_state else DefinitionError
    raise kind(
        "AMENDMENT_REFUSED" if only_state else "INVALID_AMENDMENT",
        f"{mission.slug} was not amended: {shown}{more}",
        hint=f"kitty-flow {'status' if only_state else 'plan'} {mission.slug}; --dry-run shows what would change",
        details={
            "problem_count": len(problems),
            "problems": [{"code": p.code, "message": p.message, "where": p.where} for p in problems[:_KEPT]],
        },
    )
