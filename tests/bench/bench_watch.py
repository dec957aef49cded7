"""`tox -e bench`: a live board on which an agent works costs less than one percent of a core."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from bench_read import build_mission

LIMIT = 0.01
WORK_PACKAGES = 300
SECONDS = 10.0
SETTLED = 3.0
"""The first look reads the whole ledger; what is measured comes after it."""


def test_a_watch_costs_less_than_a_percent_of_a_core(tmp_path: Path) -> None:
    repository = build_mission(tmp_path, work_packages=WORK_PACKAGES, events=2000)
    subprocess.run(
        [sys.executable, "-m", "kitty_flow", "next", "--agent", "ann", "--json"],
        cwd=repository,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    master, slave = pty.openpty()
    written = 0
    with subprocess.Popen(
        [sys.executable, "-m", "kitty_flow", "status", "--watch"],
        cwd=repository,
        env={**os.environ, "TERM": "xterm", "CI": ""},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)

        def read() -> None:
            nonlocal written
            with contextlib.suppress(OSError):
                while data := os.read(master, 65536):
                    written += len(data)

        threading.Thread(target=read, daemon=True).start()
        time.sleep(SETTLED)
        before, bytes_before, began = psutil.Process(process.pid).cpu_times(), written, time.monotonic()
        time.sleep(SECONDS)
        after, took = psutil.Process(process.pid).cpu_times(), time.monotonic() - began
        frames = written - bytes_before
        process.kill()
    os.close(master)
    share = (after.user + after.system - before.user - before.system) / took
    print(f"\nwatching {WORK_PACKAGES} work packages: {share:.2%} of a core, {frames / took:.0f} bytes a second")
    assert frames > 0, "the elapsed time of the agent at work has to move"
    assert share < LIMIT
