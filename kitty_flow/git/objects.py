"""The object database: read through a long-lived git process, written in this process, every write fsynced."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType

from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.git.coprocess import CoProcess
from kitty_flow.git.fresh import Fresh
from kitty_flow.git.loose import LooseObjects
from kitty_flow.git.process import Git, GitFailedError

__all__ = ["CommitText", "ObjectStore", "TreeEntry", "names_missing_object"]


@dataclass(frozen=True)
class TreeEntry:
    """One entry of a tree: mode as git writes it (``100644``, ``040000``), object type and object name."""

    mode: str
    type: str
    oid: str

    def encode(self, name: str) -> bytes:
        """The entry as it stands in a tree object."""
        mode = self.mode.lstrip("0")
        return f"{mode} {name}".encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(self.oid)

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

    Objects are read by a long-lived git process, so packs, alternates and every object format work, and written in this
    process (`loose`).

    Args:
        git: runs git with GIT_DIR set.
        directory: the ``objects`` directory.
        algorithm: gives the object format (``sha1`` or ``sha256``); asked only before the first write.
        fresh: the folder in which objects that were written lately are kept.
    """

    def __init__(self, git: Git, directory: Path, algorithm: Callable[[], str], fresh: Path) -> None:
        self._directory = directory
        self._git = git
        self._next_look = 0.0
        self._packed: tuple[int, set[str]] = (0, set())
        self._reader = CoProcess(git, ("cat-file", "--batch"))
        self._loose = LooseObjects(directory, algorithm, Fresh(fresh, directory))

    def read(self, name: str) -> tuple[str, bytes] | None:
        """Type and content of an object or revision such as ``<oid>:path``; None when it does not exist.

        Raises:
            LedgerError: OBJECT_DAMAGED, git fails while it reads the object; OBJECT_NAME_INVALID.
        """
        found = self._ask(name)
        return found[1:] if found else None

    def _ask(self, name: str) -> tuple[str, str, bytes] | None:
        if "\n" in name:
            raise LedgerError("OBJECT_NAME_INVALID", f"{name[:80]!r} cannot name an object")
        if not self._loose.is_settled:
            self._loose.settle()
        try:
            return self._read(name)
        except GitFailedError:
            pass  # it may only have been killed; a fresh process fails again when the object is at fault
        try:
            return self._read(name)
        except GitFailedError as error:
            raise LedgerError(
                "OBJECT_DAMAGED",
                f"git cannot read the object {name}: {error.message}",
                hint="kitty-flow doctor ledger",
                details={"object": name},
            ) from error

    def _read(self, name: str) -> tuple[str, str, bytes] | None:
        self._reader.send(name.encode("utf-8", "surrogateescape") + b"\n")
        head = self._reader.line().split(b" ")
        if head[-1] in (b"missing", b"ambiguous"):
            return None
        content = self._reader.read(int(head[2]))
        self._reader.read(1)
        return head[0].decode(), head[1].decode(), content

    def read_blob(self, oid: str) -> bytes:
        """Content of a blob.

        Raises:
            LedgerError: OBJECT_MISSING.
        """
        found = self.read(oid)
        if found is None or found[0] != "blob":
            raise _missing(oid)
        return found[1]

    def read_tree(self, oid: str) -> dict[str, TreeEntry]:
        """Entries of one tree (not recursive), by name.

        Raises:
            LedgerError: OBJECT_MISSING.
        """
        found = self.read(f"{oid}^{{tree}}")
        if found is None:
            start = self.read(oid)  # a commit that is here may name a tree that is not
            raise _missing(start[1][5 : 5 + len(oid)].decode() if start and start[0] == "commit" else oid)
        return _parse_tree(found[1], len(oid) // 2)

    def read_commit_head(self, commit: str) -> bytes:
        """The lines of a commit before its message.

        Raises:
            LedgerError: OBJECT_MISSING.
        """
        found = self.read(commit)
        if found is None or found[0] != "commit":
            raise _missing(commit)
        return found[1].partition(b"\n\n")[0]

    def read_parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit.

        Raises:
            LedgerError: OBJECT_MISSING.
        """
        head = self.read_commit_head(commit).decode("utf-8", "replace").splitlines()
        return tuple(line.removeprefix("parent ") for line in head if line.startswith("parent "))

    def tree_of(self, commit: str) -> str:
        """The tree of a commit.

        Raises:
            LedgerError: OBJECT_MISSING.
        """
        found = self.resolve(f"{commit}^{{tree}}")
        if found is None:
            raise _missing(commit)
        return found

    def resolve(self, revision: str) -> str | None:
        """The name of the object that a revision such as ``refs/x^{commit}`` stands for, or None.

        Raises:
            LedgerError: OBJECT_DAMAGED.
        """
        found = self._ask(revision)
        return found[0] if found else None

    def write_blob(self, content: bytes) -> str:
        """Store a blob and return its name. Other processes find it after `write_commit`."""
        return self._write("blob", content)

    def write_tree(self, entries: Mapping[str, TreeEntry]) -> str:
        """Store a tree and return its name. Other processes find it after `write_commit`."""
        rows = [
            (f"{name}/" if entry.type == "tree" else name, name, entry) for name, entry in entries.items()
        ]  # git sorts a folder as if its name ended with a slash
        encoded = sorted((key.encode("utf-8", "surrogateescape"), name, entry) for key, name, entry in rows)
        return self._write("tree", b"".join(entry.encode(name) for _, name, entry in encoded))

    def write_commit(self, commit: CommitText) -> str:
        """Store a commit and return its name. With it, everything written before is durable: a ref may name it.

        Raises:
            OSError: it could not be written, or not be made durable.
        """
        name = self._write("commit", commit.encode())
        self._loose.settle()
        return name

    def restore(self, *, at_once: bool = False) -> int:
        """Put back what a `git prune` took that had looked at the refs before one named it; returns how many objects.

        Looks at what this process wrote last, and at all that any process wrote lately: this at once, or when looking
        took less than a twentieth of the time since then.
        """
        count = 0
        if at_once:  # what is called packed here may have been put back by another process, and been taken again
            self._packed = (0, set())
        with suppress(OSError, KittyFlowError):
            count = self._loose.check(self._missing)
            begun = monotonic()
            if at_once or count or begun >= self._next_look:
                count += self._loose.restore(self._missing)
                self._next_look = begun + (0 if count else 20 * (monotonic() - begun))
        return count

    def _missing(self, names: Collection[str]) -> list[str]:
        """Which objects are nowhere. A git process that lives long also knows packs that were deleted since."""
        packs = (self._directory / "pack").stat().st_mtime_ns
        if packs != self._packed[0]:
            self._packed = (packs, set())
        asked = [name for name in names if name not in self._packed[1]]
        if not asked:
            return []
        lines = self._git.text("cat-file", "--batch-check", stdin="\n".join(asked).encode()).splitlines()
        missing = [line.split()[0] for line in lines if line.endswith(" missing")]
        self._packed[1].update(set(asked).difference(missing))
        return missing

    def _write(self, kind: str, content: bytes) -> str:
        return self._loose.write(kind, content)

    def close(self) -> None:
        """End the git process. Safe to call twice; the next use starts anew."""
        self._reader.close()
        self._loose.close()

    def __enter__(self) -> ObjectStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def names_missing_object(error: KittyFlowError) -> bool:
    """Whether an object that is not there is the reason, as we or as git told it."""
    return error.code == "OBJECT_MISSING" or "nonexistent object" in str(error.details.get("stderr", ""))


def _missing(name: str) -> LedgerError:
    return LedgerError(
        "OBJECT_MISSING",
        f"the object {name} is not in the repository",
        hint="kitty-flow doctor ledger",
        details={"object": name},
    )


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
