"""Packing the ledger's objects, so that git's automatic gc never starts in the user's session because of us.

An event leaves about six loose objects. git tidies at some 6,700 loose objects or at 50 packs; we pack our own, every
`EVERY` events, and merge our packs so that few exist. Everything here is best effort and may be killed at any moment:
an object is loose, or in a pack that was read back, or both. Runs outside the ledger's lock.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.lock import exclusive

if TYPE_CHECKING:
    from kitty_flow.git.packing import PackFolder

__all__ = ["EVERY", "Tidied", "tidy", "tidy_if_due"]

EVERY: Final = 500
"""Events between two tidyings: about 3,000 loose objects, less than half of git's limit."""

_OID: Final = re.compile(r"[0-9a-f]{40,64}", re.ASCII)
_PACK_NAME: Final = re.compile(r"pack-[0-9a-f]{40,64}", re.ASCII)


@dataclass(frozen=True)
class Tidied:
    """What a tidying did: objects packed, loose files removed, packs merged, and how many packs of ours there are."""

    packed: int
    removed: int
    merged: int
    packs: int


@dataclass
class Memory:
    """What the next tidying need not find out again; it may be lost at any time, and is never consulted for truth.

    `tips` are what our refs pointed to, `packs` our packs with their number of objects, `unswept` those of them whose
    objects may still be loose as well.
    """

    tips: list[str] = field(default_factory=list)
    packs: dict[str, int] = field(default_factory=dict)
    unswept: list[str] = field(default_factory=list)


def tidy_if_due(repository: Repository, events_recorded: int, *, every: int = EVERY) -> Tidied | None:
    """Note that so many events were recorded, and tidy when `every` came together over all missions; never fails.

    To be called after the receipt, without the ledger's lock. None when nothing was due, another process is at it, or
    it did not work this time.
    """
    with suppress(KittyFlowError, OSError):
        if _count(_counter(repository), events_recorded) >= every:
            return tidy(repository)
    return None


def tidy(repository: Repository) -> Tidied:
    """Pack what only refs under ``refs/kitty`` need, remove the loose copies, merge small packs of ours.

    Raises:
        ConflictError: LOCK_TIMEOUT, another process is at it.
        KittyFlowError, OSError: it did not work this time; every object is still there.
    """
    from kitty_flow.git.packing import open_packs  # late: nearly every commit only counts

    state = repository.state_dir
    with exclusive(state / "locks" / "housekeeping.lock", timeout_s=0, what="housekeeping"):
        # First of all: when it fails, the next try comes after as many events again, and not at each one.
        _counter(repository).unlink(missing_ok=True)
        with open_packs(repository, state / "packing") as packs:
            return _Tidying(packs, state / "packs.json", _remembered(state / "packs.json")).run(repository)


@dataclass
class _Tidying:
    packs: PackFolder
    path: Path
    memory: Memory

    def run(self, repository: Repository) -> Tidied:
        memory = self.memory
        memory.packs = {name: size for name, size in memory.packs.items() if self.packs.has(name)}
        removed = self._sweep()  # of a tidying that was killed
        tips = sorted(set(repository.refs.under("refs/kitty").values()))
        packed = self._pack(tips)
        removed += self._sweep()
        memory.tips = tips
        self._save()
        return Tidied(packed, removed, self._merge(), len(memory.packs))

    def _pack(self, tips: Iterable[str]) -> int:
        fresh = set(tips).difference(self.memory.tips)
        listed = self.packs.unpacked(fresh, self.memory.tips) if fresh else b""
        pack = self.packs.build(listed) if listed else None
        if pack is None:
            return 0
        self.memory.unswept.append(pack.name)
        self._adopt(pack.name, len(pack.objects))
        self.packs.add(pack)
        return len(pack.objects)

    def _sweep(self) -> int:
        """Remove the loose copies of what new packs hold; a pack that does not prove sound is not ours any more."""
        removed = 0
        for name in self.memory.unswept:
            try:
                removed += self.packs.remove_loose(name) if name in self.memory.packs else 0
            except GitFailedError:
                del self.memory.packs[name]
        self.memory.unswept = []
        return removed

    def _merge(self) -> int:
        """Merge our smallest packs when they are too many; an old pack goes when the new one is in place."""
        sizes = {name: self.memory.packs[name] for name in self.packs.mergeable(self.memory.packs)}
        old = crowd(sizes)
        if not old:
            return 0
        pack = self.packs.merge(old)
        self._adopt(pack.name, len(pack.objects))
        self.packs.add(pack)
        for name in old:
            if name != pack.name:  # a killed tidying had merged the same packs already
                self.packs.remove(name)
                del self.memory.packs[name]
        self._save()
        return len(old)

    def _adopt(self, name: str, objects: int) -> None:
        """Remember a pack as ours *before* it is added: after a kill its remains are known to be ours."""
        self.memory.packs[name] = objects
        self._save()

    def _save(self) -> None:
        scratch = self.path.with_name(f".{self.path.name}")  # one writer at a time: we hold the lock
        scratch.write_text(json.dumps(asdict(self.memory)), encoding="ascii")
        scratch.replace(self.path)


def crowd(sizes: Mapping[str, int]) -> list[str]:
    """The smallest packs that are to become one, so that each pack has at least as many objects as all smaller ones
    together: n tidyings leave at most log2(n) + 1 packs, and an object is rewritten about that often."""
    names = sorted(sizes, key=lambda name: (sizes[name], name))
    total = count = 0
    for at, name in enumerate(names):
        if sizes[name] < total:
            count = at + 1
        total += sizes[name]
    return names[:count]


def _remembered(path: Path) -> Memory:
    """What the file says, if each name in it may be one: names become paths. No library is imported for that."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        data = json.loads(path.read_bytes())
        memory = Memory([*data["tips"]], {**data["packs"]}, [*data["unswept"]])
        names, sizes = (*memory.packs, *memory.unswept), memory.packs.values()
        are_names = all(map(_OID.fullmatch, memory.tips)) and all(map(_PACK_NAME.fullmatch, names))
        if are_names and all(type(size) is int for size in sizes):
            return memory
    return Memory()


def _counter(repository: Repository) -> Path:
    return repository.state_dir / "recorded"


def _count(path: Path, events: int) -> int:
    """Add events to the counter, a file that is as long as its value: appending needs no lock and loses nothing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, b"." * events)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
