"""kitty-flow's own mission file: what loads, what is refused, and that the documentation shows what loads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.source import load_mission
from kitty_flow.missions.starter import starter_text

ROOT = Path(__file__).parents[2]
WORK_PACKAGE = '[[work_package]]\nid = "WP01"\nowned_files = ["a"]\n'


def write(folder: Path, text: str, name: str = "trip.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def problems(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        load_mission(path)
    assert caught.value.code == "INVALID_MISSION"
    return [(p["code"], p["where"]) for p in caught.value.details["problems"]]


def test_a_complete_file_is_read_field_by_field() -> None:
    path = ROOT / "fixtures" / "missions" / "native" / "link-shortener.toml"
    loaded = load_mission(path, relative_to=ROOT)
    mission = loaded.definition
    assert (mission.id, mission.slug, mission.title) == (
        "01JZ5N3C8RWE5P1YF0K6SHTAVD",
        "link-shortener",
        "Link shortener",
    )
    assert (mission.source.kind, mission.source.path) == ("native", "fixtures/missions/native/link-shortener.toml")
    codes = mission.work_package("WP01")
    assert [(s.id, s.title) for s in codes.subtasks] == [("T001", "Make a code"), ("T002", "Never make one twice")]
    assert (codes.requirement_refs, codes.prompt) == (("FR-001",), "Make short codes.\n")
    assert mission.work_package("WP02").dependencies == ("WP01",)
    assert mission.work_package("WP03").execution_mode == "planning_artifact"
    assert loaded.diagnostics == ()


def test_defaults(tmp_path: Path) -> None:
    mission = load_mission(write(tmp_path, "[mission]\n" + WORK_PACKAGE)).definition
    assert (mission.slug, mission.title, mission.id, mission.target_branch) == ("trip", "trip", None, None)
    assert mission.template == "software-dev"
    assert mission.work_packages[0].title == "WP01"
    assert mission.work_packages[0].execution_mode == "code_change"


def test_the_example_of_the_documentation_loads() -> None:
    page = (ROOT / "docs" / "reference" / "mission-file.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(examples) == 1
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    tables = tomllib.loads(examples[0])
    used = set(tables["mission"]).union(*tables["work_package"])
    assert used <= documented
    assert documented >= {"title", "slug", "id", "target_branch", "template", "dependencies", "owned_files", "prompt"}


def test_the_example_of_the_documentation_plans_as_the_page_says(tmp_path: Path) -> None:
    from kitty_flow.graph.planning import compute_plan

    page = (ROOT / "docs" / "reference" / "mission-file.md").read_text()
    example = re.search(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert example is not None
    loaded = load_mission(write(tmp_path, example[1]))
    plan = compute_plan(loaded.definition)
    assert loaded.diagnostics == ()
    assert [c.work_packages for c in plan.conflicts] == [("WP02", "WP03")]


def test_the_starter_file_loads_and_plans_in_two_waves(tmp_path: Path) -> None:
    from kitty_flow.graph.planning import compute_plan

    loaded = load_mission(write(tmp_path, starter_text("my-trip", "My trip"), "my-trip.toml"))
    assert (loaded.definition.slug, loaded.definition.title) == ("my-trip", "My trip")
    assert loaded.diagnostics == ()
    assert compute_plan(loaded.definition).waves == (("WP01",), ("WP02", "WP03"))


@given(title=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80))
def test_any_title_survives_the_starter_file(title: str) -> None:
    table = tomllib.loads(starter_text("trip", title))["mission"]
    assert table["title"] == (title.strip() or "trip")


@pytest.mark.parametrize(
    ("slug", "title"), [("../x", "A"), ("-x", "A"), ("x", "a\0b"), ("x", "\ud800"), ("x", "y" * 501)]
)
def test_a_starter_file_is_not_made_from_bad_names(slug: str, title: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        starter_text(slug, title)
    assert caught.value.code in {"INVALID_MISSION_SLUG", "INVALID_TITLE"}


def test_unknown_keys_are_refused_with_the_likely_one(tmp_path: Path) -> None:
    text = '[mission]\ntitel = "x"\n[[work_package]]\nid = "WP01"\ndepends = []\nowned-files = []\n[[workpackage]]\n'
    with pytest.raises(DefinitionError) as caught:
        load_mission(write(tmp_path, text))
    found = {(p["where"], p["message"]) for p in caught.value.details["problems"]}
    assert found == {
        ("trip.toml:2", "unknown key 'titel'; did you mean 'title'?"),
        ("trip.toml:5", "unknown key 'depends'; did you mean 'dependencies'?"),
        ("trip.toml:6", "unknown key 'owned-files'; did you mean 'owned_files'?"),
        ("trip.toml", "unknown key 'workpackage'; did you mean 'work_package'?"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("MISSING_KEY", "trip.toml")]),
        ("mission = 1", [("WRONG_TYPE", "trip.toml")]),
        ("[mission]\n", [("EMPTY_MISSION", "trip.toml:1")]),
        ("[mission]\nwork_package = 1\n", [("UNKNOWN_KEY", "trip.toml:2")]),
        ("work_package = 1\n[mission]\n", [("WRONG_TYPE", "trip.toml")]),
        ("work_package = [1]\n[mission]\n", [("WRONG_TYPE", "trip.toml: work_package 1")]),
        ('[mission]\n[[work_package]]\ntitle = "x"\n', [("MISSING_KEY", "trip.toml:2")]),
        ("[mission]\ntitle = 2026-01-01\n" + WORK_PACKAGE, [("WRONG_TYPE", "trip.toml:2")]),
        ("[mission]\n" + WORK_PACKAGE + "dependencies = [1]\n", [("WRONG_TYPE", "trip.toml:5")]),
        ("[mission]\n[mission]\n", [("INVALID_TOML", "trip.toml:2")]),
        ("[mission]\nx = " + "[" * 5000, [("INVALID_TOML", "trip.toml")]),
        ("[mission]\n" + "a. 'b'." * 100_000 + "c = 1\n", [("INVALID_TOML", "trip.toml")]),
        ('[mission]\nid = "nope"\n' + WORK_PACKAGE, [("INVALID_ULID", "trip.toml:1")]),
        ('[mission]\nslug = "a/b"\n' + WORK_PACKAGE, [("INVALID_MISSION_SLUG", "trip.toml:1")]),
        ('[mission]\ntemplate = "../x"\n' + WORK_PACKAGE, [("INVALID_MISSION_SLUG", "trip.toml:1")]),
        ('[mission]\ntitle = "a\\u0000b"\n' + WORK_PACKAGE, [("INVALID_TITLE", "trip.toml:1")]),
        ('[mission]\nwork_package = 1\n[[work_package]]\nid = "WP01"', [("UNKNOWN_KEY", "trip.toml:2")]),
        ("work_package = [{ id = 1 }]\n[mission]\n", [("WRONG_TYPE", "trip.toml: work_package 1")]),
        ("[mission]\n" + WORK_PACKAGE + "created_files = 1\n", [("WRONG_TYPE", "trip.toml:5")]),
        ("[mission]\n" + WORK_PACKAGE + "subtasks = [\n{ id = 1 }, 2]\n", [("WRONG_TYPE", "trip.toml:5")] * 2),
        (
            "[mission]\n" + WORK_PACKAGE + 'subtasks = ["Write it", "T001 a", "T001 b"]\n',
            [
                ("INVALID_SUBTASK", "trip.toml:5"),
                ("DUPLICATE_SUBTASK_ID", "trip.toml:5"),
            ],
        ),
        ("[mission]\n" + WORK_PACKAGE * 2, [("DUPLICATE_WORK_PACKAGE_ID", "trip.toml:5")]),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path: Path, text: str, expected: list[tuple[str, str]]) -> None:
    assert problems(write(tmp_path, text)) == expected


def test_control_characters_in_a_title_are_data(tmp_path: Path) -> None:
    path = write(tmp_path, '[mission]\ntitle = "\\u001b[31mred"\n' + WORK_PACKAGE)
    assert load_mission(path).definition.title == "\x1b[31mred"


def test_lines_are_counted_past_texts_that_look_like_tables(tmp_path: Path) -> None:
    text = (
        '[mission]\ntitle = "#"  # [[work_package]]\n'
        "[[work_package]]\nid = 'WP01'\nprompt = '''\n[[work_package]]\nowned_files = 1\n'''''\n"
        'title = """\n\\"""\nid = \\""""""\nowned_files = ["a"]\n'
        ' [[ work_package ]]\nid = "WP02"\nsubtasks = [\n  "x",\n]\n'
    )
    assert problems(write(tmp_path, text)) == [("INVALID_SUBTASK", "trip.toml:15")]


def test_what_only_other_sources_said_before_can_be_said_here(tmp_path: Path) -> None:
    from kitty_flow.missions.source import read_mission

    text = (
        '[mission]\nrequirements = ["FR-1", "FR-2"]\n[[work_package]]\nid = "WP01"\nowned_files = ["src/**"]\n'
        'created_files = ["src/new.py"]\nsurface = "src/"\nsubtasks = ["T1 One", { id = "two", title = "- 2" }]\n'
        '[[work_package]]\nid = "WP02"\nowned_files = ["docs/**"]\n'
    )
    draft, loaded = read_mission(write(tmp_path, text))
    first, second = draft.work_packages
    assert draft.requirements == {"FR-1": "trip.toml:2", "FR-2": "trip.toml:2"}
    assert (first.created_files, first.surface) == (("src/new.py",), "src/")
    assert (second.created_files, second.surface, second.place("owned_files")) == (None, None, "trip.toml:11")
    assert [tuple(s) for s in loaded.definition.work_packages[0].subtasks] == [("T1", "One"), ("two", "- 2")]
