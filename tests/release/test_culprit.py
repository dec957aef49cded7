"""The search for the work package that makes the tests fail, and how few runs it takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.release import red
from kitty_flow.release.culprit import first_red
from kitty_flow.release.landing import Landing, MergeOptions, TestRun
from kitty_flow.release.stack import Layer, Stack

if TYPE_CHECKING:
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.release.tested_tree import TreeTester


@pytest.mark.parametrize("culprit", range(8))
def test_one_culprit_in_eight_takes_three_runs_and_one_more(culprit: int) -> None:
    runs: list[int] = []
    again: list[int] = []

    def is_green(number: int) -> bool:
        runs.append(number)
        return number < culprit

    assert first_red(8, is_green, lambda n: again.append(n) or False) == culprit  # type: ignore[func-returns-value]
    assert (len(runs) <= 3, again) == (True, [culprit])


@given(st.integers(1, 20), st.data())
def test_flakes_never_hide_a_culprit(count: int, data: st.DataObject) -> None:
    """Whatever passes by chance, the layer that is named was red twice, and none is named when the last one passes."""
    culprit = data.draw(st.one_of(st.none(), st.integers(0, count - 1)))
    flaky = data.draw(st.sets(st.integers(0, count - 1)))

    def is_red(number: int) -> bool:
        return culprit is not None and number >= culprit

    found = first_red(count, lambda n: not is_red(n) and n not in flaky, lambda n: not is_red(n))
    assert found == culprit


class Answers:
    """Answers for trees as it was told: `red` commits fail, those that are `flaky` only the first time."""

    def __init__(self, red: set[str], flaky: set[str]) -> None:
        self.red, self.flaky, self.runs = red, set(flaky), list[str]()
        self.known: dict[str, TestRun] = {}

    def test(self, commit: str, what: str, *, again: bool = False) -> TestRun:
        if again or commit not in self.known:
            self.runs.append(commit)
            status = int(commit in self.red or commit in self.flaky)
            self.flaky.discard(commit)
            self.known[commit] = TestRun(("true",), status, "exited", 0.0, "", "", ())
        return self.known[commit]


@given(st.sets(st.integers(0, 4)), st.sets(st.integers(0, 4)))
def test_with_every_commit_each_one_is_green_or_its_work_package_is_named(reds: set[int], flakes: set[int]) -> None:
    """Also where the work above mends what is red below: the target passes through every commit."""
    layers = tuple(Layer(f"WP{n}", f"h{n}", f"c{n}", f"t{n}") for n in range(5))
    mission = cast("OpenMission", SimpleNamespace(target_branch="trunk"))
    landing = Landing(mission, MergeOptions(("true",), every_commit=True), "M", target_commit="base")
    landing.candidate_commit, landing.candidate_tree = "c4", "t4"
    tester = Answers({f"c{n}" for n in reds}, {f"c{n}" for n in flakes})
    with mock.patch.object(red, "build_stack", lambda *_: Stack("base", layers)):
        run = red.test_candidate(landing, cast("TreeTester", tester))
    first = min(reds, default=None)
    assert run.passed == (first is None)
    named = landing.red and (landing.red.culprit, landing.red.good, landing.red.bad)
    assert named == (None if first is None else (f"WP{first}", f"c{first - 1}" if first else "base", f"c{first}"))
    assert len(landing.remarks) == len({n for n in flakes - reds if first is None or n < first})
    assert not reds or tester.runs.count(f"c{first}") == 2, "nobody is blamed for what was red once"
