"""Packs of kitty-flow's own objects: built beside the object database, proven, and only then moved into it.

Only a loose file whose object stands in a pack that was read back is ever removed. `git prune-packed` would go further:
it also removes the user's loose files, and trusts the index of every pack without reading the pack.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kitty_flow.errors import LedgerError
from kitty_flow.git.process import Git
from kitty_flow.git.repository import Repository

__all__ = ["Pack", "PackFolder", "open_packs"]

_OWN_REFS: Final = "refs/kitty/*"


@dataclass(frozen=True)
class Pack:
    """A pack by its name (``pack-<hash>``) and the names of the objects in it."""

    name: str
    objects: frozenset[str]


@dataclass(frozen=True)
class PackFolder:
    """The packs of a repository's object database. Made by `open_packs`.

    `scratch` is an object directory of our own that borrows from the repository's: whatever a killed git leaves
    half-written lies there, and not among the user's packs.
    """

    git: Git
    objects: Path
    scratch: Path

    def unpacked(self, tips: Iterable[str], known: Iterable[str]) -> bytes:
        """The objects that `tips` need and no pack has: lines of ``<oid> <path>``.

        Left out is what `known` tips need, and what anything else of the repository needs: branches, tags, the stash,
        the HEAD of any worktree. Missing objects are passed over.

        Raises:
            GitFailedError: the history cannot be walked.
        """
        asked = "\n".join([*tips, *(f"^{tip}" for tip in known)])
        limits = ("--unpacked", "--missing=allow-any", "--ignore-missing")
        users = ("--not", f"--exclude={_OWN_REFS}", "--all")
        return self.git.output("rev-list", "--objects", *limits, "--stdin", *users, stdin=asked.encode() + b"\n")

    def build(self, objects: bytes) -> Pack | None:
        """Write a pack of the listed objects into the scratch folder, fsynced, and read it back.

        Objects that a pack has by now are left out; None when none is left.

        Raises:
            GitFailedError: it could not be written, or is not readable.
        """
        index = self._write(objects, "--incremental")
        return self._proven(index) if index else None

    def merge(self, names: Sequence[str]) -> Pack:
        """Write the objects of the packs into one in the scratch folder, fsynced, and read it back.

        git copies what these packs hold as it is and compares each piece with its checksum. So it is enough to see that
        the new pack's own checksum holds and that no object is missing; unpacking it all takes eight times as long.

        Raises:
            GitFailedError: a pack could not be read or written.
            LedgerError: PACK_INCOMPLETE, the new pack is damaged or lacks an object.
            OSError: a pack has vanished.
        """
        objects = frozenset(oid for name in names for oid in self._listed(self._index(name)))
        index = self._write("".join(f"{oid}\n" for oid in sorted(objects)).encode(), "--window=0")
        pack = Pack(index.stem, frozenset(self._listed(index))) if index else None
        if pack is None or index is None or not objects <= pack.objects or not _is_sound(index.with_suffix(".pack")):
            raise LedgerError("PACK_INCOMPLETE", "git did not merge the packs as a whole; they stay as they are")
        return pack

    def add(self, pack: Pack) -> None:
        """Move a pack from the scratch folder into the object database; durable afterwards.

        Raises:
            OSError: it could not be moved; nothing of it is left there.
        """
        try:
            # git looks for packs by their index, so this comes last.
            for path in sorted((self.scratch / "pack").glob(f"{pack.name}.*"), key=lambda path: path.suffix == ".idx"):
                path.replace(self._folder / path.name)
        except BaseException:
            self.has(pack.name)
            raise
        self._make_durable()

    def has(self, name: str) -> bool:
        """Whether the pack of ours is there; removes what is left of it when it was not added as a whole."""
        if self._index(name).exists():
            return True
        self.remove(name)
        return False

    def mergeable(self, names: Iterable[str]) -> list[str]:
        """Those packs that may be removed once others hold their objects: not kept, not in a multi-pack-index."""
        shared = b"".join(
            path.read_bytes()
            for path in (self._folder / "multi-pack-index", *self._folder.glob("multi-pack-index.d/*.midx"))
            if path.exists()
        )
        return [name for name in names if name.encode() not in shared and not self._kept(name)]

    def remove(self, name: str) -> None:
        """Remove a pack; the caller knows that its objects are elsewhere. The index goes first, as git looks for it."""
        self._index(name).unlink(missing_ok=True)
        for path in self._folder.glob(f"{name}.*"):
            path.unlink(missing_ok=True)

    def remove_loose(self, name: str) -> int:
        """Remove the loose files of exactly those objects that the pack holds, as it reads now; returns how many.

        Raises:
            GitFailedError: the pack is not readable; nothing was removed.
        """
        removed = 0
        for oid in self._proven(self._index(name)).objects:
            # Empty folders stay: another git may be about to write into one.
            with suppress(FileNotFoundError):
                os.unlink(self.objects / oid[:2] / oid[2:])  # noqa: PTH108 - thousands of them
                removed += 1
        return removed

    @property
    def _folder(self) -> Path:
        return self.objects / "pack"

    def _index(self, name: str) -> Path:
        return self._folder / f"{name}.idx"

    def _kept(self, name: str) -> bool:
        return self._index(name).with_suffix(".keep").exists()

    def _write(self, objects: bytes, *options: str) -> Path | None:
        base = self.scratch / "pack" / "pack"
        git = Git(self.git.cwd, {**self.git.env, "GIT_OBJECT_DIRECTORY": os.fspath(self.scratch)})
        # One thread: agents work beside us. One pack: the user's pack.packSizeLimit would split it.
        options = ("-q", "--non-empty", "--delta-base-offset", "--threads=1", "--max-pack-size=1024g", *options)
        digest = git.text("pack-objects", *options, os.fspath(base), stdin=objects)
        return base.with_name(f"pack-{digest}.idx") if digest else None

    def _proven(self, index: Path) -> Pack:
        """A pack after git unpacked every object in it and computed its name anew."""
        self.git.call("verify-pack", "--", os.fspath(index))
        return Pack(index.stem, frozenset(self._listed(index)))

    def _listed(self, index: Path) -> list[str]:
        lines = self.git.output("show-index", stdin=index.read_bytes()).decode("ascii").splitlines()
        return [line.split()[1] for line in lines]

    def _make_durable(self) -> None:
        if os.name != "posix":
            return
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_sound(path: Path) -> bool:
    """Whether the content of a pack has the checksum that is its name, as git names packs."""
    digest = path.stem.removeprefix("pack-")
    algorithm = "sha1" if len(digest) == 40 else "sha256"
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as view,
        view[: -len(digest) // 2] as checked,
    ):
        return hashlib.new(algorithm, checked, usedforsecurity=False).hexdigest() == digest


@contextmanager
def open_packs(repository: Repository, scratch: Path) -> Iterator[PackFolder]:
    """The packs of `repository`, for the length of the block; nobody else may use the folder `scratch` meanwhile.

    Raises:
        OSError: the scratch folder cannot be made.
    """
    objects = repository.common_dir / "objects"
    shutil.rmtree(scratch, ignore_errors=True)  # a killed process left it
    try:
        (scratch / "info").mkdir(parents=True)
        (scratch / "pack").mkdir()
        (scratch / "info" / "alternates").write_bytes(os.fsencode(objects) + b"\n")
        environment = {"GIT_DIR": os.fspath(repository.common_dir), "GIT_NO_REPLACE_OBJECTS": "1"}
        yield PackFolder(Git(repository.common_dir, environment), objects, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
