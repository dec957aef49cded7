"""The error log: what commands were refused, kept beside the ledger in a git ref of its own.

The tree of ``refs/kitty/errors`` is that of a ledger (`store`), one strict JSON object a line in its segments. It is
no part of the ledger: no state follows from it, and whoever appends must be ready to go on without it. Being a ref,
it survives ``git clean -fdx`` and the loss of our own files; a folder for each writer makes the exchange of two clones
a union.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.git.objects import ObjectStore, TreeEntry
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.store import SegmentStore
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.error_entry import ErrorEntry
from kitty_flow.model.text import printable

__all__ = ["ENTRY_BYTES", "ERRORS_REF", "append_errors", "decode_entry", "encode_entry", "read_errors"]

ERRORS_REF: Final = "refs/kitty/errors"

ENTRY_BYTES: Final = 16 * 1024
"""A larger entry is refused; whoever makes one leaves out its details."""

_LOCK_TIMEOUT_S: Final = 0.5
_TRIES: Final = 3


def encode_entry(entry: ErrorEntry) -> bytes:
    """One line, newline included: sorted keys, UTF-8, no NaN.

    Raises:
        LedgerError: ERROR_ENTRY_INVALID, too large or not JSON.
    """
    try:
        text = json.dumps(
            entry.model_dump(), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        line = text.encode("utf-8") + b"\n"
    except (ValueError, TypeError, RecursionError) as error:
        raise LedgerError("ERROR_ENTRY_INVALID", f"the entry {entry.error_id} is not JSON: {error}") from error
    if len(line) > ENTRY_BYTES:
        raise LedgerError("ERROR_ENTRY_INVALID", f"the entry {entry.error_id} takes {len(line)} bytes")
    return line


def append_errors(repository: Repository, entries: Sequence[ErrorEntry], at: datetime) -> None:
    """Append what one command came to, in one commit and one compare-and-swap.

    Raises:
        KittyFlowError: nothing was appended, for any reason.
        OSError: likewise.
    """
    lock = repository.state_dir / "locks" / "errors.lock"
    with exclusive(lock, timeout_s=_LOCK_TIMEOUT_S, what="the error log"), repository.objects() as objects:
        store = SegmentStore(objects, repository.state_dir)
        lines = [encode_entry(entry) for entry in entries]
        for again in reversed(range(_TRIES)):
            tip = repository.refs.read(ERRORS_REF)
            commit = store.append(tip, lines, {}, _message(entries), at).commit
            try:
                return repository.refs.swap(ERRORS_REF, commit, tip or ABSENT)
            except RefMovedError:  # a process of another clone's exchange, which holds another lock
                if not again:
                    raise


def _message(entries: Sequence[ErrorEntry]) -> str:
    first = entries[0]
    more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
    return printable(f"{first.entity_id} {first.error_type} ({first.attempted_operation}){more}", "?") + "\n"


def read_errors(repository: Repository) -> tuple[tuple[ErrorEntry, ...], tuple[Diagnostic, ...]]:
    """All entries, oldest first, and a warning for every line or file that cannot be read.

    Raises:
        LedgerError: ERROR_LOG_UNREADABLE, the ref or its commit is damaged.
    """
    entries: list[ErrorEntry] = []
    warnings: list[Diagnostic] = []
    tip = repository.refs.read(ERRORS_REF)
    place = repository.common_dir / ERRORS_REF
    if tip is None:
        if place.exists():
            raise _unreadable("git cannot resolve it", f"delete the file {place}; a new log begins by itself")
        return (), ()
    with repository.objects() as objects:
        try:
            root = objects.read_tree(tip)
        except LedgerError as error:
            raise _unreadable(error.message, f"git update-ref -d {ERRORS_REF}; a new log begins by itself") from error
        for path, content in _segments(objects, root, warnings):
            for number, line in enumerate(content.split(b"\n"), 1):
                if line:
                    _decode(line, f"{path}:{number}", entries, warnings)
    return tuple(sorted(entries, key=lambda entry: entry.timestamp)), tuple(warnings)


def _unreadable(reason: str, hint: str) -> LedgerError:
    return LedgerError("ERROR_LOG_UNREADABLE", f"the error log {ERRORS_REF} cannot be read: {reason}", hint=hint)


def _segments(
    objects: ObjectStore, tree: dict[str, TreeEntry], warnings: list[Diagnostic], path: str = "log"
) -> Iterator[tuple[str, bytes]]:
    """(path, content) of every segment below a folder of the log that can be read."""
    for name, entry in sorted(_tree(objects, tree, path.rpartition("/")[2], path, warnings).items()):
        place = f"{path}/{name}"
        if entry.type == "tree":
            yield from _segments(objects, {name: entry}, warnings, place)
            continue
        try:
            yield place, objects.read_blob(entry.oid)
        except KittyFlowError as error:
            warnings.append(_warning(place, error.message))


def _tree(
    objects: ObjectStore, parent: dict[str, TreeEntry], name: str, path: str, warnings: list[Diagnostic]
) -> dict[str, TreeEntry]:
    try:
        return objects.read_tree(parent[name].oid) if name in parent else {}
    except KittyFlowError as error:
        warnings.append(_warning(path, error.message))
        return {}


def decode_entry(line: bytes) -> ErrorEntry:
    """One line, without its newline, as an entry.

    Raises:
        ValueError, RecursionError: it is not an entry.
        LedgerError: likewise.
    """
    entry = ErrorEntry.model_validate(json.loads(line), strict=True)
    # One form only: this also refuses what json.loads lets through, such as NaN and a key given twice.
    if encode_entry(entry) != line + b"\n":
        raise ValueError("not in the form in which entries are written")
    return entry


def _decode(line: bytes, where: str, entries: list[ErrorEntry], warnings: list[Diagnostic]) -> None:
    try:
        entries.append(decode_entry(line))
    except (ValueError, RecursionError, LedgerError) as error:  # pydantic's ValidationError is a ValueError
        warnings.append(_warning(where, str(error).splitlines()[0]))


def _warning(where: str, reason: str) -> Diagnostic:
    return Diagnostic(
        severity="warning",
        diagnostic_code="ERROR_ENTRY_DAMAGED",
        message=f"{where} of {ERRORS_REF} is damaged and was left out: {reason}",
        phase="read",
        details={"where": where},
    )
