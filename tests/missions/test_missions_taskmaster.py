"""Taskmaster's tasks.json: tags, ids, states, dependencies on tasks and subtasks, and lines in every problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.source import load_mission
from kitty_flow.model.mission import LoadedMission

FIXTURE = Path(__file__).parents[2] / "fixtures" / "missions" / "taskmaster" / ".taskmaster"


def task(number: object, *needs: object, **fields: Any) -> dict[str, Any]:
    return {"id": number, "title": f"Task {number}", "status": "pending", "dependencies": list(needs), **fields}


def write(folder: Path, data: object) -> Path:
    path = folder / "tasks.json"
    path.write_text(json.dumps(data, indent=1))
    return path


def load(folder: Path, *tasks: object) -> LoadedMission:
    return load_mission(write(folder, {"tasks": list(tasks)}))


def problems(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        load_mission(path)
    return [(p["code"], p["where"]) for p in caught.value.details["problems"]]


def order(loaded: LoadedMission) -> dict[str, tuple[str, ...]]:
    return {w.id: w.dependencies for w in loaded.definition.work_packages}


def rows(loaded: LoadedMission) -> list[tuple[str, str]]:
    return [(d.diagnostic_code, str(d.details["where"])) for d in loaded.diagnostics if "loss" in d.details]


def test_a_real_looking_file_is_read() -> None:
    loaded = load_mission(FIXTURE)
    assert (loaded.definition.source.kind, loaded.definition.slug) == ("taskmaster", "taskmaster")
    assert order(loaded) == {
        "WP02": (),
        "WP03": ("WP02",),
        "WP04": ("WP02", "WP03"),
        "WP05": ("WP03",),
        "WP07": ("WP04", "WP05"),
    }
    tables = loaded.definition.work_package("WP02")
    assert [tuple(s) for s in tables.subtasks] == [("S2", "Read a year of tables"), ("S3", "Report bad lines")]
    assert tables.prompt.startswith("Task 2 of Taskmaster, tag master.\n\nRead tide tables, as the plan says.\n")
    assert "### Test strategy\n\nRun the tests" in tables.prompt
    assert "## S1 Read one table (done)" in tables.prompt
    assert "## S3 Report bad lines\n\nAfter S1, S2.\n" in tables.prompt
    assert rows(loaded) == [
        ("TAG_GUESSED", "tasks.json:2"),
        ("TAG_DROPPED", "tasks.json:170"),
        ("FIELD_DROPPED", "tasks.json:4"),
        ("FIELD_DROPPED", "tasks.json:147"),
        ("NAME_GUESSED", "tasks.json"),
        ("DONE_DROPPED", "tasks.json:4"),
        ("STATUS_GUESSED", "tasks.json:15"),
        ("SUBTASK_DEPENDENCY", "tasks.json:107"),
        ("STATUS_GUESSED", "tasks.json:121"),
        ("STATUS_GUESSED", "tasks.json:147"),
    ]


@pytest.mark.parametrize("name", ["tasks/tasks.json", ".taskmaster/tasks/tasks.json", ".taskmaster/tasks.json"])
def test_the_file_is_found_where_the_tool_keeps_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "tide-clock"
    (folder / name).parent.mkdir(parents=True)
    write((folder / name).parent, {"tasks": [task(1)]})
    for given in (folder, folder / name):
        assert load_mission(given).definition.slug == "tide-clock"


def test_a_spec_kitty_folder_stays_one(tmp_path: Path) -> None:
    folder = tmp_path / "001-x"
    (folder / "tasks").mkdir(parents=True)
    write(folder / "tasks", {"tasks": [task(1)]})
    (folder / "tasks" / "WP01.md").write_text("---\ntitle: One\ndependencies: []\n---\nDo it.\n")
    assert load_mission(folder).definition.source.kind == "spec-kitty"


def test_a_folder_with_a_mission_file_stays_one(tmp_path: Path) -> None:
    write(tmp_path, {"tasks": [task(1)]})
    (tmp_path / "trip.toml").write_text('[mission]\n[[work_package]]\nid = "WP01"\n')
    assert load_mission(tmp_path).definition.source.kind == "native"


def test_ids_may_be_numbers_or_texts_and_name_subtasks(tmp_path: Path) -> None:
    loaded = load(tmp_path, task(1), task("2", "1"), task("HAM-12", 2, "1.3"), task("ham.12", "HAM-12", 1.2))
    assert order(loaded) == {
        "WP01": (),
        "WP02": ("WP01",),
        "HAM-12": ("WP02", "WP01"),
        "ham-12-2": ("HAM-12", "WP01"),
    }
    assert [code for code, _ in rows(loaded)].count("SUBTASK_DEPENDENCY") == 2


def test_several_tags_are_refused_with_a_list_unless_one_is_current(tmp_path: Path) -> None:
    tags = {"master": {"tasks": [task(1)]}, "try": {"tasks": [task(1), task(2, 1)]}, "empty": {"tasks": []}}
    with pytest.raises(DefinitionError) as caught:
        load_mission(write(tmp_path, tags))
    assert "master (1 tasks), try (2 tasks)" in caught.value.message
    (tmp_path / "state.json").write_text('{"currentTag": "try"}')
    loaded = load_mission(tmp_path / "tasks.json")
    assert (loaded.definition.slug, len(loaded.definition.work_packages)) == ("try", 2)
    (tmp_path / "state.json").write_text('{"currentTag": "empty"')
    assert problems(tmp_path / "tasks.json") == [("AMBIGUOUS_TAG", "tasks.json")]
    del tags["try"]
    loaded = load_mission(write(tmp_path, tags))
    assert len(loaded.definition.work_packages) == 1
    assert "TAG_GUESSED" not in [code for code, _ in rows(loaded)]


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([task(1), task(1)], [("DUPLICATE_TASK_ID", "tasks.json:9")]),
        ([task(1), task(2, 9)], [("UNKNOWN_DEPENDENCY", "tasks.json:9")]),
        ([task(1, 1)], [("SELF_DEPENDENCY", "tasks.json:3")]),
        ([task(1), {"title": "x"}, 7], [("INVALID_TASK", "tasks.json:9"), ("INVALID_TASK", "tasks.json")]),
        ([task(True)], [("INVALID_TASK", "tasks.json:3")]),
        ([task("x" * 81)], [("INVALID_TASK", "tasks.json:3")]),
        ([task(1, title=["x"])], [("WRONG_TYPE", "tasks.json:3")]),
        ([task(1, dependencies="2")], [("WRONG_TYPE", "tasks.json:3")]),
        ([task(1, subtasks=[{"id": 1}, {"id": 1}])], [("DUPLICATE_SUBTASK_ID", "tasks.json:12")]),
        ([task(1, status="done"), task(2, status="cancelled")], [("NOTHING_LEFT", "tasks.json")]),
    ],
)
def test_bad_tasks_are_refused_with_their_line(tmp_path: Path, tasks: object, expected: object) -> None:
    assert problems(write(tmp_path, {"tasks": tasks})) == expected


def test_too_many_tasks_are_refused(tmp_path: Path) -> None:
    assert ("TOO_MANY_WORK_PACKAGES", "tasks.json") in problems(
        write(tmp_path, {"tasks": [task(number) for number in range(1, 10_002)]})
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{\n'a': 1}", "tasks.json:2"),
        ('{"a": 1,\n"a": 2}', "tasks.json"),
        ("[" * 100_000, "tasks.json"),
        ("", "tasks.json:1"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "tasks.json").write_text(text)
    assert problems(tmp_path / "tasks.json") == [("INVALID_JSON", where)]
