"""The record of one invocation: what was asked, of which profile, under which rules, and how it ended.

A line of the log is one event; a record is what the events of one invocation come to. Source of the fields: the
profile invocation records of seed 000 and 001 (versions 1 and 2), and DESIGN, sections 4.2 and 5. Every request waits
until these classes are imported, so they are dataclasses and do without pydantic (ADR 13); each checks its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeAlias, get_args

from kitty_flow.invocation.rows import OP_SCHEMA, row_of
from kitty_flow.model.ids import is_ulid

__all__ = [
    "ArtifactLink",
    "ClosedBy",
    "CommitLink",
    "Completed",
    "EvidencePromoted",
    "InvocationRecord",
    "ModeOfWork",
    "Outcome",
    "RecordEvent",
    "Started",
    "parse_event",
]

ModeOfWork: TypeAlias = Literal["advisory", "task_execution", "mission_step", "query"]
"""Why a profile was asked. Only the middle two may leave evidence (`policy`)."""

Outcome: TypeAlias = Literal["done", "failed", "abandoned"]
ClosedBy: TypeAlias = Literal["agent", "doctor_sweep"]

_OMITTED_WHEN_ABSENT: Final = ("mission_id", "wp_id", "summary", "reason", "evidence_ref")


class _Rule(NamedTuple):
    """What a field has to be, in words, and whether a value is it."""

    words: str
    holds: Callable[[Any], bool]


def _one_of(literal: Any) -> _Rule:
    values = get_args(literal)
    return _Rule(f"one of {', '.join(values)}", lambda value: isinstance(value, str) and value in values)


def _number(least: int) -> _Rule:
    return _Rule(f"a whole number from {least}", lambda value: type(value) is int and value >= least)


def _digest(least: int, most: int) -> _Rule:
    return _Rule(
        "a digest in lower-case hexadecimal",
        lambda value: isinstance(value, str) and least <= len(value) <= most and not value.strip("0123456789abcdef"),
    )


_TEXT: Final = _Rule("text", lambda value: isinstance(value, str))
_NAME: Final = _Rule("text that is not empty", lambda value: isinstance(value, str) and value != "")
_OPTIONAL: Final = _Rule("text, or null", lambda value: value is None or isinstance(value, str))
_FLAG: Final = _Rule("true or false", lambda value: isinstance(value, bool))
_ID: Final = _Rule("a ULID", lambda value: isinstance(value, str) and is_ulid(value))


@dataclass(frozen=True, kw_only=True)
class _RecordEvent:
    """What every event has. `lamport` counts the events of this invocation, `parent` is the one before; both say in
    what order they were made, `at` is for people only. `unknown` keeps the fields of a newer writer.

    Raises:
        ValueError: a field is not what it has to be.
    """

    rules: ClassVar[Mapping[str, _Rule]] = {
        "schema_": _TEXT,
        "event_id": _ID,
        "invocation_id": _ID,
        "parent": _OPTIONAL,
        "lamport": _number(1),
        "writer": _TEXT,
        "at": _TEXT,
        "actor": _NAME,
    }

    schema_: str = OP_SCHEMA
    event_id: str
    invocation_id: str
    parent: str | None
    lamport: int
    writer: str
    at: str
    actor: str
    unknown: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        values = vars(self)
        for rules in (_RecordEvent.rules, self.rules):
            for name, rule in rules.items():
                if not rule.holds(values[name]):
                    raise ValueError(f"{name.rstrip('_')} must be {rule.words}, not {values[name]!r:.80}")

    def as_data(self) -> dict[str, Any]:
        """JSON-ready, as it stands in the log: optional fields that are absent are left out."""
        data = {name.rstrip("_"): getattr(self, name) for name in _names(type(self))}
        known = {key: value for key, value in data.items() if value is not None or key not in _OMITTED_WHEN_ABSENT}
        return {**known, **self.unknown}


@dataclass(frozen=True, kw_only=True)
class Started(_RecordEvent):
    """The invocation is on record; nothing was given to anybody before that."""

    rules: ClassVar[Mapping[str, _Rule]] = {
        "machine": _TEXT,
        "machine_digest": _TEXT,
        "profile_id": _NAME,
        "action": _NAME,
        "request_text": _TEXT,
        "governance_context_hash": _TEXT,
        "governance_context_available": _FLAG,
        "router_confidence": _OPTIONAL,
        "mode_of_work": _one_of(ModeOfWork),
        "mission_id": _OPTIONAL,
        "wp_id": _OPTIONAL,
    }

    event: Literal["started"] = field(default="started", init=False)
    machine: str
    machine_digest: str
    profile_id: str
    action: str
    request_text: str
    governance_context_hash: str
    governance_context_available: bool
    router_confidence: str | None = None
    mode_of_work: ModeOfWork
    mission_id: str | None = None
    wp_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Completed(_RecordEvent):
    """How it ended; there is one that counts. `closed_by` tells a report from the sweep that closes what was left."""

    rules: ClassVar[Mapping[str, _Rule]] = {
        "machine": _TEXT,
        "machine_digest": _TEXT,
        "outcome": _one_of(Outcome),
        "closed_by": _one_of(ClosedBy),
        "summary": _OPTIONAL,
        "reason": _OPTIONAL,
        "evidence_ref": _OPTIONAL,
    }

    event: Literal["completed"] = field(default="completed", init=False)
    machine: str
    machine_digest: str
    outcome: Outcome
    closed_by: ClosedBy
    summary: str | None = None
    reason: str | None = None
    evidence_ref: str | None = None


@dataclass(frozen=True, kw_only=True)
class ArtifactLink(_RecordEvent):
    """A file or an address that came of it; an annotation, which moves nothing."""

    rules: ClassVar[Mapping[str, _Rule]] = {"ref": _NAME}

    event: Literal["artifact_link"] = field(default="artifact_link", init=False)
    ref: str


@dataclass(frozen=True, kw_only=True)
class CommitLink(_RecordEvent):
    """A commit that came of it; an annotation."""

    rules: ClassVar[Mapping[str, _Rule]] = {"sha": _digest(40, 64)}

    event: Literal["commit_link"] = field(default="commit_link", init=False)
    sha: str


@dataclass(frozen=True, kw_only=True)
class EvidencePromoted(_RecordEvent):
    """Something that was seen was kept as evidence, at `ref`; an annotation. `sha256` is of the content."""

    rules: ClassVar[Mapping[str, _Rule]] = {"ref": _NAME, "sha256": _digest(64, 64), "size": _number(0)}

    event: Literal["evidence_promoted"] = field(default="evidence_promoted", init=False)
    ref: str
    sha256: str
    size: int


RecordEvent: TypeAlias = Started | Completed | ArtifactLink | CommitLink | EvidencePromoted

_KINDS: Final[Mapping[str, type[RecordEvent]]] = {kind.event: kind for kind in get_args(RecordEvent)}


def _names(kind: type[_RecordEvent]) -> tuple[str, ...]:
    """The names of its fields of the log, as the class has them."""
    return tuple(each.name for each in fields(kind) if each.name != "unknown")


def parse_event(data: object) -> RecordEvent:
    """One line of the log, as `json.loads` gives it.

    Raises:
        ValueError: it is no event of an invocation.
    """
    kind = _KINDS.get(str(data.get("event"))) if isinstance(data, dict) else None
    if not isinstance(data, dict) or kind is None:
        raise ValueError("it is no event of an invocation")
    keys = {name.rstrip("_"): name for name in _names(kind)}
    given = {keys[key]: value for key, value in data.items() if key in keys and key != "event"}
    unknown = {key: value for key, value in data.items() if key not in keys}
    try:
        return kind(**given, unknown=unknown)
    except TypeError as error:  # the names are those of the class, so one is missing
        raise ValueError(str(error).partition("() ")[2]) from error


@dataclass(frozen=True, kw_only=True)
class InvocationRecord:
    """One invocation as its events tell it. Immutable: what is recorded later makes another record.

    `completed` is the closing that counts. Two clones that close one invocation without knowing of each other leave two
    closings: the one with the larger event id counts, and the others stay in `superseded`. `log` is the ref that holds
    the events: the log of requests, or the ledger of a mission.
    """

    log: str
    started: Started
    completed: Completed | None = None
    superseded: tuple[Completed, ...] = ()
    artifacts: tuple[ArtifactLink, ...] = ()
    commits: tuple[CommitLink, ...] = ()
    evidence: tuple[EvidencePromoted, ...] = ()

    @property
    def invocation_id(self) -> str:
        """Its id, a ULID; the key under which a receiver recognises what it has already."""
        return self.started.invocation_id

    @property
    def profile_id(self) -> str:
        """The profile that was asked."""
        return self.started.profile_id

    @property
    def action(self) -> str:
        """What it was asked to do, as a canonical verb."""
        return self.started.action

    @property
    def mode_of_work(self) -> ModeOfWork:
        """Why it was asked."""
        return self.started.mode_of_work

    @property
    def state(self) -> str:
        """The state of the invocation machine: started, done, failed or abandoned."""
        return self.completed.outcome if self.completed else "started"

    @property
    def events(self) -> tuple[RecordEvent, ...]:
        """All of its events, in the order in which they were made."""
        closed = () if self.completed is None else (self.completed,)
        found: tuple[RecordEvent, ...] = (
            self.started,
            *closed,
            *self.superseded,
            *self.artifacts,
            *self.commits,
            *self.evidence,
        )
        return tuple(sorted(found, key=lambda event: (event.lamport, event.writer, event.event_id)))

    def as_data(self) -> dict[str, Any]:
        """JSON-ready, flat: what `invocations list` and `show` print. Absent mission and work package are left out."""
        counted = self.completed.event_id if self.completed else ""
        return row_of([event.as_data() for event in self.events], self.log, counted)
