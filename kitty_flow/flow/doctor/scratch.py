"""Files of kitty-flow's own that it writes aside and then renames, left behind by a process that died in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kitty_flow.flow.doctor.finding import DoctorFinding, fixable, warning
from kitty_flow.git.repository import Repository

__all__ = ["examine_scratch"]

_DEAD_AFTER_S: Final = 3600.0
_OURS: Final = re.compile(
    r"index/[0-9A-Z]{26}\.new(-journal|-wal|-shm)?"  # ledger/index.py
    r"|writer\.\d+\.[0-9a-f]{8}"  # ledger/writer.py
    r"|([^/]+/)*\.[^/]+\.\d+\.[0-9a-f]{8}",  # effects.replace_file
    re.ASCII,
)


def examine_scratch(repository: Repository, *, now: float) -> Iterator[DoctorFinding]:
    """Those that are older than an hour at `now`, in seconds since the epoch. What has another name is not ours."""
    folder = repository.state_dir
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if _OURS.fullmatch(name) and path.is_file() and not path.is_symlink() and _is_old(path, now):
            found = warning("ledger", f"kitty-flow/{name}", "left behind by a command that died", "")
            yield fixable(found, lambda path=path: _remove(path, now))  # type: ignore[misc]


def _is_old(path: Path, now: float) -> bool:
    try:
        return now - path.lstat().st_mtime > _DEAD_AFTER_S
    except OSError:  # it was removed in the meantime
        return False


def _remove(path: Path, now: float) -> str:
    if _is_old(path, now):
        path.unlink(missing_ok=True)
    return f"{path} was removed"
