"""The workbench of the end-to-end tests; `workbench.py` lies beside this file and is no test module."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import kitty_command

sys.path.insert(0, str(Path(__file__).parent))

from workbench import Workbench


@pytest.fixture
def bench(repo: Path) -> Iterator[Workbench]:
    """A repository to work in; no agent may outlive the test."""
    made = Workbench(repo, kitty_command())
    yield made
    import psutil

    for pid in made.agents_alive():
        psutil.Process(pid).kill()
