"""The gates on the edges between work packages by name: each looks at one edge, and says nothing or why it is closed.

Which kind of edge carries which gates stands in `dags/work_packages.toml`. Many edges are asked for every answer, so a
gate looks only at what the ledger's view holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.standing import ACTIVE, FINISHED, is_finished
from kitty_flow.ledger.view import EntityState

__all__ = ["EDGE_GATES", "Edge", "Reason", "ask", "closed"]


class Reason(NamedTuple):
    """Why one work package is not ready: stable code, sentence, and the command that helps."""

    wp_id: str
    code: str
    message: str
    hint: str

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return self._asdict()


class Edge(NamedTuple):
    """An edge to a work package; `other` is at its other end: a prerequisite, or who shares a lane or files with it."""

    mission: OpenMission
    kind: str
    work_package_id: str
    other: EntityState


_AT: Final[Mapping[str, str]] = {
    "claimed": "is being worked on",
    "in_progress": "is being worked on",
    "for_review": "waits for its review",
    "in_review": "is being reviewed",
}
"""What goes on in the active states, for a sentence."""

EdgeGate = Callable[[Edge], "Reason | None"]


def ask(name: str, edge: Edge) -> Reason | None:
    """What closes the gate; None when it is open. An unknown gate is closed, and so is one that cannot answer."""
    gate = EDGE_GATES.get(name)
    if gate is None:
        return _reason(edge, "GATE_UNKNOWN", f"there is no gate {name!r}", "kitty-flow dags show work-packages")
    try:
        return gate(edge)
    except Exception as error:
        message = f"the gate {name} on the edge from {edge.other.entity_id} cannot answer: {error!r:.200}"
        return _reason(edge, "GATE_ERROR", message, "kitty-flow doctor ledger")


def closed(names: tuple[str, ...], edge: Edge) -> Iterator[Reason]:
    """What closes the first closed gate of an edge; nothing when the edge is open."""
    for name in names:
        reason = ask(name, edge)
        if reason is not None:
            yield reason
            return


def _reason(edge: Edge, code: str, message: str, command: str) -> Reason:
    return Reason(edge.work_package_id, code, message, f"{command}{edge.mission.option}")


def _prerequisite_not_canceled(edge: Edge) -> Reason | None:
    if edge.other.state != "canceled":
        return None
    late, early = edge.work_package_id, edge.other.entity_id
    return Reason(
        late,
        "DEPENDENCY_CANCELED",
        f"{late} depends on {early}, which was canceled and will never be approved",
        f"kitty-flow mission amend {edge.mission.slug} --drop-dependency {early}:{late} --reason TEXT",
    )


def _prerequisite_approved(edge: Edge) -> Reason | None:
    return None if edge.other.state in FINISHED else _waits(edge, edge.other.state)


def _prerequisite_integrated(edge: Edge) -> Reason | None:
    if is_finished(edge.other):
        return None
    return _waits(edge, f"{edge.other.state} {'but' if edge.other.state == 'approved' else 'and'} not integrated yet")


def _waits(edge: Edge, how_far: str) -> Reason:
    because = "depends on" if edge.kind == "declared" else "shares owned files with and comes after"
    return _reason(
        edge,
        "DEPENDENCIES_NOT_SATISFIED",
        f"{edge.work_package_id} {because} {edge.other.entity_id}, which is {how_far}",
        f"kitty-flow why {edge.other.entity_id}",
    )


def _lane_free(edge: Edge) -> Reason | None:
    if edge.other.state not in ACTIVE:
        return None
    name = edge.other.entity_id
    lane = edge.mission.plan.placements[name].execution_lane
    message = f"{edge.work_package_id} shares {lane} with {name}, which {_AT[edge.other.state]}"
    return _reason(edge, "LANE_BUSY", message, f"kitty-flow wp show {name}")


def _owned_files_free(edge: Edge) -> Reason | None:
    if edge.other.state not in ACTIVE:
        return None
    name = edge.other.entity_id
    message = f"{edge.work_package_id} owns some of the same files as {name}, which {_AT[edge.other.state]}"
    return _reason(edge, "OWNERSHIP_CONFLICT", message, f"kitty-flow wp show {name}")


EDGE_GATES: Final[Mapping[str, EdgeGate]] = {
    "lane_free": _lane_free,
    "owned_files_free": _owned_files_free,
    "prerequisite_approved": _prerequisite_approved,
    "prerequisite_integrated": _prerequisite_integrated,
    "prerequisite_not_canceled": _prerequisite_not_canceled,
}
