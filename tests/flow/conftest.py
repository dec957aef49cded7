"""The workbench of the end-to-end tests; `workbench.py` lies beside this file and is no test module."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from workbench import Workbench


def _command() -> tuple[str, ...]:
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        return (str(Path(sys.executable).with_name("kitty-flow")),)
    return (sys.executable, "-P", "-m", "kitty_flow")


@pytest.fixture
def bench(repo: Path) -> Iterator[Workbench]:
    """A repository to work in; no agent may outlive the test."""
    made = Workbench(repo, _command())
    yield made
    import psutil

    for pid in made.agents_alive():
        psutil.Process(pid).kill()
