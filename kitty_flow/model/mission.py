"""The definition of a mission: work packages, their dependencies and the files they own."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field

from kitty_flow.model.base import Model
from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["ExecutionMode", "LoadedMission", "MissionDefinition", "MissionSource", "Subtask", "WorkPackage"]

ExecutionMode = Literal["code_change", "planning_artifact"]


class Subtask(Model):
    """One step inside a work package, such as ``T001``."""

    id: str
    title: str = ""


class WorkPackage(Model):
    """A node of the dependency graph: the unit that an agent claims.

    `owned_files` are glob patterns relative to the repository root; an empty tuple means that nothing is declared and
    ownership is not enforced. `prompt` is the Markdown text handed to the implementer.
    """

    id: str
    title: str
    dependencies: tuple[str, ...] = ()
    owned_files: tuple[str, ...] = ()
    execution_mode: ExecutionMode = "code_change"
    subtasks: tuple[Subtask, ...] = ()
    requirement_refs: tuple[str, ...] = ()
    prompt: str = ""


class MissionSource(Model):
    """Where a definition was read from: the reader's name and the path relative to the repository, or absolute."""

    kind: str
    path: str


class MissionDefinition(Model):
    """A validated mission. `id` is a ULID, or None when the source does not carry one and none was minted yet."""

    id: str | None
    slug: str
    title: str
    target_branch: str | None
    template: str = "software-dev"
    source: MissionSource
    work_packages: tuple[WorkPackage, ...]

    def canonical_json(self) -> bytes:
        """The bytes that the digest covers: everything but the mission id and the source."""
        return self.model_dump_json(exclude={"id", "source"}).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of `canonical_json`, in hex."""
        return hashlib.sha256(self.canonical_json()).hexdigest()

    def work_package(self, work_package_id: str) -> WorkPackage:
        """The work package with that id.

        Raises:
            KeyError: there is none.
        """
        for work_package in self.work_packages:
            if work_package.id == work_package_id:
                return work_package
        raise KeyError(work_package_id)


class LoadedMission(Model):
    """What a reader returns: the definition and its remarks about what was guessed, dropped or odd."""

    definition: MissionDefinition
    diagnostics: tuple[Diagnostic, ...] = Field(default=())
