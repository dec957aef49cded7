"""The real missions of KITTY_FLOW_CORPUS: each loads, and its waves are those that its frontmatter gives."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from kitty_flow.missions.source import discover, find_mission, load_mission

_CORPUS = os.environ.get("KITTY_FLOW_CORPUS", "")
_MISSIONS = sorted(p.parent for p in Path(_CORPUS).glob("*/meta.json")) if _CORPUS else []

pytestmark = pytest.mark.skipif(not _MISSIONS, reason="KITTY_FLOW_CORPUS does not name a folder of missions")


def frontmatter_dependencies(folder: Path) -> dict[str, set[str]]:
    """Read with nothing but line patterns, so that a mistake of the reader cannot repeat itself here."""
    found: dict[str, set[str]] = {}
    for path in (folder / "tasks").glob("WP*.md"):
        head = path.read_text(encoding="utf-8").split("\n---", 1)[0]
        name = re.search(r"^work_package_id:\s*['\"]?(WP\d+)", head, re.MULTILINE)
        value = re.search(r"^dependencies:[ \t]*(.*(?:\n[ \t]*- .*)*)", head, re.MULTILINE)
        assert name is not None and value is not None, path
        found[name[1]] = set(re.findall(r"WP\d+", value[1]))
    return found


def generations(needs: dict[str, set[str]], added: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Topological generations by peeling: what needs nothing that is left comes next."""
    left = {name: set(before) for name, before in needs.items()}
    for before, after in added:
        left[after].add(before)
    waves = []
    while left:
        wave = sorted(name for name, before in left.items() if not before & left.keys())
        assert wave, "a cycle"
        waves.append(wave)
        for name in wave:
            del left[name]
    return waves


@pytest.mark.parametrize("folder", _MISSIONS, ids=lambda folder: folder.name)
def test_a_real_mission_loads(folder: Path) -> None:
    mission = load_mission(folder).definition
    assert mission.slug == folder.name
    assert mission.id is not None and mission.target_branch
    assert len(mission.work_packages) == len(list((folder / "tasks").glob("WP*.md")))
    for each in mission.work_packages:
        assert each.title and each.prompt and each.owned_files and each.subtasks
    assert {w.id: set(w.dependencies) for w in mission.work_packages} == frontmatter_dependencies(folder)


@pytest.mark.parametrize("folder", _MISSIONS, ids=lambda folder: folder.name)
def test_the_waves_of_a_real_mission(folder: Path) -> None:
    from kitty_flow.graph.planning import compute_plan

    needs = frontmatter_dependencies(folder)
    plan = compute_plan(load_mission(folder).definition)
    added = [(c.before, c.after) for c in plan.conflicts]
    assert [sorted(wave) for wave in plan.waves] == generations(needs, added)
    assert {frozenset(pair) for pair in added} == {frozenset(c.work_packages) for c in plan.conflicts}
    if not added:
        assert [sorted(wave) for wave in plan.waves] == generations(needs, [])


def test_real_missions_are_found_in_a_repository(tmp_path: Path) -> None:
    (tmp_path / "kitty-specs").symlink_to(Path(_CORPUS).resolve())
    assert all("leads out" in (m.problem or "") for m in discover(tmp_path))
    (tmp_path / "kitty-specs").unlink()
    (tmp_path / "kitty-specs").mkdir()
    for folder in _MISSIONS:
        copy = tmp_path / "kitty-specs" / folder.name
        (copy / "tasks").mkdir(parents=True)
        (copy / "meta.json").write_bytes((folder / "meta.json").read_bytes())
        (copy / "tasks" / "WP01.md").touch()
    found = discover(tmp_path)
    assert [m.slug for m in found] == [folder.name for folder in _MISSIONS]
    for mission in found:
        assert mission.problem is None and mission.id is not None
        assert find_mission(tmp_path, mission.id) == mission.path == find_mission(tmp_path, mission.slug)
