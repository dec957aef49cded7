"""Which work package the files of a working tree belong to now: resolved from the ledger at the moment of the question.

A shared execution lane has one worktree for several work packages, one after the other; the one in progress there is
the active one. What an agent's environment says is compared with it and never takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from kitty_flow.flow.definition import read_definition
from kitty_flow.flow.mission import branch_stem
from kitty_flow.flow.project import Project
from kitty_flow.git.worktree_link import administrative_directories, location
from kitty_flow.ledger.catalog import CatalogEntry, catalog, refuse_unreadable
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.mission import MissionDefinition

__all__ = ["Active", "OwnershipContext", "Stale", "active_here"]


@dataclass(frozen=True)
class OwnershipContext:
    """What a check of ownership goes by (seed 004, data model).

    `context_source` is ``ledger``, or ``ledger+environment`` where an agent's environment was there and agrees.
    `staged_files` are the paths that were judged, readable and at most a hundred.
    """

    mission: str
    active_work_package_id: str
    lane_id: str
    epoch: int
    owned_files: tuple[str, ...]
    context_source: str
    staged_files: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "mission": self.mission,
            "active_work_package_id": self.active_work_package_id,
            "lane_id": self.lane_id,
            "epoch": self.epoch,
            "owned_files": list(self.owned_files),
            "staged_files": list(self.staged_files),
            "context_source": self.context_source,
        }


class Active(NamedTuple):
    """The one work package in progress in a working tree, the commit that its attempt started from, its holder."""

    context: OwnershipContext
    definition: MissionDefinition
    base_commit: str
    holder: str


class Stale(NamedTuple):
    """Why it cannot be told whose files these are; `work_packages` are those that come into question."""

    message: str
    work_packages: tuple[str, ...] = ()


class _Found(NamedTuple):
    ledger: Ledger
    view: LedgerView
    entity: EntityState

    @property
    def mission_state(self) -> str:
        mission = self.view.entity("mission", self.ledger.mission_id)
        return mission.state if mission else "draft"


_ENDED: Final = ("aborted", "merged", "shipped")


def active_here(project: Project, here: Path, environment: Mapping[str, str]) -> Active | Stale | None:
    """Whose files the working tree at `here` holds now; None where no work package has anything to do with it.

    Raises:
        LedgerError: the ledger that would tell cannot be read.
    """
    place = location(here)
    entries = _missions_of(project, place)
    with ExitStack() as opened:
        found = [each for entry in entries for each in _placed_at(opened, project, entry, place)]
        working = [each for each in found if each.entity.state == "in_progress" and each.mission_state not in _ENDED]
        if len(working) > 1:
            names = tuple(each.entity.entity_id for each in working)
            return Stale(f"more than one work package is in progress here: {', '.join(names)}", names)
        if not working:
            return _nobody(project, place, entries, found, environment)
        active = working[0]
        differing = _differing(active, environment)
        if differing is not None:
            return Stale(differing, (active.entity.entity_id,))
        return _active(active, place, environment)


def _missions_of(project: Project, place: Path) -> list[CatalogEntry]:
    """The missions whose work can be in this working tree: by the layout of worktrees the one that its path names,
    in the main checkout every open one."""
    entries = catalog(project.repository)
    if place == location(project.root):
        return [entry for entry in entries if entry.is_open]
    stem = f"kitty/mission-{place.parent.name}"
    named = [entry for entry in entries if branch_stem(entry.mission_id, entry.slug) == stem]
    if not named and place.parent.parent.name == "worktrees" and place.name.startswith("lane-"):
        refuse_unreadable(entries)
    return named


def _placed_at(opened: ExitStack, project: Project, entry: CatalogEntry, place: Path) -> Iterator[_Found]:
    """Every work package of a mission whose last attempt was started in this working tree."""
    ledger = opened.enter_context(Ledger(project.repository, entry.mission_id, entry.slug))
    view = ledger.view()
    for entity in view.of_type("work_package").values():
        worktree = Path(str(entity.facts.get("worktree") or ""))
        if worktree.name == place.name and location(worktree) == place:
            yield _Found(ledger, view, entity)


def _nobody(
    project: Project, place: Path, entries: list[CatalogEntry], found: list[_Found], environment: Mapping[str, str]
) -> Stale | None:
    """What it means that nothing is in progress here."""
    claimed = environment.get("KITTY_FLOW_WP")
    if claimed and _is_ours(project, environment.get("KITTY_FLOW_WORKTREE", "")):
        there = environment["KITTY_FLOW_WORKTREE"]
        where = "here" if location(Path(there)) == place else f"here; its worktree is {there}"
        return Stale(f"the environment names {claimed}, which is not in progress {where}", (claimed,))
    if place == location(project.root) or not entries:
        return None
    if not found:
        return Stale("nothing is in progress in this worktree any more; its execution lane goes on elsewhere")
    last = max(found, key=lambda each: each.entity.last_event.lamport)
    name, state = last.entity.entity_id, last.entity.state
    if last.mission_state in _ENDED:
        return Stale(f"the mission {last.ledger.mission_slug} is {last.mission_state}", (name,))
    return Stale(f"nothing is in progress in this worktree: {name}, which was last, is {state}", (name,))


def _is_ours(project: Project, worktree: str) -> bool:
    """Whether the path that an agent's environment names is a working tree of this repository."""
    if not worktree:
        return False
    place = location(Path(worktree))
    return place == location(project.root) or place in administrative_directories(project.repository.common_dir)


def _differing(active: _Found, environment: Mapping[str, str]) -> str | None:
    """What the environment of an agent says otherwise than the ledger, in a sentence."""
    entity, name = active.entity, active.entity.entity_id
    pairs = (
        ("KITTY_FLOW_MISSION", active.ledger.mission_slug, "the mission"),
        ("KITTY_FLOW_WP", name, "the work package"),
        ("KITTY_FLOW_EPOCH", str(entity.epoch), "the epoch"),
        ("KITTY_FLOW_INVOCATION", str(entity.facts.get("invocation_id")), "the invocation"),
    )
    for variable, current, what in pairs:
        told = environment.get(variable)
        if told and told != current:
            return f"{what} in progress here is {current}, but {variable} is {told}"
    return None


def _active(found: _Found, place: Path, environment: Mapping[str, str]) -> Active | Stale:
    definition, plan = read_definition(found.ledger, found.view)
    name, base = found.entity.entity_id, str(found.entity.facts.get("base_commit") or "")
    if name not in definition.by_id or not base:
        return Stale(f"{name} is not part of {found.ledger.mission_slug} any more", (name,))
    context = OwnershipContext(
        found.ledger.mission_slug,
        name,
        plan.placements[name].execution_lane,
        found.entity.epoch,
        tuple(definition.work_package(name).owned_files),
        "ledger+environment" if environment.get("KITTY_FLOW_WP") else "ledger",
    )
    return Active(context, definition, base, str(found.entity.facts.get("holder") or "NAME"))
