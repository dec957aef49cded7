"""Writing loose objects in this process: every file fsynced, and every folder entry too before a ref may name it.

git's loose format is one zlib stream of ``<type> <size>\\0<content>`` under the hash of that (git-scm.com, "Git
Internals - Git Objects"). Why not by git or by a library: `docs/adr/0009-objects-in-process.md`, with the figures.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from pathlib import Path
from typing import Final

from kitty_flow.effects import reach, sync_folder, sync_to_disk, write

__all__ = ["LooseObjects"]

_COMPRESSION: Final = 1
"""Packing compresses again, with deltas; until then speed counts."""


class LooseObjects:
    """Writes objects into one object directory. What was written is durable only after `settle`.

    Args:
        directory: the repository's ``objects`` directory.
        algorithm: ``sha1`` or ``sha256``, the repository's object format.
    """

    def __init__(self, directory: Path, algorithm: str) -> None:
        self._directory = directory
        self._algorithm = algorithm
        self._unsettled: dict[Path, None] = {}

    def write(self, kind: str, content: bytes) -> str:
        """Store one object and return its name.

        Raises:
            OSError: it could not be written; nothing of it is left that git would read.
        """
        data = b"%s %d\0" % (kind.encode("ascii"), len(content)) + content
        name = hashlib.new(self._algorithm, data, usedforsecurity=False).hexdigest()
        folder = self._directory / name[:2]
        path = folder / name[2:]
        # Also where the object is there already: it may be damaged, not durable yet, or so old that `git gc` prunes it.
        try:
            self._publish(path, zlib.compress(data, _COMPRESSION))
        except FileNotFoundError:
            self._make(folder)
            self._publish(path, zlib.compress(data, _COMPRESSION))
        self._unsettled[folder] = None
        return name

    def settle(self) -> None:
        """Make the folder entries of everything written since the last call durable: before this no ref may name it.

        Raises:
            OSError: they could not be made durable.
        """
        for folder in self._unsettled:
            sync_folder(folder, "object.settle")
        self._unsettled.clear()

    def _publish(self, path: Path, data: bytes) -> None:
        reach("object.create")
        # `git prune` and `git gc` remove what is left over under this name.
        scratch = path.with_name(f"tmp_obj_{secrets.token_hex(8)}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        try:
            try:
                write(descriptor, data, "object.write")
                sync_to_disk(descriptor, "object.sync")
            finally:
                os.close(descriptor)
            reach("object.publish")
            os.replace(scratch, path)  # noqa: PTH105 - a hot path
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise

    def _make(self, folder: Path) -> None:
        """Make a fan-out folder, open to the same people as the object directory (`core.sharedRepository`)."""
        reach("object.folder")
        folder.mkdir(exist_ok=True)
        mode = self._directory.stat().st_mode & 0o7777
        if folder.stat().st_mode & 0o7777 != mode:
            folder.chmod(mode)
        self._unsettled[self._directory] = None
