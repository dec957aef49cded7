"""A repository for many agents at once; the workbench is that of `tests/flow`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))

from workbench import Workbench


@pytest.fixture
def bench(repo: Path) -> Workbench:
    """A repository to work in."""
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        return Workbench(repo, (str(Path(sys.executable).with_name("kitty-flow")),))
    return Workbench(repo, (sys.executable, "-P", "-m", "kitty_flow"))
