"""`tox -e bench`: the help costs at most 1.5 times what importing typer alone costs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 25
LIMIT = 1.5


def _seconds(command: list[str], where: Path) -> float:
    start = time.perf_counter()
    # No timeout: waiting with one polls at growing intervals, which would round both times to the same 64 ms.
    subprocess.run(command, cwd=where, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def test_help_is_nearly_as_quick_as_importing_typer(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("kitty-flow")
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "kitty_flow"]
    pairs = [
        (_seconds([*ours, "--help"], tmp_path), _seconds([sys.executable, "-c", "import typer"], tmp_path))
        for _ in range(ROUNDS)
    ]
    # The quickest round is the one that the rest of the machine disturbed least.
    help_seconds, typer_seconds = min(p[0] for p in pairs), min(p[1] for p in pairs)
    ratio = help_seconds / typer_seconds
    print(f"\nkitty-flow --help {help_seconds * 1e3:.1f} ms, import typer {typer_seconds * 1e3:.1f} ms: {ratio:.2f}")
    assert ratio <= LIMIT
