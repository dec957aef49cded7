"""`tasks.md` beside the other sources of a Spec Kitty mission: it counts last, or alone without them."""

from __future__ import annotations

from pathlib import Path

from kitty_flow.missions.findings import Findings
from kitty_flow.missions.readers import detect, reader

TASKS = "## WP01: A\nDependencies: none\n## WP02: B\nDependencies: WP01\n## WP03: C\nDependencies: WP02\n"
HEAD = "---\ndependencies: []\nauthoritative_surface: src/\ncreate_intent: [src/a.py]\n---\nbody\n"


def test_tasks_md_alone_is_a_mission(tmp_path: Path) -> None:
    (tmp_path / "tasks.md").write_text(TASKS)
    assert detect(tmp_path) is not None
    draft = reader("spec-kitty").read(tmp_path, Findings())
    assert [(w.id, w.dependencies) for w in draft.work_packages] == [
        ("WP01", ()),
        ("WP02", ("WP01",)),
        ("WP03", ("WP02",)),
    ]


def test_it_fills_in_what_frontmatter_does_not_say_and_its_contradictions_are_reported(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks.md").write_text(TASKS)
    (tmp_path / "spec.md").write_text("- **FR-001**: a\n")
    (tmp_path / "tasks" / "WP01.md").write_text("---\ntitle: A\n---\n")
    (tmp_path / "tasks" / "WP02.md").write_text(HEAD)
    (tmp_path / "tasks" / "WP03.md").write_text("---\ntitle: C\n---\n")
    findings = Findings()
    draft = reader("spec-kitty").read(tmp_path, findings)
    first, second, third = draft.work_packages
    assert (first.dependencies, second.dependencies, third.dependencies) == ((), (), ("WP02",))
    assert third.place("dependencies") == "tasks.md:6"
    assert second.place("dependencies") == "tasks/WP02.md:2"
    assert (second.surface, second.place("surface")) == ("src/", "tasks/WP02.md:3")
    assert (second.created_files, first.created_files) == (("src/a.py",), None)
    assert draft.requirements == {"FR-001": "spec.md:1"}
    found = [d for d in findings.diagnostics if d.diagnostic_code == "DEPENDENCIES_DISAGREE"]
    assert len(found) == 1 and "tasks.md:4" in found[0].message


def test_a_section_without_its_file_is_a_warning_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks.md").write_text(TASKS)
    for name in ("WP01", "WP02"):
        (tmp_path / "tasks" / f"{name}.md").write_text(HEAD)
    findings = Findings()
    draft = reader("spec-kitty").read(tmp_path, findings)
    assert [each.id for each in draft.work_packages] == ["WP01", "WP02"]
    (lost,) = [d for d in findings.diagnostics if d.diagnostic_code == "SECTION_WITHOUT_FILE"]
    assert (lost.severity, lost.details) == ("warning", {"where": "tasks.md:5"})
    assert "WP03" in lost.message
