"""A hub for the tests, and a user who has logged in to it; `hub_bench.py` lies beside this file."""

from __future__ import annotations

import _socket
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "invocation"))

from hub_bench import Hub, keep, start_hub

from kitty_flow.hub.client import HubClient
from kitty_flow.hub.credentials import CredentialStore
from kitty_flow.invocation import propagator


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no slow hub."""
    monkeypatch.setattr(propagator, "DRAIN_S", 60.0)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub that keeps the contract until it is told otherwise."""
    found = start_hub(tmp_path / "hub")
    yield found
    found.process.kill()
    found.process.communicate()


@pytest.fixture
def store(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CredentialStore:
    """The user's own credentials file for this hub, still empty; processes that a test starts have the same."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return CredentialStore(hub.address)


@pytest.fixture
def logged_in(store: CredentialStore) -> CredentialStore:
    """A user who has logged in."""
    keep(store)
    return store


@pytest.fixture
def client(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubClient]:
    """A client in this process, which may reach the loopback and nothing else."""
    refuse: Callable[..., Any] = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and address[0] == "127.0.0.1":
            return _socket.socket.connect(self, address)
        return refuse(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    with HubClient(hub.address, timeout_s=20.0) as found:
        yield found
