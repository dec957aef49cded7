"""`init` writes one file, the same every time, and touches nothing else (seed 003, WP01: T1.1 to T1.7)."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.agents.settings import Settings, load_settings, settings_text

CONFIG = Path(".kitty-flow") / "config.toml"


def everything(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file with its mode, time and content, those of git included."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink())
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes())
        for path in files
    }


def test_one_file_is_written_and_git_is_not_touched(kitty: Any, repo: Path) -> None:
    hook = repo / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    (repo / "README.md").write_text("edited\n")
    before = everything(repo)
    data = kitty("init", "--json", cwd=repo).json["data"]
    after = everything(repo)
    assert set(after) - set(before) == {str(CONFIG)}
    assert {name: after[name] for name in before} == before
    assert (data["root"], data["path"], data["written"]) == (str(repo), str(repo / CONFIG), True)
    assert not (repo / ".agents").exists()
    assert sorted(path.name for path in repo.parent.iterdir()) == ["repo"]


def test_the_file_is_the_same_everywhere_and_means_the_defaults(kitty: Any, repo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "deep"
    other.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    for place in (repo, other):
        assert kitty("init", cwd=place, env={"LANG": "C", "TZ": "Asia/Tokyo"}).exit == 0
        assert (place / CONFIG).read_bytes() == settings_text().encode()
    assert load_settings(repo) == Settings()
    assert set(tomllib.loads(settings_text())) <= set(Settings.model_fields)


def test_a_second_run_changes_nothing_and_says_so(kitty: Any, repo: Path) -> None:
    kitty("init", cwd=repo)
    path = repo / CONFIG
    path.write_text("[run]\njobs = 7\n")
    before = everything(repo)
    done = kitty("init", cwd=repo)
    assert (done.exit, done.stdout) == (0, f"{path} is already there; nothing was changed\n")
    assert kitty("init", "--json", cwd=repo).json["data"]["written"] is False
    assert everything(repo) == before


def test_who_has_settings_is_not_sent_to_write_them(kitty: Any, repo: Path) -> None:
    assert kitty("run", "--json", cwd=repo).json["error"]["hint"].endswith("(kitty-flow init)")
    kitty("init", cwd=repo)
    error = kitty("run", "--json", cwd=repo).json["error"]
    assert error["code"] == "AGENT_MISSING"
    assert error["hint"].endswith("or name agents in .kitty-flow/config.toml")


def test_the_next_steps_are_the_loop_and_the_help_says_what_is_done(kitty: Any, repo: Path) -> None:
    done = kitty("init", "--json", cwd=repo)
    steps = done.json["data"]["next_steps"]
    assert [step.split()[1] for step in steps] == ["mission", "run", "next", "profiles"]
    (repo / CONFIG).unlink()
    told = kitty("init", cwd=repo).stdout
    assert all(step in told for step in steps)
    assert "wp start" not in told
    assert all(len(line) <= 80 for line in told.splitlines()[1:])
    text = " ".join(kitty("init", "--help").stdout.split())
    assert "nothing of git's is touched" in text
    assert "never overwritten" in text
    assert kitty("init", "--no-git", cwd=repo).exit == 2


@pytest.mark.parametrize("where", ["below", "linked worktree", "named"])
def test_it_goes_to_the_root_of_the_main_checkout(kitty: Any, repo: Path, tmp_path: Path, where: str) -> None:
    linked, below = tmp_path / "linked", repo / "a" / "b"
    below.mkdir(parents=True)
    subprocess.run(["git", "worktree", "add", "-q", "-b", "other", linked], cwd=repo, check=True)
    cwd = {"below": below, "linked worktree": linked, "named": tmp_path}[where]
    words = ["repo"] if where == "named" else []
    assert kitty("init", *words, "--json", cwd=cwd).json["data"]["path"] == str(repo / CONFIG)
    assert not (linked / CONFIG.parent).exists()


def test_a_folder_without_a_repository_gets_its_file_and_a_warning(kitty: Any, tmp_path: Path) -> None:
    done = kitty("init", "--json", cwd=tmp_path)
    assert done.exit == 0
    assert [d["diagnostic_code"] for d in done.json["diagnostics"]] == ["NO_REPOSITORY"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".kitty-flow"]


def test_where_no_file_can_be_nothing_is_left(kitty: Any, repo: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    before = everything(bare)
    assert kitty("init", bare, "--json").json["error"]["code"] == "BARE_REPOSITORY"
    assert everything(bare) == before
    assert kitty("init", tmp_path / "missing", "--json").json["error"]["code"] == "NO_DIRECTORY"
    (repo / ".kitty-flow").write_text("a file\n")
    error = kitty("init", "--json", cwd=repo).json["error"]
    assert error["code"] == "SETTINGS_NOT_WRITABLE"
    assert error["hint"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(kitty: Any, repo: Path) -> None:
    repo.chmod(0o555)
    try:
        assert kitty("init", "--json", cwd=repo).json["error"]["code"] == "SETTINGS_NOT_WRITABLE"
    finally:
        repo.chmod(0o755)


def test_a_link_in_its_place_is_left(kitty: Any, repo: Path, tmp_path: Path) -> None:
    (repo / ".kitty-flow").mkdir()
    (repo / CONFIG).symlink_to(tmp_path / "nowhere")
    assert kitty("init", "--json", cwd=repo).json["data"]["written"] is False
    assert not (tmp_path / "nowhere").exists()
