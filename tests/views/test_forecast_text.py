"""What a mission will take, in words."""

from __future__ import annotations

import pytest

from kitty_flow.model.forecast import Forecast
from kitty_flow.views.forecast_text import forecast_lines, shortened, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119.4, "119 s"),
        (119.6, "2 min"),
        (3569, "59 min"),
        (3590, "1 h"),
        (7500, "2 h 5 min"),
        (47.99 * 3600, "47 h 59 min"),
        (48 * 3600, "2 d"),
        (76 * 3600, "3 d 4 h"),
        (71.9 * 3600, "3 d"),
    ],
)
def test_a_time_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_many_names_are_shortened_and_their_last_is_kept() -> None:
    names = [f"WP{n}" for n in range(1, 10)]
    assert shortened(names, 8) == ", ".join(names)
    assert shortened(names, 4) == "WP1, WP2, WP3, (5 more), WP9"
    assert shortened([], 4) == ""


def test_what_is_left_is_said_with_what_it_rests_on() -> None:
    timed = Forecast(2, 600.0, 500.0, "seconds", 900.0, 3, 1, 650.0, 800.0, 1000, 12, "repository")
    assert forecast_lines(timed) == (
        "what is left (3 work packages of 4) with 2 agents: about 11 min (median of 1000 simulations), "
        "in nine of ten at most 13 min",
        "if each took the mean: 10 min, at best 8 min, one after another 15 min",
        "learned from 12 finished work packages of this repository; waiting for people is not counted",
    )
    counted = Forecast(1, 3.0, 3.0, "work packages", 3.0, 3, 0)
    assert forecast_lines(counted) == ("with 1 agent: 3 work packages long, at best 3, one after another 3",)
    assert forecast_lines(Forecast(4, 0.0, 0.0, "seconds", 0.0, 0, 4)) == ("nothing is left to be done",)
