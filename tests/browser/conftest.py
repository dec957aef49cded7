"""One Chromium for all browser tests; `chromium.py` lies beside this file and is no test module."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chromium import Browser, chromium_path


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; the tests skip where there is none."""
    program = chromium_path()
    if program is None:
        pytest.skip("no Chromium: install it, or name it in KITTY_FLOW_CHROMIUM")
    with Browser(program, tmp_path_factory.mktemp("chromium")) as started:
        yield started
