"""`machines`, `dags` and `init` as their users see them."""

from __future__ import annotations

import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

WORK_PACKAGE_STATES = [
    "planned", "claimed", "in_progress", "for_review", "in_review", "approved", "done", "blocked", "canceled",
]  # fmt: skip


def test_machines_are_listed(kitty: Any, tmp_path: Path) -> None:
    document = kitty("machines", "list", "--json", cwd=tmp_path).json
    names = [machine["name"] for machine in document["data"]["machines"]]
    assert document["schema"] == "kitty-flow/machines-list/1"
    assert {"work_package", "invocation", "mission", "merge", "release"} <= set(names)
    assert names == sorted(names)
    text = kitty("machines", "list").stdout
    assert all(name in text for name in names)


def test_a_machine_is_shown_whole(kitty: Any) -> None:
    data = kitty("machines", "show", "work_package", "--json").json["data"]
    assert [state["name"] for state in data["states"]] == WORK_PACKAGE_STATES
    assert {state["name"] for state in data["states"] if state["final"]} == {"done", "canceled"}
    assert "dependencies_satisfied" in next(t for t in data["transitions"] if t["trigger"] == "claim")["guards"]
    text = kitty("machines", "show", "work_package").stdout
    assert all(name in text for name in WORK_PACKAGE_STATES)
    assert max(map(len, text.splitlines())) <= 80


def test_a_machine_is_drawn_in_mermaid(kitty: Any) -> None:
    drawn = kitty("machines", "diagram", "work_package")
    assert drawn.stdout.startswith("stateDiagram-v2\n")
    assert "in_review --> approved : approve" in drawn.stdout
    data = kitty("machines", "diagram", "work_package", "--format", "mermaid", "--json").json["data"]
    assert data["diagram"] == drawn.stdout


def test_an_unknown_machine_or_format_is_a_usage_error(kitty: Any) -> None:
    unknown = kitty("machines", "show", "nope", "--json")
    assert (unknown.exit, unknown.json["error"]["code"]) == (2, "UNKNOWN_MACHINE")
    assert kitty("machines", "diagram", "merge", "--format", "gif", "--json").json["error"]["code"] == "INVALID_USAGE"


def test_dags_are_listed_and_shown(kitty: Any) -> None:
    listed = kitty("dags", "list", "--json").json["data"]["dags"]
    assert {"software-dev", "research", "documentation", "plan", "merge"} <= {dag["name"] for dag in listed}
    for dag in listed:
        shown = kitty("dags", "show", dag["name"], "--kind", dag["kind"], "--json").json["data"]
        place = {name: number for number, name in enumerate(shown["order"])}
        assert set(place) == {node["name"] for node in shown["nodes"]}
        assert all(place[edge["before"]] < place[edge["after"]] for edge in shown["edges"])
    shown = kitty("dags", "show", "merge").stdout
    assert "tests_pass" in shown
    copied = shlex.split(shown.splitlines()[-1])
    assert (copied[0], copied[2]) == ("cp", ".kitty-flow/pipelines/merge.toml")
    assert 'name = "merge"' in Path(copied[1]).read_text(encoding="utf-8")


def test_an_unknown_dag_names_those_that_exist(kitty: Any) -> None:
    done = kitty("dags", "show", "nope", "--json")
    assert done.exit == 2
    assert "software-dev" in done.json["error"]["details"]["known"]


def test_init_writes_one_file_at_the_root_and_leaves_git_alone(kitty: Any, repo: Path) -> None:
    below = repo / "src"
    below.mkdir()
    before = _git_state(repo)
    done = kitty("init", "--json", cwd=below)
    path = repo / ".kitty-flow" / "config.toml"
    assert done.exit == 0
    told = {name: done.json["data"][name] for name in ("root", "path", "written")}
    assert told == {"root": str(repo), "path": str(path), "written": True}
    assert {p for p in repo.rglob("*") if p.is_file() and ".git" not in p.parts} == {path, repo / "README.md"}
    tomllib.loads(path.read_text())
    assert _git_state(repo) == before


def test_a_second_init_changes_nothing_and_says_so(kitty: Any, repo: Path) -> None:
    kitty("init", cwd=repo)
    path = repo / ".kitty-flow" / "config.toml"
    path.write_text("# mine\n")
    done = kitty("init", cwd=repo)
    assert done.exit == 0
    assert "nothing was changed" in done.stdout
    assert path.read_text() == "# mine\n"
    assert kitty("init", "--json", cwd=repo).json["data"]["written"] is False


def test_init_outside_a_repository_works_and_warns(kitty: Any, tmp_path: Path) -> None:
    document = kitty("init", tmp_path, "--json").json
    assert document["ok"] is True
    assert (tmp_path / ".kitty-flow" / "config.toml").is_file()
    assert [remark["diagnostic_code"] for remark in document["diagnostics"]] == ["NO_REPOSITORY"]


def test_init_never_follows_a_planted_link(kitty: Any, repo: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    (repo / ".kitty-flow").mkdir()
    (repo / ".kitty-flow" / "config.toml").symlink_to(elsewhere)
    assert kitty("init", "--json", cwd=repo).json["data"]["written"] is False
    assert not elsewhere.exists()


@pytest.mark.parametrize("obstacle", ["missing", "file"])
def test_init_refuses_what_it_cannot_do(kitty: Any, repo: Path, obstacle: str) -> None:
    if obstacle == "file":
        (repo / ".kitty-flow").write_text("in the way")
    done = kitty("init", repo if obstacle == "file" else repo / "missing", "--json")
    assert done.exit == 2
    assert done.json["error"]["code"] == {"missing": "NO_DIRECTORY", "file": "SETTINGS_NOT_WRITABLE"}[obstacle]


def _git_state(repo: Path) -> dict[str, bytes]:
    subprocess.run(["git", "rev-parse", "HEAD"], cwd=repo, check=True, capture_output=True, timeout=60)
    return {str(p): p.read_bytes() for p in sorted((repo / ".git").rglob("*")) if p.is_file()}
