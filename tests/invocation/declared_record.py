"""The events of an invocation as pydantic declares them: the second opinion on `kitty_flow.invocation.record`, which
checks its fields itself so that no request waits for pydantic. A field that is added there is added here."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from kitty_flow.model.ids import check_ulid

OP_SCHEMA: Final = "kitty-flow/op/1"

ModeOfWork: TypeAlias = Literal["advisory", "task_execution", "mission_step", "query"]
Outcome: TypeAlias = Literal["done", "failed", "abandoned"]
ClosedBy: TypeAlias = Literal["agent", "doctor_sweep"]


class _RecordEvent(BaseModel):
    """What every event has. `lamport` counts the events of this invocation, `parent` is the one before; both say in
    what order they were made, `at` is for people only. Unknown fields of a newer writer are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

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

_EVENT: Final[TypeAdapter[RecordEvent]] = TypeAdapter(Annotated[RecordEvent, Field(discriminator="event")])


def parse_event(data: object) -> RecordEvent:
    """One line of the log, as `json.loads` gives it.

    Raises:
        ValueError: it is no event of an invocation.
    """
    return _EVENT.validate_python(data, strict=True)
