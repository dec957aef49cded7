"""The ledger's trees in git: which segments a commit has, reading them, and writing a commit that adds events.

Tree of a ledger commit: ``log/<writer>/<folder>/<segment>.jsonl`` and attachments such as ``definition/<sha256>.json``.
Nothing here moves a ref.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from kitty_flow.errors import LedgerError
from kitty_flow.git.identity import OWN_IDENTITY, stamp
from kitty_flow.git.objects import CommitText, ObjectStore, TreeEntry
from kitty_flow.ledger.segment import (
    SEGMENT_EVENTS,
    last_segment_name,
    next_segment_name,
    segment_day,
    segment_folder,
)
from kitty_flow.ledger.writer import writer_id

__all__ = ["Appended", "SegmentStore", "Written"]

_LOG: Final = "log"
_TREES: Final = 64
"""How many trees that were just written are remembered; the next commit starts from them."""


class Written(NamedTuple):
    """A segment as it was written: path in the ledger's tree, blob, content before, content now."""

    path: str
    oid: str
    before: bytes
    content: bytes


class Appended(NamedTuple):
    """A ledger commit that was written, its segments that changed, and its folders that changed (path to tree)."""

    commit: str
    segments: tuple[Written, ...]
    folders: dict[str, str]


@dataclass
class SegmentStore:
    """Reads and writes ledger commits of one repository. Remembers what it wrote last, by its content's name."""

    objects: ObjectStore
    state_dir: Path
    _trees: dict[str, dict[str, TreeEntry]] = field(default_factory=dict)
    _last_content: tuple[str, bytes] = ("", b"")
    _last_root: tuple[str, Mapping[str, TreeEntry]] = ("", MappingProxyType({}))

    @cached_property
    def writer(self) -> str:
        """The id of this clone as a writer; made at first use, so that reading needs no place to write."""
        return writer_id(self.state_dir)

    def changed(self, commit: str, known: Mapping[str, str]) -> Iterator[tuple[str, TreeEntry]]:
        """(path, entry) of every folder and segment below ``log`` that is not `known` (path to object) already.

        Raises:
            LedgerError: OBJECT_MISSING or OBJECT_DAMAGED.
        """
        entry = self.objects.read_tree(commit).get(_LOG)
        if entry is not None:
            yield from self._below(_LOG, entry, known)

    def _below(self, path: str, entry: TreeEntry, known: Mapping[str, str]) -> Iterator[tuple[str, TreeEntry]]:
        if known.get(path) == entry.oid:
            return
        yield path, entry
        if entry.type == "tree":
            for name, child in self.objects.read_tree(entry.oid).items():
                yield from self._below(f"{path}/{name}", child, known)

    def attachment(self, commit: str, path: str) -> bytes:
        """The content of an attachment such as ``definition/<sha256>.json``.

        Raises:
            LedgerError: ATTACHMENT_MISSING.
        """
        found = self.objects.read(f"{commit}:{path}")
        if found is None or found[0] != "blob":
            raise LedgerError(
                "ATTACHMENT_MISSING", f"{path} is not in the ledger", hint="kitty-flow mission import PATH"
            )
        return found[1]

    def append(
        self, tip: str | None, lines: Sequence[bytes], attachments: Mapping[str, bytes], message: str, at: datetime
    ) -> Appended:
        """Write the commit that follows `tip` and holds `lines`, one encoded event each.

        Raises:
            OSError: an object could not be written.
            LedgerError: an object of `tip` cannot be read.
        """
        known, names = self._last_root
        root = dict(names if known == tip else self.objects.read_tree(tip)) if tip else {}
        log = self._subtree(root, _LOG)
        own = self._subtree(log, self.writer)
        segments, folders = self._extend(own, lines, at.strftime("%Y-%m-%d"))
        log[self.writer] = self._write_tree(own, f"{_LOG}/{self.writer}", folders)
        root[_LOG] = self._write_tree(log, _LOG, folders)
        for path, content in attachments.items():
            folder, _, name = path.partition("/")
            entries = self._subtree(root, folder)
            entries[name] = TreeEntry.blob(self.objects.write_blob(content))
            root[folder] = TreeEntry.tree(self.objects.write_tree(entries))
        ident = stamp(OWN_IDENTITY, at)
        tree = self.objects.write_tree(root)
        commit = self.objects.write_commit(CommitText(tree, (tip,) if tip else (), ident, ident, message))
        self._last_root = (commit, root)
        return Appended(commit, segments, folders)

    def read_back(self, commit: str, written: Written) -> bytes:
        """What the object store now returns for the lines that were added to a segment; no cache is consulted.

        Raises:
            LedgerError: OBJECT_MISSING, OBJECT_DAMAGED, or READ_BACK_MISMATCH when an older line changed.
        """
        found = self.objects.read(f"{commit}:{written.path}")
        if found is None:
            raise LedgerError("OBJECT_MISSING", f"{written.path} is missing from the ledger commit {commit}")
        if not found[1].startswith(written.before):
            raise LedgerError("READ_BACK_MISMATCH", f"{written.path} reads back with other lines than it had")
        return found[1][len(written.before) :]

    def _extend(
        self, own: dict[str, TreeEntry], lines: Sequence[bytes], day: str
    ) -> tuple[tuple[Written, ...], dict[str, str]]:
        """Add lines to the writer's last segment, rolling over as the rules say; changes `own`."""
        written: list[Written] = []
        touched: dict[str, dict[str, TreeEntry]] = {}
        waiting = list(lines)
        folder = max(own, default="")
        names = self._subtree(own, folder)
        last = last_segment_name(names)
        content, count = b"", SEGMENT_EVENTS
        if segment_day(last) == day:
            content = self._content(names[last].oid)
            if content and not content.endswith(b"\n"):  # torn by somebody else: the next line is whole
                content += b"\n"
            count = content.count(b"\n")
        while waiting:
            if count >= SEGMENT_EVENTS:
                last, content, count = next_segment_name((last,), day), b"", 0
            part, waiting = waiting[: SEGMENT_EVENTS - count], waiting[SEGMENT_EVENTS - count :]
            if segment_folder(last) != folder:
                folder, names = segment_folder(last), self._subtree(own, segment_folder(last))
            after = content + b"".join(part)
            names[last] = TreeEntry.blob(self.objects.write_blob(after))
            touched[folder] = names
            written.append(Written(f"{_LOG}/{self.writer}/{folder}/{last}", names[last].oid, content, after))
            count = SEGMENT_EVENTS
        self._last_content = (written[-1].oid, written[-1].content)
        folders: dict[str, str] = {}
        for folder, names in touched.items():
            own[folder] = self._write_tree(names, f"{_LOG}/{self.writer}/{folder}", folders)
        return tuple(written), folders

    def _content(self, oid: str) -> bytes:
        known, content = self._last_content
        return content if known == oid else self.objects.read_blob(oid)

    def _write_tree(self, entries: Mapping[str, TreeEntry], path: str, folders: dict[str, str]) -> TreeEntry:
        folders[path] = self.objects.write_tree(entries)
        if len(self._trees) > _TREES:
            self._trees.clear()
        self._trees[folders[path]] = dict(entries)
        return TreeEntry.tree(folders[path])

    def _subtree(self, tree: Mapping[str, TreeEntry], name: str) -> dict[str, TreeEntry]:
        entry = tree.get(name)
        if entry is None:
            return {}
        return dict(self._trees.get(entry.oid) or self.objects.read_tree(entry.oid))
