"""`tox -e bench`: 1,000 work packages plan in at most 1 s beyond start-up, 10,000 in at most 10 s and 500 MB (issue 4).

Every row is a cold `kitty-flow plan FILE --json` on a native mission file with three dependencies, two or three owned
patterns and a short prompt for each work package. The growth of each step of the planner is printed beside it: it is
measured in this process, on the same missions.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from kitty_flow.graph import DependencyGraph, order_conflicts, place, predict_makespan

SIZES = (100, 1_000, 10_000)
SECONDS = {1_000: 1.0, 10_000: 10.0}
MEGABYTES = 500
SEED = 4

_Result = TypeVar("_Result")
_MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss])
"""

Row = tuple[str, list[str], list[str]]  # id, dependencies, owned files


def _nearby(number: int, size: int, dice: random.Random) -> Iterator[int]:
    yield from dice.sample(range(max(0, number - 50), number), min(3, number))


def _anywhere(number: int, size: int, dice: random.Random) -> Iterator[int]:
    yield from dice.sample(range(number), min(3, number))


def _wide(number: int, size: int, dice: random.Random) -> Iterator[int]:
    """Ten layers."""
    first = (number // (size // 10) - 1) * (size // 10)
    yield from dice.sample(range(first, first + size // 10), 3) if first >= 0 else ()


def _deep(number: int, size: int, dice: random.Random) -> Iterator[int]:
    """One chain."""
    yield from range(max(0, number - 3), number)


def _free(number: int, size: int, dice: random.Random) -> Iterator[int]:
    """No dependencies: all order comes from shared files."""
    yield from ()


def _own(number: int, size: int) -> list[str]:
    return [f"src/part{number}/**", f"tests/test_part{number}.py"]


def _share(number: int, size: int) -> list[str]:
    """Five share a folder, three a file below any folder; one in a hundred owns a pattern that meets all pages."""
    page = "docs/*.md" if number % 100 == 0 else f"docs/page{number}.md"
    return [f"src/part{number % (size // 5)}/**", f"tests/*/test_{number % (size // 3)}.py", page]


def _one_file(number: int, size: int) -> list[str]:
    return ["CHANGELOG.md", *_own(number, size)]


def _apart(number: int, size: int) -> list[str]:
    """Exclusions everywhere, and so many wildcards that begin alike."""
    return ["src/**", "!src/*/**", f"lib/part{number}_*", f"!lib/part{number}_*.md"][2 * (number % 100 > 0) :]


SHAPES: dict[str, tuple[Callable[[int, int, random.Random], Iterator[int]], Callable[[int, int], list[str]]]] = {
    "nearby": (_nearby, _own),
    "anywhere": (_anywhere, _own),
    "wide": (_wide, _own),
    "deep": (_deep, _own),
    "shared files": (_nearby, _share),
    "shared files only": (_free, _share),
    "one file for all": (_free, _one_file),
    "exclusions": (_nearby, _apart),
}


def _rows(shape: str, size: int) -> list[Row]:
    dice = random.Random(SEED)
    needs, owns = SHAPES[shape]
    return [(_name(n), [_name(d) for d in needs(n, size, dice)], owns(n, size)) for n in range(size)]


def _name(number: int) -> str:
    return f"WP{number + 1:05}"


def _write(rows: list[Row], path: Path) -> Path:
    lines = ["[mission]", 'title = "A large mission"']
    for name, dependencies, owned in rows:
        values = {
            "id": name,
            "title": f"Build {name} and connect it to its neighbours",
            "dependencies": dependencies,
            "owned_files": owned,
            "subtasks": [f"T{step:05} Do step {step}" for step in range(3)],
            "prompt": "Build this part.\n" + "- Follow the conventions; cover every branch with a test.\n" * 4,
        }
        lines += ["", "[[work_package]]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path.write_text("\n".join(lines))
    return path


def _run(arguments: list[str], where: Path) -> tuple[float, float]:
    """Seconds and megabytes of one cold command."""
    command = [sys.executable, "-m", "kitty_flow", *arguments]
    # A process begins with the peak of the one that starts it, so a small one stands between.
    done = subprocess.run([sys.executable, "-c", _MEASURE, *command], cwd=where, check=True, capture_output=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _steps(rows: list[Row]) -> dict[str, float]:
    """The seconds of each step of the planner."""
    names = [name for name, _, _ in rows]
    edges = [(before, name) for name, dependencies, _ in rows for before in dependencies]
    owned = {name: patterns for name, _, patterns in rows}
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], _Result]) -> _Result:
        start = time.perf_counter()
        result = work()
        seconds[step] = time.perf_counter() - start
        return result

    added = timed("conflicts", lambda: order_conflicts(names, edges, owned))
    graph = timed("graph", lambda: DependencyGraph(names, [*edges, *((c.before, c.after) for c in added)]))
    timed("waves", lambda: (graph.waves, graph.critical_path))
    timed("lanes", lambda: place(graph, ()))
    timed("schedule", lambda: predict_makespan(graph, 4))
    return seconds


@pytest.mark.parametrize("shape", SHAPES)
def test_large_missions_are_planned_in_time_and_memory(shape: str, tmp_path: Path) -> None:
    start_up, _ = min(_run(["--help"], tmp_path) for _ in range(3))
    before: dict[str, float] = {}
    for size in SIZES:
        rows = _rows(shape, size)
        source = str(_write(rows, tmp_path / f"{size}.toml"))
        seconds, megabytes = min(_run(["plan", source, "--json"], tmp_path) for _ in range(3 if size < 10_000 else 1))
        steps = _steps(rows)
        growth = ", ".join(
            f"{step} {spent:.2f} s" + (f" (x{spent / before[step]:.0f})" if spent > 0.05 and before else "")
            for step, spent in steps.items()
        )
        print(f"\n{shape}, {size:,}: {seconds - start_up:.2f} s beyond start-up, {megabytes:.0f} MB; {growth}", end="")
        before = steps
        assert seconds - start_up <= SECONDS.get(size, 1.0)
        assert megabytes <= MEGABYTES
