"""Finding invocations: the newest ones, and one by its id, in the log of requests and in the ledgers of missions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from kitty_flow.errors import KittyFlowError, LedgerError, UsageError
from kitty_flow.invocation.rows import Row, plain_row
from kitty_flow.ledger.catalog import catalog
from kitty_flow.ledger.line import dump_line
from kitty_flow.ledger.op_log import OPS_REF, OpLog, op_path

if TYPE_CHECKING:
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.record import InvocationRecord
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["Listed", "find_record", "list_invocations", "stored_rows", "unreadable"]

_PREFIX: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{3,25}", re.ASCII)
_SHOWN: Final = 8


class Listed(NamedTuple):
    """Rows, newest first, and what could not be read."""

    rows: tuple[Row, ...]
    warnings: tuple[Diagnostic, ...]


def list_invocations(project: Project, *, profile: str | None = None, limit: int) -> Listed:
    """The newest invocations; reads no more of the log than it takes to find so many.

    Raises:
        LedgerError: the log of requests cannot be read at all.
    """
    warnings: list[Diagnostic] = []
    with OpLog(project.repository) as log:
        tip, rewound = log.look()
        warnings += [unreadable(rewound)] if rewound is not None else []
        found = list(islice(stored_rows(log, tip, warnings, profile=profile), limit))
    entries = catalog(project.repository)
    if entries:
        from kitty_flow.invocation.mission_rows import mission_rows  # late: many repositories have no mission

        found += [row for row in mission_rows(project, entries, warnings) if profile in (None, row["profile_id"])]
    newest = sorted(found, key=lambda row: str(row["invocation_id"]), reverse=True)[:limit]
    return Listed(tuple(newest), tuple(warnings))


def stored_rows(
    log: OpLog, tip: str | None, warnings: list[Diagnostic], *, profile: str | None = None
) -> Iterator[Row]:
    """The rows of the log at a commit, newest first; one that is damaged is told and hides no other."""
    mark = b"" if profile is None else dump_line({"profile_id": profile})[1:-2]
    for invocation_id, blob in log.newest_first(tip):
        try:
            content = log.objects.read_blob(blob)
            if mark not in content:
                continue
            row = plain_row(content, OPS_REF) or _checked_row(content, invocation_id)
        except KittyFlowError as error:
            warnings.append(unreadable(error))
            continue
        if profile in (None, row["profile_id"]):
            yield row


def _checked_row(content: bytes, invocation_id: str) -> Row:
    from kitty_flow.invocation.op_lines import decode_record  # late: most are as they were written

    return decode_record(content, op_path(invocation_id) + ".jsonl").as_data()


def unreadable(error: KittyFlowError) -> Diagnostic:
    """The warning that something is missing in an answer, with what helps."""
    from kitty_flow.model.diagnostic import Diagnostic

    message = "; ".join(filter(None, (error.message, error.hint)))
    return Diagnostic(severity="warning", diagnostic_code=error.code, message=message, phase="read")


def find_record(project: Project, named: str) -> InvocationRecord:
    """The invocation with an id, or with an id that begins so.

    Raises:
        UsageError: INVALID_INVOCATION_ID, INVOCATION_UNKNOWN, or INVOCATION_AMBIGUOUS with the candidates.
        LedgerError: the log or the record cannot be read; LEDGER_REWOUND, it may be among what the log lost.
    """
    from kitty_flow.invocation.mission_steps import mission_invocation_ids, mission_record
    from kitty_flow.invocation.op_lines import decode_record

    prefix = named.strip().upper()
    if _PREFIX.fullmatch(prefix) is None:
        raise UsageError(
            "INVALID_INVOCATION_ID",
            f"{named[:80]!r} is no id of an invocation, nor four characters or more from the beginning of one",
            hint="kitty-flow invocations list",
        )
    with OpLog(project.repository) as log:
        tip, rewound = log.look()
        content = log.read(tip, prefix) if len(prefix) == 26 else b""
        if content:
            return decode_record(content, op_path(prefix) + ".jsonl")
        own = [name for name, _ in islice(log.newest_first(tip, prefix), _SHOWN + 1)]
        entries = catalog(project.repository)
        ids = list(dict.fromkeys([*own, *mission_invocation_ids(project, entries, prefix)]))
        if len(ids) == 1 and own:
            return decode_record(log.read(tip, own[0]), op_path(own[0]) + ".jsonl")
    record = mission_record(project, entries, ids[0]) if len(ids) == 1 else None
    if record is not None:
        return record
    raise _ambiguous(named, ids) if ids else _unknown(named, rewound)


def _unknown(named: str, rewound: LedgerError | None) -> KittyFlowError:
    if rewound is not None:  # it may be among what is lost
        return rewound
    return UsageError(
        "INVOCATION_UNKNOWN",
        f"there is no invocation {named[:80]} in {OPS_REF} nor in the ledger of a mission",
        hint="kitty-flow invocations list",
        details={"invocation_id": named[:80]},
    )


def _ambiguous(named: str, ids: list[str]) -> UsageError:
    shown = sorted(ids, reverse=True)[:_SHOWN]
    more = ", ..." if len(ids) > len(shown) else ""
    return UsageError(
        "INVOCATION_AMBIGUOUS",
        f"several invocations begin with {named[:80]}: {', '.join(shown)}{more}",
        hint="type more of the id, or all of it",
        details={"candidates": shown},
    )
