"""Reading refs and moving one by compare-and-swap: the only commit point that kitty-flow relies on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kitty_flow.errors import ConflictError
from kitty_flow.git.process import Git, GitFailedError

__all__ = ["ABSENT", "RefMovedError", "Refs"]

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

    def swap(self, ref: str, new: str, old: str) -> None:
        """Move `ref` from `old` to `new`, or create it when `old` is `ABSENT`; all or nothing.

        Raises:
            RefMovedError: REF_MOVED, the ref does not have the value `old` any more, or is locked.
            GitFailedError: the ref has the value `old`, but git cannot write it.
        """
        expected = old or "0" * len(new)
        script = f"start\0update {ref}\0{new}\0{expected}\0prepare\0commit\0"
        self._transact(ref, script, old)

    def delete(self, ref: str, old: str) -> None:
        """Delete `ref` if it still points to `old`.

        Raises:
            RefMovedError: REF_MOVED, as for `swap`.
            GitFailedError: as for `swap`.
        """
        self._transact(ref, f"start\0delete {ref}\0{old}\0prepare\0commit\0", old)

    def _transact(self, ref: str, script: str, old: str) -> None:
        try:
            self.git.call("update-ref", "--no-deref", "--stdin", "-z", stdin=script.encode())
        except GitFailedError as error:
            reason = str(error.details.get("stderr", ""))
            actual = self.read(ref) or ABSENT
            locked = ".lock': File exists" in reason or "cannot lock references" in reason
            if actual == old and not locked:
                raise
            raise RefMovedError(
                "REF_MOVED",
                f"{ref} is locked by another git process" if actual == old else f"{ref} changed in the meantime",
                hint="kitty-flow doctor locks" if locked else "run the command again",
                details={"ref": ref, "expected": old, "actual": actual, "stderr": reason},
            ) from error
