"""Real faults, nothing injected: a disk that is full, a limit on the size of files, a read-only git directory.

A disk can be filled and made read-only where a file system may be mounted (root on Linux); the limit works everywhere,
and injected errors (`test_crash_points.py`) do the rest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

SIZE_KB = 512
FREE_KB = (0, 8, 24, 64, 128)
LIMITS = (0, 200, 800)

_LIMITED = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2);"
    "os.execv(sys.argv[2], sys.argv[2:])"
)


def mount(place: Path, *options: str) -> bool:
    words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
    return subprocess.run(words, capture_output=True).returncode == 0


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A small file system at `place`; says whether that worked."""
    works = sys.platform == "linux" and os.geteuid() == 0 and mount(place, f"size={SIZE_KB}k")
    try:
        yield works
    finally:
        if works:
            subprocess.run(["umount", "-l", str(place)], check=True)


def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name)) as works:
        return works


@pytest.fixture
def bench(tmp_path: Path, kitty_words: tuple[str, ...]) -> Iterator[Workbench]:
    """A small mission in a repository on a small disk of its own, or on the usual one."""
    place = tmp_path / "disk"
    place.mkdir()
    with small_disk(place):
        made = Workbench(place / "repo", kitty_words)
        made.root.mkdir()
        made.git("init", "-q", "-b", "trunk", "--template=")
        made.commit("Start", README__md="# Sample\n", __gitignore=".kitty-flow/\n")
        made.mission(
            {"WP01": {"owned_files": ["one.txt"]}, "WP02": {"owned_files": ["two.txt"]}}, target_branch="trunk"
        )
        made.kitty("plan", "sample")
        yield made


def attempt(bench: Workbench, *words: str) -> dict[str, Any] | None:
    """The error of a command that may fail for want of space: one that says what to do."""
    process = bench.start(*words, "--json")
    out, err = process.communicate(timeout=120)
    if process.returncode == 0:
        return None
    error: dict[str, Any] = json.loads(out)["error"]
    assert process.returncode in (6, 7), (error, err)
    assert error["message"] and error["hint"] and "\n" not in error["message"]
    if error["code"] == "STATUS_EVENT_PERSISTENCE_FAILED":
        assert error["details"]["mission_slug"] == "sample"
        assert all(error["details"][name] for name in ("requested_lane", "path", "diagnostic_code", "remediation"))
    return error


def fill(place: Path, free_kb: int) -> None:
    with (place / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - free_kb * 1024))


if can_mount():

    @pytest.mark.slow
    def test_a_full_disk(bench: Workbench) -> None:
        """A claim with ever more space: it fails and says so, the log can be read, and then it works."""
        failed = set()
        before = bench.events()
        for free_kb in FREE_KB:
            fill(bench.root.parent, free_kb)
            error = attempt(bench, "next", "--agent", "ann", "-m", "sample")
            recorded = bench.events()  # on the full disk
            assert recorded[: len(before)] == before
            before = recorded
            (bench.root.parent / "filler").unlink()
            if error is None:
                break
            failed.add(error["code"])
        assert "STATUS_EVENT_PERSISTENCE_FAILED" in failed
        bench.kitty("next", "--agent", "ann", "-m", "sample")
        assert bench.states() == {"WP01": "in_progress", "WP02": "planned"}
        assert [e["lamport"] for e in bench.events()] == list(range(1, len(bench.events()) + 1))
        assert bench.git("fsck", "--strict", "--no-dangling") == ""

    def test_a_read_only_disk(bench: Workbench) -> None:
        """What only reads goes on working, with the index and without it; what writes says that it cannot."""
        subprocess.run(["mount", "-o", "remount,ro", str(bench.root.parent)], check=True)
        for words in (["status"], ["log", "sample"], ["why", "WP02"], ["wp", "show", "WP01"], ["mission", "list"]):
            bench.kitty(*words)
        bench.kitty("next", "--agent", "ann", "--peek")
        for words in (["next", "--agent", "ann"], ["wp", "block", "WP01", "--reason", "x"]):
            assert attempt(bench, *words) is not None
        subprocess.run(["mount", "-o", "remount,rw", str(bench.root.parent)], check=True)
        for index in (bench.root / ".git/kitty-flow/index").iterdir():
            index.unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(bench.root.parent)], check=True)
        assert bench.states() == {"WP01": "planned", "WP02": "planned"}
        subprocess.run(["mount", "-o", "remount,rw", str(bench.root.parent)], check=True)
        assert bench.kitty("next", "--agent", "ann")["data"]["wp_id"] == "WP01"


@pytest.mark.slow
def test_files_that_may_not_grow(bench: Workbench) -> None:
    """RLIMIT_FSIZE cuts writes short and then fails them, and kills git: as a quota does."""
    before, command = bench.events(), bench.command
    failed = []
    for limit in LIMITS:
        bench.command = (sys.executable, "-c", _LIMITED, str(limit), *command)
        error = attempt(bench, "wp", "block", "WP01", "--reason", "for a reason", "-m", "sample")
        bench.command = command
        if error is None:
            break
        failed.append(error["code"])
        assert bench.events() == before
        assert list((bench.root / ".git/objects").glob("??/tmp_obj_*")) == []
    assert "STATUS_EVENT_PERSISTENCE_FAILED" in failed
    bench.kitty("wp", "block", "WP01", "--reason", "for a reason")
    assert bench.states() == {"WP01": "blocked", "WP02": "planned"}
    assert [e["lamport"] for e in bench.events()] == list(range(1, len(before) + 2))
    assert bench.git("fsck", "--strict", "--no-dangling") == ""
