"""`kitty-flow plan` from outside: what if, strict, big missions, and files of the repository around a source."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Kitty = Callable[..., Any]

SMALL: Mapping[str, Mapping[str, Any]] = {
    "WP01": {"owned_files": ["a.txt"]},
    "WP02": {"owned_files": ["b.txt"], "dependencies": ["WP01"]},
    "WP03": {"owned_files": ["b.txt"], "dependencies": ["WP01"]},
}


def write(path: Path, work_packages: Mapping[str, Mapping[str, Any]]) -> Path:
    tables = ['[mission]\ntitle = "Made up"\n']
    for name, values in work_packages.items():
        keys = {"id": name, "title": f"Make {name}", **values}
        tables.append("[[work_package]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


def test_the_makespan_of_a_file_counts_work_packages(kitty: Kitty, tmp_path: Path) -> None:
    done = kitty("plan", write(tmp_path / "small.toml", SMALL), "--agents", 2, "--json", cwd=tmp_path)
    data = done.json["data"]
    assert data["makespan"] == {
        "agents": 2,
        "estimate": 3.0,
        "lower_bound": 3.0,
        "unit": "work packages",
        "sequential": 3.0,
        "remaining": 3,
        "finished": 0,
        "median": None,
        "p90": None,
        "runs": 0,
        "samples": 0,
        "learned_from": None,
    }
    assert "what_if" not in data


def test_what_if_compares_and_says_what_is_blocked(kitty: Kitty, tmp_path: Path) -> None:
    path = write(tmp_path / "small.toml", SMALL)
    words = ("plan", path, "--what-if", "fail=WP02", "--what-if", "agents=1")
    found = kitty(*words, "--json", cwd=tmp_path).json["data"]["what_if"]
    assert found["supposition"] == {"agents": 1, "failed": ["WP02"], "dropped": []}
    assert (found["blocked"], found["held"], found["possible"]) == ([], ["WP03"], ["WP01"])
    assert (found["before"]["waves"], found["after"]["waves"]) == (3, 1)
    assert (found["before"]["makespan"]["agents"], found["after"]["makespan"]["agents"]) == (4, 1)
    text = kitty(*words, cwd=tmp_path).stdout
    assert "WHAT IF" in text and "canceled: WP03" in text and "still possible: WP01" in text
    dropped = kitty("plan", path, "--what-if", "drop=WP01:WP02", cwd=tmp_path).stdout
    assert "WP02 would not wait for WP01" in dropped


@pytest.mark.slow
def test_what_if_writes_nothing(kitty: Kitty, repo: Path) -> None:
    (repo / ".kitty-flow" / "missions").mkdir(parents=True)
    source = write(repo / ".kitty-flow" / "missions" / "small.toml", SMALL)

    def refs() -> str:
        listed = subprocess.run(["git", "-C", repo, "for-each-ref"], check=True, capture_output=True, text=True)
        return listed.stdout

    before = refs()
    for words in (("plan", "small"), ("plan",), ("plan", "sma")):
        done = kitty(*words, "--what-if", "agents=1", "--json", cwd=repo)
        assert done.exit == 0 and done.json["data"]["what_if"]["after"]["makespan"]["agents"] == 1
    assert refs() == before
    assert kitty("plan", "small", cwd=repo).exit == 0
    before = refs()
    assert "refs/kitty/m/" in before
    write(source, {**SMALL, "WP04": {"owned_files": ["d.txt"]}})
    done = kitty("plan", "small", "--what-if", "fail=WP01", "--json", cwd=repo)
    assert done.json["data"]["what_if"]["before"]["work_packages"] == 3 and refs() == before


def test_what_cannot_be_supposed_is_refused(kitty: Kitty, tmp_path: Path) -> None:
    path = write(tmp_path / "small.toml", SMALL)
    refused = kitty("plan", path, "--what-if", "weather=rain", "--json", cwd=tmp_path)
    assert (refused.exit, refused.json["error"]["code"]) == (2, "INVALID_WHAT_IF")


def test_a_source_is_compared_with_the_repository_around_it(kitty: Kitty, repo: Path, tmp_path: Path) -> None:
    path = write(repo / "small.toml", {"WP01": {"owned_files": ["src/nothing-such/**"]}})
    told = kitty("plan", path, "--json", cwd=tmp_path).json["diagnostics"]
    assert [d["diagnostic_code"] for d in told] == ["OWNED_FILES_ABSENT"]
    (repo / "src" / "nothing-such").mkdir(parents=True)
    (repo / "src" / "nothing-such" / "a.py").touch()
    subprocess.run(["git", "-C", repo, "add", "src"], check=True)
    assert kitty("plan", path, "--json", cwd=tmp_path).json["diagnostics"] == []


def test_strict_lets_no_warning_pass_but_notes(kitty: Kitty, repo: Path) -> None:
    noted = write(repo / "noted.toml", {"WP01": {"owned_files": ["nothing-such"]}})
    assert "note:" in kitty("plan", noted, "--strict", cwd=repo).stderr
    assert kitty("plan", noted, "--strict", cwd=repo).exit == 0
    warned = write(repo / "warned.toml", {"WP01": {}})
    assert kitty("plan", warned, cwd=repo).exit == 0
    refused = kitty("plan", warned, "--strict", "--json", cwd=repo)
    assert (refused.exit, refused.json["error"]["code"]) == (3, "PLAN_HAS_WARNINGS")
    assert refused.json["data"]["waves"] == [["WP01"]] and refused.json["error"]["hint"]


@pytest.mark.parametrize(("size", "is_listed"), [(40, True), (500, False)])
def test_a_big_mission_is_shown_by_its_waves(kitty: Kitty, tmp_path: Path, size: int, is_listed: bool) -> None:
    rows = {
        f"WP{n:02d}": {
            "owned_files": ["CHANGELOG.md" if n % 4 == 0 else f"src/{n}.py"],
            "dependencies": [f"WP{n - 2:02d}"] if n > 2 else [],
        }
        for n in range(1, size + 1)
    }
    text = kitty("plan", write(tmp_path / "big.toml", rows), cwd=tmp_path).stdout
    assert ("Make WP11" in text) is is_listed
    assert ("--all lists every work package" in text) is not is_listed
    lines = text.splitlines()
    assert len(lines) <= 60 and all(len(line) <= 80 for line in lines)


def test_warnings_of_one_kind_are_told_together(kitty: Kitty, tmp_path: Path) -> None:
    path = write(tmp_path / "many.toml", {f"WP{n:02d}": {} for n in range(1, 11)})
    assert len(kitty("plan", path, "--json", cwd=tmp_path).json["diagnostics"]) == 10
    told = kitty("plan", path, cwd=tmp_path).stderr.splitlines()
    assert len(told) == 4 and "7 more of this kind" in told[-1]
