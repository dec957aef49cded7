"""Task lists by themselves: Markdown and flattened text in, the mission that the document declares out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.readers import reader
from kitty_flow.missions.source import load_mission
from kitty_flow.missions.spec_requirements import read_requirements
from kitty_flow.missions.tasks_text import TaskList, read_task_list

FLAT = """\
Tasks: Bicycle Map
Mission: bicycle-map Release: 2.0 Branch: work → main Generated: 2026-01-05
Subtask Index
| ID | Description | WP | Parallel |
|---|---|---|---|
| T001 | Describe a tile | WP01 | — |
| T002 | Write a tile | WP01 | [P] |
| T003 | Draw roads | WP02 | — |
| T004 | Draw hills | WP03 | — |
Work Package Summary
WP01 — Tiles: the format
Goal: One file for each tile. This work package is the root.
Priority: P1 — blocks everything Prompt file: tasks/WP01-tiles.md
Included subtasks:
- ✅ T001 Describe
a tile(WP01) - □ T002
write.py— write a tile (WP01)
Dependencies: none (root) Blocks: WP02, WP03
WP02 — Roads
Priority: P2 — can run in parallel with WP03 Prompt file: tasks/WP02-roads.md
Spec FRs: FR-001, FR-003
Included subtasks:
- □ T003 Draw roads (WP02)
Dependencies: WP01 (executor tests
WP03 — Hills
Included subtasks:
- □ T004 Draw hills (WP03)
Files owned: src/hills.py, tests/hills/**
Dependencies: WP01 (format), WP02 (colours) Estimated prompt size: ~20 lines
Parallelization Opportunities
After WP01 lands:
- WP02 ∥ WP03: both are independent
WP03: starts last, after everything.
Depends on WP03
Dependencies: WP02, WP03
"""

MARKED = """\
# Work Packages: Tea House

**Feature**: `tea-house` **Target Branch**: `release/2` (see plan)

## Work Package WP01: Kettle (Priority: P0) 🎯 MVP

**Requirement Refs**: FR-001..FR-003, C-002
**Owned files**: `src/kettle.py`, `tests/kettle/**`
**Execution mode**: planning_artifact

### Included Subtasks
- [x] T001 Boil `water_*` [P]
- [ ] T002 - Pour
- [ ] **T003** Drain (WP01)

### Dependencies
- None. This is the first.

```
Depends on WP03
## WP09: not a heading
```

<!-- ## WP08: nor this -->

### Work Package 2: Leaves

Owned files:
- src/leaves/** (new)
- the shelf

Subtasks: T004, T005-T007

**Priority**: P1 | **Dependencies**: WP01 and
WP03

## WP03 Cups

### Notes
- T001 can proceed in parallel with T002

Blocks: WP100

## WP100: Tray

## Summary

- Depends on WP01
- **Wave 2**: WP02, WP03 after WP01
- **Phase 3 (parallel)**: WP03 + WP100
"""


def write(folder: Path, text: str, name: str = "plan.txt") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def waves(path: Path) -> list[list[str]]:
    from kitty_flow.graph.planning import compute_plan

    return [sorted(wave) for wave in compute_plan(load_mission(path).definition).waves]


def notes(path: Path, *losses: str) -> list[tuple[str, str]]:
    found = load_mission(path).diagnostics
    return [(d.diagnostic_code, d.details["where"]) for d in found if d.details.get("loss") in losses]


def by_id(tasks: TaskList) -> dict[str, tuple[str, ...]]:
    return {each.draft.id: each.draft.dependencies for each in tasks.work_packages}


def test_flattened_text_plans_as_its_document_says(tmp_path: Path) -> None:
    path = write(tmp_path, FLAT)
    mission = load_mission(path).definition
    assert (mission.slug, mission.title, mission.target_branch) == ("bicycle-map", "Bicycle Map", "main")
    assert mission.source.kind == "text"
    assert [(w.id, w.title) for w in mission.work_packages] == [
        ("WP01", "Tiles: the format"),
        ("WP02", "Roads"),
        ("WP03", "Hills"),
    ]
    assert [[tuple(s) for s in w.subtasks] for w in mission.work_packages] == [
        [("T001", "Describe a tile"), ("T002", "Write a tile")],
        [("T003", "Draw roads")],
        [("T004", "Draw hills")],
    ]
    assert waves(path) == [["WP01"], ["WP02"], ["WP03"]]
    assert mission.work_package("WP02").requirement_refs == ("FR-001", "FR-003")
    assert mission.work_package("WP03").owned_files == ("src/hills.py", "tests/hills/**")
    assert "Parallelization" not in mission.work_package("WP03").prompt
    assert "Draw hills" in mission.work_package("WP03").prompt


def test_places_and_stated_orders_of_flattened_text(tmp_path: Path) -> None:
    draft = reader("text").read(write(tmp_path, FLAT), Findings())
    hills = draft.work_packages[2]
    assert hills.where == hills.place("title") == "plan.txt:25"
    assert hills.place("dependencies") == "plan.txt:29"
    assert hills.place("owned_files") == "plan.txt:28"
    assert hills.place("subtasks") == "plan.txt:27"
    assert hills.place("requirement_refs") == "plan.txt:25"
    assert draft.work_packages[1].place("requirement_refs") == "plan.txt:21"
    assert [tuple(each) for each in draft.stated] == [
        ("plan.txt:20", ("WP02", "WP03")),
        ("plan.txt:32", ("WP02", "WP03")),
    ]


def test_a_marked_task_list_is_read_field_by_field(tmp_path: Path) -> None:
    path = write(tmp_path, MARKED, "tasks.md")
    mission = load_mission(path).definition
    assert (mission.slug, mission.title, mission.target_branch) == ("tea-house", "Tea House", "release/2")
    assert [(w.id, w.title, w.dependencies) for w in mission.work_packages] == [
        ("WP01", "Kettle", ()),
        ("WP02", "Leaves", ("WP01", "WP03")),
        ("WP03", "Cups", ()),
        ("WP100", "Tray", ("WP03",)),
    ]
    kettle, leaves = mission.work_packages[:2]
    assert kettle.requirement_refs == ("FR-001", "FR-002", "FR-003", "C-002")
    assert kettle.owned_files == ("src/kettle.py", "tests/kettle/**")
    assert kettle.execution_mode == "planning_artifact"
    assert [tuple(s) for s in kettle.subtasks] == [("T001", "Boil water_*"), ("T002", "Pour"), ("T003", "Drain")]
    assert leaves.owned_files == ("src/leaves/**",)
    assert [s.id for s in leaves.subtasks] == ["T004", "T005", "T006", "T007"]
    assert notes(path, "guessed", "dropped") == [
        ("NO_FILE_PATTERN", "tasks.md:28"),
        ("SUBTASK_MARKS_DROPPED", "tasks.md:12"),
        ("BLOCKS_READ_AS_DEPENDENCY", "tasks.md:42"),
    ]
    stated = reader("text").read(path, Findings()).stated
    assert [tuple(each) for each in stated] == [("tasks.md:49", ("WP02", "WP03")), ("tasks.md:50", ("WP03", "WP100"))]


def test_what_stands_after_the_last_section_does_not_leak_into_it() -> None:
    tasks = read_task_list("## WP01: A\n## WP02: B\nDependencies: WP01\n## Release\nDependencies: none\n", "t.md")
    assert by_id(tasks) == {"WP01": (), "WP02": ("WP01",)}
    assert tasks.work_packages[1].draft.prompt == "Dependencies: WP01\n"
    flat = "WP01: A\nDependencies: none\nWP02: B\nDependencies: none\nRelease Checklist\nDependencies: WP01\n"
    tasks = read_task_list(flat, "t.txt")
    assert by_id(tasks) == {"WP01": (), "WP02": ()}
    assert [(note.code, note.where) for note in tasks.notes] == [("SECTION_END_GUESSED", "t.txt:5")]


def test_a_usual_part_on_the_level_of_its_work_package_belongs_to_it() -> None:
    text = "### WP01: A\n### Dependencies\n- none\n"
    text += "### WP02: B\n### Dependencies\n- Depends on WP01\n### Elsewhere\n- WP02\n"
    assert by_id(read_task_list(text, "t.md")) == {"WP01": (), "WP02": ("WP01",)}


def test_what_a_section_says_last_counts_and_the_contradiction_is_reported() -> None:
    text = "## WP01: A\n## WP02: B\nDependencies: WP01 must be first.\n\nActually not.\n\nDependencies: none\n"
    second = read_task_list(text, "t.md").work_packages[1]
    assert second.declares and second.draft.dependencies == ()
    assert second.draft.place("dependencies") == "t.md:7"
    assert [(note.loss, note.code, note.where) for note in second.notes] == [
        ("warning", "DEPENDENCIES_RESTATED", "t.md:3")
    ]


def test_who_says_to_block_a_work_package_that_denies_it_is_reported() -> None:
    text = "## WP01: A\nBlocks: WP02, WP03\n## WP02: B\nDependencies: WP01\n## WP03: C\nDependencies: none\n"
    tasks = read_task_list(text, "t.md")
    assert by_id(tasks) == {"WP01": (), "WP02": ("WP01",), "WP03": ()}
    assert [(note.code, note.where) for note in tasks.work_packages[0].notes] == [("BLOCKS_NOT_DECLARED", "t.md:2")]
    chain = "## WP01: A\nBlocks: WP03\n## WP02: B\nDependencies: WP01\n## WP03: C\nDependencies: WP02\n"
    assert not read_task_list(chain, "t.md").work_packages[0].notes


def test_tables_list_work_packages_dependencies_and_requirements() -> None:
    table = "| WP | Title | Depends on | Owned files |\n|---|---|---|---|\n"
    table += "| WP01 | One | - | `a/**` |\n| WP02 | Two | WP01 | `b.py`, `c.py` |\n"
    table += "\n| Requirement ID | Covered By Work Package(s) |\n|---|---|\n| FR-001 | WP01, WP02 |\n"
    table += "\n| Wave | WP |\n|--|--|\n| 1 | WP01 |\n| 1 | WP02 |\n"
    tasks = read_task_list(table, "t.md")
    assert by_id(tasks) == {"WP01": (), "WP02": ("WP01",)}
    two = tasks.work_packages[1].draft
    assert (two.title, two.owned_files, two.requirement_refs) == ("Two", ("b.py", "c.py"), ("FR-001",))
    assert two.place("dependencies") == "t.md:4"
    assert [tuple(each) for each in tasks.stated] == [("t.md:12", ("WP01", "WP02"))]


@pytest.mark.parametrize(
    "table",
    [
        "| Depends on | Why |\n|---|---|\n| WP01 | parser |\n| `WP03` | not WP04 |\n",
        "### Dependencies\n\n| WP | Why |\n|:--|---|\n| WP01 | parser |\n| WP03 | unlike WP04 |\n\nText.\n",
        "**Dependencies**:\n| Why | Depends on |\n|---|---|\n| before WP04 | WP01 |\n| x | WP03 |\n",
        "| Dependencies | WP01, WP03 |\n|---|---|\n| Files | WP04/x.py |\n",
        "| Field | Value |\n|---|---|\n| Dependencies | WP01, WP03 |\n",
    ],
)
def test_a_section_may_list_its_dependencies_in_a_table(table: str) -> None:
    heads = "".join(f"## WP0{n}: x\nDependencies: none\n" for n in (1, 3, 4))
    tasks = read_task_list(f"{heads}## WP05: E\n{table}", "t.md")
    assert by_id(tasks)["WP05"] == ("WP01", "WP03")
    assert not [note for note in tasks.work_packages[-1].notes if note.code != "NO_DEPENDENCY"]


def test_a_table_about_other_work_packages_is_not_about_its_section() -> None:
    text = (
        "## WP01: A\n### Dependencies\n| WP | Depends on |\n|---|---|\n| WP01 | none |\n| WP02 | WP01 |\n## WP02: B\n"
    )
    assert by_id(read_task_list(text, "t.md")) == {"WP01": (), "WP02": ("WP01",)}


def test_a_section_may_list_its_files_in_a_table() -> None:
    text = "## WP01: A\n| Files | Change |\n|---|---|\n| `src/**` | new |\n| a_b.py | old |\n"
    assert read_task_list(text, "t.md").work_packages[0].draft.owned_files == ("src/**", "a_b.py")


def test_a_column_of_files_is_read_and_columns_without_a_meaning_are_named_once() -> None:
    table = "| WP | Title | Files | Priority | Est. Lines |\n|---|---|---|---|---|\n"
    table += (
        "| WP01 | One | src/c/**, `a b`, `b.py` (new) | P1 | 9 |\n| WP02 | Two | `c.py`<br>d/e.py<br/>- | P2 | 9 |\n"
    )
    tasks = read_task_list(table, "t.md")
    assert [each.draft.owned_files for each in tasks.work_packages] == [("src/c/**", "b.py"), ("c.py", "d/e.py")]
    assert [(note.loss, note.code, note.where) for note in tasks.notes] == [
        ("dropped", "COLUMNS_DROPPED", "t.md:1"),
        ("dropped", "NO_FILE_PATTERN", "t.md:3"),
    ]
    assert tasks.notes[0].message.endswith(": Priority, Est. Lines")


@pytest.mark.parametrize(
    ("text", "together"),
    [
        ("Wave 2: WP02, WP03", "WP02 WP03"),
        ("**Wave 2** (depends on WP01):\n- WP02 (x) [P]\n- WP03 after WP01", "WP02 WP03"),
        ("- Phase 2 (parallel): WP02 + WP03", "WP02 WP03"),
        ("The first (WP01-WP03) are small and can all run concurrently. WP04 is last.", "WP01 WP02 WP03"),
        ("WP02, WP03, and WP04 own other files and can run simultaneously after WP01", "WP02 WP03 WP04"),
        ("WP02 ∥ WP03 ∥ WP04: independent", "WP02 WP03 WP04"),
        ("WP02 may run in parallel with WP03", "WP02 WP03"),
        ("In parallel: WP02, WP03", "WP02 WP03"),
        ("2 of 4 run in parallel waves (WP02/WP03)", "WP02 WP03"),
        ("WP01 → WP02", ""),
        ("Wave 2: WP02 → WP03", ""),
        ("WP02 and WP03 cannot run in parallel", ""),
        ("No WP is parallelizable with WP03", ""),
        ("Phase 2 (serial): WP02, then WP03", ""),
        ("T001 of WP02 can run in parallel with WP03", ""),
    ],
)
def test_claims_about_the_order_are_recorded(text: str, together: str) -> None:
    sections = "".join(f"## WP0{n}: x\nDependencies: none\n" for n in range(1, 5))
    stated = read_task_list(f"{sections}## Order\n{text}\n", "t.md").stated
    assert [" ".join(each.together) for each in stated] == ([together] if together else [])
    assert all(each.where == "t.md:10" for each in stated)


@pytest.mark.parametrize(
    ("value", "together"),
    [
        ("None (can run in parallel with WP02)", "WP01 WP02"),
        ("n/a — can run alongside WP02", "WP01 WP02"),
        ("None (cannot run in parallel with WP02)", ""),
        ("None of the others runs in parallel with WP02", ""),
        ("WP03 (can run in parallel with WP02)", "WP01 WP02"),
    ],
)
def test_an_aside_of_the_dependencies_is_a_claim_about_their_owner(value: str, together: str) -> None:
    text = f"## WP01: A\nDependencies: {value}\n## WP02: B\nDependencies: WP01\n## WP03: C\n"
    stated = read_task_list(text, "t.md").stated
    assert [tuple(each) for each in stated] == ([("t.md:2", tuple(together.split()))] if together else [])


def test_prose_in_brackets_that_contradicts_the_graph_is_a_warning(tmp_path: Path) -> None:
    text = "## WP01: A\nDependencies: None (can run in parallel with WP02)\n## WP02: B\nDependencies: WP01\n"
    told = [d for d in load_mission(write(tmp_path, text, "t.md")).diagnostics if d.severity == "warning"]
    assert ("PROSE_CONTRADICTS_GRAPH", "t.md:2") in [(d.diagnostic_code, d.details["where"]) for d in told]


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (f"## WP{'9' * 31}: A\n", "INVALID_WORK_PACKAGE_ID", "t.md:1"),
        (f"WP01: A\nWP{'9' * 100}: B\n", "INVALID_WORK_PACKAGE_ID", "t.md:2"),
        (f"| WP | Title |\n|--|--|\n| WP{'9' * 5000} | A |\n", "INVALID_WORK_PACKAGE_ID", "t.md:3"),
        ("## WP01: A\n## WP02: B\nDependencies: WP01-WP99999999999\n", "UNKNOWN_DEPENDENCY", "t.md:3"),
        (f"## WP01: A\n## WP02: B\nDependencies: WP01, WP{'9' * 5000}\n", "UNKNOWN_DEPENDENCY", "t.md:3"),
    ],
)
def test_a_number_that_is_too_long_is_refused_with_its_line(tmp_path: Path, text: str, code: str, where: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_mission(write(tmp_path, text, "t.md"))
    assert (code, where) in [(p["code"], p["where"]) for p in caught.value.details["problems"]]
    assert len(caught.value.message) < 1000


def test_a_long_number_within_the_bound_names_a_work_package() -> None:
    text = "## WP1: A\n## WP123456789: B\nDependencies: WP1\n## WP20: C\nDependencies: WP1-WP123456789\n"
    assert by_id(read_task_list(text, "t.md")) == {"WP1": (), "WP123456789": ("WP1",), "WP20": ("WP1", "WP123456789")}


def test_a_document_without_work_packages_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "Implementation Plan: Lamps\n\nSummary\n\nPhase 1: WP later.\n")
    with pytest.raises(DefinitionError, match="looked for headings") as caught:
        load_mission(path)
    assert caught.value.code == "NO_WORK_PACKAGES"


@pytest.mark.parametrize(
    ("name", "slug"),
    [("My Plan v2.txt", "My-Plan-v2"), ("tasks.md", "m"), ("é.txt", "mission"), ("a" * 90 + ".md", "a" * 63)],
)
def test_a_mission_that_does_not_name_itself_is_called_as_its_file(tmp_path: Path, name: str, slug: str) -> None:
    (tmp_path / "m").mkdir()
    path = write(tmp_path / "m", "WP01: A\nDependencies: none\n", name)
    assert load_mission(path).definition.slug == slug
    assert notes(path, "guessed") == [("SLUG_FROM_FILE_NAME", name)]


def test_unknown_and_own_names_are_refused_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, "## WP01: A\nDependencies: WP77\n## WP01: B\n", "t.md")
    with pytest.raises(DefinitionError) as caught:
        load_mission(path)
    assert {p["code"] for p in caught.value.details["problems"]} == {"UNKNOWN_DEPENDENCY", "DUPLICATE_WORK_PACKAGE_ID"}


def test_requirements_are_listed_where_they_are_defined() -> None:
    text = "# Spec\n- **FR-001**: a\n- uses FR-009\n| ID | x |\n|---|---|\n| NFR-002 | b (C-001) |\n"
    text += "### C-003: c\nFR-008 is prose\n"
    text += "**FR-004**: d\n- FR-001 again\n```\n- FR-007\n```\n* `FR-005` e\n"
    assert read_requirements(text, "spec.md") == {
        "FR-001": "spec.md:2",
        "NFR-002": "spec.md:6",
        "C-003": "spec.md:7",
        "FR-004": "spec.md:9",
        "FR-005": "spec.md:14",
    }


PIECES = (
    *("WP01", "WP02", "WP100", "## ", "### ", "\n", "\n", "- ", "| ", "|---|\n", "Dependencies: ", "Depends on ", ": "),
    *(
        "none",
        "(",
        ")",
        "- [ ] T001 ",
        "✅ T002",
        "Blocks: ",
        "in parallel",
        " with ",
        "Wave 1",
        "```",
        "<!--",
        "-->",
        "WP01-WP100",
    ),
    *(
        "all prior WPs",
        "MVP Scope",
        "Owned files: ",
        "`",
        "**",
        " — ",
        "\x00",
        "\x85",
        "\u2028",
        "é",
        "\t",
        "FR-001",
        "Work Package 3",
    ),
)


@settings(deadline=None)
@given(text=st.text(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=60).map("".join), known=st.booleans())
def test_any_text_is_a_task_list_without_an_error(text: str, known: bool) -> None:
    tasks = read_task_list(text, "t.md", known=["WP01", "x"] if known else [])
    lines = text.count("\n") + 1
    for each in tasks.work_packages:
        for where in (each.draft.where, *each.draft.places.values()):
            assert where.startswith("t.md:") and 1 <= int(where.removeprefix("t.md:")) <= lines
        assert each.draft.id not in each.draft.dependencies or "depend" in text.lower() or "|" in text
    for order in tasks.stated:
        assert len(order.together) > 1
    read_requirements(text, "s.md")


SECTIONS = "".join(f"## WP{n}: t\n" for n in range(1, 1025))
SIZE = 1_000_000


@pytest.mark.parametrize(
    "piece", ["(", "WP", "| ", "*", "[", "a", " ", "WP1-WP9 ", "not ", "parallel WP1 / ", "- [ ] T001 "]
)
@pytest.mark.slow
@pytest.mark.parametrize("start", ["", "## WP01: A\nDependencies: ", "WP01: "])
def test_a_line_of_a_megabyte_takes_no_more_than_its_length(piece: str, start: str) -> None:
    # A pattern that backtracks, or a step that is not linear, would take hours here instead of a second.
    tasks = read_task_list(start + piece * (SIZE // len(piece)), "t.md")
    assert len(tasks.work_packages) == (1 if start.startswith("## ") else 0)


@pytest.mark.parametrize(
    "line",
    [
        *("Dependencies: WP1-WP1024", "Blocks: WP1-WP1024", "WP1-WP1024 can run in parallel with WP1-WP1024"),
        *("Wave 1: WP1-WP1024", "- Wave 1:", "| WP1-WP1024 | WP1 |"),
    ],
)
def test_many_lines_about_many_work_packages(line: str) -> None:
    tasks = read_task_list(SECTIONS + f"{line}\n" * 30_000, "t.md")
    assert len(tasks.work_packages) == 1024 and len(tasks.stated) <= 1000


@pytest.mark.slow
def test_a_dense_task_list_is_read() -> None:
    body = "Dependencies: WP1-WP1024\nBlocks: WP1-WP1024\n"
    tasks = read_task_list("".join(f"## WP{n}: t\n{body}" for n in range(1, 1025)), "t.md")
    assert all(len(each.draft.dependencies) == 1023 for each in tasks.work_packages)


def test_lines_and_work_packages_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="more than 40000 lines"):
        load_mission(write(tmp_path, "WP01: A\n" + "\n" * 40_000))
    with pytest.raises(DefinitionError) as caught:
        load_mission(write(tmp_path, "".join(f"## WP{n}: t\n" for n in range(1, 10_002)), "t.md"))
    assert "TOO_MANY_WORK_PACKAGES" in {p["code"] for p in caught.value.details["problems"]}


_CORPUS = os.environ.get("KITTY_FLOW_CORPUS", "")
_LISTS = sorted(Path(_CORPUS).glob("*/tasks.md")) if _CORPUS else []


@pytest.mark.skipif(not _LISTS, reason="KITTY_FLOW_CORPUS does not name a folder of missions")
def test_real_task_lists_name_the_work_packages_and_subtasks_of_their_missions() -> None:
    for path in _LISTS:
        mission = load_mission(path.parent).definition
        written = read_task_list(path.read_text(encoding="utf-8"), "tasks.md").work_packages
        assert [w.id for w in mission.work_packages] == [each.draft.id for each in written], path
        for work_package, each in zip(mission.work_packages, written, strict=True):
            assert each.declares, path
            assert [s.id for s in work_package.subtasks] == [s.id for s in each.draft.subtasks], path
