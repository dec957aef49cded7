"""Writing loose objects in this process: every file fsynced, and every folder entry too before a ref may name it.

git's loose format is one zlib stream of ``<type> <size>\\0<content>`` under the hash of that (git-scm.com, "Git
Internals - Git Objects"). Why not by git or by a library: `docs/adr/0009-objects-in-process.md`, with the figures.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kitty_flow.effects import reach, sync_all, write
from kitty_flow.git.fresh import Fresh

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["LooseObjects"]

_COMPRESSION: Final = 1
"""Packing compresses again, with deltas; until then speed counts."""

_TOGETHER: Final = 64
"""How many files are open at the same time."""

_THREADS: Final = 8

_TRIES: Final = 20
"""How often is put back what `git prune` removed meanwhile."""


class LooseObjects:
    """Writes objects into one object directory. What was written is there, and durable, only after `settle`.

    Args:
        directory: the repository's ``objects`` directory.
        algorithm: gives the repository's object format, ``sha1`` or ``sha256``; asked only before the first write.
        fresh: keeps what was written lately.
    """

    def __init__(self, directory: Path, algorithm: Callable[[], str], fresh: Fresh) -> None:
        self._directory = directory
        self._algorithm = algorithm
        self._fresh = fresh
        self._slot: Path | None = None
        self._waiting: dict[str, tuple[str, int]] = {}
        """Written and not in place: name to the file aside and its descriptor."""
        self._placed: dict[str, str] = {}
        """In place since the last `settle`: name to the file that is kept."""
        self._folders: dict[Path, None] = {}
        """Folders whose entries are not durable yet."""
        self._pool: ThreadPoolExecutor | None = None

    @property
    def is_settled(self) -> bool:
        """Whether everything that was written is in its place."""
        return not self._waiting

    def write(self, kind: str, content: bytes) -> str:
        """Write one object aside and return its name.

        Raises:
            OSError: it could not be written; nothing is left that git would read.
        """
        data = b"%s %d\0" % (kind.encode("ascii"), len(content)) + content
        name = hashlib.new(self._algorithm(), data, usedforsecurity=False).hexdigest()
        if name in self._waiting:
            return name
        if len(self._waiting) == _TOGETHER:
            self._place()
        reach("object.create")
        try:
            scratch, descriptor = self._scratch()
            self._waiting[name] = (scratch, descriptor)
            write(descriptor, zlib.compress(data, _COMPRESSION), "object.write")
        except BaseException:
            self._drop()
            raise
        return name

    def settle(self) -> None:
        """Put everything that was written since the last call in its place, durably: before this no ref may name it.

        Raises:
            OSError: it could not be made durable.
        """
        self._placed.clear()
        self._place()
        for _ in range(_TRIES):
            self._sync_folders()
            if not self.check():
                return
        raise FileNotFoundError(errno.ENOENT, "objects are removed while they are written", str(self._directory))

    def check(self) -> int:
        """Put back what `git prune` took since the last `settle`; returns how many.

        Raises:
            OSError: one could not be put back.
        """
        missing = [name for name in self._placed if not os.path.exists(self._path(name))]  # noqa: PTH110 - a hot path
        for name in missing:
            self._put(name, self._placed[name])
        return len(missing)

    def restore(self, missing: Callable[[Collection[str]], Collection[str]]) -> int:
        """Put back what `git prune` took of all that was written lately, by whichever process; returns how many.

        Args:
            missing: says which of these objects are nowhere.
        """
        kept = self._fresh.alone()
        lost = missing(kept) if kept else ()
        for name in lost:
            self._put(name, kept[name])
        self._sync_folders()
        return len(lost)

    def close(self) -> None:
        """End the threads. Safe to call twice."""
        self._drop()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name[:2]}/{name[2:]}"

    def _scratch(self) -> tuple[str, int]:
        if not self._waiting:
            self._slot = self._fresh.slot()
        # `git prune` removes what is left over under such a name in its own folder.
        path = f"{self._slot or self._directory}/tmp_obj_{secrets.token_hex(8)}"
        return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)

    def _place(self) -> None:
        try:
            self._sync([descriptor for _, descriptor in self._waiting.values()], "object.sync")
            for name, (scratch, _) in self._waiting.items():
                kept = scratch
                if self._slot is not None:
                    kept = f"{self._slot}/{name}"
                    reach("object.keep")
                    os.replace(scratch, kept)  # noqa: PTH105 - a hot path
                reach("object.publish")
                self._put(name, kept)
                self._placed[name] = kept
        finally:
            self._drop()

    def _put(self, name: str, kept: str) -> None:
        path = self._path(name)
        folder = self._directory / name[:2]
        self._folders[folder] = None
        for _ in range(_TRIES):
            try:
                os.link(kept, path)
                return
            except FileExistsError:
                return
            except FileNotFoundError:
                self._make(folder)
            except OSError:  # a file system without hard links
                os.replace(kept, path)  # noqa: PTH105 - a hot path
                return
        if not os.path.exists(path):  # noqa: PTH110 - as above
            raise FileNotFoundError(errno.ENOENT, "it was removed while it was written", path)

    def _make(self, folder: Path) -> None:
        """Make a fan-out folder, open to the same people as the object directory (`core.sharedRepository`)."""
        reach("object.folder")
        with suppress(FileNotFoundError):  # removed again by `git prune`, since it is empty
            folder.mkdir(exist_ok=True)
            mode = self._directory.stat().st_mode & 0o7777
            if folder.stat().st_mode & 0o7777 != mode:
                folder.chmod(mode)
        self._folders[self._directory] = None

    def _sync_folders(self) -> None:
        descriptors: list[int] = []
        try:
            for folder in self._folders:
                with suppress(FileNotFoundError):  # `git prune` removes folders that it has emptied
                    descriptors.append(os.open(folder, os.O_RDONLY))
            self._sync(descriptors, "object.settle")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._folders.clear()

    def _sync(self, descriptors: Sequence[int], name: str) -> None:
        if self._pool is None and len(descriptors) > 1:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(_THREADS)
        sync_all(descriptors, name, self._pool)

    def _drop(self) -> None:
        for scratch, descriptor in self._waiting.values():
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(scratch)  # noqa: PTH108 - a hot path
        self._waiting.clear()
