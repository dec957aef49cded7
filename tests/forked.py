"""Command lines of kitty-flow as forks of a process that has imported it already (`fork_server.py`)."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["kitty_command", "run_kitty"]


class Forks:
    """Forks of one server, which ends when this process does."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kitty-forks-"))
        self._socket = str(self._folder / "socket")
        command = [sys.executable, "-P", str(Path(__file__).with_name("fork_server.py")), self._socket]
        self._server = subprocess.Popen(command, cwd=self._folder, stdin=subprocess.PIPE, start_new_session=True)
        self._owner = os.getpid()

    def run(
        self, words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, as `subprocess.run` does."""
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            (folder / "stdin").write_text(stdin, encoding="utf-8")
            errand = {"words": list(words), "cwd": str(cwd), "env": dict(env), "folder": name}
            with self._connected(timeout) as server, server.makefile("rb") as answers:
                server.sendall(json.dumps(errand).encode() + b"\n")
                pid = int(answers.readline())
                try:
                    status = int(answers.readline())
                except TimeoutError:
                    os.killpg(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(list(words), timeout) from None
            out, err = ((folder / stream).read_text(encoding="utf-8") for stream in ("stdout", "stderr"))
            return subprocess.CompletedProcess(list(words), status, out, err)

    def _connected(self, timeout: float) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.settimeout(timeout)
        while True:
            try:
                server.connect(self._socket)
            except (FileNotFoundError, ConnectionRefusedError):
                with contextlib.suppress(subprocess.TimeoutExpired):  # it is importing
                    ended = self._server.wait(0.05)
                    raise RuntimeError(f"the fork server ended with {ended}") from None
            else:
                return server

    def close(self) -> None:
        """End the server."""
        self._server.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)


_made: list[Forks] = []


def kitty_command() -> tuple[str, ...]:
    """The installed console script where the built package is tested, else the package on the path."""
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        return (str(Path(sys.executable).with_name("kitty-flow")),)
    return (sys.executable, "-P", "-m", "kitty_flow")


def run_kitty(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str = "", timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run one command line in a process of its own; `env` is added to the environment.

    It is a fork where that can make no difference: not where variables are for Python itself.
    """
    environment = {**os.environ, **env}
    forks = None if any(name.startswith("PYTHON") for name in env) else _forks()
    if forks is not None:
        return forks.run(words, cwd=cwd, env=environment, stdin=stdin, timeout=timeout)
    return subprocess.run(
        [*kitty_command(), *words],
        cwd=cwd,
        env=environment,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        start_new_session=True,
    )


def _forks() -> Forks | None:
    """The forks of this test process; None on systems where a process should not fork itself."""
    if sys.platform != "linux" or os.environ.get("KITTY_FLOW_NO_FORKS"):
        return None
    if not _made:
        _made.append(Forks())
        atexit.register(_made[0].close)
    return _made[0]
