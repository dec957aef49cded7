"""Ledgers as plain files: one event a line, byte for byte as in the log, for whatever reads JSON Lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kitty_flow.effects import replace_file, sync_folder
from kitty_flow.errors import DefinitionError, ExternalToolError, KittyFlowError, LedgerError
from kitty_flow.flow.ledgers import KnownLedger, choose_ledgers
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.error_log import ERRORS_REF, decode_entry
from kitty_flow.ledger.segment import Damage, read_lines
from kitty_flow.ledger.stored import pieces
from kitty_flow.ledger.tip import TipReader
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.ids import check_mission_slug, is_ulid

__all__ = ["Export", "ExportedFile", "export"]


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written: the ref whose lines it holds, the commit of that ref, and how many lines."""

    ref: str
    commit: str
    path: Path
    lines: int


@dataclass
class Export:
    """What was written, warnings that name what was left out, and the ledgers that could not be read at all."""

    files: list[ExportedFile] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    unreadable: dict[str, KittyFlowError] = field(default_factory=dict)

    @property
    def error(self) -> LedgerError | None:
        """EXPORT_INCOMPLETE, or None when every ledger could be read."""
        if not self.unreadable:
            return None
        problems = [{"where": ref, "message": error.message} for ref, error in self.unreadable.items()]
        return LedgerError(
            "EXPORT_INCOMPLETE",
            f"{len(problems)} ledger(s) could not be read; {len(self.files)} file(s) were written",
            hint="kitty-flow doctor ledger",
            details={"problems": problems},
        )

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "files": [{"ledger": f.ref, "commit": f.commit, "path": f.path, "lines": f.lines} for f in self.files],
            "unreadable": sorted(self.unreadable),
        }


def export(repository: Repository, folder: Path, name: str | None = None) -> Export:
    """Write the ledger that `name` means, or all of them, into `folder`, which is made; then the error log, if any.

    The same ledgers give the same bytes. Whatever else is in the folder stays as it is.

    Raises:
        UsageError: MISSION_NOT_FOUND or AMBIGUOUS_MISSION.
        ExternalToolError: OUTPUT_NOT_WRITTEN.
    """
    known, chosen = choose_ledgers(repository, name)
    names = _file_names(known)
    export = Export()
    wanted = {k.ref: names[k.ref] for k in chosen}
    with repository.objects() as objects:
        for ref, file_name in {**wanted, ERRORS_REF: "errors.jsonl"}.items():
            try:
                tip = TipReader(repository, objects, ref).read()
                if tip is None and ref == ERRORS_REF:
                    continue
                if tip is None or (ref != ERRORS_REF and not file_name):
                    raise LedgerError("LEDGER_UNREADABLE", f"{ref} is {'gone' if tip is None else 'no ledger'}")
                lines = _events(objects, ref, tip, export) if ref != ERRORS_REF else _errors(objects, tip, export)
            except KittyFlowError as error:
                export.unreadable[ref] = error
                continue
            _write(folder / file_name, lines)
            export.files.append(ExportedFile(ref, tip, folder / file_name, len(lines)))
    return export


def _file_names(known: Iterable[KnownLedger]) -> dict[str, str]:
    """The file of each ledger; empty for a ref that no kitty-flow made.

    A slug may come from another clone, so it is checked before it becomes a name. Two missions that would have the same
    file, also where capitals do not count, are told apart by their whole ids.
    """
    ledgers = [k for k in known if is_ulid(k.mission_id)]
    short = {k.ref: f"{_stem(k)}-{k.mission_id[:8]}" for k in ledgers}
    taken = Counter(name.casefold() for name in short.values())
    names = {
        k.ref: short[k.ref] if taken[short[k.ref].casefold()] == 1 else f"{_stem(k)}-{k.mission_id}" for k in ledgers
    }
    return {k.ref: f"{names[k.ref]}.jsonl" if k.ref in names else "" for k in known}


def _stem(known: KnownLedger) -> str:
    try:
        return check_mission_slug(known.slug)
    except DefinitionError:
        return "mission"


def _events(objects: ObjectStore, ref: str, tip: str, export: Export) -> list[bytes]:
    """Every line of a ledger, each once, in the ledger's order."""
    lines: dict[bytes, tuple[int, str, str]] = {}
    for path, content in _segments(objects, ref, tip, export):
        for line, found in read_lines(content, path):
            if isinstance(found, Damage):
                export.diagnostics.append(_left_out(ref, f"the line {found.where}", found.why))
            else:
                lines[line] = found.order
    return sorted(lines, key=lambda line: (lines[line], line))


def _errors(objects: ObjectStore, tip: str, export: Export) -> list[bytes]:
    """Every line of the error log, each once, by time."""
    lines: dict[bytes, tuple[str, str]] = {}
    for path, content in _segments(objects, ERRORS_REF, tip, export):
        for number, line in enumerate(content.split(b"\n"), 1):
            if not line:
                continue
            try:
                entry = decode_entry(line)
                lines[line] = (entry.timestamp, entry.error_id)
            except (ValueError, RecursionError, LedgerError) as error:  # pydantic's ValidationError is a ValueError
                why = str(error).splitlines()[0][:200]
                export.diagnostics.append(_left_out(ERRORS_REF, f"the line {path}:{number}", why))
    return sorted(lines, key=lambda line: (lines[line], line))


def _segments(objects: ObjectStore, ref: str, tip: str, export: Export) -> Iterable[tuple[str, bytes]]:
    for piece in pieces(objects, tip):
        if piece.error is not None:
            export.diagnostics.append(_left_out(ref, piece.path or "everything", piece.error.message))
        elif piece.is_segment:
            yield piece.path, piece.content


def _left_out(ref: str, what: str, why: str) -> Diagnostic:
    return Diagnostic(
        severity="warning",
        diagnostic_code="LEDGER_LINE_DAMAGED",
        message=f"{what} of {ref} is damaged and was left out: {why}",
        phase="ledger",
        details={"ledger": ref},
    )


def _write(path: Path, lines: Sequence[bytes]) -> None:
    try:
        replace_file(path, b"".join(line + b"\n" for line in lines), "export")
        sync_folder(path.parent, "export.settle")
    except OSError as error:
        raise ExternalToolError(
            "OUTPUT_NOT_WRITTEN", f"{path} cannot be written: {error.strerror}", hint="choose another DIR"
        ) from error
