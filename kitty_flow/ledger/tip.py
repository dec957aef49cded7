"""Where a ledger stands: the commit that its ref points to. A damaged ref is an error and never "no events".

A long-lived git process is never asked for a ref. It keeps what it read from ``packed-refs`` as long as seconds of
time, size and inode of that file stay the same: after two ``git pack-refs`` within a second it answers with the old.
"""

from __future__ import annotations

from pathlib import Path

from kitty_flow.errors import LedgerError
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository

__all__ = ["TipReader"]


class TipReader:
    """Reads the ref of one ledger."""

    def __init__(self, repository: Repository, objects: ObjectStore, ref: str) -> None:
        self._refs = repository.refs
        self._objects = objects
        self._ref = ref
        self._file = repository.common_dir / ref
        self._packed: tuple[object, str | None] = (None, None)

    def read(self) -> str | None:
        """The commit at the ref, or None when there is no such ref.

        Raises:
            LedgerError: OBJECT_MISSING, its commit is not here; REF_DAMAGED, its file cannot be read.
        """
        named = self._refs.unpacked(self._ref) or self._read_packed()
        if named is not None:
            found = self._objects.resolve(f"{named}^{{commit}}")
            if found is not None:
                return found
            raise LedgerError(
                "OBJECT_MISSING",
                f"{self._ref} points to {named}, which is not a commit of this repository",
                hint="kitty-flow doctor ledger",
                details={"ref": self._ref, "object": named},
            )
        damaged = self._damaged()
        if damaged is not None:
            raise LedgerError(
                "REF_DAMAGED",
                f"the file of {self._ref} is damaged: {damaged}",
                hint="kitty-flow doctor ledger",
                details={"ref": self._ref, "path": str(damaged)},
            )
        return None

    def _damaged(self) -> Path | None:
        """The file that speaks of the ref although git knows no such ref; None when there is none."""
        if self._file.is_file():  # it may have come this very moment
            return self._file if self._refs.unpacked(self._ref) is None else None
        packed = self._refs.common_dir / "packed-refs"
        return packed if packed.is_file() and f" {self._ref}\n".encode() in packed.read_bytes() else None

    def _read_packed(self) -> str | None:
        """What git says, asked again only when the file of packed refs is another one."""
        state = self._refs.packed_state()
        if state is None or state != self._packed[0]:
            try:
                self._packed = (state, self._refs.read(self._ref))
            except GitFailedError as error:
                raise LedgerError(
                    "REF_DAMAGED",
                    f"git cannot tell where {self._ref} is: {error.message}",
                    hint="kitty-flow doctor ledger",
                    details={"ref": self._ref},
                ) from error
        return self._packed[1]
