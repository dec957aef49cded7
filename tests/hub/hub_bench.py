"""A running hub for the tests, and what a user has for it; fixtures are in `conftest.py`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitty_flow.hub.address import HubAddress, hub_address
from kitty_flow.hub.credentials import Credentials, CredentialStore

SERVER = Path(__file__).with_name("hub_server.py")


@dataclass
class Hub:
    """A running hub: its address, what it was asked, and how it behaves next."""

    folder: Path
    address: HubAddress
    process: subprocess.Popen[str]

    def behave(self, path: str, *names: str) -> None:
        """The behaviours of the next requests to a path, from a fresh start of the count; the last one stays."""
        script = self.folder / "script.json"
        asked = sum(1 for each in self.requests if each["path"] == path)
        known = json.loads(script.read_text())
        script.write_text(json.dumps({**known, path: ["ok"] * asked + list(names)}))

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request so far."""
        log = self.folder / "requests.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The requests to one path."""
        return [each for each in self.requests if each["path"] == path]

    @property
    def told(self) -> list[tuple[str, str]]:
        """(kind, profile or outcome) of every event that was sent, in order, repetitions included."""
        sent = [event for each in self.asked("/v1/events") for event in each["body"]["events"]]
        return [(event["event"], event.get("profile_id") or event.get("outcome", "")) for event in sent]


def start_hub(folder: Path, *certificate: Path) -> Hub:
    """Start a hub and wait until it listens."""
    folder.mkdir()
    (folder / "script.json").write_text("{}")
    command = [sys.executable, str(SERVER), str(folder), *map(str, certificate)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "ready\n"
    scheme = "https" if certificate else "http"
    return Hub(folder, hub_address(f"{scheme}://127.0.0.1:{(folder / 'port').read_text()}"), process)


def keep(store: CredentialStore, *, expires_in: float | None = 3600, **fields: Any) -> Credentials:
    """Write the tokens that the hub gave first."""
    ends = None if expires_in is None else time.time() + expires_in
    given = {"access_token": "access-0", "refresh_token": "refresh-0", "expires_at": ends, **fields}
    store.write(Credentials(**given))
    found = store.read()
    assert found is not None
    return found


def configure(repo: Path, hub: Hub, **keys: Any) -> None:
    """Write the `[hub]` table."""
    table = {"url": hub.address.url, "consent": True, **keys}
    folder = repo / ".kitty-flow"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text("[hub]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items()))
