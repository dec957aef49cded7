"""A mission that is written as a mission file is the same mission when it is read again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitty_flow.missions.native_text import native_text
from kitty_flow.missions.source import load_mission, read_mission
from kitty_flow.model.mission import ExecutionMode, MissionDefinition, MissionSource, Subtask, WorkPackage

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "missions"
PIECES = ["'''", '"""', "'", '"', "\\", "\n", "\r\n", "\r", "\t", "\x00", "\x1b[31m", "\x7f", "\u2028", "\u202e", "#"]
HOSTILE = st.lists(st.sampled_from([*PIECES, "[mission]", "= ", "é", "🐈", "\U000e0001", "end "]), max_size=12).map(
    "".join
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
TITLES = HOSTILE.map(lambda text: text.replace("\x00", "").strip() or "x")
NAMES = st.from_regex(r"[A-Z]{1,4}[0-9]{1,3}", fullmatch=True)
MODES: st.SearchStrategy[ExecutionMode] = st.sampled_from(["code_change", "planning_artifact"])


@st.composite
def definitions(draw: st.DrawFn) -> MissionDefinition:
    ids = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    work_packages = []
    for number, name in enumerate(ids):
        subtasks = draw(st.dictionaries(NAMES | TITLES, HOSTILE, max_size=3))
        work_packages.append(
            WorkPackage(
                id=name,
                title=draw(TITLES),
                dependencies=tuple(draw(st.sets(st.sampled_from(ids[:number]))) if number else ()),
                owned_files=tuple(draw(st.sets(st.sampled_from(["a/**", "b\\c", "[!x]*.py", "'q\"", "é/"])))),
                execution_mode=draw(MODES),
                subtasks=tuple(Subtask(*pair) for pair in subtasks.items()),
                requirement_refs=tuple(draw(st.sets(HOSTILE, max_size=3))),
                prompt=draw(HOSTILE),
            )
        )
    return MissionDefinition(
        id=draw(st.sampled_from([None, "01JZ5N3C8RWE5P1YF0K6SHTAVD"])),
        slug=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,20}", fullmatch=True)),
        title=draw(TITLES),
        target_branch=draw(st.sampled_from([None, "main", "release/é"])),
        template=draw(st.sampled_from(["software-dev", "research"])),
        source=MissionSource("test", "x"),
        work_packages=tuple(work_packages),
    )


@settings(max_examples=60)
@given(definition=definitions())
def test_any_definition_survives(definition: MissionDefinition) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.toml"
        path.write_bytes(native_text(definition).encode())
        again = load_mission(path).definition
    assert again.id == definition.id
    assert again.work_packages == definition.work_packages
    assert again.digest == definition.digest


@pytest.mark.parametrize(
    "path",
    [
        "native/link-shortener.toml",
        "kitty-specs/receipt-archive",
        "spec-kit/001-seed-swap",
        "taskmaster/.taskmaster",
        "beads/.beads",
    ],
)
def test_every_fixture_survives_with_what_its_draft_knows(path: str, tmp_path: Path) -> None:
    draft, loaded = read_mission(FIXTURES / path)
    file = tmp_path / "m.toml"
    file.write_text(native_text(loaded.definition, draft))
    again, reloaded = read_mission(file)
    assert reloaded.definition.digest == loaded.definition.digest
    assert tuple(again.requirements or ()) == tuple(draft.requirements or ())
    assert [w.created_files for w in again.work_packages] == [w.created_files for w in draft.work_packages]


def test_a_prompt_stands_as_it_is_where_toml_allows() -> None:
    prompt = 'Write `a\\b` and "c".\n\n- one\n'
    package = WorkPackage(id="WP01", title="A", prompt=prompt)
    text = native_text(MissionDefinition(None, "m", "M", None, MissionSource("test", "x"), (package,)))
    assert f"prompt = '''\n{prompt}'''\n" in text
    hostile = WorkPackage(id="WP01", title="A", prompt="\x1b]0;gone\x07\n'''\n\u202e")
    text = native_text(MissionDefinition(None, "m", "M", None, MissionSource("test", "x"), (hostile,)))
    assert all(line.isprintable() for line in text.split("\n"))
