"""The definition of a mission: work packages, their dependencies and the files they own.

Named tuples and dataclasses, not pydantic models: every command reads a definition before it answers, and must not
have to wait for pydantic and its schemas first (docs/adr/0013-plain-definition.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["ExecutionMode", "LoadedMission", "MissionDefinition", "MissionSource", "Subtask", "WorkPackage"]

ExecutionMode = Literal["code_change", "planning_artifact"]


class Subtask(NamedTuple):
    """One step inside a work package, such as ``T001``."""

    id: str
    title: str = ""


@dataclass(frozen=True)
class WorkPackage:
    """A node of the dependency graph: the unit that an agent claims.

    `owned_files` are glob patterns relative to the repository root; an empty tuple means that nothing is declared and
    ownership is not enforced. `prompt` is the Markdown text handed to the implementer. One with `changes` off looks at
    things and changes no files: it gets no worktree, and its result is its summary.
    """

    id: str
    title: str
    dependencies: tuple[str, ...] = ()
    owned_files: tuple[str, ...] = ()
    execution_mode: ExecutionMode = "code_change"
    subtasks: tuple[Subtask, ...] = ()
    requirement_refs: tuple[str, ...] = ()
    prompt: str = ""
    changes: bool = True

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> WorkPackage:
        """The work package that `MissionDefinition.as_json` wrote.

        Raises:
            TypeError, KeyError: something else wrote it.
        """
        lists = {name: tuple(data[name]) for name in ("dependencies", "owned_files", "requirement_refs")}
        subtasks = tuple(Subtask(**subtask) for subtask in data["subtasks"])
        return cls(**{**data, **lists, "subtasks": subtasks})

    def as_data(self) -> dict[str, Any]:
        """What `from_data` reads. `changes` is left out unless it is off: older definitions keep their digests."""
        data = {**vars(self), "subtasks": [subtask._asdict() for subtask in self.subtasks]}
        if self.changes:
            del data["changes"]
        return data


class MissionSource(NamedTuple):
    """Where a definition was read from: the reader's name and the path relative to the repository, or absolute."""

    kind: str
    path: str


@dataclass(frozen=True)
class MissionDefinition:
    """A validated mission. `id` is a ULID, or None when the source does not carry one and none was minted yet."""

    id: str | None
    slug: str
    title: str
    target_branch: str | None
    source: MissionSource
    work_packages: tuple[WorkPackage, ...]
    template: str = "software-dev"

    @classmethod
    def from_json(cls, content: bytes) -> MissionDefinition:
        """The definition that `as_json` wrote.

        Raises:
            ValueError: something else wrote it.
        """
        try:
            data = json.loads(content)
            work_packages = tuple(WorkPackage.from_data(each) for each in data["work_packages"])
            return cls(**{**data, "source": MissionSource(**data["source"]), "work_packages": work_packages})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a mission definition: {error}") from error

    def as_json(self) -> bytes:
        """The definition as one line of JSON, the form in which the ledger keeps it: what the digest covers is last."""
        return self._head() + self._covered()[1:]

    @property
    def digest(self) -> str:
        """SHA-256 in hex of all but the mission's id and source, as JSON."""
        return hashlib.sha256(self._covered()).hexdigest()

    def has_digest(self, digest: str, content: bytes) -> bool:
        """Whether this is the digest of the definition, which was read from `content`.

        It is taken from the bytes themselves where `as_json` wrote them: making them again takes ten times as long.
        """
        head = self._head()
        covered = b"{" + content[len(head) :] if content.startswith(head) else self._covered()
        return hashlib.sha256(covered).hexdigest() == digest

    def _head(self) -> bytes:
        return _json({"id": self.id, "source": self.source._asdict()})[:-1] + b","

    def _covered(self) -> bytes:
        """What the digest covers; the order of the keys is part of it."""
        return _json(
            {
                "slug": self.slug,
                "title": self.title,
                "target_branch": self.target_branch,
                "template": self.template,
                "work_packages": [w.as_data() for w in self.work_packages],
            }
        )

    def work_package(self, work_package_id: str) -> WorkPackage:
        """The work package with that id.

        Raises:
            KeyError: there is none.
        """
        return self.by_id[work_package_id]

    @cached_property
    def by_id(self) -> Mapping[str, WorkPackage]:
        """The work packages by their ids."""
        return {work_package.id: work_package for work_package in self.work_packages}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


class LoadedMission(NamedTuple):
    """What a reader returns: the definition and its remarks about what was guessed, dropped or odd."""

    definition: MissionDefinition
    diagnostics: tuple[Diagnostic, ...] = ()
