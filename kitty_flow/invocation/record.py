"""The record of one invocation: what was asked, of which profile, under which rules, and how it ended.

A line of the log is one event; a record is what the events of one invocation come to. Source of the fields: the
profile invocation records of seed 000 and 001 (versions 1 and 2), and DESIGN, sections 4.2 and 5.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, field_validator

from kitty_flow.invocation.rows import OP_SCHEMA, row_of
from kitty_flow.model.base import Model
from kitty_flow.model.ids import check_ulid

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


class _RecordEvent(Model):
    """What every event has. `lamport` counts the events of this invocation, `parent` is the one before; both say in
    what order they were made, `at` is for people only. Unknown fields of a newer writer are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    schema_: str = Field(default=OP_SCHEMA, alias="schema")
    event_id: str
    invocation_id: str
    parent: str | None
    lamport: int = Field(ge=1)
    writer: str
    at: str
    actor: str = Field(min_length=1)

    @field_validator("event_id", "invocation_id")
    @classmethod
    def _ulid(cls, value: str) -> str:
        try:
            return check_ulid(value)
        except Exception as error:
            raise ValueError(str(error)) from error

    def as_data(self) -> dict[str, Any]:
        """JSON-ready, as it stands in the log: optional fields that are absent are left out."""
        data = self.model_dump(by_alias=True)
        return {key: value for key, value in data.items() if value is not None or key not in _OMITTED_WHEN_ABSENT}


class Started(_RecordEvent):
    """The invocation is on record; nothing was given to anybody before that."""

    event: Literal["started"] = "started"
    machine: str
    machine_digest: str
    profile_id: str = Field(min_length=1)
    action: str = Field(min_length=1)
    request_text: str
    governance_context_hash: str
    governance_context_available: bool
    router_confidence: str | None = None
    mode_of_work: ModeOfWork
    mission_id: str | None = None
    wp_id: str | None = None


class Completed(_RecordEvent):
    """How it ended; there is one that counts. `closed_by` tells a report from the sweep that closes what was left."""

    event: Literal["completed"] = "completed"
    machine: str
    machine_digest: str
    outcome: Outcome
    closed_by: ClosedBy
    summary: str | None = None
    reason: str | None = None
    evidence_ref: str | None = None


class ArtifactLink(_RecordEvent):
    """A file or an address that came of it; an annotation, which moves nothing."""

    event: Literal["artifact_link"] = "artifact_link"
    ref: str = Field(min_length=1)


class CommitLink(_RecordEvent):
    """A commit that came of it; an annotation."""

    event: Literal["commit_link"] = "commit_link"
    sha: str = Field(pattern=r"^[0-9a-f]{40,64}$")


class EvidencePromoted(_RecordEvent):
    """Something that was seen was kept as evidence, at `ref`; an annotation. `sha256` is of the content."""

    event: Literal["evidence_promoted"] = "evidence_promoted"
    ref: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


RecordEvent: TypeAlias = Started | Completed | ArtifactLink | CommitLink | EvidencePromoted

_EVENT: Final[TypeAdapter[RecordEvent]] = TypeAdapter(
    Annotated[RecordEvent, Field(discriminator="event")], config=ConfigDict(defer_build=True)
)


def parse_event(data: object) -> RecordEvent:
    """One line of the log, as `json.loads` gives it.

    Raises:
        ValueError: it is no event of an invocation.
    """
    return _EVENT.validate_python(data, strict=True)


class InvocationRecord(Model):
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
