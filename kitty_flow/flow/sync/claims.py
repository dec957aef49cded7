"""Claims between clones: confirmed by a push, provisional until then, given up when another clone's claim won."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal

from kitty_flow.errors import ConflictError, ExternalToolError, UsageError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.give_back import abandon_invocation
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.remarks import conflict_sentence, open_conflicts
from kitty_flow.flow.sync.exchange import exchange_ledger
from kitty_flow.flow.sync.peer import Peer
from kitty_flow.ledger.ledger import Batch, Ledger, Receipt
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["Confirmation", "give_up_lost", "look_elsewhere", "record_confirmed", "refuse_superseded"]

Confirmation = Literal["confirmed", "provisional"]

_TRIES: Final = 8


def record_confirmed(mission: OpenMission, build: Callable[[LedgerView], Batch]) -> tuple[Receipt, Confirmation]:
    """Record a claim at the remote that confirms claims first, then here: no two clones get the same one confirmed.

    ``provisional``: the remote could not be reached, so the claim is recorded here only, and the next exchange decides.
    A command that is killed in between leaves its claim at the remote, from where the next exchange brings it.

    Raises:
        ConflictError: SYNC_BUSY, other clones were faster again and again.
        As `Ledger.record`.
    """
    for _ in range(_TRIES):
        try:
            peer, _ = exchange_ledger(mission.project, mission.ledger, None)
        except (ExternalToolError, UsageError):
            return mission.ledger.record(build), "provisional"
        outcome: list[Confirmation] = []

        def publish(commit: str, peer: Peer = peer, outcome: list[Confirmation] = outcome) -> None:
            try:
                if peer.send({mission.ledger.ref: commit}):
                    raise ConflictError("REMOTE_MOVED", f"another clone was faster at {peer.shown}")
            except ExternalToolError:  # nobody knows whether it arrived; here it is recorded in any case
                outcome.append("provisional")
            else:
                outcome.append("confirmed")

        try:
            receipt = mission.ledger.record(build, publish=publish)
        except ConflictError as error:
            if error.code != "REMOTE_MOVED":
                raise
            continue
        return receipt, outcome[0] if outcome else "confirmed"
    raise ConflictError(
        "SYNC_BUSY",
        f"other clones were faster each time a claim was to be confirmed ({_TRIES} tries)",
        hint="run the command again",
    )


def look_elsewhere(mission: OpenMission) -> None:
    """Learn what other clones recorded, if the remote can be reached: the mission may have been started there."""
    with suppress(ExternalToolError, UsageError):
        exchange_ledger(mission.project, mission.ledger, None)


def give_up_lost(ledger: Ledger) -> None:
    """Close the invocations of this clone whose claim or review lost to another clone's; the work stays where it is."""

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor="kitty-flow")
        for invocation_id, entity in view.of_type("invocation").items():
            if entity.state == "started" and entity.last_event.writer == ledger.store.writer and _lost(entity, view):
                abandon_invocation(builder, invocation_id, "another clone's claim counts")
        return builder.build()

    ledger.record(build)


def _lost(invocation: EntityState, view: LedgerView) -> bool:
    work_package = view.entity("work_package", str(invocation.facts.get("work_package_id")))
    if work_package is None:
        return False
    name = "invocation_id" if invocation.facts.get("action") == "implement" else "review_invocation_id"
    return work_package.facts.get(name) != invocation.entity_id


def refuse_superseded(mission: OpenMission, agent: str) -> None:
    """Tell an agent of this clone that its claim lost to another clone's.

    Raises:
        ConflictError: CLAIM_SUPERSEDED.
    """
    writer = mission.ledger.store.writer
    for conflict in open_conflicts(mission.view()):
        ours = conflict.loser_writer == writer and conflict.loser_actor == agent
        if ours and conflict.entity_type == "work_package":
            raise _superseded(mission, conflict.entity_id, agent)


def _superseded(mission: OpenMission, work_package_id: str, agent: str) -> ConflictError:
    view = mission.view()
    why = [conflict_sentence(c) for c in view.conflicts if c.entity_id == work_package_id]
    worktree = view.entity("work_package", work_package_id)
    return ConflictError(
        "CLAIM_SUPERSEDED",
        f"{agent} does not hold {work_package_id} any more: {why[-1] if why else 'another claim counts'}. "
        "What was done stays in its worktree",
        hint=f"kitty-flow next --agent {agent}{mission.option}",
        details={
            "work_package_id": work_package_id,
            "holder": worktree.facts.get("holder") if worktree else None,
            "agent": agent,
        },
    )
