"""The board of a mission: what the ledger says about every work package, and what may be done next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kitty_flow.flow.hollow import hollow_approvals
from kitty_flow.flow.lease import holder_of, lease_of, leases
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policy_reasons import mission_spent, policy_warnings
from kitty_flow.flow.provisional import provisional
from kitty_flow.flow.readiness import Readiness
from kitty_flow.flow.remarks import open_conflicts
from kitty_flow.flow.standing import ACTIVE, is_under_review
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.ids import natural_key
from kitty_flow.model.mission import WorkPackage

__all__ = ["Board", "WorkPackageStatus", "make_board", "next_commands", "order_of_work", "work_package_status"]

_WEIGHT: Final = {
    "claimed": 0.05,
    "in_progress": 0.3,
    "for_review": 0.6,
    "in_review": 0.7,
    "approved": 0.8,
    "done": 1.0,
}
"""How far along a state is; canceled work packages do not count (ORIGIN, progress weights)."""


class WorkPackageStatus(NamedTuple):
    """One card of the board."""

    id: str
    title: str
    state: str
    wave: int
    execution_lane: str
    actor: str | None
    epoch: int
    lease_expires_at: str | None
    attempt: int
    force_count: int
    provisional: bool
    last_event_id: str
    head: str | None
    reason: str | None

    def as_data(self) -> dict[str, Any]:
        """The JSON shape of `status` (CLI reference)."""
        data = self._asdict()
        del data["id"]
        return data


@dataclass(frozen=True)
class Board:
    """All cards wave by wave, with counts, progress (0 to 1), what is ready, remarks, and what the agents used."""

    mission: dict[str, Any]
    work_packages: tuple[WorkPackageStatus, ...]
    ready: tuple[str, ...]
    warnings: tuple[str, ...]
    usage: dict[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """How many work packages are in each state that occurs."""
        return dict(Counter(w.state for w in self.work_packages))

    @property
    def progress(self) -> float:
        """Weighted share of the work that is behind us."""
        counted = [w for w in self.work_packages if w.state != "canceled"]
        if not counted:
            return 0.0 if self.mission["state"] == "draft" else 1.0
        return round(sum(_WEIGHT.get(w.state, 0.0) for w in counted) / len(counted), 4)

    @property
    def progress_words(self) -> str:
        """The progress for people, such as ``43%``; where only the landing is missing, they are told so."""
        left = [w for w in self.work_packages if w.state not in ("approved", "done", "canceled")]
        return f"{self.progress:.0%}" + ("" if left or self.progress == 1.0 else " (not landed)")

    def as_data(self) -> dict[str, Any]:
        """The JSON shape of `status` (CLI reference)."""
        return {
            "mission": self.mission,
            "work_packages": {w.id: w.as_data() for w in self.work_packages},
            "counts": self.counts,
            "progress": self.progress,
            "ready": list(self.ready),
            "usage": self.usage,
            "warnings": list(self.warnings),
        }


def make_board(mission: OpenMission) -> Board:
    """The board as the ledger has it now."""
    view = mission.view()
    mission = mission.at(view)
    readiness = Readiness(mission, view)
    ready = [w.id for w in mission.definition.work_packages if readiness.is_ready(w.id)]
    unseen = provisional(mission, view)
    cards = tuple(work_package_status(mission, w, view, w.id in unseen) for w in mission.definition.work_packages)
    return Board(
        {
            "id": mission.id,
            "slug": mission.slug,
            "title": mission.definition.title,
            "state": mission.state(view),
            "target_branch": mission.target_branch,
            "mission_branch": mission.branch.removeprefix("refs/heads/"),
            "source": mission.definition.source.path,
        },
        tuple(sorted(cards, key=lambda c: (c.wave, natural_key(c.id)))),
        tuple(sorted(ready, key=lambda i: order_of_work(mission, i))),
        (
            *_warnings(cards, view),
            *policy_warnings(mission, view),
            *(f"hollow approval: {r.message}" for r in hollow_approvals(mission, view)),
        ),
        mission_spent(view).as_data(),
    )


def next_commands(board: Board) -> tuple[str, ...]:
    """What a person types next, most urgent first; nothing where only the agents have something to do."""
    slug, state = board.mission["slug"], board.mission["state"]
    if not board.work_packages:
        wanted = "next --agent NAME -m" if state == "draft" else "mission show"
        return (f"kitty-flow {wanted} {slug}",)
    if state == "paused":
        return (f"kitty-flow mission resume {slug}",)
    command = {"accepted": "merge", "merged": "verify", "planned": "run", "running": "run"}.get(state)
    stuck = [card.id for card in board.work_packages if card.state == "blocked"] if state == "running" else []
    why = [f"kitty-flow why {name} -m {slug}" for name in stuck]
    if why and not board.ready:
        return tuple(why)
    return (*([f"kitty-flow {command} {slug}"] if command else []), *why)


def order_of_work(mission: OpenMission, work_package_id: str) -> tuple[int, int, Any]:
    """Sort key of ready work packages: least slack, longest remaining path, natural id order (DESIGN section 6)."""
    plan = mission.plan
    return (plan.placements[work_package_id].slack, -plan.remaining_path[work_package_id], natural_key(work_package_id))


def work_package_status(
    mission: OpenMission, work_package: WorkPackage, view: LedgerView, is_provisional: bool = False
) -> WorkPackageStatus:
    """One card."""
    entity: EntityState = mission.work_package(work_package.id, view)
    placement = mission.plan.placements[work_package.id]
    facts = entity.facts
    held = entity.state in ("claimed", "in_progress") or is_under_review(entity, view)
    lease = lease_of(entity) if held else None
    return WorkPackageStatus(
        work_package.id,
        work_package.title,
        entity.state,
        placement.wave,
        placement.execution_lane,
        (facts.get("reviewer") if entity.state == "in_review" else facts.get("holder"))
        if entity.state in ACTIVE
        else None,
        entity.epoch,
        lease.expires_at if lease else None,
        entity.counts.get("start", 0),
        entity.forced,
        is_provisional,
        entity.last_event.event_id,
        facts.get("head_commit"),
        entity.last_event.reason if entity.state in ("blocked", "canceled", "planned") else None,
    )


def _warnings(cards: tuple[WorkPackageStatus, ...], view: LedgerView) -> list[str]:
    waiting = [f"{c.id}: the claim of {c.actor} is provisional until kitty-flow sync" for c in cards if c.provisional]
    lost = Counter(c.entity_id for c in open_conflicts(view) if c.entity_type == "work_package")
    conflicts = [f"{name} has {count} superseded event(s): kitty-flow doctor conflicts" for name, count in lost.items()]
    forced = [f"{c.id} was forced {c.force_count} time(s)" for c in cards if c.force_count]
    blocked = [f"{c.id} is blocked: {c.reason}" for c in cards if c.state == "blocked"]
    late = [(e.entity_id, holder_of(e)) for e, lease in leases(view) if lease.remaining_s() <= 0]
    overdue = [f"the lease of {who} on {name} ran out: whoever asks for work takes it back" for name, who in late]
    return [*blocked, *overdue, *forced, *conflicts, *waiting]
