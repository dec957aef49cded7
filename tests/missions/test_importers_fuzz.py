"""Arbitrary bytes and near-valid text for the readers of other tools: a mission or a KittyFlowError, in linear time."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kitty_flow.errors import DefinitionError
from kitty_flow.graph.planning import compute_plan
from kitty_flow.missions import readers
from kitty_flow.missions.files import MAX_FILE_BYTES
from kitty_flow.missions.source import load_mission

MARKDOWN = (
    *("## Phase 1: Setup", "## Phase 2: User Story 1", "# Tasks: x", "### Dependencies", "## Dependencies", "\n", "\n"),
    *("- [ ] T001 ", "- [X] T002 ", "- [ ] ", "[P] ", "[US1] ", "src/a.py ", "`", "```", "<!--", "-->", "**", " "),
    *("- **User Story 1**: ", "Depends on ", "US1", "Phase 1-999", "Phases 1, 2", "(depends on T001)", "after ", "é"),
)
FIELDS = ("id", "title", "status", "dependencies", "tasks", "subtasks", "master", "depends_on_id", "type", "issue_type")
WORDS = st.sampled_from(
    [
        *FIELDS,
        "done",
        "1",
        "1.1",
        "a",
        "a.1",
        "blocks",
        "parent-child",
        "epic",
        "\ud800",
        "\x00",
        "-",
        "closed",
        "x" * 200,
    ]
)
NUMBERS = st.sampled_from([0, 1, 2, 1.1, -1, 10**30, 1e300, True, None])
VALUES = st.recursive(
    WORDS | NUMBERS, lambda each: st.lists(each, max_size=4) | st.dictionaries(WORDS, each, max_size=5), max_leaves=20
)
TASK = st.fixed_dictionaries({"id": NUMBERS | WORDS}, optional={
    "title": WORDS, "status": WORDS, "dependencies": st.lists(NUMBERS | WORDS, max_size=4) | VALUES,
    "subtasks": st.lists(st.fixed_dictionaries({"id": NUMBERS}, optional={"dependencies": VALUES}), max_size=3),
})  # fmt: skip
LINK = st.fixed_dictionaries({"depends_on_id": WORDS, "type": WORDS})
ISSUE = st.fixed_dictionaries({"id": WORDS}, optional={
    "title": WORDS, "status": WORDS, "issue_type": WORDS, "dependencies": st.lists(LINK, max_size=4) | VALUES,
})  # fmt: skip
ANY = st.binary(max_size=200)
SPEC_KIT = ANY | st.lists(st.sampled_from(MARKDOWN), max_size=40).map(lambda pieces: "".join(pieces).encode())
TASKMASTER = ANY | (st.lists(TASK, max_size=5).map(lambda tasks: {"tasks": tasks}) | VALUES).map(
    lambda value: json.dumps(value).encode()
)
BEADS = ANY | st.lists(ISSUE | VALUES, max_size=6).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())


def survives(kind: str, name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        readers.detect(path)
        try:
            definition = load_mission(path, kind=kind).definition
            assert definition.work_packages
            compute_plan(definition)
        except DefinitionError as error:
            assert error.code.isupper()
            assert all(p["where"] for p in error.details.get("problems", ()))


@settings(max_examples=80)
@given(content=SPEC_KIT)
def test_any_bytes_in_a_task_list(content: bytes) -> None:
    survives("spec-kit", "tasks.md", content)


@settings(max_examples=80)
@given(content=TASKMASTER)
def test_any_bytes_in_tasks_json(content: bytes) -> None:
    survives("taskmaster", "tasks.json", content)


@settings(max_examples=80)
@example(b'{"id":" ","status":[]}')
@given(content=BEADS)
def test_any_bytes_in_issues(content: bytes) -> None:
    survives("beads", "issues.jsonl", content)


@pytest.mark.parametrize("kind", [kind for kind in readers.KINDS if kind != "text"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_forced_reader_refuses_what_is_not_its_own(kind: str, is_folder: bool, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    if is_folder:
        path.mkdir()
    else:
        path.write_text("nothing of use")
    with pytest.raises(DefinitionError):
        load_mission(path, kind=kind)


def steps(work: Path, kind: str) -> int:
    """How many lines of Python a reader runs for a file: time that no machine and no neighbour changes."""
    import sys

    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        load_mission(work, kind=kind)
    except DefinitionError:
        pass
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize(
    ("kind", "name", "head", "piece"),
    [
        ("spec-kit", "tasks.md", "## Phase 1: Setup\n- [ ] T001 x\n## Dependencies\n", "- Phase 1 depends on T001\n"),
        ("spec-kit", "tasks.md", "## Phase 1: Setup\n", "- [ ] T001 x (depends on T001) in src/a.py\n"),
        ("beads", "i.jsonl", '{"id":"a"}\n', '{"id":"a","dependencies":[{"depends_on_id":"b","type":"blocks"}]}\n'),
    ],
)
def test_twice_as_much_takes_twice_as_long(kind: str, name: str, head: str, piece: str, tmp_path: Path) -> None:
    path = tmp_path / name
    counts = []
    for number in (200, 400):
        path.write_text(head + piece * number)
        counts.append(steps(path, kind))
    assert counts[1] < 2.2 * counts[0]


@pytest.mark.parametrize(
    "content",
    [
        "## Phase 1: x\n- [ ] T001 " + "a/" * 300_000,
        "## Phase 1: x\n- [ ] T001 " + "(" * 600_000,
        "## Phase 1:" + " " * 900_000 + "x\n- [ ] T001 y",
        "## Phase 1: x\n- [ ] T001 y\n## Dependencies\n- **" + "a" * 900_000,
        "## Phase 1: x\n- [ ] T001 y\n## Dependencies\n- US1 depends on all " + "a " * 450_000,
        "## Phase 1: x\n- [ ] T001 y\n## Dependencies\n- depends on phases 1" + "-99, 1" * 60_000,
        "[" * 900_000 + "\n- [ ] T001 y",
        "- [ ] T001 y\n" * 80_000,
        "## Polish\n- [ ] T001 y\n" * 40_000,
        "## US 1\n- [ ] T001 y\n" * 250 + "## Dependencies\n" + "- **User stories**: depend on all stories\n" * 10_000,
    ],
)
def test_a_task_list_made_to_be_slow_is_not(content: str, tmp_path: Path) -> None:
    assert len(content) < MAX_FILE_BYTES + 100_000
    survives("spec-kit", "tasks.md", content.encode()[:MAX_FILE_BYTES])
