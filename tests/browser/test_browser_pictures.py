"""The page and the SVG in a real browser: quiet, offline, and every control does what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser

from kitty_flow.flow.mission_record import MissionRecord, Moment
from kitty_flow.graph import compute_plan
from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage
from kitty_flow.views.dag_html import html
from kitty_flow.views.dag_svg import svg

HOSTILE = "\"]--></script><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>"


def _mission() -> MissionDefinition:
    packages = (
        WorkPackage("WP01", "Parser", (), ("src/parser.py",)),
        WorkPackage("WP02", HOSTILE, ("WP01",), ("src/a/**",)),
        WorkPackage("WP03", "Writer", ("WP01",), ("src/a/x.py",)),
        WorkPackage("WP04", "Reader", ("WP01",), ("src/reader.py",)),
        WorkPackage("WP05", "Notes", (), ("notes.md",), "planning_artifact"),
    )
    return MissionDefinition(None, "sample", HOSTILE, "main", MissionSource("native", "m.toml"), packages)


def _record() -> MissionRecord:
    names = [work_package.id for work_package in _mission().work_packages]
    moments = [
        Moment(f"2026-01-02T03:00:0{n}Z", name, None, "planned", "plan", "p", "", False) for n, name in enumerate(names)
    ]
    steps = [("planned", "claimed"), ("claimed", "in_progress"), ("in_progress", "blocked")]
    moments += [
        Moment(f"2026-01-02T03:0{n}:00Z", "WP01", before, after, "t", "agent-1", HOSTILE, False)
        for n, (before, after) in enumerate(steps, 1)
    ]
    states = dict.fromkeys(names, "planned") | {"WP01": "blocked"}
    return MissionRecord(states, tuple(moments), {"WP02": ("WP02 depends on WP01, which is blocked",)})


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Browser:
    """The page of a mission with hostile titles, just opened."""
    place = tmp_path / "mission.html"
    place.write_text(html(_mission(), compute_plan(_mission()), _record()), encoding="utf-8")
    browser.open(place)
    return browser


@pytest.fixture(autouse=True)
def _quiet(browser: Browser) -> Any:
    """After every test: no message on the console, no request but for the file itself, nothing hostile ran."""
    yield
    assert browser.problems == []
    assert [address for address in browser.requests if not address.startswith("file:")] == []
    assert len(browser.requests) == 1
    assert browser.js("window.broken === undefined")


def _text(page: Browser, selector: str) -> str:
    return str(page.js(f"document.querySelector({json.dumps(selector)}).textContent"))


def _choose(page: Browser, select: str, value: str) -> None:
    page.js(
        f"(() => {{ const s = document.getElementById({json.dumps(select)}); s.value = {json.dumps(value)};"
        " s.dispatchEvent(new Event('change')); })()"
    )


def _bright(page: Browser) -> list[str]:
    return list(page.js("[...document.querySelectorAll('.card:not(.dim)')].map(c => c.dataset.wp).sort()"))


def _seen(page: Browser) -> list[float]:
    return [float(n) for n in str(page.js("document.querySelector('#stage svg').getAttribute('viewBox')")).split()]


@pytest.mark.parametrize("dark", [False, True])
def test_the_svg_opens_in_light_and_dark(browser: Browser, tmp_path: Path, dark: bool) -> None:
    place = tmp_path / "mission.svg"
    place.write_text(svg(_mission(), compute_plan(_mission()), _record().states), encoding="utf-8")
    browser.open(place, dark=dark)
    paper = browser.js("getComputedStyle(document.querySelector('.paper')).fill")
    assert paper == ("rgb(15, 20, 27)" if dark else "rgb(255, 255, 255)")
    assert browser.js("document.querySelectorAll('script').length") == 0
    assert browser.js("[...document.querySelectorAll('.card')].length") == 5


_OVERFLOWING = """[...document.querySelectorAll('.card')].filter(card => {
  const frame = card.querySelector('.frame').getBoundingClientRect();
  return [...card.querySelectorAll('text')].some(text => {
    const box = text.getBoundingClientRect();
    return box.right > frame.right || box.left < frame.left || box.bottom > frame.bottom;
  });
}).map(card => card.dataset.wp)"""


@pytest.mark.parametrize(
    "title", ["W" * 200, "MIXED CAPITALS ONLY TITLE OF SOME LENGTH " * 4, "計画の作成と検証" * 9, "i" * 300]
)
def test_no_words_leave_their_box(browser: Browser, tmp_path: Path, title: str) -> None:
    mission = replace(_mission(), work_packages=(WorkPackage("WP01", title), WorkPackage("A" * 32, title)))
    place = tmp_path / "mission.svg"
    place.write_text(svg(mission, compute_plan(mission), {"WP01": "in_progress"}), encoding="utf-8")
    browser.open(place)
    assert browser.js(_OVERFLOWING) == []


def test_a_click_shows_the_details_and_escape_closes_them(page: Browser) -> None:
    page.click('.card[data-wp="WP02"]')
    details = _text(page, "#details")
    assert HOSTILE in details
    for words in ("planned", "wave2", "lane-", "src/a/**", "WP01 · blocked", "which is blocked", "both may write"):
        assert words in details
    assert page.js("document.querySelectorAll('#details img, #details script').length") == 0
    page.press("Escape")
    assert page.js("document.getElementById('details').hidden")


def test_a_dependency_in_the_details_leads_there(page: Browser) -> None:
    page.click('.card[data-wp="WP02"]')
    page.click("#details .jump")
    assert _text(page, "#details h2") == "WP01"
    assert page.js("document.querySelector('.card.chosen').dataset.wp") == "WP01"
    assert page.js("document.querySelectorAll('.arrow.near').length") > 0


def test_search_and_filters_dim_the_rest(page: Browser) -> None:
    page.press("/", *"reader.py")
    assert _bright(page) == ["WP04"]
    assert _text(page, "#found") == "1 of 5"
    page.press("Enter")
    assert _text(page, "#details h2") == "WP04"
    page.press("Escape")
    assert len(_bright(page)) == 5
    _choose(page, "wave", "1")
    assert _bright(page) == ["WP01", "WP05"]
    _choose(page, "state", "blocked")
    assert _bright(page) == ["WP01"]
    _choose(page, "wave", "")
    _choose(page, "state", "")
    _choose(page, "lane", "lane-planning")
    assert _bright(page) == ["WP05"]
    assert page.js("document.querySelectorAll('.arrow.dim').length") == page.js(
        "document.querySelectorAll('.arrow[data-from]').length"
    )


def test_the_slider_goes_through_the_history(page: Browser) -> None:
    def state() -> str:
        return _text(page, '.card[data-wp="WP01"] .state')

    assert state() == "blocked"
    page.click("#earlier")
    assert state() == "in progress" and "claimed → in progress, by agent-1" in _text(page, "#told")
    page.js("document.getElementById('moment').focus()")
    page.press("ArrowLeft")
    assert state() == "claimed"
    assert page.js("document.querySelector('.card[data-wp=WP01]').classList.contains('s-claimed')")
    page.click("#moment", x=4)
    assert _text(page, '.card[data-wp="WP05"] .state') == "not recorded yet"
    page.press("End")
    assert state() == "blocked"


def test_the_keyboard_alone_is_enough(page: Browser) -> None:
    page.js("document.querySelector('.card[tabindex=\"0\"]').focus()")
    first = page.js("document.activeElement.dataset.wp")
    page.press("ArrowRight")
    assert page.js("document.activeElement.dataset.wp") != first
    page.press("ArrowLeft", "Enter")
    assert _text(page, "#details h2") == first == "WP01"
    assert page.js("document.querySelectorAll('.card[tabindex=\"0\"]').length") == 1


def test_wheel_drag_keys_and_buttons_move_the_view(page: Browser) -> None:
    fitted = _seen(page)
    page.wheel(700, 400, -300)
    near = _seen(page)
    assert near[2] < fitted[2]
    page.drag((700, 640), (600, 600))
    moved = _seen(page)
    assert moved[0] > near[0] and moved[1] > near[1] and moved[2] == pytest.approx(near[2])
    assert page.js("document.getElementById('details').hidden")
    page.click("#farther")
    assert _seen(page)[2] > moved[2]
    page.js("document.activeElement.blur()")
    page.press("+", "+", "0")
    assert _seen(page) == pytest.approx(fitted)


def test_from_far_away_ids_are_large(page: Browser) -> None:
    def height() -> float:
        return float(page.js("document.querySelector('.card[data-wp=WP01] .id').getBBox().height"))

    near = height()
    for _ in range(6):
        page.click("#farther")
    assert height() > 2 * near
    assert page.js("getComputedStyle(document.querySelector('.card .words')).display") == "none"
    page.click("#fit")
    assert height() == near


def test_the_gantt_views_show_plan_and_history(page: Browser) -> None:
    _choose(page, "view", "plan")
    assert page.js("document.querySelectorAll('#gantt .row').length") == 5
    assert page.js("document.querySelectorAll('#gantt .slack').length") > 0
    _choose(page, "view", "actual")
    bars = "[...document.querySelectorAll('#gantt .row[data-wp=WP01] g g')].map(g => g.getAttribute('class'))"
    assert page.js(bars) == ["s-planned", "s-claimed", "s-in_progress", "s-blocked"]
    page.click('#gantt .row[data-wp="WP04"]', x=40)
    assert _text(page, "#details h2") == "WP04"
    _choose(page, "wave", "1")
    assert page.js("document.querySelectorAll('#gantt .row').length") == 2


def test_without_scripts_the_picture_is_there(browser: Browser, tmp_path: Path) -> None:
    place = tmp_path / "mission.html"
    place.write_text(html(_mission(), compute_plan(_mission()), _record()), encoding="utf-8")
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(place)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.js("document.getElementById('controls').hidden && document.getElementById('history').hidden")
    assert browser.js("document.querySelector('.card .words').getBoundingClientRect().height") > 8
