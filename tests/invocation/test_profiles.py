"""Profiles: what ships is complete, a project's own replace it, and every problem is told at once with its line."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.invocation.profile import Profile
from kitty_flow.invocation.profiles import PROFILES_PATH, load_profiles
from kitty_flow.invocation.router import find_profile
from kitty_flow.invocation.verbs import CANONICAL_VERBS, ROLES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "profiles.md"
GOOD = 'id = "{}"\nname = "Someone"\npurpose = "Does things."\nrole = "reviewer"\n'


def write(root: Path, name: str, text: str) -> Path:
    path = root / PROFILES_PATH / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems(root: Path) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        load_profiles(root)
    assert caught.value.code == "INVALID_PROFILES"
    assert all(p["message"] and len(p["message"]) < 400 for p in caught.value.details["problems"])
    return [
        (p["where"].removeprefix(f"{PROFILES_PATH.as_posix()}/"), p["code"]) for p in caught.value.details["problems"]
    ]


def test_the_starter_set_has_one_profile_for_each_role() -> None:
    shipped = load_profiles(None)
    assert [p.id for p in shipped] == sorted(ROLES)
    for profile in shipped:
        assert profile.role == profile.id and profile.source == "shipped"
        assert profile.directives and profile.boundaries and profile.domain_keywords and profile.hands_off_to
        json.dumps(profile.as_data())


def test_a_project_replaces_and_adds_whole_profiles(tmp_path: Path) -> None:
    write(tmp_path, "reviewer.toml", GOOD.format("reviewer") + "priority = 70\n")
    write(tmp_path, "security-reviewer.toml", GOOD.format("security-reviewer") + 'collaborators = ["reviewer"]\n')
    write(tmp_path, ".#draft.toml", "broken")
    write(tmp_path, "notes.md", "broken")
    loaded = load_profiles(tmp_path)
    assert len(loaded) == len(ROLES) + 1
    replaced, added = find_profile(loaded, "REVIEWER"), find_profile(loaded, "security-reviewer")
    assert (replaced.priority, replaced.source, replaced.directives) == (70, "project", ())
    assert (added.priority, added.action, added.path) == (
        50,
        "review",
        ".kitty-flow/profiles/security-reviewer.toml",
    )


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", 'id = "a"\nname = ""\nrole = "reviwer"\npriority = true\n\ncolour = "red"\n')
    write(tmp_path, "b.toml", 'id = "b"\nname = "x\n')
    write(tmp_path, "c.toml", GOOD.format("d"))
    long = 'verbs = ["look at", "see", "see"]\ndomain_keywords = "x"\ndirectives = ["\\u001b[31m"]\n[more]\n'
    write(tmp_path, "e.toml", GOOD.format("E") + long)
    write(tmp_path, "f.toml", GOOD.format("f") + "priority = 101\n")
    (tmp_path / PROFILES_PATH / "g.toml").write_bytes(b'id = "\xff"')
    (tmp_path / PROFILES_PATH / "h.toml").mkdir()
    assert problems(tmp_path) == [
        ("a.toml", "MISSING_KEY"),
        ("a.toml:2", "INVALID_VALUE"),
        ("a.toml:3", "INVALID_VALUE"),
        ("a.toml:4", "INVALID_VALUE"),
        ("a.toml:6", "UNKNOWN_KEY"),
        ("b.toml:2", "NOT_TOML"),
        ("c.toml:1", "ID_IS_NOT_THE_FILE"),
        ("e.toml:1", "INVALID_VALUE"),
        ("e.toml:5", "INVALID_VALUE"),
        ("e.toml:6", "INVALID_VALUE"),
        ("e.toml:7", "INVALID_VALUE"),
        ("e.toml:8", "UNKNOWN_KEY"),
        ("f.toml:5", "INVALID_VALUE"),
        ("g.toml:1", "NOT_UTF8"),
        ("h.toml", "UNREADABLE_FILE"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('rol = "reviewer"', "did you mean role?"),
        ("priority = 1.5", "whole number from 0 to 100"),
        ('verbs = ["a", "a"]', "item 2 stands there twice"),
        ('verbs = ["!"]', "item 1 must be one word"),
        ('domain_keywords = ["one two three four five six seven"]', "item 1 must have one to 6 words"),
        ('domain_keywords = ["--"]', "item 1 must have one to 6 words"),
        ("boundaries = [3]", "item 1 must be a text"),
        ('collaborators = ["../x"]', "item 1 must be lower-case letters"),
        ('collaborators = ["implementor"]', "did you mean implementer?"),
        (f'directives = ["{"x" * 1001}"]', "longer than 1000"),
        (f"verbs = {[f'v{n}' for n in range(101)]}", "more than 100 items"),
        ("x = " + "[" * 2000 + "]" * 2000, "nested too deeply"),
    ],
)
def test_a_problem_says_what_would_be_right(line: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, "mine.toml", GOOD.format("mine") + line)
    with pytest.raises(DefinitionError) as caught:
        load_profiles(tmp_path)
    (found,) = caught.value.details["problems"]
    assert message in found["message"]


def test_what_is_too_large_or_elsewhere_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside.toml"
    outside.write_text(GOOD.format("link"))
    write(root, "large.toml", GOOD.format("large") + "#" * 70_000)
    (root / PROFILES_PATH / "link.toml").symlink_to(outside)
    assert problems(root) == [("large.toml", "FILE_TOO_LARGE"), ("link.toml", "OUTSIDE_PROJECT")]


def test_too_many_profiles_are_refused(tmp_path: Path) -> None:
    for number in range(201):
        write(tmp_path, f"p{number}.toml", "")
    assert problems(tmp_path) == [(PROFILES_PATH.as_posix(), "TOO_MANY")]


def test_every_key_is_documented_and_the_example_loads(tmp_path: Path) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    documented = set(re.findall(r"(?m)^\| `(\w+)` \|", text))
    assert documented == {f.name for f in fields(Profile)} - {"source", "path"}
    for role, action in ROLES.items():
        assert f"\n| {role} | {action} | {', '.join(CANONICAL_VERBS[action])} |\n" in text
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    write(tmp_path, "database-reviewer.toml", example.group(1))
    assert find_profile(load_profiles(tmp_path), "database-reviewer").role == "reviewer"
