"""The workbench of the end-to-end tests, shared with tests/flow, and a mission that is ready to be merged."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))

from workbench import GitSpy, Workbench

PAIR = {"WP01": {"owned_files": ["one.txt"]}, "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]}}

Script = Callable[[str], str]
Killed = Callable[..., None]

_KILLER = """\
#!/bin/sh
case "$*" in *" update-ref "*) ;; *) exec "{git}" "$@" ;; esac
"{git}" "$@" || exit
echo >> "{folder}/swaps"
{condition} && kill -9 $PPID
exit 0
"""


@pytest.fixture
def bench(repo: Path) -> Workbench:
    """A repository whose mission is run to its end and not merged; `trunk` is checked out and clean."""
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "kitty_flow")
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        command = (str(Path(sys.executable).with_name("kitty-flow")),)
    made = Workbench(repo, command)
    made.commit("Ignore", __gitignore="*.log\n.kitty-flow/\n")
    made.mission(PAIR, target_branch="trunk")
    made.run(jobs=1)
    return made


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a shell script outside the repository; returns the command line that runs it."""

    def write(text: str) -> str:
        path = tmp_path / "test-command.sh"
        path.write_text(f"set -e\n{text}\n")
        return shlex.join(["sh", str(path)])

    return write


@pytest.fixture
def spy(tmp_path: Path) -> GitSpy:
    """A git that can kill."""
    return GitSpy(tmp_path / "spy")


@pytest.fixture
def killed(bench: Workbench, tmp_path: Path) -> Killed:
    """Start a command that is killed right after the first move of a ref after which a shell condition holds."""
    folder, git = tmp_path / "killer", shutil.which("git")
    folder.mkdir()

    def start(*words: str, condition: str) -> None:
        (folder / "swaps").unlink(missing_ok=True)
        (folder / "git").write_text(_KILLER.format(git=git, folder=folder, condition=condition.format(git=git)))
        (folder / "git").chmod(0o755)
        bench.env["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
        bench.kitty(*words, exit=-signal.SIGKILL)
        del bench.env["PATH"]

    return start


@pytest.fixture
def killed_merge(bench: Workbench, killed: Killed, tmp_path: Path) -> Callable[[str], None]:
    """Start a merge that is killed right after one of its four records, or after the move of the target."""
    swaps = ("prepared", "tested", "moved", "landed", "proved")

    def start(after: str) -> None:
        enough = f"[ $(wc -l < '{tmp_path}/killer/swaps') -eq {swaps.index(after) + 1} ]"
        killed("merge", "sample", "--test-command", "true", condition=enough)

    return start
