"""The client against everything that a server can do: one kind of error, in bounded time, without the hub's text."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hub_bench import Hub, start_hub

from kitty_flow.hub.address import hub_address
from kitty_flow.hub.client import HubClient
from kitty_flow.hub.failure import HubFailure

FAULTS = {
    "401": ("HUB_UNAUTHORIZED", False),
    "403": ("HUB_FORBIDDEN", False),
    "404": ("HUB_NOT_FOUND", False),
    "429": ("HUB_BUSY", True),
    "500": ("HUB_BROKEN", True),
    "503": ("HUB_BROKEN", True),
    "malformed": ("HUB_ANSWER_INVALID", False),
    "huge": ("HUB_ANSWER_INVALID", False),
    "reset": ("HUB_UNREACHABLE", True),
    "no http": ("HUB_UNREACHABLE", True),
    "elsewhere": ("HUB_REDIRECTS", False),
}


def failure(client: HubClient, path: str = "/v1/session") -> HubFailure:
    with pytest.raises(HubFailure) as caught:
        client.call("GET", path, token="access-0")
    assert "access-0" not in f"{caught.value}{caught.value.details}{caught.value.hint}"
    return caught.value


def test_every_fault_is_one_kind_of_error(hub: Hub, client: HubClient) -> None:
    hub.behave("/v1/session", *FAULTS, "429 for long", "slow")
    for name, (code, is_passing) in FAULTS.items():
        found = failure(client)
        assert (found.code, found.is_passing) == (code, is_passing), name
    assert failure(client).retry_after_s == 3600
    assert client.call("GET", "/v1/session", token="access-0") == {"account": "ann"}  # slow is not wrong
    hub.behave("/v1/session", "elsewhere")
    assert "https://evil.invalid)" in failure(client).message  # the place, without its path and query


@pytest.mark.parametrize("name", ["hang", "drip"])
def test_no_server_holds_a_request_beyond_its_time(name: str, hub: Hub, client: HubClient) -> None:
    client.timeout_s = 0.5
    hub.behave("/v1/session", name, "ok")
    found = failure(client)
    assert (found.code, found.is_passing) == ("HUB_TIMEOUT", True)
    client.timeout_s = 20.0
    assert client.call("GET", "/v1/session", token="access-0")  # with a connection of its own


@pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")
def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, client: HubClient) -> None:
    files = (tmp_path / "certificate.pem", tmp_path / "key.pem")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    command = ["openssl", *words.split(), "-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    hub = start_hub(tmp_path / "tls", *files)
    try:
        with HubClient(hub.address) as other:
            found = failure(other)
        assert (found.code, found.is_passing) == ("HUB_NOT_TRUSTED", False)
        assert hub.requests == []
    finally:
        hub.process.kill()
        hub.process.communicate()


def test_nobody_listens(client: HubClient) -> None:
    with HubClient(hub_address("http://127.0.0.1:9")) as other:
        assert failure(other).code == "HUB_UNREACHABLE"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://hub.example.com", "https://hub.example.com"),
        ("https://HUB.example.com:443/base/", "https://hub.example.com/base"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:80/", "http://[::1]"),
        ("http://hub.example.com", None),
        ("http://127.0.0.1.example.com", None),
        ("https://ann:secret@hub.example.com", None),
        ("https://hub.example.com?x=1", None),
        ("https://hub.example.com#x", None),
        ("https://hub.example.com:x", None),
        ("https://", None),
        ("file:///etc/passwd", None),
        ("https://hub .example.com", None),
        ("https://h\u00fcb.example.com", None),
        ("https://hub.example.com/\r\nX: y", None),
    ],
)
def test_addresses(text: str, url: str | None) -> None:
    if url is not None:
        assert hub_address(text).url == url
        return
    with pytest.raises(ValueError, match="must"):
        hub_address(text)
