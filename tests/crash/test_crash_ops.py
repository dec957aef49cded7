"""Beginning and completing a request, disturbed at every failpoint: the state before or the state after, never a half.

An acknowledged request is there; one that was begun by a killed command is an orphan that is listed; typed again, the
same succeeds. Each history is a process of its own, forked from this one, on a copy of one repository.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from failpoints import actions_at

sys.path.insert(0, str(Path(__file__).parents[1] / "invocation"))

from forks import FAILED, apart

from kitty_flow.errors import RefusedError
from kitty_flow.flow.project import Project
from kitty_flow.invocation import Opening, begin, complete
from kitty_flow.invocation.listing import find_record, list_invocations
from kitty_flow.ledger.op_log import OPS_REF

OPENING = Opening("implementer", "implement", "mend it", "", False, "exact", "task_execution", "ann")
SAMPLED = 6
PARTS = 8
"""How many tests share the points of one operation, as in `test_crash_points`."""

Place = Callable[[], Path]


@pytest.fixture
def place(repo: Path, scratch: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Makes copies of a repository in which two requests are on record, one of them closed."""
    for outcome in ("done", None):
        record = begin(Project.discover(repo), OPENING)
        if outcome:
            complete(Project.discover(repo), record.invocation_id, "done")
    base = scratch / f"ops-{abs(hash(request.node.nodeid)):x}"
    shutil.copytree(repo, base / "start")
    count = 0

    def make() -> Path:
        nonlocal count
        count += 1
        copied = base / str(count)
        shutil.copytree(base / "start", copied)
        if count > 1:
            shutil.rmtree(base / str(count - 1))
        return copied

    yield make
    shutil.rmtree(base)


def _begin(root: Path) -> None:
    begin(Project.discover(root), OPENING)


def _complete(root: Path) -> None:
    report = root / "README.md"
    complete(Project.discover(root), _open(root)[0], "done", summary="made", evidence=report, artifacts=["a"])


def _open(root: Path) -> list[str]:
    listed = list_invocations(Project.discover(root), limit=100)
    assert listed.warnings == ()
    return [row["invocation_id"] for row in listed.rows if row["state"] == "started"]


def _count(root: Path) -> int:
    return len(list_invocations(Project.discover(root), limit=100).rows)


WORKS = {"begin": _begin, "complete": _complete}


def _disturb(name: str, place: Place, failpoint: str) -> None:
    root = place()
    status = apart(lambda: WORKS[name](root), failpoint)
    count, left = _count(root), len(_open(root))
    if name == "begin":
        assert (count, left) in ((2, 1), (3, 2)), failpoint
        assert status != 0 or count == 3, f"{failpoint}: acknowledged and not there"
        _begin(root)
        assert _count(root) == count + 1
        return
    assert (count, left) in ((2, 1), (2, 0)), failpoint
    assert status != 0 or left == 0, f"{failpoint}: acknowledged and not there"
    closed = next(row for row in list_invocations(Project.discover(root), limit=1).rows)
    if left:
        assert (closed["artifacts"], closed["evidence"]) == ([], []), failpoint
        _complete(root)
    else:
        with pytest.raises(RefusedError, match="closed once"):
            complete(Project.discover(root), closed["invocation_id"], "done")
    whole = find_record(Project.discover(root), closed["invocation_id"])
    assert (whole.state, len(whole.artifacts), len(whole.evidence), whole.superseded) == ("done", 1, 1, ())
    assert Project.discover(root).repository.git.text("fsck", "--connectivity-only", "--no-dangling", OPS_REF) == ""


def _points(name: str, place: Place, trace: Path) -> list[str]:
    root = place()
    assert apart(lambda: WORKS[name](root), None, trace) == 0
    return [line.split(maxsplit=1)[1] for line in trace.read_text(encoding="ascii").splitlines()]


def _failpoints(points: list[str]) -> list[str]:
    return [f"{at}:{action}" for at, point in enumerate(points, 1) for action in actions_at(point)]


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKS)
def test_sampled_points(name: str, place: Place, tmp_path: Path) -> None:
    points = _points(name, place, tmp_path / "trace")
    assert {"object.write", "ref.commit", "ledger.acknowledge"} <= set(points)
    number = next(at for at, point in enumerate(points, 1) if point == "ref.commit")
    every = _failpoints(points)
    chosen = [*every[:: len(every) // SAMPLED], f"{number}:exit", f"{number}:crash", f"{number + 1}:exit"]
    for failpoint in chosen:
        _disturb(name, place, failpoint)


@pytest.mark.crash
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", WORKS)
def test_every_point(name: str, part: int, place: Place, tmp_path: Path) -> None:
    for failpoint in _failpoints(_points(name, place, tmp_path / "trace"))[part::PARTS]:
        _disturb(name, place, failpoint)


def test_a_full_disk_is_told(place: Place) -> None:
    root = place()
    assert apart(lambda: _begin(root), "object.write:ENOSPC") == FAILED
    assert _count(root) == 2
