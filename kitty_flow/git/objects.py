"""Reading and writing git objects through long-lived git processes. Every write is fsynced by git itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from kitty_flow.errors import LedgerError
from kitty_flow.git.coprocess import CoProcess
from kitty_flow.git.process import Git, GitFailedError

__all__ = ["CommitText", "ObjectStore", "TreeEntry"]


@dataclass(frozen=True)
class TreeEntry:
    """One entry of a tree: mode as git writes it (``100644``, ``040000``), object type and object name."""

    mode: str
    type: str
    oid: str

    @classmethod
    def blob(cls, oid: str) -> TreeEntry:
        """A plain file."""
        return cls("100644", "blob", oid)

    @classmethod
    def tree(cls, oid: str) -> TreeEntry:
        """A directory."""
        return cls("040000", "tree", oid)


@dataclass(frozen=True)
class CommitText:
    """The content of a commit. `author` and `committer` are full ident lines: ``Name <mail> 1700000000 +0000``."""

    tree: str
    parents: tuple[str, ...]
    author: str
    committer: str
    message: str

    def encode(self) -> bytes:
        """The bytes of the commit object."""
        head = [f"tree {self.tree}", *(f"parent {p}" for p in self.parents)]
        head += [f"author {self.author}", f"committer {self.committer}"]
        return ("\n".join(head) + "\n\n" + self.message).encode("utf-8", "replace")


class ObjectStore:
    """The object database of one repository. Use as a context manager, or call `close`.

    Reading needs no place to write; the first write makes a private directory below `scratch`.
    """

    def __init__(self, git: Git, scratch: Path) -> None:
        self._git = git
        self._scratch_root = scratch
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._reader = CoProcess(git, ("cat-file", "--batch"))
        self._trees = CoProcess(git, ("mktree", "-z", "--batch"))
        self._hashers: dict[str, CoProcess] = {}

    def read(self, name: str) -> tuple[str, bytes] | None:
        """Type and content of an object or revision such as ``<oid>:path``; None when it does not exist.

        Raises:
            LedgerError: OBJECT_DAMAGED, git fails while it reads the object; OBJECT_NAME_INVALID.
        """
        if "\n" in name:
            raise LedgerError("OBJECT_NAME_INVALID", f"{name[:80]!r} cannot name an object")
        self._reader.send(name.encode("utf-8", "surrogateescape") + b"\n")
        try:
            head = self._reader.line().split(b" ")
            if head[-1] in (b"missing", b"ambiguous"):
                return None
            content = self._reader.read(int(head[2]))
            self._reader.read(1)
        except GitFailedError as error:
            raise LedgerError(
                "OBJECT_DAMAGED",
                f"git cannot read the object {name}: {error.message}",
                hint="kitty-flow doctor ledger",
                details={"object": name},
            ) from error
        return head[1].decode(), content

    def read_blob(self, oid: str) -> bytes:
        """Content of a blob.

        Raises:
            LedgerError: OBJECT_MISSING.
        """
        found = self.read(oid)
        if found is None or found[0] != "blob":
            raise LedgerError(
                "OBJECT_MISSING",
                f"the object {oid} is not in the repository",
                hint="kitty-flow doctor ledger",
                details={"object": oid},
            )
        return found[1]

    def read_tree(self, oid: str) -> dict[str, TreeEntry]:
        """Entries of one tree (not recursive), by name.

        Raises:
            LedgerError: OBJECT_MISSING.
        """
        found = self.read(f"{oid}^{{tree}}")
        if found is None:
            raise LedgerError("OBJECT_MISSING", f"the tree {oid} is not in the repository", details={"object": oid})
        return _parse_tree(found[1], len(oid) // 2)

    def write_blob(self, content: bytes) -> str:
        """Store a blob and return its name."""
        return self._hash("blob", content)

    def write_tree(self, entries: Mapping[str, TreeEntry]) -> str:
        """Store a tree and return its name."""
        lines = [f"{e.mode} {e.type} {e.oid}\t{name}\0" for name, e in entries.items()]
        self._trees.send("".join(lines).encode("utf-8", "surrogateescape") + b"\0")
        return self._trees.line().decode()

    def write_commit(self, commit: CommitText) -> str:
        """Store a commit and return its name."""
        return self._hash("commit", commit.encode())

    def _hash(self, kind: str, content: bytes) -> str:
        # hash-object takes paths, not contents: a private directory gives it one short, safe name to read.
        if self._scratch is None:
            self._scratch_root.mkdir(parents=True, exist_ok=True)
            self._scratch = tempfile.TemporaryDirectory(
                dir=self._scratch_root, prefix="objects-", ignore_cleanup_errors=True
            )
        directory = Path(self._scratch.name)
        if kind not in self._hashers:
            command = ("hash-object", "-w", "--no-filters", "--stdin-paths", "-t", kind)
            self._hashers[kind] = CoProcess(Git(directory, self._git.env), command)
        (directory / kind).write_bytes(content)
        self._hashers[kind].send(kind.encode() + b"\n")
        return self._hashers[kind].line().decode()

    def close(self) -> None:
        """End the git processes and remove the scratch directory. Safe to call twice; the next use starts anew."""
        for process in (self._reader, self._trees, *self._hashers.values()):
            process.close()
        self._hashers.clear()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def __enter__(self) -> ObjectStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _parse_tree(content: bytes, raw_size: int) -> dict[str, TreeEntry]:
    entries: dict[str, TreeEntry] = {}
    at = 0
    while at < len(content):
        space, end = content.index(b" ", at), content.index(b"\0", at)
        mode = content[at:space].decode().rjust(6, "0")
        name = content[space + 1 : end].decode("utf-8", "surrogateescape")
        at = end + 1 + raw_size
        kind = {"040000": "tree", "160000": "commit"}.get(mode, "blob")
        entries[name] = TreeEntry(mode, kind, content[end + 1 : at].hex())
    return entries
