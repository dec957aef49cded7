"""Every lasting effect passes a numbered failpoint here, so that the crash suite can stop kitty-flow at each of them.

A failpoint is reached just before its effect; they are numbered from 1 in the order in which one process reaches them.
``KITTY_FLOW_FAILPOINT=17:exit`` makes the process end at the 17th, ``ref.commit#3:exit`` at the third of this name,
whose number does not depend on chance, and ``object.write:ENOSPC`` fails at each of this name (RELIABILITY, "B2. The
suite"). Actions:

``exit``     end at once, as after a power cut of the program; locks are freed by the kernel
``kill``     kill the git process that was to do the effect, or that does it
``crash``    both: kill that git process, and end at once, as when the whole process group is killed
``short``    write half of what was to be written, then fail as a full disk does
``ENOSPC``   or any other name of `errno`: fail with that error

``KITTY_FLOW_FAILPOINT_TRACE=FILE`` appends the name of every failpoint reached. Without these two variables a failpoint
costs one comparison.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = [
    "EXIT_STATUS",
    "VARIABLES",
    "Child",
    "inject",
    "reach",
    "replace_file",
    "sync_all",
    "sync_folder",
    "sync_to_disk",
    "write",
]

VARIABLES: Final = ("KITTY_FLOW_FAILPOINT", "KITTY_FLOW_FAILPOINT_TRACE")
"""The environment variables; an agent process must not inherit them."""

EXIT_STATUS: Final = 86
"""Exit status of a process that ended at a failpoint."""

_SYNC_TO_PLATTER: Final = 51 if sys.platform == "darwin" else None  # F_FULLFSYNC


class Child(Protocol):
    """A process that can be killed."""

    def kill(self) -> None:
        """Kill it."""


@dataclass
class _Plan:
    name: str
    at: int
    action: str
    trace: str | None
    count: int = 0
    counted: int = 0


_plan: _Plan | None = None


def inject(spec: str | None, trace: str | None = None) -> None:
    """Set the failpoint of this process (as the variable has it) and where reached ones are noted; None for neither."""
    global _plan
    which, _, action = (spec or ":").partition(":")
    name, _, number = which.rpartition("#") if "#" in which or which.isdigit() else (which, "", "0")
    _plan = _Plan(name, int(number or 0), action, trace) if spec or trace else None


def reach(name: str, child: Child | None = None) -> str | None:
    """Pass a failpoint. Returns the action that the caller itself has to carry out (``short``), if any.

    Raises:
        OSError: the planned error.
    """
    if _plan is None:
        return None
    _plan.count += 1
    if _plan.trace is not None:
        with open(_plan.trace, "a", encoding="ascii") as file:  # noqa: PTH123 - a hot path
            file.write(f"{_plan.count} {name}\n")
    if not _plan.action or _plan.name not in ("", name):
        return None
    _plan.counted += 1
    if _plan.at not in (0, _plan.counted):
        return None
    if _plan.action in ("kill", "crash") and child is not None:
        child.kill()
    if _plan.action in ("exit", "crash"):
        os._exit(EXIT_STATUS)
    if _plan.action == "kill":
        return "kill"
    if _plan.action == "short":
        return "short"
    number = getattr(errno, _plan.action)
    raise OSError(number, os.strerror(number), name)


def write(descriptor: int, data: bytes, name: str) -> None:
    """Write all of `data`; the operating system may take it in parts.

    Raises:
        OSError: not all of it could be written.
    """
    view = memoryview(data)
    if reach(name) == "short":
        os.write(descriptor, view[: len(view) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_to_disk(descriptor: int, name: str) -> None:
    """Wait until what was written is on the disk itself."""
    reach(name)
    _sync(descriptor)


def sync_all(descriptors: Sequence[int], name: str, pool: Executor | None = None) -> None:
    """Wait until what was written to all of these is on the disk, in whatever order.

    The threads of a `pool` ask for them together, so that the file system commits its journal once or twice and not
    once for each: a third of the time on an idle disk, a tenth on a busy one.

    Raises:
        OSError: one of them could not be written; then none may be relied on.
    """
    for _ in descriptors:
        reach(name)
    if pool is None:
        for descriptor in descriptors:
            _sync(descriptor)
        return
    asked = [pool.submit(_sync, descriptor) for descriptor in descriptors]
    problems = [future.exception() for future in asked]  # all have ended before a descriptor is closed
    for problem in problems:
        if problem is not None:
            raise problem


def _sync(descriptor: int) -> None:
    if _SYNC_TO_PLATTER is not None:  # macOS: fsync leaves data in the drive's cache
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(descriptor, _SYNC_TO_PLATTER)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path, name: str) -> None:
    """Make the entries of a folder durable: a file that was renamed into it is there after a power cut."""
    reach(name)
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, name: str) -> None:
    """Write a small file so that readers find the old content or the new one, never a part.

    Raises:
        OSError: it could not be written; the old content stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            write(descriptor, content, f"{name}.write")
            sync_to_disk(descriptor, f"{name}.sync")
        finally:
            os.close(descriptor)
        reach(f"{name}.publish")
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _from_environment(environment: Mapping[str, str]) -> None:
    spec, trace = (environment.get(name) for name in VARIABLES)
    if spec or trace:
        inject(spec, trace)


_from_environment(os.environ)
