"""Where a ledger stands: the commit that its ref points to. A damaged ref is an error and never "no events"."""

from __future__ import annotations

from kitty_flow.errors import LedgerError
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.repository import Repository

__all__ = ["read_tip"]


def read_tip(repository: Repository, objects: ObjectStore, ref: str) -> str | None:
    """The commit at the ref, or None when there is no such ref.

    Raises:
        LedgerError: OBJECT_MISSING, its commit is not here; REF_DAMAGED, its file cannot be read.
    """
    found = objects.resolve(f"{ref}^{{commit}}")
    if found is not None:
        return found
    named = repository.refs.read(ref)
    if named is not None:
        raise LedgerError(
            "OBJECT_MISSING",
            f"{ref} points to {named}, which is not a commit of this repository",
            hint="kitty-flow doctor ledger",
            details={"ref": ref, "object": named},
        )
    file = repository.common_dir / ref
    if file.is_file():
        raise LedgerError(
            "REF_DAMAGED",
            f"the file of {ref} is damaged: {file}",
            hint="kitty-flow doctor ledger",
            details={"ref": ref, "path": str(file)},
        )
    return None
