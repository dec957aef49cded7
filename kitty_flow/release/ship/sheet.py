"""The work sheet of one release: what is known about it so far, and how the ledger keeps each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kitty_flow.agents.settings import ShipSettings
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.remote import Remote, open_remote
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Dag, Facts
from kitty_flow.model.gate import GateResult
from kitty_flow.release.pipeline import project_pipeline

__all__ = ["Release", "ShipOptions", "note", "record_step"]


@dataclass(frozen=True)
class ShipOptions:
    """What a person asked for: `overrides` are closed gates to pass, all for the same `reason`."""

    push: bool = False
    overrides: tuple[str, ...] = ()
    reason: str = ""


@dataclass
class Release:
    """One release of one version at one commit; the ledger's release entity holds the durable part.

    `artifacts` are the SHA-256 digests of what was built, by file name; `tag_object` is the tag that was made or is
    going to be, `tag_name` its recorded name; `release_gates` are the answers of the project's own gates, `checks`
    those about the artifacts.
    """

    mission: OpenMission
    options: ShipOptions
    id: str
    version: str
    commit: str
    state: str | None = None
    artifacts: dict[str, str] | None = None
    tag_object: str = ""
    tag_name: str = ""
    release_gates: list[GateResult] = field(default_factory=list)
    checks: list[GateResult] = field(default_factory=list)
    gates: list[GateResult] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def settings(self) -> ShipSettings:
        """The `[ship]` table of the settings."""
        return self.mission.project.settings.ship

    @cached_property
    def pipeline(self) -> Dag:
        """The steps of a release with their gates, as they are when this command begins.

        Raises:
            DefinitionError: INVALID_DAG, the project's own pipeline is not valid.
        """
        return project_pipeline(self.mission.project.root, "ship")

    @property
    def tag(self) -> str:
        """The short name of the tag: once it is recorded, settings do not change it."""
        return self.tag_name or self.settings.tag.replace("{version}", self.version)

    @property
    def tag_ref(self) -> str:
        """The full name of the tag."""
        return f"refs/tags/{self.tag}"

    @property
    def folder(self) -> Path:
        """Where artifacts and logs are kept."""
        return self.mission.project.workspace_root / "ships" / self.id

    @property
    def command(self) -> str:
        """The command that goes on with this release."""
        return f"kitty-flow ship {self.mission.slug} --version {self.version}"

    @cached_property
    def remote_name(self) -> str | None:
        """The remote that the tag goes to: of the settings, else ``origin``, else the only one; None without any.

        With several remotes and none of them named, the first is asked: a tag that is taken somewhere is found.
        """
        if self.settings.remote is not None:
            return self.settings.remote
        known = self.mission.project.repository.git.text("remote").split()
        return "origin" if "origin" in known else next(iter(known), None)

    @cached_property
    def remote(self) -> Remote | None:
        """That remote; nothing is asked of it yet.

        Raises:
            UsageError: REMOTE_UNKNOWN.
        """
        if self.remote_name is None:
            return None
        project = self.mission.project
        return open_remote(project.repository, self.remote_name, start=project.root)

    def remote_tag(self) -> str | None:
        """What the remote has under the tag's name: an object, or None.

        Raises:
            ExternalToolError: REMOTE_UNREACHABLE.
        """
        return self.remote.refs(self.tag_ref).get(self.tag_ref) if self.remote is not None else None


def record_step(
    release: Release, trigger: str, *, evidence: Mapping[str, Any], facts: Facts, reason: str | None = None
) -> None:
    """Record one step of the release machine."""
    state: list[str] = []

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=release.id)
        state.append(builder.transition("release", release.id, trigger, facts, reason=reason, evidence=evidence))
        return builder.build()

    release.mission.ledger.record(build)
    release.state = state[-1]


def note(release: Release, name: str, evidence: Mapping[str, Any]) -> None:
    """Record a fact about the release that leaves its state as it is, such as what is about to be done."""

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=release.id)
        builder.annotate("release", release.id, name, evidence=evidence)
        return builder.build()

    release.mission.ledger.record(build)
