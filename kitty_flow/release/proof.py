"""The end of a landing: what is shown to be on the target is closed, and nothing else; asking again changes nothing."""

from __future__ import annotations

from collections.abc import Collection

from kitty_flow.errors import RefusedError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import has_no_head
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Facts
from kitty_flow.release.landing import Landing, MergeOptions, contained, contains, heads
from kitty_flow.release.recorded import proved_landing
from kitty_flow.release.verify import verify_mission

__all__ = ["already_landed", "prove"]

_Heads = Collection[tuple[str, str]]
_Shown = set[tuple[str, str]]


def prove(landing: Landing) -> None:
    """Close the work packages that this landing carried and that are still approved at the same head: one batch.

    The mission is merged with them when nothing of it is left. Otherwise, because a work package was reopened between
    the move of the target and now, the mission stays as it is and a later landing takes the rest.
    """
    mission = landing.mission
    # Asked before the ledger is locked; the answers hold for exactly these commits, whatever is recorded meanwhile.
    target = mission.project.repository.refs.commit(mission.target_ref)
    known = heads(mission, mission.view(), "approved", "done")
    on_target = contained(mission, target, known.values())
    shown = {(i, head) for i, head in known.items() if head in on_target}
    if len(shown) < len(known):
        shown |= _shown_otherwise(landing, target)
    facts = Facts(actor=current_user(), landing_proved=contains(mission, target, landing.candidate_commit))
    evidence = {
        "target_ref": mission.target_ref,
        "target_commit": landing.candidate_commit,
        "tested_tree": landing.candidate_tree,
        "merge_id": landing.id,
    }

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=landing.id)
        approved = heads(mission, view, "approved")
        closed = [i for i, head in approved.items() if landing.heads.get(i) == head and (i, head) in shown]
        of_merge = {**evidence, "landed_work_packages": closed, "gates": landing.new_gates()}
        builder.transition("merge", landing.id, "prove", facts, evidence=of_merge)
        for work_package_id in closed:
            builder.transition("work_package", work_package_id, "land", facts, evidence=evidence)
        if mission.state(view) == "accepted" and not _left(mission, view, closed, shown):
            builder.transition("mission", mission.id, "merge", facts, evidence=evidence)
        return builder.build()

    receipt = mission.ledger.record(build)
    landing.state = "proved"
    landing.landed_work_packages = tuple(e.entity_id for e in receipt.events if e.entity_type == "work_package")
    _remark_rest(landing, receipt.view)


def _shown_otherwise(landing: Landing, target: str | None) -> _Shown:
    """What landed without its own commits, by squash or rebase: now, or with an earlier landing."""
    mission = landing.mission
    earlier = {(p.work_package_id, str(p.head)) for p in verify_mission(mission) if p.state == "done" and p.holds}
    if landing.strategy == "merge" or not contains(mission, target, landing.candidate_commit):
        return earlier
    return earlier | {(i, head) for i, head in landing.heads.items() if contains(mission, landing.mission_head, head)}


def _left(mission: OpenMission, view: LedgerView, closed: Collection[str], shown: _Heads) -> list[str]:
    """Work packages that are neither canceled, nor done elsewhere, nor shown to be on the target."""
    on_target = {i for i, head in heads(mission, view, "done").items() if (i, head) in shown} | set(closed)
    elsewhere = {i for i in heads(mission, view, "done") if has_no_head(mission.work_package(i, view))}
    over = {*on_target, *elsewhere, *heads(mission, view, "canceled")}
    return [w.id for w in mission.definition.work_packages if w.id not in over]


def _remark_rest(landing: Landing, view: LedgerView) -> None:
    mission = landing.mission
    state = mission.state(view)
    if state == "merged":
        return
    open_ones = [
        f"{e.entity_id} is {e.state}"
        for e in view.of_type("work_package").values()
        if e.state not in ("done", "canceled")
    ]
    landing.remarks.append(
        f"{mission.slug} stays {state}: {', '.join(open_ones) or 'that is what was recorded meanwhile'}; "
        f"kitty-flow status {mission.slug} shows what is left, and a later merge lands it"
    )


def already_landed(mission: OpenMission, options: MergeOptions) -> Landing | None:
    """The recorded landing of a merged mission, proved once more; None when the mission is not merged.

    Raises:
        RefusedError: LANDING_NOT_PROVED, the target does not contain what is called done.
    """
    if mission.state() not in ("merged", "shipped"):
        return None
    lost = [proof.work_package_id for proof in verify_mission(mission) if not proof.holds]
    if lost:
        raise RefusedError(
            "LANDING_NOT_PROVED",
            f"{mission.slug} is {mission.state()}, but it is not proved that {mission.target_ref} contains "
            f"{', '.join(lost)}, or it was taken back there",
            hint=f"kitty-flow verify {mission.slug}",
            details={"work_packages": lost},
        )
    landing = proved_landing(mission, options)
    if landing is not None:
        landing.remarks.append("already landed; nothing was left to do")
    return landing
