"""The one runtime of invocations that belong to no mission: begin, complete, annotate, each judged by the invocation
machine and recorded in the log of requests before anything is returned.

The steps of a mission go through the same machine and make the same record, in the mission's own ledger (ADR 2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kitty_flow.errors import ConflictError, LedgerError, RefusedError, UsageError
from kitty_flow.flow.actor import acting
from kitty_flow.flow.project import Project
from kitty_flow.ledger.op_log import OpLog, Recorded, op_path
from kitty_flow.ledger.ulids import new_ulid
from kitty_flow.machines import Facts, decide, machine

if TYPE_CHECKING:
    from kitty_flow.invocation.record import InvocationRecord, Outcome, RecordEvent

__all__ = ["Opening", "annotate", "begin", "complete", "keep_evidence", "sweep_one"]

_TRIGGERS: Final = {"done": "complete", "failed": "fail", "abandoned": "abandon"}
_MAX_EVIDENCE: Final = 16 * 1024 * 1024

_Event = TypeVar("_Event", bound="RecordEvent")


@dataclass(frozen=True)
class Opening:
    """What is known when an invocation begins; the fields are those of `record.Started`."""

    profile_id: str
    action: str
    request_text: str
    governance_context_hash: str
    governance_context_available: bool
    router_confidence: str | None
    mode_of_work: str
    actor: str
    mission_id: str | None = None
    wp_id: str | None = None


def begin(project: Project, opening: Opening) -> InvocationRecord:
    """Put a new invocation on record. When it returns there is exactly one durable record of it, and otherwise none.

    Raises:
        RefusedError: ACTOR_MISSING; REQUEST_TOO_LARGE or REQUEST_NOT_TEXT.
        ConflictError: LOCK_TIMEOUT or LEDGER_BUSY.
        LedgerError: OP_NOT_RECORDED.
    """
    from kitty_flow.invocation.record import Started

    definition, invocation_id = machine("invocation"), new_ulid()

    def build(history: _History) -> None:
        if history.record is not None:
            raise ConflictError(
                "INVOCATION_EXISTS", f"invocation {invocation_id} is on record already", hint="run the command again"
            )
        decide(definition, None, "start", Facts(actor=opening.actor))
        given = {name: value for name, value in vars(opening).items() if name != "actor"}
        history.add(Started, **given, machine=definition.name, machine_digest=definition.digest)

    return _record(project, invocation_id, opening.actor, build)


def complete(
    project: Project,
    invocation_id: str,
    outcome: Outcome,
    *,
    summary: str | None = None,
    evidence: Path | None = None,
    artifacts: Sequence[str] = (),
    commits: Sequence[str] = (),
    actor: str | None = None,
) -> InvocationRecord:
    """Close an invocation, once and for good, with what came of it; all of it is recorded together or nothing is.

    Args:
        invocation_id: the whole id.
        evidence: a file whose content is kept as evidence.
        artifacts: paths or addresses, as they are.
        commits: revisions of this repository.
        actor: who reports it; by default the current user.

    Raises:
        RefusedError: INVOCATION_CLOSED, with the first closing; EVIDENCE_NOT_ALLOWED, before anything is written.
        UsageError: INVOCATION_UNKNOWN, COMMIT_UNKNOWN, EVIDENCE_UNREADABLE, or INVALID_ACTOR.
        ConflictError, LedgerError: as `begin`.
    """
    from kitty_flow.invocation.policy import refuse_evidence
    from kitty_flow.invocation.record import ArtifactLink, CommitLink

    who = acting(actor)
    kept = None if evidence is None else _read_evidence(evidence)
    named = [_commit(project, revision) for revision in dict.fromkeys(commits)]

    def build(history: _History) -> None:
        if kept is not None:
            refuse_evidence(history.known)
        ref = None if kept is None else _evidence_path(invocation_id, kept)
        _close(history, outcome, summary, closed_by="agent", evidence_ref=ref)
        if kept is not None:
            _promote(history, kept)
        for artifact in dict.fromkeys(artifacts):
            history.add(ArtifactLink, ref=artifact)
        for commit in dict.fromkeys(named):
            history.add(CommitLink, sha=commit)

    return _record(project, invocation_id, who, build)


def annotate(
    project: Project,
    invocation_id: str,
    *,
    artifacts: Sequence[str] = (),
    commits: Sequence[str] = (),
    actor: str | None = None,
) -> InvocationRecord:
    """Add links to an invocation, open or closed: annotations, which move nothing. What is linked already stays as is.

    Raises:
        UsageError, ConflictError, LedgerError: as `complete`.
    """
    from kitty_flow.invocation.record import ArtifactLink, CommitLink

    named = [_commit(project, revision) for revision in dict.fromkeys(commits)]

    def build(history: _History) -> None:
        known = history.known
        for artifact in dict.fromkeys(artifacts):
            if artifact not in {link.ref for link in known.artifacts}:
                history.add(ArtifactLink, ref=artifact)
        for commit in dict.fromkeys(named):
            if commit not in {link.sha for link in known.commits}:
                history.add(CommitLink, sha=commit)

    return _record(project, invocation_id, acting(actor), build)


def keep_evidence(
    project: Project, invocation_id: str, content: bytes, *, actor: str | None = None
) -> InvocationRecord:
    """Keep content as evidence of an invocation, open or closed. The same content is kept once.

    Raises:
        RefusedError: EVIDENCE_NOT_ALLOWED or EVIDENCE_TOO_LARGE, before anything is written.
        UsageError, ConflictError, LedgerError: as `complete`.
    """
    from kitty_flow.invocation.policy import refuse_evidence

    _refuse_large(len(content))

    def build(history: _History) -> None:
        refuse_evidence(history.known)
        _promote(history, content)

    return _record(project, invocation_id, acting(actor), build)


def sweep_one(project: Project, invocation_id: str, reason: str) -> InvocationRecord | None:
    """Close an invocation that nobody closed as abandoned, recorded as a sweep; None when somebody was faster.

    Raises:
        UsageError, ConflictError, LedgerError: as `complete`.
    """
    swept = True

    def build(history: _History) -> None:
        nonlocal swept
        swept = history.known.completed is None
        if swept:
            _close(history, "abandoned", reason, closed_by="doctor_sweep", evidence_ref=None)

    record = _record(project, invocation_id, "kitty-flow", build)
    return record if swept else None


class _History:
    """An invocation as it is while somebody decides on it, and the events that are to be added."""

    def __init__(self, invocation_id: str, record: InvocationRecord | None, actor: str, writer: str) -> None:
        self.record = record
        self.added: list[Recorded] = []
        self.events: list[RecordEvent] = []
        self._id = invocation_id
        self.actor = actor
        self._writer = writer

    @property
    def known(self) -> InvocationRecord:
        """The record that there is.

        Raises:
            UsageError: INVOCATION_UNKNOWN.
        """
        if self.record is None:
            raise UsageError(
                "INVOCATION_UNKNOWN",
                f"there is no invocation {self._id} in the log of requests",
                hint="kitty-flow invocations list",
                details={"invocation_id": self._id},
            )
        return self.record

    def add(self, kind: type[_Event], /, *, files: Mapping[str, bytes] | None = None, **fields: Any) -> None:
        """Collect an event that follows those there are."""
        from kitty_flow.invocation.op_lines import encode

        earlier = [*(self.record.events if self.record else ()), *self.events]
        try:
            event = kind(
                event_id=new_ulid(),
                invocation_id=self._id,
                parent=earlier[-1].event_id if earlier else None,
                lamport=1 + max((each.lamport for each in earlier), default=0),
                writer=self._writer,
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                actor=self.actor,
                **fields,
            )
        except ValueError as error:
            raise RefusedError(
                "INVALID_INVOCATION", f"it cannot be recorded: {error}", hint="kitty-flow profile-invocation --help"
            ) from error
        first = self.record.started if self.record else event
        names = (str(getattr(first, "profile_id", "")), str(getattr(first, "action", "")))
        self.events.append(event)
        self.added.append(encode(event, *names, files or {}))


def _record(project: Project, invocation_id: str, actor: str, decided: Callable[[_History], None]) -> InvocationRecord:
    """Record what was decided on the events that the invocation has; the result is made from what was read back.

    Afterwards, when nothing can undo it any more, the hub is offered it, if there is one (`propagator`).
    """
    from kitty_flow.invocation.op_lines import decode_record, fold_record
    from kitty_flow.invocation.propagator import offer

    where = op_path(invocation_id) + ".jsonl"
    with OpLog(project.repository) as log:

        def build(content: bytes, tip: str | None) -> Sequence[Recorded]:
            record = decode_record(content, where) if content else None
            history = _History(invocation_id, record, actor, log.writer)
            decided(history)
            lines = content + b"".join(each.line for each in history.added)
            meant = fold_record([*(record.events if record else ()), *history.events], "")
            if history.added and meant != replace(decode_record(lines, where), log=""):
                raise LedgerError("READ_BACK_MISMATCH", f"{where} does not read back as it was meant")
            return history.added

        record = decode_record(log.record(invocation_id, build), where)
    offer(project)
    return record


def _close(
    history: _History, outcome: Outcome, summary: str | None, *, closed_by: str, evidence_ref: str | None
) -> None:
    from kitty_flow.invocation.record import Completed

    record, definition = history.known, machine("invocation")
    if record.completed is not None:
        first = record.completed
        raise RefusedError(
            "INVOCATION_CLOSED",
            f"invocation {record.invocation_id} was closed as {first.outcome} by {first.actor} at {first.at}; it is "
            "closed once and never edited",
            hint=f"kitty-flow invocations show {record.invocation_id}",
            details={"invocation_id": record.invocation_id, "closed": first.as_data()},
        )
    trigger = _TRIGGERS[outcome]
    reason = None if outcome == "done" else summary or f"reported as {outcome}, without a reason"
    decision = decide(definition, record.state, trigger, Facts(actor=history.actor, outcome=outcome, reason=reason))
    history.add(
        Completed,
        machine=definition.name,
        machine_digest=definition.digest,
        outcome=decision.to_state,
        closed_by=closed_by,
        summary=summary,
        reason=reason,
        evidence_ref=evidence_ref,
    )


def _promote(history: _History, content: bytes) -> None:
    from kitty_flow.invocation.record import EvidencePromoted

    digest = hashlib.sha256(content).hexdigest()
    if digest in {kept.sha256 for kept in history.known.evidence}:
        return
    ref = _evidence_path(history.known.invocation_id, content)
    history.add(EvidencePromoted, files={ref: content}, ref=ref, sha256=digest, size=len(content))


def _evidence_path(invocation_id: str, content: bytes) -> str:
    from kitty_flow.invocation.policy import EVIDENCE_FOLDER

    return f"{op_path(invocation_id, EVIDENCE_FOLDER)}/{hashlib.sha256(content).hexdigest()}"


def _read_evidence(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_EVIDENCE + 1)
    except OSError as error:
        raise UsageError(
            "EVIDENCE_UNREADABLE",
            f"{path} cannot be read: {error.strerror or error}. Nothing was recorded",
            hint="name a file that can be read",
        ) from error
    _refuse_large(len(content))
    return content


def _refuse_large(size: int) -> None:
    if size > _MAX_EVIDENCE:
        raise RefusedError(
            "EVIDENCE_TOO_LARGE",
            f"evidence may have at most {_MAX_EVIDENCE // 2**20} MiB. Nothing was recorded",
            hint="keep what matters of it, or link to it: kitty-flow profile-invocation complete --artifact PATH",
        )


def _commit(project: Project, revision: str) -> str:
    found = project.repository.refs.commit(revision)
    if found is None:
        raise UsageError(
            "COMMIT_UNKNOWN",
            f"{revision} is no commit of this repository. Nothing was recorded",
            hint="name a commit: git log --oneline",
        )
    return found
