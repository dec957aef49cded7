"""What every test may rely on: a home of its own, a git identity, no network, and kitty-flow as a real process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from forked import run_kitty
from hypothesis import settings

settings.register_profile("kitty-flow", deadline=None, max_examples=60)
settings.register_profile("few", deadline=None, max_examples=20)  # where only the libraries differ (`tox -e lowest`)
settings.register_profile("many", deadline=None, max_examples=3_000)  # pytest --hypothesis-profile=many
settings.load_profile("kitty-flow")

# Started in the background of a script, this process ignores Ctrl-C, and so would every command that it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)

_GIT_CONFIG = """\
[user]
	name = Test Person
	email = test@example.invalid
[init]
	defaultBranch = trunk
[commit]
	gpgSign = false
"""


@dataclass(frozen=True)
class Finished:
    """A kitty-flow process that has ended."""

    exit: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one document on stdout; an error when stdout is anything else."""
        return json.loads(self.stdout)


Kitty = Callable[..., Finished]


@pytest.fixture(scope="session", autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the whole session its own HOME and git configuration, and no way to a network."""
    home = tmp_path_factory.mktemp("home")
    config = home / "gitconfig"
    config.write_text(_GIT_CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
            patch.delenv(name)
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "KITTY_FLOW_DEBUG", "EDITOR"):
            patch.delenv(name, raising=False)
        for name, value in {
            "HOME": str(home),
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file",
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
            "TERM": "dumb",
        }.items():
            patch.setenv(name, value)
        patch.setattr(socket.socket, "connect", _refuse_network(socket.socket.connect))
        yield home


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A fresh repository with one commit on its branch ``trunk``."""
    root = tmp_path / "repo"
    root.mkdir()
    (root / "README.md").write_text("# Sample\n")
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *arguments], cwd=root, check=True, timeout=60)
    return root


@pytest.fixture
def kitty(tmp_path: Path) -> Kitty:
    """Run kitty-flow as its users do: ``kitty("plan", "x", "--json", cwd=repo).json["data"]``."""

    def run(
        *arguments: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = 300,
    ) -> Finished:
        done = run_kitty(
            list(map(str, arguments)), cwd=cwd or tmp_path, env=env or {}, stdin=stdin or "", timeout=timeout
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the crash suite covered; here, since the process that prints has not loaded `tests/crash`."""
    found: dict[str, list[Any]] = {}
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, points, faults, *counts in (v for k, v in report.user_properties if k == "crash suite"):
            known = found.setdefault(name, [points, set(), 0, 0, 0])
            known[0] = max(known[0], points)
            known[1].update(faults)
            known[2:] = [old + new for old, new in zip(known[2:], counts, strict=True)]
    if found:
        terminalreporter.section("crash suite")
    for name, (points, faults, runs, resumed, divergences) in found.items():
        told = f"{points} points x {len(faults)} faults, {runs} runs, {resumed} resumed, {divergences} divergences"
        terminalreporter.write_line(f"{name}: {told}")
    if found:
        runs, _, divergences = (sum(figures) for figures in zip(*(f[2:] for f in found.values()), strict=True))
        terminalreporter.write_line(f"together: {runs} runs, {divergences} divergences")


def _refuse_network(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError(f"a test must not reach for the network: {address!r}")
        return connect(self, address)

    return guarded
