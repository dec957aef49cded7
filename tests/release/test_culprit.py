"""The search for the work package that makes the tests fail, and how few runs it takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.release.culprit import first_red


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
