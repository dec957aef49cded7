"""Locks between kitty-flow processes: flock through filelock, so the kernel frees them when the owner dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kitty_flow.errors import ConflictError, LedgerError

__all__ = ["exclusive"]


@contextmanager
def exclusive(path: Path, *, timeout_s: float, what: str) -> Iterator[None]:
    """Hold the lock file `path` for the block.

    Raises:
        ConflictError: LOCK_TIMEOUT, another process held it for longer than `timeout_s` seconds.
        LedgerError: LOCK_UNAVAILABLE, the lock file cannot be made (read-only or full disk).
    """
    import filelock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path, timeout=timeout_s)
        lock.acquire(poll_interval=0.02)
    except filelock.Timeout as error:
        raise ConflictError(
            "LOCK_TIMEOUT",
            f"another kitty-flow process holds {what} (waited {timeout_s:.0f} s)",
            hint="run the command again when it has finished",
            details={"lock": str(path)},
        ) from error
    except OSError as error:
        raise LedgerError(
            "LOCK_UNAVAILABLE", f"cannot take the lock for {what}: {error}", details={"lock": str(path)}
        ) from error
    try:
        yield
    finally:
        lock.release()
