"""Reading refs and moving one by compare-and-swap: the only commit point that kitty-flow relies on."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn

from kitty_flow.effects import sync_folder
from kitty_flow.errors import ConflictError, LedgerError
from kitty_flow.git.coprocess import CoProcess
from kitty_flow.git.process import Git, GitFailedError
from kitty_flow.git.stale_lock import LEDGER_MOVER, OWN_REFS, clear_stale_lock, lifetime_s

__all__ = ["ABSENT", "RefMovedError", "RefMover", "RefNotDurableError", "Refs"]

_OBJECT_NAME: Final = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n?")

ABSENT: Final = ""
"""The old value of a ref that must not exist yet."""


class RefMovedError(ConflictError):
    """Somebody else moved the ref in the meantime, or holds its lock; nothing was changed."""

    @property
    def is_locked(self) -> bool:
        """Whether the ref still has the expected value, and it is a lock that is in the way."""
        return bool(self.details["actual"] == self.details["expected"])


class RefNotDurableError(LedgerError):
    """The ref was moved, and is not known to be on the disk."""


@dataclass(frozen=True)
class Refs:
    """The refs of one repository. `common_dir` is the git directory that all worktrees share."""

    git: Git
    common_dir: Path

    def read(self, ref: str) -> str | None:
        """The object that `ref` points to, or None."""
        done = self.git.call("rev-parse", "--verify", "--quiet", "--end-of-options", ref, ok=(0, 1))
        return done.stdout.decode().strip() or None

    def unpacked(self, ref: str) -> str | None:
        """The object in the ref's own file, read without git; None when there is no such file, or no name in it."""
        try:
            content = (self.common_dir / ref).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        found = _OBJECT_NAME.fullmatch(content)
        return found[1].decode() if found else None

    def packed_state(self) -> tuple[int, ...] | None:
        """What changes whenever refs are packed; None when that cannot be seen."""
        if (self.common_dir / "reftable").is_dir():
            return None
        try:
            found = (self.common_dir / "packed-refs").stat()
        except FileNotFoundError:
            return ()
        return (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)

    def commit(self, ref: str) -> str | None:
        """The commit that a ref or object name resolves to, or None."""
        # A branch names a commit and nothing else; in its own file it can be read without a git process.
        found = self.unpacked(ref) if ref.startswith("refs/heads/") else None
        return found or self.read(f"{ref}^{{commit}}")

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
            RefNotDurableError: REF_NOT_DURABLE, it was moved, and the move could not be made durable.
        """
        with RefMover(self) as mover:
            mover.swap(ref, new, old, is_ours=is_ours)

    def unlock(self, ref: str, *, is_ours: bool) -> bool:
        """Clear the dead locks of a ref: its own, and that of a HEAD that points to it, which git locks with it.

        On our own refs nobody else has business; elsewhere we wait longer.
        """
        if not (ref.startswith(OWN_REFS) or is_ours):
            return False
        from kitty_flow.git.worktrees import Worktrees  # rarely needed, and the reading commands start with this module

        lock = Path(self.git.text("rev-parse", "--path-format=absolute", "--git-path", ref) + ".lock")
        checkouts = Worktrees(self.git).all()
        heads = [(c.git_dir or self.common_dir) / "HEAD.lock" for c in checkouts if c.branch == ref]
        places = (self.common_dir, *(checkout.path for checkout in checkouts))
        age = lifetime_s(ref)
        return all(clear_stale_lock(path, older_than_s=age, places=places) for path in (lock, *heads))


class RefMover:
    """Moves refs of one repository through one long-lived git process. Use as a context manager, or call `close`.

    Args:
        of_ledger: it moves the ref of one ledger only, while this ledger is locked.
    """

    def __init__(self, refs: Refs, *, of_ledger: bool = False) -> None:
        self._refs = refs
        mark = ("-c", LEDGER_MOVER) if of_ledger else ()
        self._process = CoProcess(refs.git, (*mark, "update-ref", "--no-deref", "--stdin", "-z"))

    def swap(self, ref: str, new: str, old: str, *, is_ours: bool = False) -> None:
        """As `Refs.swap`."""
        try:
            self._prepare(ref, new, old)
        except GitFailedError as error:
            self._unlock_or_raise(error, ref, old, is_ours=is_ours)
            try:
                self._prepare(ref, new, old)
            except GitFailedError as again:
                self._raise(again, ref, old)
        self._confirm(ref, old)
        try:
            self._process.send(b"commit\0", "ref.commit")
            self._process.line()
        except GitFailedError as error:
            if self._refs.read(ref) != new:  # else git died after it had moved the ref
                self._raise(error, ref, old)
        try:
            with suppress(FileNotFoundError, NotADirectoryError):  # the refs are in one file of git's own
                sync_folder((self._refs.common_dir / ref).parent, "ref.sync")
        except OSError as error:
            raise RefNotDurableError(
                "REF_NOT_DURABLE",
                f"{ref} moved, but a power cut may take it back: {error}",
                hint="mend the disk, then run the command again",
                details={"ref": ref},
            ) from error

    def _confirm(self, ref: str, old: str) -> None:
        """Now that the ref is locked, see for ourselves that it has the value `old`.

        A git process that lives long may take a packed ref for what it was before (see `kitty_flow.ledger.tip`).
        """
        actual = self._refs.unpacked(ref) or self._refs.read(ref) or ABSENT
        if actual != old:
            self.close()  # git takes the lock away, and nothing was changed
            raise _moved(ref, old, actual, f"{ref} changed in the meantime")

    def _prepare(self, ref: str, new: str, old: str) -> None:
        script = f"start\0update {ref}\0{new}\0{old or '0' * len(new)}\0prepare\0"
        self._process.send(script.encode(), "ref.prepare")
        self._process.line()
        self._process.line()

    def _unlock_or_raise(self, error: GitFailedError, ref: str, old: str, *, is_ours: bool) -> None:
        """Clear a dead lock that is in the way, or see that git went by what it knew; anything else is an answer."""
        if (self._refs.read(ref) or ABSENT) == old and (
            _is_outdated(error) or (_is_locked(error) and self._refs.unlock(ref, is_ours=is_ours))
        ):
            return
        self._raise(error, ref, old)

    def _raise(self, error: GitFailedError, ref: str, old: str) -> NoReturn:
        actual = self._refs.read(ref) or ABSENT
        locked = _is_locked(error)
        if actual == old and not locked and not _is_outdated(error):
            raise error
        message = f"{ref} is locked by another git process" if actual == old else f"{ref} changed in the meantime"
        raise _moved(ref, old, actual, message, error) from error

    def close(self) -> None:
        """End the git process. Safe to call twice; the next use starts anew."""
        self._process.close()

    def __enter__(self) -> RefMover:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _moved(ref: str, old: str, actual: str, message: str, error: GitFailedError | None = None) -> RefMovedError:
    return RefMovedError(
        "REF_MOVED",
        message,
        hint="kitty-flow doctor locks" if error and _is_locked(error) else "run the command again",
        details={"ref": ref, "expected": old, "actual": actual, "stderr": error and error.details.get("stderr")},
    )


def _is_outdated(error: GitFailedError) -> bool:
    reason = str(error.details.get("stderr", ""))
    return "but expected" in reason or "reference already exists" in reason


def _is_locked(error: GitFailedError) -> bool:
    reason = str(error.details.get("stderr", ""))
    return ".lock': File exists" in reason or "cannot lock references" in reason
