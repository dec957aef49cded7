"""What was written lately, kept under a second name: `git prune` may take it for garbage although a ref names it.

`git prune --expire=now` and `git gc --prune=now` look at the refs once, walk the history, and then remove whatever was
not reachable when they looked: also objects that were written, and named by a ref, in the meantime (git-gc(1), NOTES).
A hard link in our own folder keeps such an object alive until no such process can be left; `LooseObjects.restore` puts
it back. Losing this folder loses only this protection.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["Fresh"]

_SLOT_S: Final = 300
"""Seconds after which a new folder is begun; the one before is kept, older ones go. By the wall clock, which need not
be right: a jump loses protection and nothing else."""


class Fresh:
    """The folder `directory` of objects that were written lately.

    Args:
        objects: the repository's ``objects`` directory; on another device there is no protection.
    """

    def __init__(self, directory: Path, objects: Path) -> None:
        self._directory = directory
        self._objects = objects

    def slot(self) -> Path | None:
        """The folder to keep objects in now; None when it would not be on the device of the objects.

        Raises:
            OSError: it cannot be made.
        """
        number = int(time.time()) // _SLOT_S
        slot = self._directory / str(number)
        if not slot.is_dir():
            slot.mkdir(parents=True, exist_ok=True)
            for other in self._directory.iterdir():
                if other.name not in (str(number), str(number - 1)):
                    shutil.rmtree(other, ignore_errors=True)
        return slot if slot.stat().st_dev == self._objects.stat().st_dev else None

    def alone(self) -> dict[str, str]:
        """Object to file, of those that have no other name: git packed the object, or took it for garbage."""
        found: dict[str, str] = {}
        with suppress(OSError):
            for slot in list(self._directory.iterdir()):
                with suppress(OSError), os.scandir(slot) as entries:
                    for entry in entries:
                        if "_" not in entry.name and entry.stat().st_nlink == 1:
                            found[entry.name] = entry.path
        return found
