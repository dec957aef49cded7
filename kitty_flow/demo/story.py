"""What happened in a demo, told from the ledger and from git alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kitty_flow.demo.place import DemoPlace
from kitty_flow.flow.mission import OpenMission
from kitty_flow.model.event import Event
from kitty_flow.release.merge import MergeReport
from kitty_flow.release.verify import Proof

__all__ = ["Landed", "Rejection", "Step", "Story", "Wave", "tell_story"]


@dataclass(frozen=True)
class Step:
    """One work package: from its first claim to its approval."""

    id: str
    title: str
    execution_lane: str
    attempts: int
    rejections: int
    seconds: float
    state: str
    head: str | None


@dataclass(frozen=True)
class Wave:
    """One wave: its work packages, and the time from the first claim to the last approval."""

    number: int
    seconds: float
    work_packages: tuple[Step, ...]


@dataclass(frozen=True)
class Rejection:
    """One review that sent a work package back, and the commit that was approved in the end."""

    work_package_id: str
    title: str
    reviewer: str
    implementer: str
    rejected_commit: str
    summary: str
    findings: tuple[dict[str, Any], ...]
    approved_commit: str | None


@dataclass(frozen=True)
class Landed:
    """The landing and its proof."""

    target_ref: str
    first_commit: str
    commit: str
    tree: str
    test_command: tuple[str, ...]
    test_log: str | None
    tests_run: int | None
    proved: tuple[str, ...]
    unproved: tuple[str, ...]


@dataclass(frozen=True)
class Story:
    """Everything that a demo has to tell."""

    place: DemoPlace
    mission: dict[str, Any]
    seconds: float
    waves: tuple[Wave, ...]
    conflicts: tuple[dict[str, Any], ...]
    rejections: tuple[Rejection, ...]
    landed: Landed
    ledger: dict[str, Any]

    def commands(self, program: str) -> tuple[str, ...]:
        """What to type next in the project's folder; `program` is how kitty-flow is called there."""
        name = self.rejections[0].work_package_id if self.rejections else self.waves[0].work_packages[0].id
        return (
            f"{program} status",
            f"{program} log --wp {name}",
            f"{program} why {name}",
            f"{program} verify",
            "git log --graph --oneline main",
            f"git log --format='%h %s' {self.ledger['ref']}",
        )

    def as_data(self, program: str) -> dict[str, Any]:
        """JSON-ready."""
        place = self.place
        return {
            "directory": str(place.directory),
            "project": str(place.project),
            "agents": str(place.agents),
            "workspace": str(place.workspace),
            "pictures": {
                "plan": str(place.picture("dag.svg")),
                "final": str(place.picture("dag-final.svg")),
                "mermaid": str(place.picture("dag.mmd")),
                "page": str(place.picture("mission.html")),
            },
            "mission": self.mission,
            "seconds": self.seconds,
            "waves": [asdict(wave) for wave in self.waves],
            "conflicts": list(self.conflicts),
            "rejections": [asdict(rejection) for rejection in self.rejections],
            "landed": asdict(self.landed) | {"holds": not self.landed.unproved},
            "ledger": self.ledger,
            "next_commands": [f"cd {shlex.quote(str(place.project))}", *self.commands(program)],
        }


def tell_story(
    place: DemoPlace,
    mission: OpenMission,
    merge: MergeReport,
    proofs: Sequence[Proof],
    first_commit: str,
    seconds: float,
) -> Story:
    """Put together what the ledger, the landing and the proofs say. Changes nothing."""
    view = mission.view()
    about: dict[str, list[Event]] = {i: [] for i in mission.plan.merge_order}
    for event in mission.ledger.events():
        if event.entity_type == "work_package":
            about[event.entity_id].append(event)
    landed = Landed(
        mission.target_ref,
        first_commit,
        merge.landed_commit,
        merge.tested_tree,
        mission.project.settings.merge.test_command or (),
        merge.test_log,
        _tests_run(merge.test_log),
        tuple(p.work_package_id for p in proofs if p.state == "done" and p.on_target),
        tuple(p.work_package_id for p in proofs if p.state != "done" or not p.on_target),
    )
    return Story(
        place,
        {"id": mission.id, "slug": mission.slug, "title": mission.definition.title, "state": mission.state(view)},
        round(seconds, 2),
        tuple(_wave(mission, number, wave, about) for number, wave in enumerate(mission.plan.waves, 1)),
        tuple(
            {"work_packages": list(c.work_packages), "patterns": list(c.patterns), "ordered": c.ordered}
            for c in mission.plan.conflicts
        ),
        tuple(rejection for i in mission.plan.merge_order for rejection in _rejections(mission, i, about[i])),
        landed,
        {"ref": mission.ledger.ref, "commit": view.tip, "events": view.event_count},
    )


def _wave(mission: OpenMission, number: int, names: tuple[str, ...], about: dict[str, list[Event]]) -> Wave:
    steps = tuple(_step(mission, i, about[i]) for i in names)
    return Wave(number, _span([event for i in names for event in about[i]]), steps)


def _step(mission: OpenMission, work_package_id: str, events: Sequence[Event]) -> Step:
    entity = mission.work_package(work_package_id)
    return Step(
        work_package_id,
        mission.definition.work_package(work_package_id).title,
        mission.plan.placements[work_package_id].execution_lane,
        entity.counts.get("start", 0),
        entity.counts.get("request_changes", 0),
        _span(events),
        entity.state,
        entity.facts.get("head_commit"),
    )


def _span(events: Sequence[Event]) -> float:
    """Seconds from the first claim to the last approval, by the wall clock of the events."""
    begun = [datetime.fromisoformat(e.at) for e in events if e.trigger == "claim"]
    ended = [datetime.fromisoformat(e.at) for e in events if e.trigger == "approve"]
    return round((max(ended) - min(begun)).total_seconds(), 2) if begun and ended else 0.0


def _rejections(mission: OpenMission, work_package_id: str, events: Sequence[Event]) -> list[Rejection]:
    facts = mission.work_package(work_package_id).facts
    return [
        Rejection(
            work_package_id,
            mission.definition.work_package(work_package_id).title,
            event.actor,
            str(facts.get("implementer", "")),
            str(event.evidence.get("reviewed_commit", "")),
            str(event.evidence["feedback"]["summary"]),
            tuple(event.evidence["feedback"]["findings"]),
            next((str(e.evidence["reviewed_commit"]) for e in events[number:] if e.trigger == "approve"), None),
        )
        for number, event in enumerate(events)
        if event.trigger == "request_changes"
    ]


def _tests_run(log: str | None) -> int | None:
    """How many tests unittest says it ran; None when there is no log, because an earlier merge had run them."""
    if log is None:
        return None
    found = re.findall(r"^Ran (\d+) tests?\b", Path(log).read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return int(found[-1]) if found else None
