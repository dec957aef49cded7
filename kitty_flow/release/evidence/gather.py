"""The bundle of a mission, read from its ledger: the same landings give the same bytes, whoever asks and whenever."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitty_flow.effects import replace_file, sync_folder
from kitty_flow.errors import ExternalToolError, RefusedError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.fold import fold
from kitty_flow.release.evidence.selection import proved_landings, select
from kitty_flow.release.evidence.statement import statement_of

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["bundle_path", "counting", "gather", "recorded_in", "write_file"]


def gather(mission: OpenMission) -> dict[str, Any]:
    """The sealed statement about every completed landing of the mission.

    Raises:
        RefusedError: NOTHING_LANDED.
        LedgerError: the log cannot be read.
    """
    events = counting(mission.ledger.events())
    landings = proved_landings(events)
    if not landings:
        raise RefusedError(
            "NOTHING_LANDED",
            f"{mission.slug} has no completed landing that a bundle could be about",
            hint=f"kitty-flow merge {mission.slug}",
        )
    chosen = select(events, landings)
    return statement_of(
        chosen, mission.ledger.ref, recorded_in(mission.project.repository, mission.ledger.ref, chosen[-1])
    )


def counting(events: Iterable[Event]) -> tuple[Event, ...]:
    """The events that count: without those that lost against what another clone recorded at the same time."""
    known = tuple(events)
    lost = {event_id for conflict in fold(known).conflicts for event_id in conflict.superseded}
    return tuple(event for event in known if event.event_id not in lost)


def recorded_in(repository: Repository, ref: str, event: Event) -> str:
    """The commit of the ledger `ref` that recorded an event; the diary of each commit names its events."""
    words = ("log", "-1", "--format=%H", "--fixed-strings", f"--grep=Kitty-Event: {event.event_id}")
    return repository.store_git.text(*words, ref, "--")


def bundle_path(mission: OpenMission) -> Path:
    """Where a merge leaves the bundle: beside the logs of its tests."""
    return mission.project.workspace_root / "merges" / f"{mission.slug}-{mission.id[:8]}.evidence.json"


def write_file(path: Path, content: bytes) -> None:
    """Put a file in place, as a whole.

    Raises:
        ExternalToolError: OUTPUT_NOT_WRITTEN.
    """
    try:
        replace_file(path, content, "evidence")
        sync_folder(path.parent, "evidence.settle")
    except OSError as error:
        raise ExternalToolError(
            "OUTPUT_NOT_WRITTEN", f"{path} cannot be written: {error.strerror}", hint="choose another FILE"
        ) from error
