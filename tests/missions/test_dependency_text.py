"""What a dependency line of a task list means, in the many ways in which people write one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.missions.dependency_text import Reading, read_dependencies
from kitty_flow.missions.work_package_names import Roster

ROSTER = Roster([f"WP{n:02d}" for n in range(1, 10)] + ["WP100", "WP101"])


def read(text: str, of: str = "WP08") -> Reading:
    return read_dependencies(text, ROSTER, of)


def names(text: str, of: str = "WP08") -> str:
    reading = read(text, of)
    return " ".join([*ROSTER.members(reading.mask), *reading.unknown])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WP01", "WP01"),
        ("WP1", "WP01"),
        ("wp-01", "WP01"),
        ("[WP01, WP02]", "WP01 WP02"),
        ("WP01, WP02 and WP05", "WP01 WP02 WP05"),
        ("WP01 & WP02 + WP03", "WP01 WP02 WP03"),
        ("WP01/WP02", "WP01 WP02"),
        ("WP02 → WP03", "WP02 WP03"),
        ("WP100, WP101", "WP100 WP101"),
        ("WP01-WP03", "WP01 WP02 WP03"),
        ("WP01\u2013WP03", "WP01 WP02 WP03"),
        ("WP01..WP03", "WP01 WP02 WP03"),
        ("WP01 through WP03", "WP01 WP02 WP03"),
        ("WP01 to WP03, WP05", "WP01 WP02 WP03 WP05"),
        ("WP01-03", "WP01 WP02 WP03"),
        ("WP07-WP09", "WP07 WP09"),
        ("WP09-WP101", "WP09 WP100 WP101"),
        ("WP01 (parser), WP06 (stable writer)", "WP01 WP06"),
        ("Depends on WP01 (the parser must exist).", "WP01"),
        ("Work Package 3", "WP03"),
        ("outputs of WP01-WP02 to describe them", "WP01 WP02"),
        ("WP01 must be merged first (form). WP03 must be merged first (page).", "WP01 WP03"),
        ("[WP01](tasks/WP01-parser.md)", "WP01"),
        ("WP77", "WP77"),
    ],
)
def test_names_lists_and_ranges(text: str, expected: str) -> None:
    assert names(text) == expected
    assert not read(text).guessed


@pytest.mark.parametrize(
    "text",
    [
        *("none", "None.", "-", "—", "n/a", "[]", "nothing", "no dependencies", "No internal dependencies"),
        *("None (starting package)", "none — the files of WP02 are others", "Independent of WP01 and WP02"),
        *("none (WP02 is apart)", "No dependencies on WP03"),
    ],
)
def test_an_explicit_none_is_a_declaration(text: str) -> None:
    reading = read(text)
    assert reading.none and reading.says_something and not reading.mask and not reading.unknown


@pytest.mark.parametrize(
    ("text", "expected", "aside"),
    [
        ("Can run in parallel with WP03", "", "WP03"),
        ("unblocks WP05", "", "WP05"),
        ("blocks WP05 and WP06", "", "WP05, WP06"),
        ("WP05 can start in parallel", "", "WP05"),
        ("WP03 runs in parallel", "", "WP03"),
        ("WP01, can run in parallel with WP03", "WP01", "WP03"),
        ("WP01 (validator), and benefits from WP02", "WP01", "WP02"),
        ("does not depend on WP02, requires WP01", "WP01", "WP02"),
        ("WP01, not WP02", "WP01", "WP02"),
        ("WP01. WP05 reads what this writes.", "WP01", "WP05"),
        ("WP01 (Scope B waits for WP09)", "WP01", "WP09"),
        ("needed by WP05", "", "WP05"),
    ],
)
def test_asides_are_no_dependencies_and_are_reported(text: str, expected: str, aside: str) -> None:
    reading = read(text)
    assert names(text) == expected
    assert any(aside in message for message in reading.dropped)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all prior WPs", "WP01 WP02 WP03 WP04"),
        ("All previous work packages", "WP01 WP02 WP03 WP04"),
        ("all WPs", "WP01 WP02 WP03 WP04"),
        ("everything above", "WP01 WP02 WP03 WP04"),
        ("all prior WPs except WP03", "WP01 WP02 WP04"),
        ("the previous work package", "WP04"),
        ("all other WPs", "WP01 WP02 WP03 WP04 WP06 WP07 WP08 WP09 WP100 WP101"),
        ("the parser (WP01) and the writer (WP02)", "WP01 WP02"),
        ("WP01 or WP02", "WP01 WP02"),
    ],
)
def test_what_is_not_plain_is_read_and_reported_as_guessed(text: str, expected: str) -> None:
    assert names(text, of="WP05") == expected
    assert read(text, of="WP05").guessed


def test_a_range_over_the_work_package_itself_leaves_it_out_but_its_own_name_stays() -> None:
    assert names("WP07-WP09", of="WP08") == "WP07 WP09"
    assert names("WP08", of="WP08") == "WP08"  # validation reports it as a dependency on itself


@pytest.mark.parametrize("text", ["", "the usual things", "Python 3.11", "(see above)"])
def test_what_names_nothing_declares_nothing(text: str) -> None:
    assert not read(text).says_something


@given(
    st.sets(st.integers(1, 9), min_size=1), st.sampled_from([", ", " and ", " & ", " + ", "; ", "/", " → ", " (x), "])
)
def test_a_list_is_read_whatever_joins_it(numbers: set[int], joint: str) -> None:
    text = joint.join(f"WP{n:02d}" for n in sorted(numbers))
    if joint != "; ":  # what follows a semicolon is a clause of its own, and must say that it is needed
        assert names(text, of="WP100") == " ".join(f"WP{n:02d}" for n in sorted(numbers))


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["-", "\u2013", "..", " to ", " through ", " - "]))
def test_a_range_is_all_between_its_ends(first: int, last: int, joint: str) -> None:
    low, high = sorted((first, last))
    expected = " ".join(f"WP{n:02d}" for n in range(low, high + 1))
    assert names(f"WP{first:02d}{joint}WP{last:02d}", of="WP100") == expected


@given(st.text(alphabet="WP012()[],.;-—*| andorexcptl\u2013", max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    reading = read(text)
    assert set(ROSTER.members(reading.mask)) <= set(ROSTER.ids)
    assert not (reading.none and reading.mask)
