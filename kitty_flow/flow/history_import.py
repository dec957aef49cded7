"""Importing a mission together with its history: the foreign log becomes events of the ledger, all of them or none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kitty_flow.errors import DefinitionError, RefusedError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.adoption import adopt, load_source, refresh
from kitty_flow.flow.definition import read_definition
from kitty_flow.flow.foreign_replay import Replay, replay
from kitty_flow.flow.project import Project
from kitty_flow.ledger.catalog import CatalogEntry
from kitty_flow.ledger.ledger import Batch, Draft, Ledger
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import FORCE, machine
from kitty_flow.missions.foreign_history import EVENTS_FILE, ForeignHistory, read_history, read_recorded_lanes
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.mission import MissionDefinition

__all__ = ["ImportedHistory", "import_history"]


@dataclass(frozen=True)
class ImportedHistory:
    """What was imported, or would be: `entry` is None in a rehearsal, `is_new` false when it had been there before.

    `recorded` are the lanes that the mission's own snapshot records; None without a snapshot.
    """

    entry: CatalogEntry | None
    is_new: bool
    history: ForeignHistory
    replay: Replay
    recorded: dict[str, str] | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def differs(self) -> list[dict[str, str | None]]:
        """Work packages whose replayed lane is not the one that the mission's own snapshot records."""
        return _differences(self.replay, self.recorded)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready: the loss report."""
        return {
            "events": len(self.replay.drafts),
            "forced": self.replay.forced,
            "why_forced": dict(sorted(self.replay.why_forced.items())),
            "illegal": self.replay.illegal,
            "skipped": {
                "unknown_work_packages": dict(sorted(self.replay.unknown.items())),
                "unknown_kinds": dict(self.history.unknown_kinds),
            },
            "annotations": self.history.annotations,
            "lifecycle": self.history.lifecycle,
            "duplicate_ids": [
                {"event_id": event_id, "line": line, "first_line": first}
                for event_id, line, first in self.history.duplicates
            ],
            "final": self.replay.final,
            "mission_state": self.replay.mission_state,
            "recorded": self.recorded,
            "differs": self.differs,
            "sha256": self.history.sha256,
        }


def import_history(
    project: Project, path: Path, *, target_branch: str | None = None, dry_run: bool = False
) -> ImportedHistory:
    """Adopt the mission at `path` and record its log in one batch; typed again after a kill, it does what is left.

    A mission that is in the ledger already gets its history as long as no work package of it was touched.

    Raises:
        UsageError: HISTORY_MISSING.
        DefinitionError: the mission or its log is damaged; nothing was written.
        RefusedError: HISTORY_TOO_LATE, work was begun here; HISTORY_CHANGED, another state of the log was imported.
    """
    definition = load_source(project, path).definition
    history = read_history(path)
    source = str(_folder(definition) / EVENTS_FILE)
    recorded, remarks = _snapshot(path)
    if dry_run:
        made = replay(history, definition, source)
        return ImportedHistory(None, False, history, made, recorded, (*remarks, *_remarks(history, made, recorded)))
    entry = adopt(project, path, target_branch=target_branch)
    with Ledger(project.repository, entry.mission_id, entry.slug) as ledger:
        remarks += refresh(project, ledger)
        made = replay(history, read_definition(ledger)[0], source)
        receipt = ledger.record(lambda view: _batch(view, ledger, history, made, source))
    remarks += _remarks(history, made, recorded)
    return ImportedHistory(entry, bool(receipt.events), history, made, recorded, remarks)


def _batch(view: LedgerView, ledger: Ledger, history: ForeignHistory, made: Replay, source: str) -> Batch:
    """All events of the history, the log itself as an attachment; nothing when they are there already."""
    mission = view.entity("mission", ledger.mission_id)
    before = mission.facts.get("history") if mission else None
    if before is not None and before["sha256"] == history.sha256:
        return Batch(())
    if before is not None:
        raise RefusedError(
            "HISTORY_CHANGED",
            f"{ledger.mission_slug} was imported with {before['rows']} rows of history; the log is another one by now",
            hint=f"kitty-flow log {ledger.mission_slug}",
            details={"imported_sha256": before["sha256"], "sha256": history.sha256},
        )
    touched = [name for name in made.final if _is_touched(view, name)]
    if mission is None or mission.state != "planned" or touched:
        state = mission.state if mission else "unknown"
        what = f"{', '.join(touched[:5])} moved here" if touched else f"it is {state}"
        raise RefusedError(
            "HISTORY_TOO_LATE",
            f"a history comes before any work, and {ledger.mission_slug} has begun: {what}",
            hint=f"kitty-flow log {ledger.mission_slug}",
        )
    told = {"source": source, "sha256": history.sha256, "rows": len(history.rows)}
    counts = {"forced": made.forced, "illegal": len(made.illegal), "annotations": history.annotations}
    evidence = {"history": {**told, **counts, "lifecycle": history.lifecycle}}
    drafts = [_of_mission(ledger.mission_id, "import_history", evidence=evidence), *made.drafts]
    state = made.mission_state
    if state != "planned":
        trigger = "start" if state == "running" else FORCE
        reason = "imported history: work was begun elsewhere"
        if state == "merged":
            reason = "imported history: every work package is done or canceled; nothing proves that it landed here"
        drafts.append(_of_mission(ledger.mission_id, trigger, from_state="planned", to_state=state, reason=reason))
    return Batch(drafts, {f"history/{history.sha256}.jsonl": history.content})


def _is_touched(view: LedgerView, work_package_id: str) -> bool:
    entity = view.entity("work_package", work_package_id)
    return entity is not None and set(entity.counts) != {"plan"}


def _of_mission(mission_id: str, trigger: str, **fields: Any) -> Draft:
    definition = machine("mission")
    force = fields.get("to_state") is not None
    return Draft(
        "mission", mission_id, definition.name, definition.digest, trigger, current_user(), force=force, **fields
    )


def _folder(definition: MissionDefinition) -> PurePosixPath:
    path = PurePosixPath(definition.source.path)
    return path.parent if path.suffix == ".toml" else path


def _snapshot(path: Path) -> tuple[dict[str, str] | None, tuple[Diagnostic, ...]]:
    """The recorded lanes. A snapshot is only compared with, so a damaged one stops nothing."""
    try:
        return read_recorded_lanes(path), ()
    except DefinitionError as error:
        where = error.details.get("where", "status.json")
        return None, (_warning("STATUS_UNREADABLE", f"{where}: {error.message}; nothing was compared with it", {}),)


def _differences(made: Replay, recorded: dict[str, str] | None) -> list[dict[str, str | None]]:
    if recorded is None:
        return []
    moved = {draft.entity_id for draft in made.drafts}
    names = sorted({*recorded, *moved})
    pairs = [(name, recorded.get(name), made.final.get(name)) for name in names]
    return [{"wp": name, "recorded": one, "reduced": other} for name, one, other in pairs if one != other]


def _remarks(history: ForeignHistory, made: Replay, recorded: dict[str, str] | None) -> tuple[Diagnostic, ...]:
    found = []
    for each in _differences(made, recorded):
        message = f"{each['wp']}: the log comes to {each['reduced']}, status.json records {each['recorded']}"
        found.append(_warning("HISTORY_DIFFERS", message, dict(each)))
    for name, count in sorted(made.unknown.items()):
        message = f"{count} row(s) about {name}, which the mission does not define, were left out"
        found.append(_warning("HISTORY_UNKNOWN_WORK_PACKAGE", message, {"wp": name, "rows": count}))
    for kind, count in history.unknown_kinds.items():
        message = f"{count} row(s) of the unknown kind {kind} were left out"
        found.append(_warning("HISTORY_UNKNOWN_KIND", message, {"kind": kind, "rows": count}))
    return tuple(found)


def _warning(code: str, message: str, details: dict[str, Any]) -> Diagnostic:
    return Diagnostic(severity="warning", diagnostic_code=code, message=message, phase="import", details=details)
