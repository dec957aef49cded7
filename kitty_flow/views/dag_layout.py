"""Where the boxes and arrows of a layered picture go: layers are columns, arrows run from left to right.

The classical method for layered graphs. A long arrow gets a virtual node in every column that it passes, so that it
runs between the boxes; barycentre sweeps order each column to reduce crossings; then each node moves as close to its
neighbours as the order and the spacing allow (isotonic regression, one column at a time). Deterministic.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

__all__ = ["Box", "Layout", "Metrics", "Point", "Route", "lay_out"]

_SWEEPS: Final = 16
_SETTLING: Final = 25
# A bend inside a long arrow disturbs more than a slanted short one, so virtual nodes pull harder at each other.
_PULL: Final = {0: 1.0, 1: 2.0, 2: 8.0}

Point = tuple[float, float]


@dataclass(frozen=True)
class Metrics:
    """Sizes in pixels: of a box, between boxes and around long arrows; `column_gap` is the least between columns."""

    box_width: float
    box_height: float
    box_gap: float = 22.0
    arrow_gap: float = 16.0
    column_gap: float = 76.0
    widest_gap: float = 150.0
    port_gap: float = 14.0


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


@dataclass
class _Layers:
    """The proper layered graph: nodes are numbers, every edge leads to the next layer."""

    order: list[list[int]]
    layer: list[int]
    right: list[list[int]]
    left: list[list[int]]
    real: int
    chains: list[list[int]] = field(default_factory=list)

    def is_virtual(self, node: int) -> bool:
        return node >= self.real


def lay_out(columns: Sequence[Sequence[str]], edges: Sequence[tuple[str, str]], metrics: Metrics) -> Layout:
    """Place the ids of `columns` and route `edges`, each from a column to a later one."""
    number = {name: index for index, name in enumerate(name for column in columns for name in column)}
    layers = _layered(columns, [(number[a], number[b]) for a, b in edges], number)
    _reduce_crossings(layers)
    y = _settle(layers, metrics)
    lefts = _column_lefts(layers, y, metrics)
    boxes = {
        name: Box(layers.layer[node], lefts[layers.layer[node]], y[node] - metrics.box_height / 2)
        for name, node in number.items()
    }
    routes = _routes(layers, y, lefts, edges, metrics)
    height = max((y[node] + _half(layers, node, metrics) for node in range(len(y))), default=0.0)
    width = lefts[-1] + metrics.box_width if lefts else 0.0
    return Layout(boxes, routes, tuple(lefts), width, height)


def _layered(columns: Sequence[Sequence[str]], edges: Sequence[tuple[int, int]], number: Mapping[str, int]) -> _Layers:
    order = [[number[name] for name in column] for column in columns]
    layer = [index for index, column in enumerate(columns) for _ in column]
    real = len(layer)
    layers = _Layers(order, layer, [[] for _ in layer], [[] for _ in layer], real)
    for source, target in edges:
        chain = [source]
        for index in range(layer[source] + 1, layer[target]):
            node = len(layer)
            layer.append(index)
            layers.right.append([])
            layers.left.append([])
            order[index].append(node)
            chain.append(node)
        chain.append(target)
        for before, after in pairwise(chain):
            layers.right[before].append(after)
            layers.left[after].append(before)
        layers.chains.append(chain)
    return layers


def _reduce_crossings(layers: _Layers) -> None:
    """Reorder every layer by the mean position of its neighbours, forwards and backwards; keep the best order seen."""
    best = [list(layer) for layer in layers.order]
    fewest = _crossings(layers)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        forwards = sweep % 2 == 0
        neighbours = layers.left if forwards else layers.right
        indices = range(1, len(layers.order)) if forwards else range(len(layers.order) - 2, -1, -1)
        for index in indices:
            fixed = layers.order[index - 1 if forwards else index + 1]
            position = {node: place for place, node in enumerate(fixed)}
            layers.order[index] = _by_barycentre(layers.order[index], neighbours, position)
        _swap_neighbours(layers)
        crossings = _crossings(layers)
        if crossings < fewest:
            fewest, best = crossings, [list(layer) for layer in layers.order]
    layers.order = best


def _by_barycentre(layer: list[int], neighbours: list[list[int]], position: Mapping[int, int]) -> list[int]:
    """The layer in order of barycentres; a node without neighbours keeps its place among the others."""
    free = [place for place, node in enumerate(layer) if neighbours[node]]
    centre = {n: sum(position[m] for m in neighbours[n]) / len(neighbours[n]) for n in layer if neighbours[n]}
    result = list(layer)
    for place, node in zip(free, sorted(centre, key=centre.__getitem__), strict=True):
        result[place] = node
    return result


def _swap_neighbours(layers: _Layers) -> None:
    """Swap adjacent nodes of a layer where that alone removes crossings."""
    for index, layer in enumerate(layers.order):
        left = {n: p for p, n in enumerate(layers.order[index - 1])} if index else {}
        right = {n: p for p, n in enumerate(layers.order[index + 1])} if index + 1 < len(layers.order) else {}
        for place in range(len(layer) - 1):
            a, b = layer[place], layer[place + 1]
            gain = 0
            for position, neighbours in ((left, layers.left), (right, layers.right)):
                first, second = [position[n] for n in neighbours[a]], [position[n] for n in neighbours[b]]
                gain += sum((x > y) - (x < y) for x in first for y in second)
            if gain > 0:
                layer[place], layer[place + 1] = b, a


def _crossings(layers: _Layers) -> int:
    total = 0
    for index in range(len(layers.order) - 1):
        position = {node: place for place, node in enumerate(layers.order[index + 1])}
        seen: list[int] = []
        for node in layers.order[index]:
            ends = sorted(position[after] for after in layers.right[node])
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _half(layers: _Layers, node: int, metrics: Metrics) -> float:
    return 0.0 if layers.is_virtual(node) else metrics.box_height / 2


def _distance(layers: _Layers, upper: int, lower: int, metrics: Metrics) -> float:
    both_virtual = layers.is_virtual(upper) and layers.is_virtual(lower)
    gap = metrics.arrow_gap if both_virtual else metrics.box_gap
    return gap + _half(layers, upper, metrics) + _half(layers, lower, metrics)


def _settle(layers: _Layers, metrics: Metrics) -> list[float]:
    """The vertical centre of every node: near its neighbours, in the given order, with the least distances kept."""
    y = [0.0] * len(layers.layer)
    for layer in layers.order:
        _place_layer(layers, layer, [0.0] * len(layer), [1.0] * len(layer), y, metrics)
    for round_number in range(_SETTLING):
        # Near the end both sides pull; the very last round goes forwards, so that a chain ends up level.
        last = _SETTLING - 5 <= round_number < _SETTLING - 1
        forwards = round_number % 2 == 0
        for layer in layers.order if forwards else reversed(layers.order):
            desired, weights = [], []
            for node in layer:
                near = layers.left[node] if forwards else layers.right[node]
                near = layers.left[node] + layers.right[node] if last or not near else near
                pulls = [_PULL[layers.is_virtual(node) + layers.is_virtual(other)] for other in near]
                centre = sum(pull * y[other] for pull, other in zip(pulls, near, strict=True))
                desired.append(centre / sum(pulls) if pulls else y[node])
                weights.append(sum(pulls) or 0.25)
            _place_layer(layers, layer, desired, weights, y, metrics)
    top = min((y[node] - _half(layers, node, metrics) for node in range(len(y))), default=0.0)
    return [round(value - top, 2) for value in y]


def _place_layer(
    layers: _Layers, layer: list[int], desired: list[float], weights: list[float], y: list[float], metrics: Metrics
) -> None:
    """Least squares towards `desired` under the least distances: pool adjacent violators on the shifted values."""
    offset, offsets = 0.0, []
    for place, node in enumerate(layer):
        offset += _distance(layers, layer[place - 1], node, metrics) if place else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []
    for wanted, shift, weight in zip(desired, offsets, weights, strict=True):
        value, total, size = wanted - shift, weight, 1
        while blocks and blocks[-1][0] > value:
            other, other_total, other_size = blocks.pop()
            value = (value * total + other * other_total) / (total + other_total)
            total, size = total + other_total, size + other_size
        blocks.append((value, total, size))
    values = [value for value, _, size in blocks for _ in range(size)]
    for node, value, shift in zip(layer, values, offsets, strict=True):
        y[node] = value + shift


def _column_lefts(layers: _Layers, y: list[float], metrics: Metrics) -> list[float]:
    """The left edges of the columns; a gap is wider where arrows climb more."""
    lefts = [0.0] if layers.order else []
    for layer in layers.order[:-1]:
        climb = max((abs(y[after] - y[node]) for node in layer for after in layers.right[node]), default=0.0)
        gap = min(metrics.widest_gap, max(metrics.column_gap, 40 + climb / 4))
        lefts.append(round(lefts[-1] + metrics.box_width + gap, 2))
    return lefts


def _routes(
    layers: _Layers, y: list[float], lefts: list[float], edges: Sequence[tuple[str, str]], metrics: Metrics
) -> tuple[Route, ...]:
    leaving = _ports(layers, layers.right, y, metrics)
    arriving = _ports(layers, layers.left, y, metrics)
    routes = []
    for (source, target), chain in zip(edges, layers.chains, strict=True):
        points: list[Point] = []
        for before, after in pairwise(chain):
            points.append((lefts[layers.layer[before]] + metrics.box_width, leaving[before, after]))
            points.append((lefts[layers.layer[after]], arriving[after, before]))
        routes.append(Route(source, target, tuple(points)))
    return tuple(routes)


def _ports(
    layers: _Layers, neighbours: list[list[int]], y: list[float], metrics: Metrics
) -> dict[tuple[int, int], float]:
    """The height at which each arrow touches a node's side: spread around the middle, in the order of the far ends."""
    ports = {}
    for node, near in enumerate(neighbours):
        room = 0.0 if layers.is_virtual(node) else min(metrics.port_gap, metrics.box_height * 0.7 / max(1, len(near)))
        for place, other in enumerate(sorted(near, key=lambda n: (y[n], n))):
            ports[node, other] = round(y[node] + room * (place - (len(near) - 1) / 2), 2)
    return ports
