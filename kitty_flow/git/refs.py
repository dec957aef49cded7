"""Reading refs and moving one by compare-and-swap: the only commit point that kitty-flow relies on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kitty_flow.errors import ConflictError
from kitty_flow.git.process import Git, GitFailedError
from kitty_flow.git.stale_lock import clear_stale_lock
from kitty_flow.git.worktrees import Worktrees

__all__ = ["ABSENT", "RefMovedError", "Refs"]

_OWN_REFS: Final = ("refs/kitty/", "refs/heads/kitty/")

ABSENT: Final = ""
"""The old value of a ref that must not exist yet."""


class RefMovedError(ConflictError):
    """Somebody else moved the ref in the meantime; nothing was changed."""


@dataclass(frozen=True)
class Refs:
    """The refs of one repository."""

    git: Git

    def read(self, ref: str) -> str | None:
        """The object that `ref` points to, or None."""
        done = self.git.call("rev-parse", "--verify", "--quiet", "--end-of-options", ref, ok=(0, 1))
        return done.stdout.decode().strip() or None

    def commit(self, ref: str) -> str | None:
        """The commit that a ref or object name resolves to, or None."""
        return self.read(f"{ref}^{{commit}}")

    def under(self, prefix: str) -> dict[str, str]:
        """All refs below `prefix` (such as ``refs/kitty/m``) with the objects they point to."""
        lines = self.git.text("for-each-ref", "--format=%(objectname) %(refname)", "--", prefix).splitlines()
        return {name: oid for oid, _, name in (line.partition(" ") for line in lines)}

    def swap(self, ref: str, new: str, old: str, *, is_ours: bool = False) -> None:
        """Move `ref` from `old` to `new`, or create it when `old` is `ABSENT`; all or nothing.

        A lock file that a killed git process left on a ref of kitty-flow is removed when it is provably dead; with
        `is_ours` also on another ref, for which the ledger has an open intent.

        Raises:
            RefMovedError: REF_MOVED, the ref does not have the value `old` any more, or is locked.
            GitFailedError: the ref has the value `old`, but git cannot write it.
        """
        expected = old or "0" * len(new)
        script = f"start\0update {ref}\0{new}\0{expected}\0prepare\0commit\0"
        self._transact(ref, script, old, is_ours=is_ours)

    def _transact(self, ref: str, script: str, old: str, *, is_ours: bool = False, retry: bool = True) -> None:
        try:
            self.git.call("update-ref", "--no-deref", "--stdin", "-z", stdin=script.encode())
        except GitFailedError as error:
            reason = str(error.details.get("stderr", ""))
            actual = self.read(ref) or ABSENT
            locked = ".lock': File exists" in reason or "cannot lock references" in reason
            if actual == old and not locked:
                raise
            if retry and actual == old and self._unlock(ref, is_ours=is_ours):
                return self._transact(ref, script, old, is_ours=is_ours, retry=False)
            raise RefMovedError(
                "REF_MOVED",
                f"{ref} is locked by another git process" if actual == old else f"{ref} changed in the meantime",
                hint="kitty-flow doctor locks" if locked else "run the command again",
                details={"ref": ref, "expected": old, "actual": actual, "stderr": reason},
            ) from error

    def _unlock(self, ref: str, *, is_ours: bool) -> bool:
        """Clear a dead lock of a ref. On our own refs nobody else has business; elsewhere we wait longer."""
        ours = ref.startswith(_OWN_REFS)
        if not (ours or is_ours):
            return False
        lock = Path(self.git.text("rev-parse", "--path-format=absolute", "--git-path", ref) + ".lock")
        common = Path(self.git.text("rev-parse", "--path-format=absolute", "--git-common-dir"))
        places = (common, *(checkout.path for checkout in Worktrees(self.git).all()))
        return clear_stale_lock(lock, older_than_s=2.0 if ours else 10.0, places=places)
