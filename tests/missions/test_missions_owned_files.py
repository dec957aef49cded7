"""Which owned-file patterns pass, in plain form, and which are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.missions.findings import Findings
from kitty_flow.missions.owned_files import check_owned_files


def check(*patterns: str) -> tuple[tuple[str, ...], list[str], list[str]]:
    findings = Findings()
    kept = check_owned_files(patterns, "here", findings)
    return kept, [p.message for p in findings.problems], [d.diagnostic_code for d in findings.diagnostics]


@pytest.mark.parametrize(
    ("pattern", "plain"),
    [
        ("src/a.py", "src/a.py"),
        ("./src//a/./b.py", "src/a/b.py"),
        ("src/", "src/"),
        ("**", "**"),
        ("src/[a-c]?/*.py", "src/[a-c]?/*.py"),
        (".github/workflows/ci.yml", ".github/workflows/ci.yml"),
        (".gitignore", ".gitignore"),
        ("docs/with space.md", "docs/with space.md"),
        ("kitty-specs/m/plan.md", "kitty-specs/m/plan.md"),
        ("a/..b/c..", "a/..b/c.."),
        ("größe/文.md", "größe/文.md"),
    ],
)
def test_ordinary_patterns_pass_in_plain_form(pattern: str, plain: str) -> None:
    assert check(pattern) == ((plain,), [], [])


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        ".",
        "./",
        "/etc/passwd",
        "//server/share",
        "~/x",
        "C:/x",
        "c:x",
        "\\\\server\\share",
        "..",
        "../x",
        "a/../b",
        "a/..",
        "a\\..\\b",
        ".git/config",
        "a/.GIT/hooks/**",
        ".git. /x",
        "git~1/config",
        "a\0b",
        "a\nb",
        "a\x1b[0m",
        "-rf",
        "!src/**",
        ":(top)x",
        "x" * 513,
    ],
)
def test_patterns_that_reach_elsewhere_are_refused(pattern: str) -> None:
    kept, problems, _ = check(pattern, "src/good.py")
    assert kept == ("src/good.py",)
    assert len(problems) == 1


def test_repeats_are_dropped_and_a_backslash_is_a_warning() -> None:
    assert check("a.md", "./a.md", "a.md\\n") == (("a.md", "a.md\\n"), [], ["BACKSLASH_IN_PATTERN"])


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (("src/**", "!./src//old/"), ("src/**", "!src/old/")),
        (("a", "!a/x", "a/x/y", "!a/x"), ("a", "a/x/y", "!a/x")),
        (("a", "!a/x", "a"), ("a",)),
    ],
)
def test_exclusions_keep_their_place(patterns: tuple[str, ...], kept: tuple[str, ...]) -> None:
    assert check(*patterns) == (kept, [], [])


@pytest.mark.parametrize("pattern", ["!../x", "!/etc", "!!src", "!-x", "!:x", "!", "!./", "!.git/x", "!a\0"])
def test_an_exclusion_keeps_the_rules_of_patterns(pattern: str) -> None:
    kept, problems, _ = check("src/good.py", pattern)
    assert (kept, len(problems)) == (("src/good.py",), 1)


def test_an_exclusion_needs_something_to_take_away_from() -> None:
    kept, problems, _ = check("!src/old/**", "src/**")
    assert kept == ("src/**",) and "no pattern stands before it" in problems[0]


def test_too_many_patterns_are_refused() -> None:
    kept, problems, _ = check(*(f"f{n}" for n in range(257)))
    assert (kept, len(problems)) == ((), 1)


@pytest.mark.parametrize("pattern", ["./:", "./-x", ".//!x", "././~", "./C:x", "./:(top)*"])
def test_a_leading_dot_hides_nothing(pattern: str) -> None:
    kept, problems, _ = check(pattern)
    assert (kept, len(problems)) == ((), 1)


@given(st.text(st.sampled_from("./\\~:-!ab*gitGIT \0"), max_size=12))
def test_what_passes_stays_inside_the_repository(pattern: str) -> None:
    kept, problems, _ = check(pattern)
    assert len(kept) + len(problems) == 1
    for plain in kept:
        segments = plain.replace("\\", "/").split("/")
        assert plain[0] not in "/\\~-!:" and ".." not in segments
        assert not any(s.casefold() == ".git" for s in segments)
        assert check(plain)[0] == kept
