"""What an amendment makes of a definition, and what it may not: all problems at once.

What has started is not replanned: its base was chosen for the prerequisites that it had, and its work is being done or
is on the mission branch. So an edge may be added into what nobody has begun, and dropped from what waits (also after an
attempt that came to nothing: the next one needs less). Only what nobody has begun can be dropped or split.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.flow.amend_lanes import has_started, unblocked_state
from kitty_flow.flow.amend_request import Change, Edge
from kitty_flow.graph import DependencyGraph
from kitty_flow.ledger.view import LedgerView
from kitty_flow.missions.files import MAX_WORK_PACKAGES
from kitty_flow.missions.findings import Findings
from kitty_flow.model.mission import MissionDefinition, WorkPackage
from kitty_flow.model.plan import Plan

__all__ = ["MAX_CHANGES", "REFUSALS", "Amendment"]

REFUSALS: Final = frozenset(
    {"DEPENDENCY_CANCELED", "WORK_PACKAGE_ID_USED", "WORK_PACKAGE_NEEDED", "WORK_PACKAGE_STARTED"}
)
"""Problems of the moment: the request makes sense, and the state of the mission forbids it."""

MAX_CHANGES: Final = 256
"""How many edges and work packages one amendment may name, so that it fits into one event."""


class Amendment:
    """A change held against a definition and the states of its work packages in a view of the ledger.

    After construction, `definition` is the amended one as far as it could be made, `canceled` are the work packages
    that are taken out, and `findings` has every problem.
    """

    def __init__(self, definition: MissionDefinition, plan: Plan, change: Change, view: LedgerView) -> None:
        self._sharing = {(c.before, c.after) for c in plan.conflicts}
        self._change = change
        self._view = view
        self._table = dict(definition.by_id)
        self._new: dict[str, str] = {}
        self.canceled: tuple[str, ...] = ()
        self.findings = Findings()
        self.findings.problems += change.findings.problems
        self._add()
        self._split()
        self._drop_edges()
        self._add_edges()
        self._drop()
        self._check_whole()
        self.definition = replace(definition, work_packages=tuple(self._table.values()))

    def as_data(self) -> dict[str, Any]:
        """What was changed, JSON-ready, as the event keeps it."""
        change, split = self._change, self._change.split
        return {
            "added_work_packages": [w.id for w, _ in change.added],
            "dropped_work_packages": list(change.dropped),
            "split": {split.work_package_id: [part.id for part in split.parts]} if split is not None else {},
            "added_dependencies": [list(edge[:2]) for edge in change.added_edges],
            "dropped_dependencies": [list(edge[:2]) for edge in change.dropped_edges],
        }

    def _add(self) -> None:
        for work_package, where in self._change.added:
            if self._is_free(work_package.id, where):
                self._table[work_package.id] = work_package
                self._new[work_package.id] = where

    def _is_free(self, work_package_id: str, where: str) -> bool:
        """Whether nothing else has or had this id. What a superseded amendment had brought in may come back."""
        folded = work_package_id.casefold()
        if any(known.casefold() == folded for known in self._table):
            message = f"{work_package_id} is there already (ids that differ only in case count as the same)"
            self.findings.problem("DUPLICATE_WORK_PACKAGE_ID", message, where)
            return False
        for known, entity in self._view.of_type("work_package").items():
            if known.casefold() == folded and (known != work_package_id or entity.state == "canceled"):
                message = f"{known} was part of the mission and is {entity.state}; what is new needs an id of its own"
                self.findings.problem("WORK_PACKAGE_ID_USED", message, where)
                return False
        return True

    def _split(self) -> None:
        split = self._change.split
        if split is None:
            return
        where = f"--split {split.work_package_id}"
        if not self._is_known(split.work_package_id, where) or self._refuse_started(split.work_package_id, where):
            return
        whole = self._table[split.work_package_id]
        needed = {d for part in split.parts for d in part.dependencies}
        last = tuple(part.id for part in split.parts if part.id not in needed)
        before, self._table = self._table, {}
        for work_package in before.values():
            if work_package is not whole:
                self._table[work_package.id] = self._redirected(work_package, whole.id, last, where)
                continue
            for part in split.parts:
                if part.id == whole.id or self._is_free(part.id, where):
                    inherits = part.id in split.silent
                    self._table[part.id] = replace(part, dependencies=whole.dependencies) if inherits else part
                    self._new[part.id] = where
        if whole.id in self._table:
            message = f"{whole.id} ends with its split; each part needs an id of its own"
            self.findings.problem("WORK_PACKAGE_ID_USED", message, where)
        self.canceled += (whole.id,)

    def _redirected(self, dependent: WorkPackage, whole: str, last: tuple[str, ...], where: str) -> WorkPackage:
        """The dependent of a split work package: it comes after the last parts instead."""
        if whole not in dependent.dependencies:
            return dependent
        self._refuse_started(dependent.id, where)
        inherited = [last if d == whole else (d,) for d in dependent.dependencies]
        return replace(dependent, dependencies=tuple(dict.fromkeys(i for each in inherited for i in each)))

    def _drop_edges(self) -> None:
        for edge in self._change.dropped_edges:
            if not self._are_known(edge):
                continue
            work_package = self._table[edge.after]
            if edge.before not in work_package.dependencies:
                message = f"{edge.after} does not depend on {edge.before}"
                self.findings.problem("NO_SUCH_DEPENDENCY", f"{message}{self._instead(edge, work_package)}", edge.where)
            elif not self._waits(edge.after):
                self._started(edge.after, edge.where, "it had what it depends on when it began")
            else:
                self._table[edge.after] = _without(work_package, edge.before)

    def _instead(self, edge: Edge, work_package: WorkPackage) -> str:
        if (edge.before, edge.after) in self._sharing:
            return "; it comes after it because their owned files overlap"
        return f", but on {', '.join(work_package.dependencies)}" if work_package.dependencies else " or anything else"

    def _add_edges(self) -> None:
        for edge in self._change.added_edges:
            if not self._are_known(edge):
                continue
            work_package = self._table[edge.after]
            if edge.before == edge.after:
                self.findings.problem("SELF_DEPENDENCY", f"{edge.after} cannot depend on itself", edge.where)
            elif edge.before in work_package.dependencies:
                message = f"{edge.after} depends on {edge.before} already"
                self.findings.problem("DUPLICATE_DEPENDENCY", message, edge.where)
            elif self._refuse_started(edge.after, edge.where) or self._refuse_canceled(edge.before, edge.where):
                continue
            else:
                more = (*work_package.dependencies, edge.before)
                self._table[edge.after] = replace(work_package, dependencies=more)

    def _drop(self) -> None:
        for work_package_id in self._change.dropped:
            where = f"--drop-wp {work_package_id[:80]}"
            if not self._is_known(work_package_id, where) or self._refuse_started(work_package_id, where):
                continue
            leaving = set(self._change.dropped)
            dependents = [w for w in self._table.values() if work_package_id in w.dependencies and w.id not in leaving]
            needing = [w.id for w in dependents if not self._is_canceled(w.id)]
            self._table.update({w.id: _without(w, work_package_id) for w in dependents if w.id not in needing})
            if needing:
                options = " ".join(f"--drop-dependency {work_package_id}:{i}" for i in needing)
                message = f"{', '.join(needing)} depend on {work_package_id}; add {options}"
                self.findings.problem("WORK_PACKAGE_NEEDED", message, where)
            self.canceled += (work_package_id,)
        for work_package_id in self.canceled:
            self._table.pop(work_package_id, None)

    def _check_whole(self) -> None:
        """The amended graph: nothing unknown or canceled is needed by what is new, and nothing goes in a circle."""
        self._check_size()
        sound = True
        for name, where in self._new.items():
            for dependency in self._table[name].dependencies if name in self._table else ():
                if dependency not in self._table:
                    sound = False
                    message = f"{name} depends on {dependency[:80]!r}, which the mission does not have"
                    self.findings.problem("UNKNOWN_DEPENDENCY", f"{message}{self._near(dependency)}", where)
                elif dependency not in self._new:
                    self._refuse_canceled(dependency, where)
        needed = ((d, w.id) for w in self._table.values() for d in w.dependencies)
        edges = [(before, after) for before, after in needed if before in self._table]
        if not sound:
            return
        try:
            DependencyGraph(self._table, edges, source="the amendment")
        except DefinitionError as error:
            for cycle in error.details.get("cycles", ()):
                message = f"the dependencies would go in a circle: {' -> '.join(cycle)}"
                self.findings.problem(error.code, message, "the amended mission")

    def _check_size(self) -> None:
        change = self._change
        parts = len(change.split.parts) if change.split is not None else 0
        named = len(change.added_edges) + len(change.dropped_edges) + len(change.added) + len(change.dropped) + parts
        if named > MAX_CHANGES:
            message = f"names {named} changes; at most {MAX_CHANGES} are allowed at once"
            self.findings.problem("AMENDMENT_TOO_LARGE", message, "the amendment")
        if not self._table and not self.findings.problems:
            self.findings.problem("EMPTY_MISSION", "nothing would be left; abort the mission", "the amended mission")
        if len(self._table) > MAX_WORK_PACKAGES:
            message = f"has {len(self._table)} work packages; at most {MAX_WORK_PACKAGES} are allowed"
            self.findings.problem("TOO_MANY_WORK_PACKAGES", message, "the amended mission")

    def _are_known(self, edge: Edge) -> bool:
        known = [self._is_known(i, edge.where) for i in dict.fromkeys(edge[:2])]  # both are asked, and both are told
        return all(known)

    def _is_known(self, work_package_id: str, where: str) -> bool:
        if work_package_id in self._table:
            return True
        message = f"there is no work package {work_package_id[:80]!r}{self._near(work_package_id)}"
        self.findings.problem("UNKNOWN_WORK_PACKAGE", message, where)
        return False

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name[:80], list(self._table), n=1)
        return f"; did you mean {near[0]}?" if near else ""

    def _waits(self, work_package_id: str) -> bool:
        """Whether an attempt is yet to begin, be it the first or not, or none ever will."""
        entity = self._view.entity("work_package", work_package_id)
        return entity is None or unblocked_state(entity) in ("planned", "canceled")

    def _is_canceled(self, work_package_id: str) -> bool:
        entity = self._view.entity("work_package", work_package_id)
        return entity is not None and entity.state == "canceled"

    def _refuse_started(self, work_package_id: str, where: str) -> bool:
        entity = self._view.entity("work_package", work_package_id)
        if entity is None or not has_started(entity):
            return False
        self._started(work_package_id, where, "what has started is not replanned")
        return True

    def _started(self, work_package_id: str, where: str, why: str) -> None:
        entity = self._view.entity("work_package", work_package_id)
        state = entity.state if entity is not None else "planned"
        was_begun = entity is not None and entity.counts.get("start") and state in ("planned", "canceled", "blocked")
        begun = ", and was begun before" if was_begun else ""
        self.findings.problem("WORK_PACKAGE_STARTED", f"{work_package_id} is {state}{begun}: {why}", where)

    def _refuse_canceled(self, work_package_id: str, where: str) -> bool:
        if not self._is_canceled(work_package_id):
            return False
        message = f"{work_package_id} was canceled, so what depends on it would wait for ever"
        self.findings.problem("DEPENDENCY_CANCELED", message, where)
        return True


def _without(work_package: WorkPackage, dependency: str) -> WorkPackage:
    return replace(work_package, dependencies=tuple(d for d in work_package.dependencies if d != dependency))
