"""What goes on in a mission and what went into it, followed event by event. Displays are made from it, decisions never.

The events of a long ledger are read once; afterwards only those that came since are (`ActivityReader`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow.flow.durations import Worked, moment_of
from kitty_flow.flow.feedback import finding_lines
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.query import EventFilter, find_events
from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["Activity", "ActivityReader", "ParkedPool", "Rejection", "Retry", "Run", "Usage", "Work"]

_REMEMBERED: Final = 8
"""So many of the last events are kept, to be shown below a live board."""


class Usage(NamedTuple):
    """What invocations used: tokens and US dollars. `unknown` is how many of them did not tell."""

    input: int = 0
    output: int = 0
    cost_usd: float = 0.0
    unknown: int = 0

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        input_, output = self.input + other.input, self.output + other.output
        return Usage(input_, output, self.cost_usd + other.cost_usd, self.unknown + other.unknown)

    @property
    def tokens(self) -> int:
        """Tokens in both directions."""
        return self.input + self.output

    def as_data(self) -> dict[str, Any]:
        """JSON-ready; the cost to a ten thousandth."""
        told = {"input": self.input, "output": self.output}
        return {"tokens": told, "cost_usd": round(self.cost_usd, 4), "unknown": self.unknown}


class Work(NamedTuple):
    """One invocation. The moments are those of the recording clock; `state` is that of the invocation machine."""

    id: str
    work_package_id: str | None
    action: str
    agent: str
    epoch: int
    state: str
    started_at: datetime | None
    ended_at: datetime | None = None
    log_path: str | None = None
    code: str | None = None
    reason: str | None = None
    usage: Usage = Usage()


class Rejection(NamedTuple):
    """Work that a review sent back: by whom, and what it said; `findings` are lines such as ``a.py:12: too long``."""

    reviewer: str
    summary: str
    findings: tuple[str, ...]


class Retry(NamedTuple):
    """A next attempt that waits until `not_before`."""

    not_before: datetime | None
    code: str


class ParkedPool(NamedTuple):
    """A credential pool that is not asked until `until`; None where that is not known."""

    pool: str
    until: datetime | None
    reason: str


@dataclass
class Run:
    """One run of the mission. `outcome` is None while it goes on, or when it was killed."""

    id: str
    host: str
    pid: int | None
    started_at: datetime | None
    ended_at: datetime | None = None
    outcome: str | None = None


@dataclass
class Activity:
    """The invocations, times, waits and runs of one mission, up to the events that were followed."""

    works: dict[str, Work] = field(default_factory=dict)
    times: dict[str, Worked] = field(default_factory=dict)
    retries: dict[str, Retry] = field(default_factory=dict)
    rejections: dict[str, list[Rejection]] = field(default_factory=dict)
    pools: dict[str, ParkedPool] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    budget: str | None = None
    began_at: datetime | None = None
    last_at: datetime | None = None
    last: deque[Event] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def follow(self, events: Iterable[Event]) -> None:
        """Take further events into account, in the ledger's order."""
        for event in events:
            if event.entity_type == "invocation":
                self._invocation(event)
            elif event.entity_type == "work_package":
                self._work_package(event)
            elif event.entity_type == "mission":
                self._mission(event)
            self.last.append(event)

    def running(self) -> list[Work]:
        """The invocations that were started and not closed, oldest first."""
        return [work for work in self.works.values() if work.state == "started"]

    def usage(self, work_package_id: str | None = None) -> Usage:
        """What the closed invocations of a work package, or of the whole mission, used."""
        total = Usage()
        for work in self.works.values():
            if work.state != "started" and work_package_id in (None, work.work_package_id):
                total = total.plus(work.usage)
        return total

    def _invocation(self, event: Event) -> None:
        facts = event.evidence
        if event.trigger == "start":
            self.works[event.entity_id] = Work(
                event.entity_id,
                _text(facts.get("work_package_id")),
                str(facts.get("action") or "work"),
                str(facts.get("agent") or event.actor),
                _whole(facts.get("epoch")),
                event.to_state,
                moment_of(event),
                log_path=_text(facts.get("log_path")) if event.correlation_id else None,  # else nobody watched it
            )
            return
        known = self.works.get(event.entity_id)
        if known is not None and event.kind == "transition":
            self.works[event.entity_id] = known._replace(
                state=event.to_state,
                ended_at=moment_of(event),
                code=_text(facts.get("code")),
                reason=event.reason,
                usage=_usage(facts),
            )

    def _work_package(self, event: Event) -> None:
        name = event.entity_id
        if event.trigger == "retry_scheduled":
            code = str(event.evidence.get("failure_code") or "")
            self.retries[name] = Retry(_moment(event.evidence.get("not_before")), code)
        if event.kind != "transition":
            return
        if event.trigger == "request_changes":
            self.rejections.setdefault(name, []).append(_rejection(event))
        if event.trigger == "claim":
            self.began_at = self.began_at or moment_of(event)
        if event.trigger != "release":  # the schedule may be recorded before the work is given back, or after
            self.retries.pop(name, None)
        self.times.setdefault(name, Worked()).follow(event)
        self.last_at = moment_of(event) or self.last_at

    def _mission(self, event: Event) -> None:
        facts = event.evidence
        if event.trigger == "pool_parked":
            parked = ParkedPool(str(facts.get("pool")), _moment(facts.get("until")), str(facts.get("reason") or ""))
            self.pools[parked.pool] = parked
        elif event.trigger == "budget_exhausted":
            used, limit = facts.get("budget_used"), facts.get("budget_limit")
            self.budget = f"budget {facts.get('budget_key', '')} is exhausted: {used} of {limit}"
        elif event.trigger == "run_started":
            name, pid = str(facts.get("run_id")), facts.get("pid")
            self.budget = None
            self.runs[name] = Run(
                name, str(facts.get("host") or ""), pid if isinstance(pid, int) else None, moment_of(event)
            )
        elif event.trigger == "run_ended" and (run := self.runs.get(str(facts.get("run_id")))):
            run.ended_at, run.outcome = moment_of(event), str(facts.get("outcome") or "ended")


class ActivityReader:
    """Keeps the activity of one ledger up to date."""

    def __init__(self, ledger: Ledger) -> None:
        self.activity = Activity()
        self._ledger = ledger
        self._clock = 0
        self._count = 0
        self._superseded: frozenset[str] = frozenset()

    def read(self, view: LedgerView) -> tuple[Event, ...]:
        """Follow what was recorded since the last call, up to `view` at least; returns the events that are new.

        When events came in between known ones, or some do not count any more, everything is read anew and nothing is
        called new: this is what a sync does.

        Raises:
            LedgerError: the log cannot be read.
        """
        added = find_events(self._ledger, EventFilter(since_clock=self._clock))
        is_known = self._superseded == view.superseded and self._count + len(added) >= view.event_count
        if not is_known:
            self.activity, self._count, self._superseded = Activity(), 0, view.superseded
            added = find_events(self._ledger, EventFilter())
        counting = tuple(event for event in added if event.event_id not in self._superseded)
        self.activity.follow(counting)
        self._count += len(added)
        self._clock = max([self._clock, *(event.lamport for event in added)])
        return counting if is_known else ()


def _rejection(event: Event) -> Rejection:
    feedback = event.evidence.get("feedback")
    told = feedback if isinstance(feedback, dict) else {}
    summary = _text(told.get("summary")) or event.reason or ""
    return Rejection(event.actor, summary, finding_lines(told))


def _usage(facts: Any) -> Usage:
    tokens, cost = facts.get("tokens"), facts.get("cost_usd")
    told = tokens if isinstance(tokens, dict) else {}
    used = (_whole(told.get("input")), _whole(told.get("output")))
    known_cost = float(cost) if isinstance(cost, (int, float)) and not isinstance(cost, bool) else 0.0
    return Usage(*used, known_cost, int(not any(used) and cost is None))


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    """A moment as evidence has it; without a zone it is UTC."""
    from datetime import UTC

    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
