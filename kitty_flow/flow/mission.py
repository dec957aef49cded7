"""Opening a mission by name: the ledger's definition, or the source file adopted on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kitty_flow.errors import KittyFlowError, RefusedError, UsageError
from kitty_flow.flow.definition import RecordedPlan, lanes_kept, read_definition, recorded_plan
from kitty_flow.flow.project import Project
from kitty_flow.flow.remarks import remarks
from kitty_flow.ledger.catalog import CatalogEntry, catalog, refuse_unreadable
from kitty_flow.ledger.ledger import Ledger, Receipt
from kitty_flow.ledger.persistence import refuse_rewound
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

if TYPE_CHECKING:
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["OpenMission", "open_mission"]


@dataclass(frozen=True)
class OpenMission:
    """A mission whose ledger is open: definition and plan as recorded when it was opened.

    An amendment may replace both meanwhile. Who decides does so on `at(view)`; what has been claimed is placed once
    and for all, so who works on it may go on with what was read after the claim.
    """

    project: Project
    ledger: Ledger
    definition: MissionDefinition
    plan: Plan
    diagnostics: tuple[Diagnostic, ...] = ()
    was_named: bool = False
    recorded: RecordedPlan | None = None

    def at(self, view: LedgerView) -> OpenMission:
        """This mission with the definition and the plan that count in `view`: itself, unless it was amended.

        One definition can have several plans, after an amendment and its inverse; and a start that came from another
        clone binds its work package to a lane.

        Raises:
            LedgerError: DEFINITION_MISSING or DEFINITION_DAMAGED.
        """
        recorded = recorded_plan(view, self.id)
        if self.recorded is None or recorded is None:
            return self
        if recorded != self.recorded:
            definition, plan = read_definition(self.ledger, view)
            return replace(self, definition=definition, plan=plan, recorded=recorded)
        plan = lanes_kept(self.plan, view, self.id)
        return self if plan is self.plan else replace(self, plan=plan)

    @property
    def option(self) -> str:
        """What a suggested command needs behind it to mean this mission: nothing where none had to be named."""
        return f" -m {self.slug}" if self.was_named else ""

    @property
    def id(self) -> str:
        """The ULID."""
        return self.ledger.mission_id

    @property
    def slug(self) -> str:
        """The slug."""
        return self.ledger.mission_slug

    @property
    def branch(self) -> str:
        """The mission branch (full ref): approved work is integrated there."""
        return f"refs/heads/{branch_stem(self.id, self.slug)}"

    def lane_branch(self, lane_id: str) -> str:
        """The branch (full ref) of an execution lane."""
        return f"{self.branch}-{lane_id}"

    @property
    def target_ref(self) -> str:
        """The branch (full ref) the mission is to land on."""
        return f"refs/heads/{self.target_branch}"

    @property
    def target_branch(self) -> str:
        """Name of the target branch: as recorded last, else as defined."""
        entity = self.view().entity("mission", self.id)
        recorded = entity.facts.get("target_branch") if entity else None
        return str(recorded or self.definition.target_branch or "")

    def view(self) -> LedgerView:
        """The ledger as it is now."""
        return self.ledger.view()

    def state(self, view: LedgerView | None = None) -> str:
        """The mission's state."""
        entity = (view or self.view()).entity("mission", self.id)
        return entity.state if entity else "draft"

    def work_package(self, work_package_id: str, view: LedgerView | None = None) -> EntityState:
        """What the ledger says about a work package.

        Raises:
            UsageError: UNKNOWN_WORK_PACKAGE.
            RefusedError: WORK_PACKAGE_DROPPED, an amendment took it out, or the one that had brought it in lost.
        """
        entity = self.recorded_work_package(work_package_id, view)
        if work_package_id not in self.definition.by_id:
            raise self._dropped(entity)
        return entity

    def _dropped(self, entity: EntityState) -> RefusedError:
        name, slug = entity.entity_id, self.slug
        mission = self.view().entity("mission", self.id)
        if mission is None or not mission.counts.get("amend"):
            message, hint = f"{name} is not part of {slug} any more: its source was edited", f"kitty-flow plan {slug}"
        elif entity.state == "canceled":
            message = f"{name} is not part of {slug} any more, an amendment took it out: {entity.last_event.reason}"
            hint = f"kitty-flow mission show {slug}"
        else:
            message = f"{name} is not part of {slug}: the amendment that had brought it in was superseded"
            hint = f"kitty-flow mission amend {slug} --add-wp FILE --reason TEXT brings it back as it stands"
        return RefusedError("WORK_PACKAGE_DROPPED", message, hint=hint)

    def recorded_work_package(self, work_package_id: str, view: LedgerView | None = None) -> EntityState:
        """As `work_package`, also for one that is not part of the mission any more: it may still be given back.

        Raises:
            UsageError: UNKNOWN_WORK_PACKAGE.
            LedgerError: LEDGER_REWOUND, the ledger lost what it had.
        """
        view = view or self.view()
        entity = view.entity("work_package", work_package_id)
        if entity is None:
            refuse_rewound(view)
            known = [w.id for w in self.definition.work_packages]
            raise UsageError(
                "UNKNOWN_WORK_PACKAGE",
                f"{self.slug} has no work package {work_package_id!r}",
                hint=f"kitty-flow status {self.slug}",
                details={"known": known},
            )
        return entity


def branch_stem(mission_id: str, slug: str) -> str:
    """Name of the mission branch, without ``refs/heads/``: the slug and the first eight characters of the id, once."""
    mid8 = mission_id[:8]
    return f"kitty/mission-{slug}" if slug.endswith(mid8) else f"kitty/mission-{slug}-{mid8}"


@contextmanager
def open_mission(project: Project, name: str | None = None, *, refresh_source: bool = False) -> Iterator[OpenMission]:
    """The mission called `name` (slug, ULID or unambiguous prefix); without a name, the only open one.

    A mission that exists only as a source in the repository is adopted: created and planned in the ledger.
    `refresh_source` takes over an edited source as long as no work package has been started.

    Raises:
        UsageError: MISSION_NOT_FOUND, AMBIGUOUS_MISSION or MISSION_REQUIRED.
        DefinitionError: the source is invalid.
    """
    entry = resolve(project, name)
    with Ledger(project.repository, entry.mission_id, entry.slug) as ledger:
        diagnostics = _refreshed(project, ledger) if refresh_source else ()
        ledger.listeners.append(_hook_teller(project))
        view = ledger.view()
        definition, plan = read_definition(ledger, view)
        told = (*diagnostics, *remarks(view))
        recorded = recorded_plan(view, ledger.mission_id)
        try:
            yield OpenMission(project, ledger, definition, plan, told, name is not None, recorded)
        except KittyFlowError as error:
            error.details.setdefault("mission", entry.slug)
            raise


def resolve(project: Project, name: str | None) -> CatalogEntry:
    """The catalog entry a name stands for, adopting a source where needed.

    Raises:
        UsageError: MISSION_NOT_FOUND, AMBIGUOUS_MISSION or MISSION_REQUIRED.
        LedgerError: LEDGER_UNREADABLE, it may be the mission whose ledger is damaged.
    """
    entries = catalog(project.repository)
    if name is None:
        return _only_open(project, entries)
    exact = [e for e in entries if name in (e.slug, e.mission_id)]
    exact = [e for e in exact if e.state != "aborted"] or exact[-1:]
    found = exact or [e for e in entries if e.slug.startswith(name) or e.mission_id.startswith(name.upper())]
    if len(found) == 1 and exact:
        return found[0]
    from kitty_flow.missions.source import find_mission

    source = find_mission(project.root, name) if not exact else None
    if source is not None:
        adopted = _adopted(project, source)
        if not found or found == [adopted]:
            return adopted
        found.append(adopted)
    if len(found) == 1:
        return found[0]
    if not found:
        refuse_unreadable(entries)
        raise UsageError(
            "MISSION_NOT_FOUND",
            f"there is no mission {name!r} in {project.root}",
            hint="kitty-flow mission list",
        )
    raise _ambiguous(name, [e.slug for e in found])


def _only_open(project: Project, entries: tuple[CatalogEntry, ...]) -> CatalogEntry:
    """The mission that is meant when none is named: the only open one, the only source, or the only one at all."""
    is_open = [e for e in entries if e.is_open]
    if len(is_open) == 1:
        return is_open[0]
    from kitty_flow.missions.source import discover

    known = {e.slug for e in entries} | {e.mission_id for e in entries}
    sources = [s for s in discover(project.root) if not {s.slug, s.id} & known and s.problem is None]
    if not is_open and len(sources) == 1:
        return _adopted(project, sources[0].path)
    if not is_open and not sources and len(entries) == 1:
        return entries[0]
    names = sorted([*(e.slug for e in is_open or (() if sources else entries)), *(s.slug for s in sources)])
    if names:
        raise UsageError(
            "MISSION_REQUIRED",
            f"which mission? {', '.join(names[:10])}{' …' if len(names) > 10 else ''}",
            hint="name one of them; kitty-flow mission list shows all",
            details={"missions": names},
        )
    raise UsageError(
        "NO_OPEN_MISSION",
        "there is no mission here",
        hint="kitty-flow mission create SLUG, kitty-flow sync for what another clone holds, or kitty-flow demo",
    )


def _ambiguous(name: str, slugs: list[str]) -> UsageError:
    return UsageError(
        "AMBIGUOUS_MISSION",
        f"{name!r} could be {', '.join(slugs)}",
        hint="kitty-flow mission list",
        details={"missions": slugs},
    )


def _hook_teller(project: Project) -> Callable[[Receipt], None]:
    """Tells the hooks of receipts; without hooks in the settings, nothing of theirs is loaded."""

    @cache
    def has_hooks() -> bool:
        from kitty_flow.agents.settings_file import read_settings

        with suppress(KittyFlowError):
            return "hooks" in read_settings(project.root)
        return True  # a file that cannot be read is told of there

    def tell(receipt: Receipt) -> None:
        if has_hooks():
            from kitty_flow.flow.hooks import tell

            tell(project, receipt)

    return tell


# Adopting and refreshing decide and record; reading commands do neither and need not wait for what they import.


def _adopted(project: Project, path: Path) -> CatalogEntry:
    from kitty_flow.flow.adoption import adopt

    return adopt(project, path)


def _refreshed(project: Project, ledger: Ledger) -> tuple[Diagnostic, ...]:
    from kitty_flow.flow.adoption import refresh

    return refresh(project, ledger)
