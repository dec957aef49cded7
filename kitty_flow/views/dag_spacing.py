"""How far apart the nodes of a layered picture stand: as close as sizes and order allow, near to their neighbours.

The layout library leaves wide gaps, and its boxes and arrows have one distance. Here each layer is moved in turn to
where its neighbours pull it (least squares under the least distances, which is isotonic regression).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

__all__ = ["Metrics", "settle"]

_ROUNDS: Final = 25
# A bend inside a long arrow disturbs more than a slanted short one, so passing nodes pull harder at each other.
_PULL: Final = (1.0, 2.0, 8.0)

_Pulls = Sequence[tuple[int, float]]


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


def settle(
    layers: Sequence[Sequence[int]], chains: Sequence[Sequence[int]], boxes: int, metrics: Metrics
) -> dict[int, float]:
    """The vertical centre of every node in pixels; the top of the picture is 0.

    Args:
        layers: the nodes of each layer from top to bottom; those below `boxes` are boxes, the others passing arrows.
        chains: the nodes of each arrow, one a layer.
    """
    left: dict[int, list[tuple[int, float]]] = {}
    right: dict[int, list[tuple[int, float]]] = {}
    for before, after in sorted({step for chain in chains for step in pairwise(chain)}):
        pull = _PULL[(before >= boxes) + (after >= boxes)]
        right.setdefault(before, []).append((after, pull))
        left.setdefault(after, []).append((before, pull))
    offsets = [_offsets(layer, boxes, metrics) for layer in layers]
    y = {
        node: offset
        for layer, shifts in zip(layers, offsets, strict=True)
        for node, offset in zip(layer, shifts, strict=True)
    }
    for turn in range(_ROUNDS):
        # Near the end both sides pull; the very last round goes forwards, so that a chain ends up level.
        both = _ROUNDS - 5 <= turn < _ROUNDS - 1
        forwards = turn % 2 == 0
        for layer, shifts in list(zip(layers, offsets, strict=True))[:: 1 if forwards else -1]:
            wanted = [_wanted(node, left, right, y, forwards=forwards, both=both) for node in layer]
            y.update(zip(layer, _nearest(wanted, shifts), strict=True))
    top = min(value - (metrics.box_height / 2 if node < boxes else 0.0) for node, value in y.items())
    return {node: round(value - top, 2) for node, value in y.items()}


def _offsets(layer: Sequence[int], boxes: int, metrics: Metrics) -> list[float]:
    """How far below the first node of the layer each one is at least."""
    offsets = [0.0]
    for upper, lower in pairwise(layer):
        gap = metrics.arrow_gap if upper >= boxes and lower >= boxes else metrics.box_gap
        halves = ((upper < boxes) + (lower < boxes)) * metrics.box_height / 2
        offsets.append(offsets[-1] + gap + halves)
    return offsets


def _wanted(
    node: int,
    left: Mapping[int, _Pulls],
    right: Mapping[int, _Pulls],
    y: Mapping[int, float],
    *,
    forwards: bool,
    both: bool,
) -> tuple[float, float]:
    """Where the node would like to be, and how strongly."""
    near = left.get(node, ()) if forwards else right.get(node, ())
    pulls = [*left.get(node, ()), *right.get(node, ())] if both or not near else near
    strength = sum(pull for _, pull in pulls)
    if not pulls:
        return y[node], 0.25
    return sum(pull * y[other] for other, pull in pulls) / strength, strength


def _nearest(wanted: Sequence[tuple[float, float]], offsets: Sequence[float]) -> list[float]:
    """Least squares towards the wanted places under the least distances: pool adjacent violators, once shifted."""
    blocks: list[tuple[float, float, int]] = []
    for (place, strength), offset in zip(wanted, offsets, strict=True):
        value, total, size = place - offset, strength, 1
        while blocks and blocks[-1][0] > value:
            other, other_total, other_size = blocks.pop()
            value = (value * total + other * other_total) / (total + other_total)
            total, size = total + other_total, size + other_size
        blocks.append((value, total, size))
    values = [value for value, _, size in blocks for _ in range(size)]
    return [value + offset for value, offset in zip(values, offsets, strict=True)]
