"""What a release reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitty_flow.model.gate import GateResult
from kitty_flow.release.ship.publish import done_steps
from kitty_flow.release.ship.sheet import Release
from kitty_flow.release.ship.tag import is_signed

__all__ = ["ShipReport", "report_of"]


@dataclass(frozen=True)
class ShipReport:
    """What was shipped, from which commit, and what is left; `next_command` is empty when nothing is."""

    release_id: str
    state: str
    version: str
    release_commit: str
    tag: str
    tag_object: str
    signed: bool
    artifacts: dict[str, str]
    published: tuple[str, ...]
    remote: str | None
    gates: tuple[GateResult, ...]
    remarks: tuple[str, ...]
    resumed: bool
    next_command: str
    folder: str

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.__dict__, "gates": [gate.model_dump(exclude_defaults=True) for gate in self.gates]}


def report_of(release: Release, *, resumed: bool) -> ShipReport:
    """The report of a release that is proved, or waits for leave to push."""
    is_over = release.state == "proved"
    return ShipReport(
        release.id,
        str(release.state),
        release.version,
        release.commit,
        release.tag,
        release.tag_object,
        is_signed(release),
        dict(release.artifacts or {}),
        tuple(sorted(done_steps(release))),
        release.remote_name,
        tuple(release.gates),
        tuple(release.remarks),
        resumed,
        "" if is_over else f"{release.command} --push",
        str(release.folder),
    )
