"""Where a ledger stands: the commit that its ref points to. A damaged ref is an error and never "no events".

A long-lived git process is never asked for a ref. It keeps what it read from ``packed-refs`` as long as seconds of
time, size and inode of that file stay the same: after two ``git pack-refs`` within a second it answers with the old.
"""

from __future__ import annotations

from kitty_flow.errors import LedgerError
from kitty_flow.git.objects import ObjectStore
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
        if self._file.is_file() and self._refs.unpacked(self._ref) is None:
            raise LedgerError(
                "REF_DAMAGED",
                f"the file of {self._ref} is damaged: {self._file}",
                hint="kitty-flow doctor ledger",
                details={"ref": self._ref, "path": str(self._file)},
            )
        return None

    def _read_packed(self) -> str | None:
        """What git says, asked again only when the file of packed refs is another one."""
        state = self._refs.packed_state()
        if state is None or state != self._packed[0]:
            self._packed = (state, self._refs.read(self._ref))
        return self._packed[1]
