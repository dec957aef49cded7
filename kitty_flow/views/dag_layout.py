"""Where the boxes and arrows of a layered picture go: layers are columns, arrows run from left to right.

The layered layout is `fast_sugiyama`'s, and this module is its only door: the waves are handed over as fixed layers,
and the library says in which order boxes and passing arrows stand in each, so that few arrows cross. `dag_spacing`
brings them close together, and what comes out are columns, boxes and routes in pixels. Deterministic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kitty_flow.errors import ExternalToolError
from kitty_flow.views.dag_spacing import Metrics, settle

__all__ = ["Box", "Layout", "Point", "Route", "lay_out"]

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """The place of one node: its column and its upper left corner."""

    column: int
    x: float
    y: float


@dataclass(frozen=True)
class Route:
    """One arrow as a chain of points that alternate: end of a column's side, start of the next column's side.

    Between points 2k and 2k + 1 the arrow crosses a gap between columns; from 2k + 1 to 2k + 2 it passes a column on a
    level line, where no box is.
    """

    source: str
    target: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """The finished layout: boxes by id, arrows in the given order, left edges of the columns, total size."""

    boxes: Mapping[str, Box]
    routes: tuple[Route, ...]
    columns: tuple[float, ...]
    width: float
    height: float


@dataclass(frozen=True)
class _Layered:
    """The proper layered graph in numbers: the real nodes, and one node for each column that an arrow passes.

    `y` are vertical centres in pixels; `chains` has the nodes of each edge, one node a column.
    """

    column: Mapping[int, int]
    y: Mapping[int, float]
    chains: tuple[tuple[int, ...], ...]


def lay_out(columns: Sequence[Sequence[str]], edges: Sequence[tuple[str, str]], metrics: Metrics) -> Layout:
    """Place the ids of `columns` and route `edges`, each from a column to a later one.

    Raises:
        ExternalToolError: LAYOUT_MISSING, there is no build of the layout library for this platform.
    """
    names = [name for column in columns for name in column]
    if not names:
        return Layout({}, (), (), 0.0, 0.0)
    number = {name: index for index, name in enumerate(names)}
    column = [index for index, members in enumerate(columns) for _ in members]
    layered = _layered(column, [(number[a], number[b]) for a, b in edges], metrics)
    lefts = _column_lefts(len(columns), layered, metrics)
    half = metrics.box_height / 2
    boxes = {n: Box(column[i], lefts[column[i]], round(layered.y[i] - half, 2)) for n, i in number.items()}
    height = max([*(box.y + metrics.box_height for box in boxes.values()), *layered.y.values()])
    routes = _routes(layered, lefts, edges, metrics)
    return Layout(boxes, routes, tuple(lefts), lefts[-1] + metrics.box_width, round(height, 2))


def _layered(column: Sequence[int], edges: Sequence[tuple[int, int]], metrics: Metrics) -> _Layered:
    """Ask the library where everything goes, and follow each edge through the nodes that it put into long ones.

    The library ranks by the longest path. A spine of further nodes, one a column, holds every node that has no
    predecessor in the column before in its own column; in a plan those are the nodes of the first wave only.
    """
    from_edges = _library()
    led = {target for source, target in edges if column[source] + 1 == column[target]}
    loose = [node for node in range(len(column)) if node not in led]
    spine = [len(column) + rank for rank in range(max(column[node] for node in loose) + 1)]
    held = [*pairwise(spine), *((spine[column[node]], node) for node in loose)]
    (layout,) = from_edges(
        [*held, *edges],
        minimum_length=1,
        vertex_spacing=1.0,
        dummy_vertices=True,
        dummy_size=0.3,
        ranking_type="up",
        crossing_minimization="median",
        transpose=True,
    )
    places, steps = dict(layout[0]), layout[3] or ()
    after: dict[int, list[int]] = {}
    for one, other in steps:
        after.setdefault(one, []).append(other)
    real = len(column) + len(spine)
    ends: dict[tuple[int, int], tuple[int, ...]] = {}
    for source in range(len(column)):
        for step in after.get(source, ()):
            chain = [source, step]
            while chain[-1] >= real:
                chain += after[chain[-1]]
            ends[source, chain[-1]] = tuple(chain)
    chains = tuple(ends[edge] for edge in edges)
    columns = dict(enumerate(column)) | {
        node: column[chain[0]] + place for chain in chains for place, node in enumerate(chain)
    }
    layers: list[list[int]] = [[] for _ in range(max(column) + 1)]
    for node in sorted(columns, key=lambda n: places[n][0]):
        layers[columns[node]].append(node)
    return _Layered(columns, settle(layers, chains, len(column), metrics), chains)


def _library() -> Any:
    try:
        from fast_sugiyama import from_edges
    except ImportError as error:
        raise ExternalToolError(
            "LAYOUT_MISSING",
            f"SVG, PNG and HTML pictures need the package fast-sugiyama, which cannot be imported: {error}",
            hint="pip install fast-sugiyama, or kitty-flow graph --format mermaid",
        ) from error
    return from_edges


def _column_lefts(count: int, layered: _Layered, metrics: Metrics) -> list[float]:
    """The left edges of the columns; a gap is wider where arrows climb more."""
    climbs = [0.0] * count
    for chain in layered.chains:
        for before, after in pairwise(chain):
            climb = abs(layered.y[after] - layered.y[before])
            climbs[layered.column[before]] = max(climbs[layered.column[before]], climb)
    lefts = [0.0]
    for climb in climbs[:-1]:
        gap = min(metrics.widest_gap, max(metrics.column_gap, 40 + climb / 4))
        lefts.append(round(lefts[-1] + metrics.box_width + gap, 2))
    return lefts


def _routes(
    layered: _Layered, lefts: Sequence[float], edges: Sequence[tuple[str, str]], metrics: Metrics
) -> tuple[Route, ...]:
    steps = [step for chain in layered.chains for step in pairwise(chain)]
    ends = {chain[0] for chain in layered.chains} | {chain[-1] for chain in layered.chains}
    leaving = _ports(steps, layered.y, ends, metrics)
    arriving = _ports([(after, before) for before, after in steps], layered.y, ends, metrics)
    routes = []
    for (source, target), chain in zip(edges, layered.chains, strict=True):
        points: list[Point] = []
        for before, after in pairwise(chain):
            points.append((lefts[layered.column[before]] + metrics.box_width, leaving[before, after]))
            points.append((lefts[layered.column[after]], arriving[after, before]))
        routes.append(Route(source, target, tuple(points)))
    return tuple(routes)


def _ports(
    steps: Sequence[tuple[int, int]], y: Mapping[int, float], boxes: Collection[int], metrics: Metrics
) -> dict[tuple[int, int], float]:
    """The height at which each arrow touches a node's side: spread around the middle, in the order of the far ends."""
    near: dict[int, list[int]] = {}
    for node, other in steps:
        near.setdefault(node, []).append(other)
    ports = {}
    for node, others in near.items():
        room = min(metrics.port_gap, metrics.box_height * 0.7 / len(others)) if node in boxes else 0.0
        for place, other in enumerate(sorted(others, key=lambda n: (y[n], n))):
            ports[node, other] = round(y[node] + room * (place - (len(others) - 1) / 2), 2)
    return ports
