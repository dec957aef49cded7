"""The workbench of the end-to-end tests, shared with tests/flow, and a mission that is ready to be merged."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))

from workbench import Workbench, kept

PAIR = {"WP01": {"owned_files": ["one.txt"]}, "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]}}

Script = Callable[[str], str]
Killed = Callable[..., None]


def without_mission(repo: Path) -> Workbench:
    """A repository whose `trunk` is checked out and clean."""
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "kitty_flow")
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        command = (str(Path(sys.executable).with_name("kitty-flow")),)
    made = Workbench(repo, command)
    made.commit("Ignore", __gitignore="*.log\n.kitty-flow/\n")
    return made


@pytest.fixture
def empty_bench(repo: Path) -> Workbench:
    """A repository without a mission; `trunk` is checked out and clean."""
    return without_mission(repo)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workbench, Callable[[], None]]:
    """The repository of `bench`, built once, and what brings it back to where it was."""
    root = tmp_path_factory.mktemp("finished") / "repo"
    root.mkdir()
    (root / "README.md").write_text("# Sample\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=root, check=True, timeout=60)
    made = without_mission(root)
    made.mission(PAIR, target_branch="trunk")
    made.run(jobs=1)
    return made, kept(made, tmp_path_factory.mktemp("kept"))


@pytest.fixture
def bench(finished: tuple[Workbench, Callable[[], None]]) -> Workbench:
    """A repository whose mission is run to its end and not merged; `trunk` is checked out and clean.

    It is the same one each time, brought back to that; what a test has left beside it is gone.
    """
    made, bring_back = finished
    for path in made.root.parent.iterdir():
        if path.name not in (made.root.name, f"{made.root.name}.kitty"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    bring_back()
    return Workbench(made.root, made.command)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a shell script outside the repository; returns the command line that runs it."""

    def write(text: str) -> str:
        path = tmp_path / "test-command.sh"
        path.write_text(f"set -e\n{text}\n")
        return shlex.join(["sh", str(path)])

    return write


@pytest.fixture
def killed(bench: Workbench) -> Killed:
    """Stop a command right after one of its moves of a ref: ``killed(-4, "run", "sample")``."""

    def start(move: int, *words: str) -> None:
        bring_back = kept(bench)
        points = bench.points(*words)
        bring_back()
        moves = [number for number, name in enumerate(points, 1) if name == "ref.commit"]
        bench.stop(points, moves[move], "after", *words)

    return start


@pytest.fixture
def killed_merge(killed: Killed) -> Callable[[str], None]:
    """Stop a merge right after one of its five records, or after the move of the target."""
    moves = ("prepared", "result", "tested", "moved", "landed", "proved")
    return lambda after: killed(moves.index(after), "merge", "sample", "--test-command", "true")
