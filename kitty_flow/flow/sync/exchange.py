"""`sync`: fetch, unite, push with a lease, and again until nobody was faster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kitty_flow.errors import ConflictError
from kitty_flow.flow.project import Project
from kitty_flow.flow.sync.peer import Peer, open_peer
from kitty_flow.flow.sync.work import catch_up, share_work, take_work
from kitty_flow.ledger.fold import Conflict
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.op_memory import OPS_REF, acknowledged, contains, ops_rewound, remember
from kitty_flow.ledger.receive import receive
from kitty_flow.ledger.sharing import LOGS, MISSIONS, is_log
from kitty_flow.ledger.tip import TipReader

__all__ = ["Exchanged", "SyncReport", "alone", "exchange_ledger", "sync"]

_TRIES: Final = 10
_LOCK_TIMEOUT_S: Final = 120.0


@dataclass
class Exchanged:
    """What became of one log: how the two sides met, how many events came, and where it was before and is now."""

    ref: str
    slug: str | None
    relation: str
    received: int = 0
    sent: bool = False
    commit: str | None = None
    before: str | None = None
    conflicts: tuple[Conflict, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.__dict__, "conflicts": [c._asdict() for c in self.conflicts]}


@dataclass
class SyncReport:
    """What an exchange came to, log by log; `remarks` are sentences for people."""

    remote: str
    logs: list[Exchanged] = field(default_factory=list)
    kept_received: int = 0
    kept_sent: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Every conflict that this exchange brought to light."""
        return tuple(conflict for log in self.logs for conflict in log.conflicts)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "remote": self.remote,
            "logs": [log.as_data() for log in self.logs],
            "work": {"received": self.kept_received, "sent": self.kept_sent},
            "remarks": self.remarks,
        }


def sync(project: Project, name: str | None = None) -> SyncReport:
    """Exchange all logs with a remote, and the commits that they speak of.

    Raises:
        UsageError: REMOTE_UNKNOWN or REMOTE_NEEDED.
        ExternalToolError: REMOTE_UNREACHABLE or REMOTE_REFUSES; what was received until then stays.
        ConflictError: SYNC_BUSY, others pushed each time before we could; LOCK_TIMEOUT.
        LedgerError: a ledger cannot be read.
    """
    peer = open_peer(project, name)
    report = SyncReport(peer.shown)
    with alone(project, peer):
        peer.ask()
        report.kept_received = take_work(project, peer)
        refs = sorted({*_own_logs(project), *filter(is_log, peer.tips)})
        for ref in refs:
            report.logs.append(_exchange(project, peer, ref, report))
        report.kept_sent = share_work(project, peer)
    return report


def exchange_ledger(project: Project, ledger: Ledger, name: str | None) -> tuple[Peer, Exchanged]:
    """Exchange one mission's ledger only, for example to have a claim confirmed.

    Raises:
        As `sync`.
    """
    peer = open_peer(project, name)
    with alone(project, peer):
        peer.ask([ledger.ref])
        return peer, _exchange_ledger(peer, ledger)


@contextmanager
def alone(project: Project, peer: Peer) -> Iterator[None]:
    """Two exchanges of one clone with one remote would compete for the refs that remember what was fetched."""
    lock = project.repository.state_dir / "locks" / f"sync-{peer.remote.location.key}.lock"
    with exclusive(lock, timeout_s=_LOCK_TIMEOUT_S, what=f"the exchange with {peer.shown}"):
        yield


def _own_logs(project: Project) -> Iterator[str]:
    for name in LOGS:
        yield from project.repository.refs.under(name.rstrip("/"))


def _exchange(project: Project, peer: Peer, ref: str, report: SyncReport) -> Exchanged:
    if not ref.startswith(MISSIONS):
        exchanged = _exchange_plain(project, peer, ref)
        last = acknowledged(project.repository) if ref == OPS_REF else None
        if not contains(project.repository, exchanged.commit, last):
            report.remarks.append(ops_rewound(str(last), exchanged.commit).message + "; kitty-flow doctor ledger --fix")
        return exchanged
    with Ledger(project.repository, ref.removeprefix(MISSIONS), "") as ledger:
        exchanged = _exchange_ledger(peer, ledger)
        report.remarks += catch_up(project, ledger)
        return exchanged


def _exchange_ledger(peer: Peer, ledger: Ledger) -> Exchanged:
    before = ledger.view()
    relation = "equal"
    for _ in range(_TRIES):
        met, view = ledger.receive(peer.tips.get(ledger.ref))
        relation = met if relation == "equal" else relation
        if any(c.loser_writer == ledger.store.writer for c in view.conflicts if c not in before.conflicts):
            from kitty_flow.flow.sync.claims import give_up_lost

            give_up_lost(ledger)
            view = ledger.view()
        tip = view.tip
        if tip is None or not _send(peer, ledger.ref, tip):
            mission = view.entity("mission", ledger.mission_id)
            return Exchanged(
                ledger.ref,
                mission.last_event.mission_slug if mission else None,
                relation,
                view.event_count - before.event_count,
                peer.sent.get(ledger.ref) == tip,
                tip,
                before.tip,
                tuple(c for c in view.conflicts if c not in before.conflicts),
            )
        peer.ask([ledger.ref])
    raise _busy(peer, ledger.ref)


def _exchange_plain(project: Project, peer: Peer, ref: str) -> Exchanged:
    """A log that belongs to no mission: its lines are united, nothing is folded."""
    lock = project.repository.state_dir / "locks" / f"{ref.rpartition('/')[2]}.lock"
    repository, relation = project.repository, "equal"
    with repository.objects() as objects:
        before = TipReader(repository, objects, ref).read()
        for _ in range(_TRIES):
            with exclusive(lock, timeout_s=_LOCK_TIMEOUT_S, what=ref):
                met, tip = receive(repository, objects, ref, peer.tips.get(ref), lambda tree: ())
                if ref == OPS_REF and tip is not None and contains(repository, tip, acknowledged(repository)):
                    remember(repository, tip)
            relation = met if relation == "equal" else relation
            if tip is None or not _send(peer, ref, tip):
                return Exchanged(ref, None, relation, sent=peer.sent.get(ref) == tip, commit=tip, before=before)
            peer.ask([ref])
    raise _busy(peer, ref)


def _send(peer: Peer, ref: str, tip: str) -> bool:
    """Send a tip that the remote does not have; says whether somebody else was faster."""
    return peer.tips.get(ref) != tip and bool(peer.send({ref: tip}))


def _busy(peer: Peer, ref: str) -> ConflictError:
    return ConflictError(
        "SYNC_BUSY",
        f"others pushed {ref} to {peer.shown} each time before we could ({_TRIES} tries)",
        hint="kitty-flow sync",
        details={"remote": peer.shown, "ref": ref},
    )
