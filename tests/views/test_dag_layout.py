"""The layered layout: boxes apart, arrows around them."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import ExternalToolError
from kitty_flow.views.dag_layout import Layout, Point, Route, lay_out
from kitty_flow.views.dag_spacing import Metrics

_METRICS = Metrics(box_width=200, box_height=90)


@st.composite
def _layered(draw: st.DrawFn) -> tuple[list[list[str]], list[tuple[str, str]]]:
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    columns = [[f"n{column}_{row}" for row in range(size)] for column, size in enumerate(sizes)]
    pairs = [(a, b) for i, left in enumerate(columns) for right in columns[i + 1 :] for a in left for b in right]
    return columns, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=14)) if pairs else []


def _curve(start: Point, end: Point) -> list[Point]:
    """Points on the cubic that the SVG draws between two columns: level at both ends."""
    (x, y), (end_x, end_y) = start, end
    middle = (x + end_x) / 2
    points = []
    for step in range(11):
        t = step / 10
        a, b, c, d = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3
        points.append((a * x + (b + c) * middle + d * end_x, (a + b) * y + (c + d) * end_y))
    return points


def _samples(route: Route) -> list[Point]:
    samples: list[Point] = []
    for index, (start, end) in enumerate(pairwise(route.points)):
        if index % 2:
            assert start[1] == end[1], "a column is passed on a level line"
            samples += [(start[0] + (end[0] - start[0]) * step / 10, start[1]) for step in range(11)]
        else:
            samples += _curve(start, end)
    return samples


def _inside_a_box(layout: Layout, point: Point) -> bool:
    return any(
        box.x < point[0] < box.x + _METRICS.box_width and box.y < point[1] < box.y + _METRICS.box_height
        for box in layout.boxes.values()
    )


@given(_layered())
def test_boxes_keep_their_distance_and_arrows_run_around_them(
    case: tuple[list[list[str]], list[tuple[str, str]]],
) -> None:
    columns, edges = case
    layout = lay_out(columns, edges, _METRICS)
    for column in columns:
        tops = sorted(layout.boxes[name].y for name in column)
        assert all(lower - upper >= _METRICS.box_height + _METRICS.box_gap - 0.1 for upper, lower in pairwise(tops))
        assert {layout.boxes[name].x for name in column} == {layout.columns[columns.index(column)]}
    assert [(route.source, route.target) for route in layout.routes] == edges
    for route in layout.routes:
        assert not any(_inside_a_box(layout, point) for point in _samples(route))
    assert lay_out(columns, edges, _METRICS) == layout


@given(_layered())
def test_everything_lies_within_the_stated_size(case: tuple[list[list[str]], list[tuple[str, str]]]) -> None:
    layout = lay_out(*case, _METRICS)
    for box in layout.boxes.values():
        assert box.y >= -0.1 and box.y + _METRICS.box_height <= layout.height + 0.1
        assert box.x >= 0 and box.x + _METRICS.box_width <= layout.width
    assert all(-0.1 <= y <= layout.height + 0.1 for route in layout.routes for _, y in route.points)


def test_a_needless_crossing_is_removed() -> None:
    layout = lay_out([["a", "b"], ["c", "d"]], [("a", "d"), ("b", "c")], _METRICS)
    boxes = layout.boxes
    assert (boxes["a"].y < boxes["b"].y) == (boxes["d"].y < boxes["c"].y)


def test_a_chain_is_level() -> None:
    layout = lay_out([["a"], ["b"], ["c"]], [("a", "b"), ("b", "c")], _METRICS)
    assert len({box.y for box in layout.boxes.values()}) == 1


def test_nothing_gives_an_empty_layout() -> None:
    layout = lay_out([], [], _METRICS)
    assert (layout.width, layout.height, layout.routes) == (0, 0, ())


def test_another_process_with_other_hashes_comes_to_the_same_layout() -> None:
    program = (
        "from kitty_flow.views.dag_layout import lay_out\n"
        "from kitty_flow.views.dag_spacing import Metrics\n"
        "columns = [[f'a{n}' for n in range(6)], [f'b{n}' for n in range(6)], [f'c{n}' for n in range(6)]]\n"
        "edges = [(f'a{n}', f'b{n * 5 % 6}') for n in range(6)] + [(f'a{n}', f'c{n * 7 % 6}') for n in range(6)]\n"
        "print(lay_out(columns, edges, Metrics(200, 90)))\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(answers) == 1 and "Route" in answers.pop()


def test_a_platform_without_the_library_is_told_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fast_sugiyama", None)
    with pytest.raises(ExternalToolError) as caught:
        lay_out([["a"]], [], _METRICS)
    assert caught.value.code == "LAYOUT_MISSING"
    assert "--format mermaid" in str(caught.value.hint)
