"""A claim's time limit: granted, renewed, and judged so that a clock that jumps neither ends nor prolongs it.

All processes of one boot share a clock that nobody can set (`time.monotonic`), and judge a lease by it alone. Another
boot or another machine has only the wall clock, and allows for `SKEW_S`. A lease without a reading of the first clock
(an imported or older one, or a system that cannot name its boot) is judged by the wall clock as it stands.

Nothing here moves anything but `renew`; who acts on a lease that has run out is `expire`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow.flow.edge_gates import Reason
from kitty_flow.flow.standing import is_under_review
from kitty_flow.ledger.view import EntityState, LedgerView

if TYPE_CHECKING:
    from kitty_flow.flow.claim import Claim
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.ledger.ledger import Draft

__all__ = [
    "SKEW_S",
    "Lease",
    "Now",
    "holder_of",
    "is_foreign",
    "lease_of",
    "lease_reason",
    "leases",
    "next_expiry",
    "now",
    "renew",
    "run_out",
    "shown_s",
]

SKEW_S: Final = 300.0
"""How far the clocks of two machines may be apart (DESIGN section 5 measured with as much)."""

_ASK_AGAIN_S: Final = 60.0

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Now(NamedTuple):
    """One moment on both clocks. `boot` names the boot that `monotonic` counts from; None where it cannot be told."""

    boot: str | None
    monotonic: float
    wall: datetime


def now() -> Now:
    """This moment."""
    return Now(_boot_id(), monotonic(), datetime.now(UTC))


class Lease(NamedTuple):
    """How long something holds: `lease_s` seconds from its grant. `expires_at` is that moment on the wall clock.

    `clock` is the grant on the clock of its boot, ``{"boot", "at"}``; None when there was none.
    """

    lease_s: float
    expires_at: str
    clock: Mapping[str, Any] | None = None

    @classmethod
    def grant(cls, lease_s: float, at: Now | None = None) -> Lease:
        """A lease that begins at `at`, or now."""
        at = at or now()
        expires_at = (at.wall + timedelta(seconds=lease_s)).isoformat(timespec="milliseconds")
        return cls(lease_s, expires_at, None if at.boot is None else {"boot": at.boot, "at": round(at.monotonic, 3)})

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Lease | None:
        """The lease that the facts of an entity tell of; None when they name no end that can be read."""
        expires_at, lease_s, clock = (facts.get(k) for k in ("lease_expires_at", "lease_s", "lease_clock"))
        if _moment(expires_at) is None:
            return None
        seconds = float(lease_s) if isinstance(lease_s, (int, float)) else None
        if seconds is None or not (isinstance(clock, dict) and isinstance(clock.get("at"), (int, float))):
            clock = None
        return cls(seconds or 0.0, str(expires_at), clock)

    def evidence(self) -> dict[str, Any]:
        """What a claim or a heartbeat puts on record of it."""
        return {"lease_s": self.lease_s, "lease_expires_at": self.expires_at, "lease_clock": self.clock}

    def remaining_s(self, at: Now | None = None) -> float:
        """Seconds until it runs out; not above 0 once it has."""
        at = at or now()
        if self.clock is not None and self.clock.get("boot") == at.boot and self.clock["at"] <= at.monotonic:
            return float(self.clock["at"]) + self.lease_s - at.monotonic
        end = _moment(self.expires_at)
        assert end is not None
        return (end - at.wall).total_seconds() + (SKEW_S if self.clock is not None else 0.0)


def lease_of(entity: EntityState) -> Lease | None:
    """The lease of who holds or reviews a work package; None when nobody does, or when it has no end.

    A review has one only when it was granted to this very review: people who review take their time.
    """
    facts = entity.facts
    if entity.state == "in_review" and facts.get("lease_for") != facts.get("review_invocation_id"):
        return None
    return Lease.of(facts) if entity.state in ("claimed", "in_progress", "in_review") else None


def leases(view: LedgerView) -> Iterator[tuple[EntityState, Lease]]:
    """Every work package that somebody holds or reviews under a lease, also one that left its mission."""
    for entity in view.of_type("work_package").values():
        lease = lease_of(entity)
        if lease is not None and (entity.state != "in_review" or is_under_review(entity, view)):
            yield entity, lease


def run_out(entity: EntityState, view: LedgerView, at: Now | None = None) -> bool:
    """Whether somebody holds or reviews the work package, and the lease for that has run out."""
    lease = lease_of(entity)
    if lease is None or (entity.state == "in_review" and not is_under_review(entity, view)):
        return False
    return lease.remaining_s(at) <= 0


def holder_of(entity: EntityState) -> str:
    """Who holds or reviews a work package."""
    return str(entity.facts.get("reviewer" if entity.state == "in_review" else "holder", "somebody"))


def lease_reason(mission: OpenMission, entity: EntityState, at: Now | None = None) -> Reason:
    """How long the lease of who holds or reviews a work package still holds, or that it has run out.

    The entity has a lease.
    """
    lease, name, who = lease_of(entity), entity.entity_id, holder_of(entity)
    assert lease is not None
    left = lease.remaining_s(at)
    if left > 0:
        message = f"{name} is {entity.state} by {who}, whose lease runs out in {shown_s(left)}"
        return Reason(name, "NOT_PLANNED", message, f"kitty-flow wp show {name}{mission.option}")
    if is_foreign(mission, entity):
        message = f"the lease of {who} on {name} ran out {shown_s(-left)} ago, as far as this clone knows"
        return Reason(name, "LEASE_EXPIRED", message, "kitty-flow sync")
    message = f"the lease of {who} on {name} ran out {shown_s(-left)} ago; whoever asks for the next step takes it back"
    return Reason(name, "LEASE_EXPIRED", message, f"kitty-flow next --agent NAME{mission.option}")


def next_expiry(mission: OpenMission, view: LedgerView | None = None) -> float | None:
    """Seconds until something can be done about a lease of the mission, 0 when it can now; None when there is none.

    One that was granted in another clone and has run out is not ours to take back without asking there: later again.
    """
    at = now()
    left = [
        max(lease.remaining_s(at), _ASK_AGAIN_S if is_foreign(mission, entity) else 0.0)
        for entity, lease in leases(view or mission.view())
    ]
    return min(left, default=None)


def is_foreign(mission: OpenMission, entity: EntityState) -> bool:
    """Whether the last word on the work package came from another clone, whose heartbeats may not be here yet."""
    return entity.last_event.writer != mission.ledger.store.writer


def renew(mission: OpenMission, claims: Iterable[Claim], *, run_id: str | None = None) -> tuple[Claim, ...]:
    """Prolong several claims by the length of their leases, all in one commit; returns those that count no more.

    A claim whose lease has run out and that nobody has taken back yet is renewed like any other; one without an end
    needs no renewal.

    Raises:
        As `Ledger.record`.
    """
    from kitty_flow.flow.batch import BatchBuilder  # late, as below: who only judges leases decides nothing
    from kitty_flow.ledger.ledger import Batch

    wanted, at = tuple(claims), now()
    unknown_s = mission.project.settings.run.hand_lease_s  # an older claim does not tell how long it was to hold
    lost: list[Claim] = []

    def build(view: LedgerView) -> Batch:
        drafts: list[Draft] = []
        lost.clear()
        for claim in wanted:
            entity = mission.recorded_work_package(claim.work_package_id, view)
            lease = lease_of(entity)
            if not claim.counts(entity, view):
                lost.append(claim)
            elif lease is not None:
                builder = BatchBuilder(view, actor=holder_of(entity), correlation_id=run_id)
                evidence = Lease.grant(lease.lease_s or unknown_s, at).evidence()
                builder.annotate("work_package", entity.entity_id, "heartbeat", evidence=evidence)
                drafts += builder.build().drafts
        return Batch(tuple(drafts))

    mission.ledger.record(build)
    return tuple(lost)


def shown_s(seconds: float) -> str:
    """A time span for people: ``45 s``, ``12 min``, ``3 h``; never less than it is."""
    whole = int(-(-seconds // 1))
    if whole < 120:
        return f"{whole} s"
    return f"{-(-whole // 60)} min" if whole < 7200 else f"{-(-whole // 3600)} h"


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@cache
def _boot_id() -> str | None:
    """What names this boot of this machine, the same for all its processes; None where nothing does."""
    if sys.platform == "darwin":
        return _sysctl(b"kern.bootsessionuuid")
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


if sys.platform == "darwin":

    def _sysctl(name: bytes) -> str | None:
        import ctypes

        size = ctypes.c_size_t(64)
        text = ctypes.create_string_buffer(size.value)
        done = ctypes.CDLL(None).sysctlbyname(name, text, ctypes.byref(size), None, 0)
        return text.value.decode("ascii", "replace") or None if done == 0 else None
