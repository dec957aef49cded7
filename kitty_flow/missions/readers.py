"""The readers of mission sources: which of them takes a path, and how each is called.

A reader is a module with a `KIND`, a glance that tells whether a path is its own, and a function that reads it to the
common form (`MissionDraft`). A path belongs to the first reader in the order below that recognises it. Modules are
imported when they are asked: most commands read no source at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from kitty_flow.missions.draft import MissionDraft
from kitty_flow.missions.findings import Findings

__all__ = ["KINDS", "Reader", "detect", "reader"]

_MODULES: Final = {
    "native": "native",
    "taskmaster": "taskmaster",
    "spec-kitty": "spec_kitty",
    "spec-kit": "spec_kit",
    "beads": "beads",
    "text": "text_file",
}
"""Kind to module, in the order in which they are asked. Taskmaster keeps a folder `tasks` too, so it comes first."""

KINDS: Final = tuple(_MODULES)


class Reader(Protocol):
    """What a reader module offers."""

    KIND: str

    def recognises(self, path: Path) -> bool:
        """Whether the file or folder `path` (absolute) looks like this reader's format; never raises."""

    def read(self, path: Path, findings: Findings) -> MissionDraft:
        """The mission at `path`; whatever cannot be read becomes a problem in `findings`.

        Raises:
            DefinitionError: nothing of it can be read.
        """


def reader(kind: str) -> Reader:
    """The reader of one kind, one of `KINDS`."""
    return cast("Reader", import_module(f"kitty_flow.missions.{_MODULES[kind]}"))


def detect(path: Path) -> Reader | None:
    """The first reader that recognises `path`."""
    return next(filter(lambda each: each.recognises(path), _all()), None)


def _all() -> Iterator[Reader]:
    return map(reader, KINDS)
