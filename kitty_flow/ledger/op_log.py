"""The log of requests that belong to no mission: one file for each invocation, one commit for each event.

The tree of ``refs/kitty/ops`` is ``kitty-ops/<4>/<2>/<1>/<invocation-ulid>.jsonl``: the first four characters of the id
stand for twelve days, the next two for 17 minutes, one more for half a minute, so that no folder grows with the log
(ADR 27). The protocol is that of a ledger: lock, read, decide, append, read back, commit by one compare-and-swap. What
a line says is the affair of whoever records it; here lines are bytes. Two clones unite their trees (`receive`), line by
line within a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from types import TracebackType
from typing import Final, NamedTuple

from kitty_flow.effects import reach
from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.git.identity import OWN_IDENTITY, stamp
from kitty_flow.git.objects import CommitText, ObjectStore, TreeEntry, names_missing_object
from kitty_flow.git.refs import ABSENT, RefMovedError, RefNotDurableError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.op_memory import OPS_REF, acknowledged, contains, ops_rewound, remember
from kitty_flow.ledger.persistence import ledger_busy
from kitty_flow.ledger.tip import TipReader
from kitty_flow.ledger.writer import writer_id

__all__ = ["OPS_FOLDER", "OPS_REF", "OpLog", "Recorded", "op_path"]

OPS_FOLDER: Final = "kitty-ops"

_SHARDS: Final = (4, 2, 1)
_SUFFIX: Final = ".jsonl"
_LOCK_TIMEOUT_S: Final = 30.0
_TRIES: Final = 5


class Recorded(NamedTuple):
    """One event to be recorded: its line, newline included; the message of its commit; and files that go with it, by
    their path in the tree."""

    line: bytes
    message: str
    files: Mapping[str, bytes] = {}


def op_path(invocation_id: str, folder: str = OPS_FOLDER) -> str:
    """Where an invocation has its place below a folder of the tree, without an ending."""
    ends = [sum(_SHARDS[: level + 1]) for level in range(len(_SHARDS))]
    shards = [invocation_id[end - size : end] for end, size in zip(ends, _SHARDS, strict=True)]
    return "/".join((folder, *shards, invocation_id))


@dataclass
class OpLog:
    """The log of one repository. Use as a context manager, or call `close`; for one thread."""

    repository: Repository

    @cached_property
    def objects(self) -> ObjectStore:
        """The object database."""
        return self.repository.objects()

    @cached_property
    def writer(self) -> str:
        """The id of this clone."""
        return writer_id(self.repository.state_dir)

    def tip(self) -> str | None:
        """The commit at the ref; None when nothing was ever recorded.

        Raises:
            LedgerError: OBJECT_MISSING or REF_DAMAGED.
        """
        return TipReader(self.repository, self.objects, OPS_REF).read()

    def look(self) -> tuple[str | None, LedgerError | None]:
        """The tip, and LEDGER_REWOUND where it does not contain what was acknowledged last: answers may lack requests.

        Raises:
            LedgerError: as `tip`.
        """
        last = acknowledged(self.repository)
        tip = self.tip()
        return tip, None if contains(self.repository, tip, last) else ops_rewound(str(last), tip)

    def lock(self) -> AbstractContextManager[None]:
        """Hold the log against everybody else who records.

        Raises:
            ConflictError: LOCK_TIMEOUT.
        """
        lock = self.repository.state_dir / "locks" / "ops.lock"
        return exclusive(lock, timeout_s=_LOCK_TIMEOUT_S, what="the log of invocations")

    def read(self, tip: str | None, invocation_id: str) -> bytes:
        """The lines of one invocation at a commit; empty when it has none.

        Raises:
            LedgerError: OBJECT_DAMAGED.
        """
        found = self.objects.read(f"{tip}:{op_path(invocation_id)}{_SUFFIX}") if tip else None
        return found[1] if found and found[0] == "blob" else b""

    def file(self, tip: str | None, path: str) -> bytes | None:
        """The content of a file of the tree, or None."""
        found = self.objects.read(f"{tip}:{path}") if tip else None
        return found[1] if found and found[0] == "blob" else None

    def newest_first(self, tip: str | None, prefix: str = "") -> Iterator[tuple[str, str]]:
        """(invocation id, blob) of all invocations whose id begins with `prefix`; reads a folder when it is its turn.

        Raises:
            LedgerError: OBJECT_MISSING or OBJECT_DAMAGED.
        """
        root = self.objects.read_tree(tip).get(OPS_FOLDER) if tip else None
        if root is not None:
            yield from self._below(root, prefix, "", _SHARDS)

    def _below(self, folder: TreeEntry, prefix: str, above: str, shards: Sequence[int]) -> Iterator[tuple[str, str]]:
        entries = self.objects.read_tree(folder.oid)
        for name in sorted(entries, reverse=True):
            entry, path = entries[name], name.removesuffix(_SUFFIX) if not shards else above + name
            if not (path.startswith(prefix) or prefix.startswith(path)):
                continue
            if shards and entry.type == "tree":
                yield from self._below(entry, prefix, path, shards[1:])
            elif not shards and entry.type == "blob" and path.startswith(prefix):
                yield path, entry.oid

    def record(self, invocation_id: str, build: Callable[[bytes, str | None], Sequence[Recorded]]) -> bytes:
        """Record what `build` decides on the lines that the invocation has, and on the tip; returns all of its lines,
        as read back. Returns only after the commit; whatever is raised leaves the log as it was.

        Raises:
            ConflictError: LOCK_TIMEOUT; LEDGER_BUSY, the ref kept moving.
            LedgerError: the log cannot be read or written, or does not read back (STA-001, STA-002); LEDGER_REWOUND,
                the ref lost what was acknowledged.
        """
        with self.lock():
            content, count = self._recorded(invocation_id, build)
        reach("ledger.acknowledge")
        if count:
            self.objects.restore()
            from kitty_flow.ledger.housekeeping import tidy_if_due  # late: nothing to tidy for those who read

            tidy_if_due(self.repository, count)
        return content

    def _recorded(
        self, invocation_id: str, build: Callable[[bytes, str | None], Sequence[Recorded]]
    ) -> tuple[bytes, int]:
        moved: RefMovedError | None = None
        for _ in range(_TRIES):
            tip, rewound = self.look()
            if rewound is not None:
                raise rewound
            before = self.read(tip, invocation_id)
            wanted = build(before, tip)
            if not wanted:
                return before, 0
            try:
                self._commit(tip, invocation_id, before, wanted)
            except RefMovedError as error:  # an exchange of another process, or git itself
                moved = error
                continue
            except OSError as error:
                raise _not_recorded(invocation_id, error) from error
            except KittyFlowError as error:
                if names_missing_object(error) and self.objects.restore(at_once=True):
                    continue
                raise _not_recorded(invocation_id, error) from error
            return before + b"".join(each.line for each in wanted), len(wanted)
        raise ledger_busy(OPS_REF, moved) from moved

    def _commit(self, tip: str | None, invocation_id: str, before: bytes, wanted: Sequence[Recorded]) -> None:
        """Write a commit for each event and move the ref once: nothing is recorded before, everything after."""
        at, path, content = tip, op_path(invocation_id) + _SUFFIX, before
        ident = stamp(OWN_IDENTITY, datetime.now(UTC))
        for each in wanted:
            content += each.line
            tree = self.objects.tree_of(at) if at else None
            for name, data in {**each.files, path: content}.items():
                tree = self._placed(tree, name.split("/"), data)
            assert tree is not None
            text = CommitText(tree, (at,) if at else (), ident, ident, each.message)
            at = self.objects.write_commit(text)
            self._read_back(at, {**each.files, path: content})
        assert at is not None
        self.repository.refs.swap(OPS_REF, at, tip or ABSENT)
        remember(self.repository, at)

    def _placed(self, tree: str | None, parts: Sequence[str], content: bytes) -> str:
        """The tree with one more or another file in it."""
        entries = self.objects.read_tree(tree) if tree else {}
        name, *rest = parts
        if rest:
            below = entries.get(name)
            entries[name] = TreeEntry.tree(self._placed(below.oid if below else None, rest, content))
        else:
            entries[name] = TreeEntry.blob(self.objects.write_blob(content))
        return self.objects.write_tree(entries)

    def _read_back(self, commit: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            if self.file(commit, path) != content:
                raise LedgerError("READ_BACK_MISMATCH", f"{path} reads back differently from what was written")

    def close(self) -> None:
        """End the git process. Safe to call twice."""
        opened = self.__dict__.pop("objects", None)
        if opened is not None:
            opened.close()

    def __enter__(self) -> OpLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _not_recorded(invocation_id: str, error: OSError | KittyFlowError) -> LedgerError:
    cause = error.message if isinstance(error, KittyFlowError) else str(error)
    code = error.code if isinstance(error, KittyFlowError) else type(error).__name__
    hint = "nothing was recorded: mend the cause, then run the command again"
    if isinstance(error, RefNotDurableError):
        look = f"kitty-flow invocations show {invocation_id}"
        hint = f"it is in the log, but not known to be on the disk: mend the cause; {look}"
    return LedgerError(
        "OP_NOT_RECORDED",
        f"invocation {invocation_id} could not be recorded ({cause})",
        hint=hint,
        details={
            "invocation_id": invocation_id,
            "path": f"{OPS_REF}:{op_path(invocation_id)}{_SUFFIX}",
            "diagnostic_code": code,
            "violated_invariant": "STA-002" if code == "READ_BACK_MISMATCH" else "STA-001",
        },
    )
