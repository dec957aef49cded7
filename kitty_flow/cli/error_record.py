"""What a command that came to nothing leaves in the error log; best effort, and never at the command's expense.

Kept are refusals, invalid definitions, conflicts, failures of the ledger, and agents that failed. Not kept: what was
only typed wrongly, since it says nothing about the project; what the user interrupted; a broken installation and bugs,
which the error itself explains; and the problems that doctor and `ledger verify` find, since nothing was refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.errors import (
    ConflictError,
    DefinitionError,
    ExternalToolError,
    KittyFlowError,
    LedgerError,
    RefusedError,
)

if TYPE_CHECKING:
    from datetime import datetime

    from kitty_flow.cli.error_text import KeptText
    from kitty_flow.model.error_entry import ErrorEntry

__all__ = ["entries_of", "keep"]

_WAIT_S: Final = 1.0
_ONLY_FOUND: Final = ("DOCTOR_FOUND_PROBLEMS", "LEDGER_NOT_SOUND")
_ENTITY_CHARACTERS: Final = 200
_REASON_CHARACTERS: Final = 1000
_TOLD_APART: Final = ("gates", "work_packages", "mission", "mission_slug", "entity_id", "work_package_id")


def keep(
    error: KittyFlowError, *, operation: Sequence[str], data: Mapping[str, Any], arguments: Mapping[str, Any]
) -> None:
    """Append the failure to the error log of the repository around the current directory, if there is one.

    A log that takes long (a lock, a slow disk, a git that hangs) is given `_WAIT_S` seconds and then left: an entry
    that is not committed by then is lost. The caller ignores whatever is raised.
    """
    if not _is_kept(error):
        return
    from datetime import UTC, datetime

    from kitty_flow.cli.error_text import KeptText

    at = datetime.now(UTC)
    entries = entries_of(error, " ".join(operation), data, arguments, at=at, kept=KeptText(os.environ))
    # Nearly everything is imported by now, so that the time goes to what may hang. A daemon ends with the process,
    # git's processes end when their input closes, and half an append moves no ref.
    worker = threading.Thread(target=_append, args=(entries, at), name="error-log", daemon=True)
    worker.start()
    worker.join(_WAIT_S)


def _is_kept(error: KittyFlowError) -> bool:
    if isinstance(error, ExternalToolError):
        return error.code.startswith("AGENT_") or "work_packages" in error.details
    return (
        isinstance(error, (RefusedError, DefinitionError, ConflictError, LedgerError)) and error.code not in _ONLY_FOUND
    )


def _append(entries: list[ErrorEntry], at: datetime) -> None:
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.error_log import append_errors

    with suppress(Exception):
        append_errors(Project.discover().repository, entries, at)


def entries_of(
    error: KittyFlowError,
    operation: str,
    data: Mapping[str, Any],
    arguments: Mapping[str, Any],
    *,
    at: datetime,
    kept: KeptText,
) -> list[ErrorEntry]:
    """One entry for every gate that did not pass, or for every work package named, or else one for the whole.

    An entry without an entity of its own, such as a gate's, is about the mission, or else about the repository.
    """
    from kitty_flow.ledger.error_log import encode_entry
    from kitty_flow.ledger.ulids import new_ulid
    from kitty_flow.model.error_entry import ErrorEntry

    mission = _mission(error, data) or _typed_mission(arguments)
    common = {"mission": mission}
    rest = {name: value for name, value in error.details.items() if name not in _TOLD_APART}
    entries = []
    for error_type, entity_id, reason, context in _failures(error, data, arguments):
        entry = ErrorEntry(
            error_id=new_ulid(at),
            error_type=error_type,
            entity_id=kept.text(entity_id, _ENTITY_CHARACTERS) if entity_id else mission or "repository",
            attempted_operation=operation,
            reason=kept.text(reason, _REASON_CHARACTERS),
            timestamp=at.isoformat(timespec="milliseconds"),
            context={**common, **kept.details(context), "details": kept.details(rest)},
        )
        try:
            encode_entry(entry)
        except LedgerError:  # too large
            entry = entry.model_copy(update={"context": {**common, "code": entry.context["code"], "shortened": True}})
        entries.append(entry)
    return entries


_Failure = tuple[str, str | None, str, dict[str, Any]]


def _failures(error: KittyFlowError, data: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[_Failure]:
    """(type, entity, reason, context) of each thing that failed."""
    gates, names = error.details.get("gates"), error.details.get("work_packages")
    if gates:
        for gate in (gate for gate in gates if gate["outcome"] != "pass"):
            told = {key: gate[key] for key in ("gate", "subject", "violated_invariant", "remediation") if gate[key]}
            yield "GateFailure", None, gate["message"], {"code": gate["diagnostic_code"], **told}
    elif isinstance(names, (list, tuple)) and names:
        known = data.get("work_packages")
        for name in names:
            own = known.get(name) if isinstance(known, Mapping) else None
            yield _work_package_failure(error, str(name), own if isinstance(own, Mapping) else {})
    else:
        context = {"code": error.code, "hint": error.hint}
        yield _type(error), _entity(error, arguments), error.message, context


def _work_package_failure(error: KittyFlowError, name: str, own: Mapping[str, Any]) -> _Failure:
    """What became of one of several work packages, as far as the command's data tell them apart."""
    code, message = own.get("code") or error.code, own.get("message") or error.message
    error_type = "StateTransitionError" if own.get("code") and not own.get("by_agent") else _type(error)
    return error_type, name, message, {"code": code, **{key: own[key] for key in ("state", "attempts") if key in own}}


def _type(error: KittyFlowError) -> str:
    """The kind of failure, in the words of the origin's error log where it has one."""
    if isinstance(error, DefinitionError) or "problems" in error.details:
        return "ValidationError"
    if isinstance(error, ExternalToolError):
        return "AgentFailure"
    return "StateTransitionError" if "machine" in error.details else type(error).__name__


def _mission(error: KittyFlowError, data: Mapping[str, Any]) -> str | None:
    found = error.details.get("mission") or error.details.get("mission_slug") or data.get("mission")
    slug = found.get("slug") if isinstance(found, Mapping) else found
    return slug if isinstance(slug, str) else None


def _typed_mission(arguments: Mapping[str, Any]) -> str | None:
    """The mission as it was typed, unless a path was."""
    from kitty_flow.model.ids import check_mission_slug

    typed = arguments.get("mission")
    with suppress(DefinitionError):
        return check_mission_slug(typed) if isinstance(typed, str) else None
    return None


def _entity(error: KittyFlowError, arguments: Mapping[str, Any]) -> str | None:
    """What the failure is about: as the error says, else the work package that was typed, else the file."""
    details = error.details
    found = details.get("entity_id") or details.get("work_package_id") or arguments.get("work_package")
    found = found or details.get("path") or arguments.get("path")
    return str(found) if found else None
