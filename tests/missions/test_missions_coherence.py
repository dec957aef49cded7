"""What does not fit together in a mission is said with its place, and does not keep the mission from being planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.draft import MissionDraft, StatedOrder, WorkPackageDraft
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.repository_files import RepositoryFiles
from kitty_flow.missions.validation import validate

FILES = RepositoryFiles(["src/core/a.py", "src/core/b.py", "docs/index.md", "kitty-specs/x/plan.md"])


def package(number: int, *dependencies: int, owned: tuple[str, ...] = ("src/**",), **fields: Any) -> WorkPackageDraft:
    fields.setdefault("places", dict.fromkeys(("dependencies", "owned_files"), f"tasks.md:{number}0"))
    after = tuple(f"WP{each:02d}" for each in dependencies)
    return WorkPackageDraft(f"tasks.md:{number}", f"WP{number:02d}", "t", after, owned, **fields)


def remarks(
    *packages: WorkPackageDraft, files: RepositoryFiles | None = None, **fields: Any
) -> list[tuple[str, str, str]]:
    draft = MissionDraft(Path("m"), "m", "text", None, "m", "M", None, "software-dev", packages, **fields)
    loaded = validate(draft, Findings(), "m", files)
    return [(d.diagnostic_code, d.details["where"], d.message) for d in loaded.diagnostics]


def test_a_mission_that_fits_together_is_not_remarked_on() -> None:
    listed = {"FR-001": "spec.md:3", "C-001": "spec.md:9"}
    core = package(1, owned=("src/core/*.py",), requirement_refs=("FR-001",), surface="src/core/", created_files=())
    guide = package(2, 1, owned=("docs/**",), execution_mode="planning_artifact", created_files=())
    stated = (StatedOrder("tasks.md:5", ("WP01",)), StatedOrder("tasks.md:6", ("WP02", "WP09")))
    assert remarks(core, guide, files=FILES, requirements=listed, stated=stated) == []


def test_requirements_are_covered_and_known() -> None:
    listed = {"FR-001": "spec.md:3", "FR-002": "spec.md:4", "NFR-001": "spec.md:9"}
    places = {"requirement_refs": "tasks.md:7"}
    found = remarks(package(1, requirement_refs=("FR-001", "FR-009"), places=places), requirements=listed)
    assert [(code, where) for code, where, _ in found] == [
        ("UNKNOWN_REQUIREMENT", "tasks.md:7"),
        ("REQUIREMENT_NOT_COVERED", "spec.md:4"),
    ]
    assert "FR-009" in found[0][2]
    assert [code for code, *_ in remarks(package(1), requirements=listed)] == ["NO_REQUIREMENT_REFS"]
    assert remarks(package(1, requirement_refs=("FR-1",)), requirements=None) == []


def test_prose_that_puts_a_dependent_beside_its_prerequisite_is_told() -> None:
    chain = package(1), package(2, 1), package(3, 2)
    found = remarks(*chain, stated=(StatedOrder("tasks.md:99", ("WP01", "WP03")),))
    assert found == [
        (
            "PROSE_CONTRADICTS_GRAPH",
            "tasks.md:99",
            "says that WP01, WP03 can run at the same time, but WP03 waits for WP01; the dependencies count",
        )
    ]


def test_files_and_mode_and_surface_fit() -> None:
    planning = package(1, owned=("src/core/a.py", "docs/**"), execution_mode="planning_artifact")
    code = package(2, owned=("kitty-specs/x/plan.md",))
    beside = package(3, owned=("src/core/a.py",), surface="docs")
    assert [(c, w) for c, w, _ in remarks(planning, code, beside)] == [
        ("MODE_AND_FILES_DISAGREE", "tasks.md:1"),
        ("MODE_AND_FILES_DISAGREE", "tasks.md:2"),
        ("SURFACE_NOT_OWNED", "tasks.md:3"),
    ]


def test_owned_files_exist_or_are_declared_as_created() -> None:
    first = package(1, owned=("src/new/**", "src/core/?.py", "lib/x.py"), created_files=("src/new/**",))
    second = package(2, owned=("docs/",))
    assert [(c, w) for c, w, _ in remarks(first, second, files=FILES)] == [("OWNED_FILES_MATCH_NOTHING", "tasks.md:10")]
    undeclared = package(1, owned=("src/new/**", "src/core/?.py", "src/cor*"))
    assert [(c, w) for c, w, _ in remarks(undeclared, files=FILES)] == [("OWNED_FILES_ABSENT", "m")]
    assert remarks(undeclared, files=None) == []


def test_every_circle_is_told_with_its_way_beside_all_other_problems() -> None:
    packages = package(1, 3), package(2, 1), package(3, 2), package(4, 5), package(5, 4), package(6, 6, 77)
    with pytest.raises(DefinitionError) as refused:
        remarks(*packages)
    problems = [(p["code"], p["where"]) for p in refused.value.details["problems"]]
    assert problems == [
        ("SELF_DEPENDENCY", "tasks.md:60"),
        ("UNKNOWN_DEPENDENCY", "tasks.md:60"),
        ("DEPENDENCY_CYCLE", "tasks.md:10"),
        ("DEPENDENCY_CYCLE", "tasks.md:40"),
    ]
    message = refused.value.details["problems"][2]["message"]
    assert "WP02 waits for WP01 (tasks.md:20)" in message
    assert "WP01 waits for WP03 (tasks.md:10)" in message
