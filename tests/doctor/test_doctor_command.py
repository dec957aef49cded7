"""`kitty-flow doctor` as its users meet it: outside a repository, on a healthy one, and without touching anything."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def test_outside_a_repository_only_the_installation_is_looked_at(kitty: Any, tmp_path: Path) -> None:
    done = kitty("doctor", "--json", cwd=tmp_path)
    assert done.exit == 0
    assert done.json["schema"] == "kitty-flow/doctor/1"
    findings = done.json["data"]["findings"]
    assert {f["check"] for f in findings} == {"installation"}
    assert {f["status"] for f in findings} == {"ok"}
    assert {"python", "git", "distributions", "definitions", "repository"} <= {f["subject"] for f in findings}


@pytest.mark.parametrize("part", ["ledger", "locks", "worktrees", "conflicts"])
def test_a_part_of_the_repository_needs_a_repository(kitty: Any, tmp_path: Path, part: str) -> None:
    done = kitty("doctor", part, "--json", cwd=tmp_path)
    assert done.exit == 2
    assert done.json["schema"] == f"kitty-flow/doctor-{part}/1"
    assert done.json["error"]["code"] == "NO_REPOSITORY"


def test_a_healthy_project_has_no_problems_in_any_directory(ward: Any) -> None:
    ward.add_mission("shop")
    ward.run("shop")
    ward.merge("shop")
    below = ward.root / "below"
    below.mkdir()
    done = ward.kitty("doctor", cwd=below)
    assert done.exit == 0
    assert done.stderr == ""
    assert done.stdout.endswith("\nno problems\n")
    assert done.stdout.splitlines()[0].split() == ["STATUS", "CHECK", "SUBJECT", "FINDING"]
    rows = done.stdout.partition("\n\n")[0].splitlines()
    assert max(map(len, rows)) <= 80
    assert {row.split()[1] for row in rows if row.startswith("ok ")} == {
        "installation", "settings", "ledger", "branch", "worktrees", "locks", "conflicts",
    }  # fmt: skip
    assert below.is_dir() and not list(below.iterdir())


def test_problems_come_first_and_remedies_stay_whole(ward: Any) -> None:
    lock = ward.root / ".git" / "refs" / "heads" / ("feature-" + "x" * 90 + ".lock")
    lock.touch()
    os.utime(lock, (0, 0))
    done = ward.kitty("doctor", cwd=ward.root)
    assert done.exit == 4
    lines = done.stdout.splitlines()
    assert lines[1].startswith("problem")
    assert "  kitty-flow doctor locks --fix" in lines
    assert lock.exists()
    assert "no problems" not in done.stdout
    assert "error: 1 problem was found; nothing was changed" in done.stderr
    error = ward.kitty("doctor", "locks", "--json", cwd=ward.root).json["error"]
    assert error["code"] == "DOCTOR_FOUND_PROBLEMS"
    assert [f["status"] for f in error["details"]["findings"]] == ["problem"]


def test_nothing_is_changed_not_even_by_a_visit_before_the_first_command(ward: Any) -> None:
    before = _everything_in(ward.root.parent)
    assert ward.kitty("doctor", cwd=ward.root).exit == 0
    assert _everything_in(ward.root.parent) == before


def test_nothing_is_changed_when_there_is_much_to_complain_about(ward: Any) -> None:
    ward.add_mission("shop")
    ward.run("shop")
    broken = ward.add_mission("broken")
    ward.rewrite(broken, "log/", lambda content: content[:-20])
    (ward.root / "README.md").write_text("edited\n")
    (ward.root / "staged.txt").write_text("staged\n")
    ward.git("add", "staged.txt")
    before = _everything_in(ward.root.parent)
    assert ward.kitty("doctor", cwd=ward.root).exit == 4
    assert _everything_in(ward.root.parent) == before


def test_a_git_that_is_too_old_ends_the_visit_early(ward: Any, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").write_text("#!/bin/sh\necho git version 2.30.1\n")
    (tools / "git").chmod(0o755)
    done = ward.kitty("doctor", "--json", cwd=ward.root, env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert done.exit == 4
    findings = done.json["data"]["findings"]
    assert [f["subject"] for f in findings if f["status"] == "problem"] == ["git"]
    assert "2.38" in findings[0]["remedy"]
    assert {f["check"] for f in findings} == {"installation"}


def test_a_library_that_is_missing_is_named_and_not_needed_to_say_so(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom importlib import metadata\n"
        "missing = ('networkx', 'transitions', 'psutil', 'filelock')\n"
        "sys.modules.update(dict.fromkeys(missing))\n"
        "installed = metadata.version\n"
        "def version(name):\n"
        "    if name in missing:\n        raise metadata.PackageNotFoundError(name)\n"
        "    return installed(name)\n"
        "metadata.version = version\n"
        "from kitty_flow.cli.main import main\n"
        "sys.exit(main(['doctor', '--json']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 4, done.stderr
    (found,) = (f for f in json.loads(done.stdout)["data"]["findings"] if f["status"] == "problem")
    assert set(found["message"].removeprefix("not installed: ").split(", ")) == {
        "networkx", "transitions", "psutil", "filelock",
    }  # fmt: skip


def test_an_unknown_part_suggests_the_nearest(kitty: Any) -> None:
    error = kitty("doctor", "lock", "--json").json["error"]
    assert error["code"] == "UNKNOWN_COMMAND"
    assert error["hint"] == "kitty-flow doctor locks --help"


def test_help_lists_the_parts_and_has_examples(kitty: Any) -> None:
    done = kitty("doctor", "--help")
    assert done.exit == 0
    for word in ("ledger", "locks", "worktrees", "Examples:", "--json"):
        assert word in done.stdout


def _everything_in(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file and folder with mode, time of change and content; the index aside, which any reader may make anew.

    An object's time tells when git last met it, also while it merges into objects that nobody keeps.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if (path.parent.name == "kitty-flow" and path.name == "index") or path.parent.name == "index":
            continue
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        is_object = path.is_file() and ".git/objects/" in path.as_posix()
        found[str(path)] = (status.st_mode, 0 if is_object else status.st_mtime_ns, content)
    return found
