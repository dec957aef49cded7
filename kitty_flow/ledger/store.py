"""The ledger's trees in git: reading all segments of a commit, and writing a commit that adds events.

Tree of a ledger commit: ``log/<writer>/<segment>.jsonl`` and ``definition/<sha256>.json`` (attachments, named by their
content). Nothing here moves a ref.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from kitty_flow.errors import LedgerError
from kitty_flow.git.identity import OWN_IDENTITY, stamp
from kitty_flow.git.objects import CommitText, ObjectStore, TreeEntry
from kitty_flow.ledger.segment import (
    SEGMENT_EVENTS,
    decode_segment,
    encode_event,
    last_segment_name,
    next_segment_name,
    segment_day,
)
from kitty_flow.ledger.writer import writer_id
from kitty_flow.model.event import Event

__all__ = ["SegmentStore"]


@dataclass
class SegmentStore:
    """Reads and writes ledger commits of one repository. Remembers decoded segments by their content's name."""

    objects: ObjectStore
    state_dir: Path
    _decoded: dict[str, tuple[Event, ...]] = field(default_factory=dict)

    @cached_property
    def writer(self) -> str:
        """The id of this clone as a writer; made at first use, so that reading needs no place to write."""
        return writer_id(self.state_dir)

    def read(self, commit: str) -> tuple[Event, ...]:
        """All events of a ledger commit, in no particular order.

        Raises:
            LedgerError: OBJECT_MISSING, EVENT_DAMAGED or UNKNOWN_EVENT_SCHEMA.
        """
        found: list[Event] = []
        log = self._subtree(self.objects.read_tree(commit), "log")
        for writer in log:
            for name, entry in self._subtree(log, writer).items():
                if entry.oid not in self._decoded:
                    content = self.objects.read_blob(entry.oid)
                    self._decoded[entry.oid] = decode_segment(content, f"log/{writer}/{name}")
                found.extend(self._decoded[entry.oid])
        return tuple(found)

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
        self, tip: str | None, events: Sequence[Event], attachments: Mapping[str, bytes], message: str, at: datetime
    ) -> tuple[str, tuple[str, ...]]:
        """Write the commit that follows `tip` and holds `events`; returns it and the paths of the segments written."""
        root = dict(self.objects.read_tree(tip)) if tip else {}
        log = self._subtree(root, "log")
        own = self._subtree(log, self.writer)
        paths = self._extend(own, events, at.strftime("%Y-%m-%d"))
        log[self.writer] = TreeEntry.tree(self.objects.write_tree(own))
        root["log"] = TreeEntry.tree(self.objects.write_tree(log))
        for path, content in attachments.items():
            folder, _, name = path.partition("/")
            entries = self._subtree(root, folder)
            entries[name] = TreeEntry.blob(self.objects.write_blob(content))
            root[folder] = TreeEntry.tree(self.objects.write_tree(entries))
        ident = stamp(OWN_IDENTITY, at)
        tree = self.objects.write_tree(root)
        commit = self.objects.write_commit(CommitText(tree, (tip,) if tip else (), ident, ident, message))
        return commit, tuple(f"log/{self.writer}/{name}" for name in paths)

    def read_back(self, commit: str, paths: Sequence[str]) -> tuple[Event, ...]:
        """The events of the named segments as the object store now returns them; no cache is consulted.

        Raises:
            LedgerError: OBJECT_MISSING or EVENT_DAMAGED.
        """
        found: list[Event] = []
        for path in paths:
            blob = self.objects.read(f"{commit}:{path}")
            if blob is None:
                raise LedgerError("OBJECT_MISSING", f"{path} is missing from the ledger commit {commit}")
            found.extend(decode_segment(blob[1], path))
        return tuple(found)

    def _extend(self, own: dict[str, TreeEntry], events: Sequence[Event], day: str) -> list[str]:
        """Add events to the writer's last segment, rolling over as the rules say; changes `own`."""
        names: list[str] = []
        waiting = list(events)
        last = last_segment_name(own)
        content, count = b"", SEGMENT_EVENTS
        if segment_day(last) == day:
            content = self.objects.read_blob(own[last].oid)
            count = content.count(b"\n")
        while waiting:
            if count >= SEGMENT_EVENTS:
                last, content, count = next_segment_name(own, day), b"", 0
            room = SEGMENT_EVENTS - count
            part, waiting = waiting[:room], waiting[room:]
            content += b"".join(encode_event(event) for event in part)
            own[last] = TreeEntry.blob(self.objects.write_blob(content))
            names.append(last)
            count = SEGMENT_EVENTS
        return names

    def _subtree(self, tree: Mapping[str, TreeEntry], name: str) -> dict[str, TreeEntry]:
        entry = tree.get(name)
        return dict(self.objects.read_tree(entry.oid)) if entry else {}
