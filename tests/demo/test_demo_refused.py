"""What the demo refuses, and what it says when the sample does not get through."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kitty_flow

Kitty = Callable[..., Any]


def test_a_folder_with_something_in_it_is_refused(kitty: Kitty, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    done = kitty("demo", "--dir", mine, "--json")
    assert done.exit == 2
    error = done.json["error"]
    assert error["code"] == "DEMO_DIR_NOT_EMPTY"
    assert "--dir" in error["hint"]
    assert [path.name for path in mine.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("make", ["file", "dangling link"])
def test_what_is_no_folder_is_refused(kitty: Kitty, tmp_path: Path, make: str) -> None:
    place = tmp_path / "place"
    if make == "file":
        place.write_text("text")
    else:
        place.symlink_to(tmp_path / "nowhere")
    done = kitty("demo", "--dir", place, "--json")
    assert (done.exit, done.json["error"]["code"]) == (2, "DEMO_DIR_NOT_EMPTY")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_cannot_be_made_is_refused(kitty: Kitty, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    done = kitty("demo", "--dir", tmp_path / "file" / "below", "--json")
    assert (done.exit, done.json["error"]["code"]) == (2, "DEMO_DIR_NOT_WRITABLE")


def test_without_git_nothing_is_made(kitty: Kitty, tmp_path: Path) -> None:
    place = tmp_path / "place"
    empty = tmp_path / "empty"
    empty.mkdir()
    done = kitty("demo", "--dir", place, "--json", env={"PATH": str(empty)})
    assert (done.exit, done.json["error"]["code"]) == (7, "GIT_MISSING")
    assert not place.exists()


def _broken_copy(folder: Path) -> Path:
    """The package with a rework that does not mend what the review found; returns the folder to import it from."""
    package = Path(kitty_flow.__file__).parent
    copy = folder / "copy"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, copy / "kitty_flow", ignore=skipped)
    for name in ("machines", "dags"):
        if (package.parent / "machines" / "work_package.toml").is_file():
            shutil.copytree(package.parent / name, copy / name, ignore=skipped)
    agents = copy / "kitty_flow" / "demo" / "sample" / "agents"
    for name in ("pantry/scale.py", "tests/test_scale.py"):
        same = (agents / "work" / "WP05" / name).read_text()
        (agents / "rework" / "WP05" / name).write_text(same + "\n# the same again\n")
    return copy


@pytest.mark.slow
def test_bad_work_is_rejected_however_often_it_comes(kitty: Kitty, tmp_path: Path) -> None:
    copy = _broken_copy(tmp_path)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "kitty_flow", "demo", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(copy)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["error"]["code"]) == (7, False, "DEMO_INCOMPLETE")
    outcome = document["error"]["details"]["work_packages"]["WP05"]
    assert (outcome["state"], outcome["rejections"]) == ("blocked", 2)
    step_in, command = document["error"]["hint"].split(" && ")
    words = shlex.split(command)
    assert words[:3] == ["kitty-flow", "why", "WP05"]
    assert shlex.split(step_in) == ["cd", str(tmp_path / "kitty-flow-demo" / "project")]
    answer = kitty(*words[1:], cwd=shlex.split(step_in)[1])
    assert (answer.exit, "WP05 is blocked" in answer.stdout) == (0, True)
    project = tmp_path / "kitty-flow-demo" / "project"
    assert not (project / "pantry" / "scale.py").exists()
