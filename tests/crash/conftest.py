"""Scenes for the crash suite; the harness is `failpoints.py`, the operations are in `operations.py`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))
sys.path.insert(0, str(Path(__file__).parent))

from failpoints import OpenScene, Report, Scene, Tally, Zygote
from operations import OPERATIONS


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: every history begins with a copy of a repository, and syncs often."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="kitty-flow-crash-", dir=place, ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def zygote(scratch: Path, isolated_environment: Path) -> Iterator[Zygote]:
    """The process that forks the commands."""
    made = Zygote(scratch)
    yield made
    made.close()


@pytest.fixture
def open_scene(scratch: Path, zygote: Zygote, kitty_words: tuple[str, ...]) -> Iterator[OpenScene]:
    """Make the scene of an operation: ``open_scene("claim")``."""
    with ExitStack() as stack:

        def make(name: str) -> Scene:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True))
            return Scene(OPERATIONS[name], kitty_words, zygote, Path(folder))

        yield make


@pytest.fixture
def kitty_words() -> tuple[str, ...]:
    """The command that starts kitty-flow."""
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        return (str(Path(sys.executable).with_name("kitty-flow")),)
    return (sys.executable, "-P", "-m", "kitty_flow")


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Have what was covered printed at the end of the test run, and fail when anything diverged."""

    def tell(tally: Tally) -> None:
        record_property("crash suite", tally.figures)
        assert tally.runs > 0
        assert tally.divergences == []

    return tell
