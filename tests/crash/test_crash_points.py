"""Every operation is stopped, starved and robbed of its git at its failpoints, typed again, and ends all the same.

RELIABILITY K1, K2, S2 and S3: an acknowledged event is there; otherwise there is the state before or the state after;
the user's side stays as it is; the same command then ends as an undisturbed one does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import pytest
from failpoints import ERRORS, Fault, OpenScene, Report, Scene, Tally, actions_at
from operations import OPERATIONS

Item = TypeVar("Item")

PARTS = 8
"""How many tests share the points of one operation, so that two cores can work on it."""

DEPTH_TWO = 64
"""How many stops of a resumed command are tried for each operation, evenly spread."""

SEEDS = 8
"""Random histories for each operation."""

_SAMPLE = 4


SHELF = (
    ("submit", Fault(1, "exit", "ledger.acknowledge"), "typed again, the report was taken for the next step's"),
    ("approve and integrate", Fault(1, "exit", "ledger.acknowledge"), "typed again, nobody integrated the work"),
    ("cancel", Fault(1, "exit", "ledger.acknowledge"), "typed again, it was refused"),
    ("claim", Fault(4, "EIO", "ref.sync"), "the invocation stayed open beside a new one"),
    ("run", Fault(8, "kill", "ref.commit"), "the ledger's own idle git kept the lock alive for five minutes"),
    ("merge", Fault(4, "kill", "ref.commit"), "the lock of HEAD stayed, and with it every merge was refused"),
    ("merge", Fault(3, "EIO", "git.read-tree"), "the user's checkout stayed behind for good"),
)
"""The regression shelf (RELIABILITY K6): what the suite has found, and what was wrong then."""


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, evenly."""
    step = max(1.0, len(items) / count)
    return [items[int(number * step)] for number in range(min(count, len(items)))]


def faults_of(scene: Scene) -> list[Fault]:
    return [Fault(at, action) for at, name in enumerate(scene.points, 1) for action in actions_at(name)]


def random_history(scene: Scene, seed: int) -> list[Fault]:
    chance = random.Random(f"{scene.operation.name} {seed}")
    points = [chance.randint(1, len(scene.points)) for _ in range(chance.randint(2, 4))]
    return [Fault(at, chance.choice(actions_at(scene.points[at - 1]))) for at in points]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_sampled_points(open_scene: OpenScene, report: Report, name: str) -> None:
    """The short form: a few points with an action each, one of them in a real process, and a stopped resume."""
    scene = open_scene(name)
    tally = Tally(f"{name}, sampled", len(scene.points))
    offset = list(OPERATIONS).index(name)
    sampled = spread(range(1 + offset % 5, len(scene.points) + 1), _SAMPLE)
    for number, at in enumerate(sampled, offset):
        actions = actions_at(scene.points[at - 1])
        scene.disturb([Fault(at, actions[number % len(actions)])], tally, resume=False)
    middle, last = sampled[_SAMPLE // 2], sampled[-1]
    scene.disturb([Fault(last, "exit"), Fault(middle, "exit")], tally)
    scene.disturb(random_history(scene, 0), tally)
    if name in ("claim", "approve and integrate"):
        scene.disturb([Fault(last, "exit")], tally, real=True)
    report(tally)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fault", "story"), SHELF)
def test_the_shelf(open_scene: OpenScene, report: Report, name: str, fault: Fault, story: str) -> None:
    """Every defect that was found here stays found."""
    scene = open_scene(name)
    assert scene.points.count(fault.name) >= fault.at, story
    tally = Tally("regression shelf", len(SHELF))
    scene.disturb([fault], tally)
    report(tally)


@pytest.mark.crash
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_point(open_scene: OpenScene, report: Report, name: str, part: int) -> None:
    """Every kind of fault at every point: with an append every error, otherwise the four errors in turn.

    What was stopped is always typed again; after an error, once for each state of affairs that is left.
    """
    scene = open_scene(name)
    tally = Tally(name, len(scene.points))
    every_error = scene.operation.what == "append"
    for fault in faults_of(scene):
        in_turn = fault.action not in ERRORS or every_error or fault.action == ERRORS[fault.at // PARTS % len(ERRORS)]
        if fault.at % PARTS == part and in_turn:
            scene.disturb([fault], tally, resume=fault.action in ("exit", "crash"))
    report(tally)


@pytest.mark.crash
@pytest.mark.parametrize("name", OPERATIONS)
def test_stopped_again(open_scene: OpenScene, report: Report, name: str) -> None:
    """Depth two: from every different state that a stop leaves behind, the repeated command is stopped as well."""
    scene = open_scene(name)
    tally = Tally(f"{name}, depth 2", len(scene.points))
    for at, point in enumerate(scene.points, 1):
        if not point.startswith("object."):  # what no ref names makes no difference to what is done next
            scene.disturb([Fault(at, "exit")], tally, resume=False)
    firsts = [faults[0] for faults in scene.kinds.values()]
    pairs = [(first, Fault(at, "exit")) for first in firsts for at in range(1, len(scene.points) + 1)]
    for pair in spread(pairs, DEPTH_TWO):
        scene.disturb(pair, tally)
    report(tally)


@pytest.mark.crash
@pytest.mark.parametrize("name", OPERATIONS)
def test_random_histories(open_scene: OpenScene, report: Report, name: str) -> None:
    """Two to four faults of any kind, one after the other; the seeds are fixed."""
    scene = open_scene(name)
    tally = Tally(f"{name}, random", len(scene.points))
    for seed in range(SEEDS):
        scene.disturb(random_history(scene, seed), tally)
    report(tally)


@pytest.mark.crash
@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.what == "kitty"])
def test_real_processes(open_scene: OpenScene, report: Report, name: str) -> None:
    """The same with processes that start anew, at a few points."""
    scene = open_scene(name)
    tally = Tally(f"{name}, real processes", len(scene.points))
    for fault in spread([fault for fault in faults_of(scene) if fault.action in ("exit", "crash", "EIO")], 4):
        scene.disturb([fault], tally, real=True)
    report(tally)
