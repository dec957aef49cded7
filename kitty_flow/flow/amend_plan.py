"""The plan of an amended mission: optimal for what has not started, unchanged for what has. Pure.

Three rules are added to those of `graph`: nothing is ordered before what has started because of shared files; what has
started keeps its execution lane; the rest joins the lanes in use where it comes after everything in them anyway, and
gets the fewest new ones otherwise (the chain cover of `graph`, in which each lane in use is one node at the front).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from heapq import heapify, heappop, heappush
from itertools import count, product
from string import ascii_lowercase

from kitty_flow.flow.amend_lanes import lanes_of
from kitty_flow.graph import PLANNING_LANE, DependencyGraph, Reachability, compute_plan, place
from kitty_flow.graph.ownership import Owners, shared_patterns
from kitty_flow.graph.reachability import bits
from kitty_flow.model.ids import natural_key
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import OwnershipConflict, Plan

__all__ = ["replan"]


def replan(definition: MissionDefinition, before: Plan, used: Mapping[str, str]) -> Plan:
    """The plan of an amended definition.

    Args:
        definition: the amended definition.
        before: the plan that counted so far.
        used: the execution lane of each work package that has started.

    Raises:
        DefinitionError: DUPLICATE_WORK_PACKAGE, UNKNOWN_DEPENDENCY or DEPENDENCY_CYCLE.
    """
    kept = {i: lane for i, lane in used.items() if i in definition.by_id}
    if not kept:
        return compute_plan(definition)
    ids = [w.id for w in definition.work_packages]
    declared = DependencyGraph(ids, _edges(definition), source=definition.source.path)
    orders = tuple(_orders(definition, declared, before, kept))
    after: dict[str, list[str]] = {}
    for order in orders:
        after.setdefault(order.after, []).append(order.before)
    widened = tuple(replace(w, dependencies=(*w.dependencies, *after.get(w.id, ()))) for w in definition.work_packages)
    plan = compute_plan(replace(definition, work_packages=widened))
    conflicts = sorted(
        _needed(declared, (*plan.conflicts, *orders)), key=lambda c: [*map(natural_key, c.work_packages)]
    )
    plan = replace(plan, edges=declared.edges, conflicts=tuple(conflicts))
    lane_of = _lanes(definition, plan, before, kept)
    return replace(
        plan,
        execution_lanes=lanes_of(lane_of, plan.merge_order),
        placements={i: p._replace(execution_lane=lane_of[i]) for i, p in plan.placements.items()},
    )


def _edges(definition: MissionDefinition) -> list[tuple[str, str]]:
    return [(prerequisite, w.id) for w in definition.work_packages for prerequisite in w.dependencies]


def _orders(
    definition: MissionDefinition, declared: DependencyGraph, before: Plan, kept: Mapping[str, str]
) -> Iterator[OwnershipConflict]:
    """The orders because of shared files in which something that has started takes part, what has started first.

    What must come before a started work package counts as started here, so that no order can close a circle.
    """
    first = _started_first(declared, before, kept)
    owners = Owners({i: definition.work_package(i).owned_files for i in first})
    rank = {i: n for n, i in enumerate(declared.ids)}
    position = {i: n for n, i in enumerate(first)}
    behind: dict[str, int] = {}  # what comes before each, as a bitset; prerequisites have their turn first
    for late in (*first, *(i for i in declared.merge_order if i not in position)):
        patterns = definition.work_package(late).owned_files
        behind[late] = 0
        for early in declared.prerequisites(late):
            behind[late] |= behind[early] | 1 << rank[early]
        sharing = [i for i in owners.overlapping(patterns) if position[i] < position.get(late, len(position))]
        for early in sorted(sharing, key=lambda i: position[i], reverse=True):
            if behind[late] >> rank[early] & 1:
                continue
            behind[late] |= behind[early] | 1 << rank[early]
            shared = shared_patterns(definition.work_package(early).owned_files, patterns)
            assert shared is not None, "an order is added only where files are shared"
            swapped = natural_key(late) < natural_key(early)
            yield OwnershipConflict(
                work_packages=(late, early) if swapped else (early, late),
                patterns=shared[::-1] if swapped else shared,
                before=early,
                after=late,
            )


def _needed(declared: DependencyGraph, conflicts: tuple[OwnershipConflict, ...]) -> list[OwnershipConflict]:
    """The orders that do not follow from others."""
    rank = {i: n for n, i in enumerate(declared.ids)}
    added = {(rank[c.before], rank[c.after]): c for c in conflicts}
    edges = {*added, *((rank[a], rank[b]) for a, b in declared.edges)}
    implied = Reachability(len(rank), edges).implied(edges)
    return [conflict for edge, conflict in added.items() if edge not in implied]


def _started_first(declared: DependencyGraph, before: Plan, kept: Mapping[str, str]) -> tuple[str, ...]:
    """What has started and all its prerequisites, in the order of the plan so far as far as dependencies allow."""
    members = {*kept, *(i for each in kept for i in declared.ancestors(each))}
    known = {i: n for n, i in enumerate(before.merge_order)}
    waiting = {i: len(declared.prerequisites(i)) for i in members}

    def key(work_package_id: str) -> tuple[object, ...]:
        return known.get(work_package_id, len(known)), natural_key(work_package_id), work_package_id

    ready = [key(i) for i in members if not waiting[i]]
    heapify(ready)
    ordered = []
    while ready:
        work_package_id = str(heappop(ready)[-1])
        ordered.append(work_package_id)
        for dependent in declared.dependents(work_package_id):
            if dependent in members:
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    heappush(ready, key(dependent))
    return tuple(ordered)


def _lanes(definition: MissionDefinition, plan: Plan, before: Plan, kept: Mapping[str, str]) -> dict[str, str]:
    """The execution lane of each work package."""
    lane_of = {w.id: PLANNING_LANE for w in definition.work_packages if w.execution_mode == "planning_artifact"}
    lane_of.update(kept)
    in_use: dict[str, list[str]] = {}
    for i in plan.merge_order:
        if i in kept and kept[i] != PLANNING_LANE:
            in_use.setdefault(kept[i], []).append(i)
    free = [i for i in plan.merge_order if i not in lane_of]
    artifacts = {i for i, lane in lane_of.items() if lane == PLANNING_LANE}  # they carry the order on, and stay there
    heads = {members[-1]: lane for lane, members in in_use.items()}
    fronts = DependencyGraph([*heads, *free, *artifacts], _fronts(plan, in_use, {*free, *artifacts}))
    cover = [lane for lane in place(fronts, artifacts) if lane.id != PLANNING_LANE]
    taken = {*in_use, PLANNING_LANE}
    known = {lane.id for lane in before.execution_lanes}
    fresh = (name for name in _lane_names() if name not in known)
    for chain in cover:
        first = chain.work_packages[0]
        former = before.placements.get(first)
        if first in heads:
            name = heads[first]
        elif former is not None and former.execution_lane not in taken:
            name = former.execution_lane
        else:
            name = next(name for name in fresh if name not in taken)
        taken.add(name)
        lane_of.update({i: name for i in chain.work_packages if i not in kept})
    return lane_of


def _fronts(plan: Plan, in_use: Mapping[str, list[str]], among: set[str]) -> Iterator[tuple[str, str]]:
    """The order `among` some work packages, and from each lane in use to those that come after everything in it."""
    whole = DependencyGraph(plan.placements, [*plan.edges, *((c.before, c.after) for c in plan.conflicts)])
    yield from ((a, b) for a, b in whole.edges if a in among and b in among)
    rank = {i: n for n, i in enumerate(whole.ids)}
    for members in in_use.values():
        common = -1
        for i in members:
            common &= whole.reachability.after[rank[i]]
        behind = {whole.ids[n] for n in bits(common)} & among
        yield from ((members[-1], i) for i in sorted(behind) if behind.isdisjoint(whole.prerequisites(i)))


def _lane_names() -> Iterator[str]:
    """`lane-a`, …, `lane-z`, `lane-aa`, … without end."""
    for size in count(1):
        for letters in product(ascii_lowercase, repeat=size):
            yield f"lane-{''.join(letters)}"
