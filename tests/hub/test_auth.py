"""Logging in and out, and renewing a token: one request however many want it, nothing half kept, nothing shown."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hub_bench import Hub, keep

from kitty_flow.errors import KittyFlowError
from kitty_flow.hub.client import REQUEST_TIMEOUT_S, HubClient
from kitty_flow.hub.credentials import LOCK_TIMEOUT_S, CredentialStore
from kitty_flow.hub.session import Session, login_with_token, refresh

REFRESH = "/v1/auth/refresh"
TOGETHER = Path(__file__).with_name("together.py")


def test_a_request_ends_before_the_next_in_line_gives_up() -> None:
    assert REQUEST_TIMEOUT_S < LOCK_TIMEOUT_S


def test_twenty_processes_refresh_at_once(hub: Hub, store: CredentialStore, tmp_path: Path) -> None:
    keep(store, expires_in=10)
    hub.behave(REFRESH, "slow", "ok")
    folder = tmp_path / "outputs"
    folder.mkdir()
    words = [sys.executable, "-P", str(TOGETHER), "20", str(folder), "auth", "refresh", "--hub", hub.address.url]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["0"] * 20, done.stderr
    documents = [json.loads(file.read_bytes()) for file in folder.iterdir()]
    assert [d["ok"] for d in documents] == [True] * 20
    assert [d["data"]["renewed"] for d in documents].count(True) == 1
    assert len(hub.asked(REFRESH)) == 1
    kept = store.read()
    assert kept is not None and (kept.access_token, kept.refresh_token) == ("access-1", "refresh-1")


def test_killed_while_it_holds_the_lock(hub: Hub, store: CredentialStore, client: HubClient) -> None:
    seen = keep(store, expires_in=10)
    hub.behave(REFRESH, "hang", "ok")
    words = [sys.executable, "-P", "-m", "kitty_flow", "auth", "refresh", "--hub", hub.address.url]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        while not hub.asked(REFRESH):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert refresh(store, client, seen=seen).credentials.access_token == "access-1"


def test_an_answer_that_nobody_kept_logs_nobody_out(hub: Hub, store: CredentialStore, client: HubClient) -> None:
    seen = keep(store)
    refresh(store, client, seen=seen)
    store.write(seen)  # as after a power cut between the hub's answer and the file
    assert refresh(store, client, seen=seen).credentials.access_token == "access-1"


def test_a_refusal_that_is_real_forgets_and_a_stale_one_does_not(
    hub: Hub, store: CredentialStore, client: HubClient
) -> None:
    seen = keep(store)
    (hub.folder / "credentials-path").write_text(str(store.path))
    hub.behave(REFRESH, "replaced", "401")
    newer = refresh(store, client, seen=seen)  # somebody without the lock was faster
    assert newer.credentials.access_token == "access-newer" and store.path.exists()
    keep(store, refresh_token="refresh-x")
    with pytest.raises(KittyFlowError) as caught:
        refresh(store, client, seen=None)
    assert (caught.value.code, store.read()) == ("SESSION_ENDED", None)
    assert "refresh" not in str(caught.value)


@pytest.mark.parametrize("name", ["500", "malformed", "reset", "403", "wrong shape", "hang"])
def test_a_hub_that_does_not_work_costs_no_session(
    name: str, hub: Hub, store: CredentialStore, client: HubClient
) -> None:
    client.timeout_s = 0.3 if name == "hang" else 20.0
    seen = keep(store)
    hub.behave(REFRESH, name)
    with pytest.raises(KittyFlowError) as caught:
        refresh(store, client, seen=seen)
    assert caught.value.exit_status == 7 and store.read() == seen


def test_a_token_is_renewed_when_it_is_needed(hub: Hub, store: CredentialStore, client: HubClient) -> None:
    keep(store, access_token="access-lost")
    session = Session(store, client)
    assert session.call("GET", "/v1/session") == {"account": "ann"}  # after a 401
    assert [each["path"] for each in hub.requests] == ["/v1/session", REFRESH, "/v1/session"]
    keep(store, expires_in=10, access_token="access-1", refresh_token="refresh-1")
    session.call("GET", "/v1/session")  # before its end, without a 401
    assert [each["path"] for each in hub.requests[3:]] == [REFRESH, "/v1/session"]
    keep(store, access_token="gone", refresh_token=None)
    with pytest.raises(KittyFlowError, match="SESSION_ENDED"):
        session.call("GET", "/v1/session")
    assert store.read() is None


@pytest.mark.slow
def test_login_status_logout(hub: Hub, store: CredentialStore, kitty, repo: Path) -> None:  # type: ignore[no-untyped-def]
    at = ("--hub", hub.address.url, "--json")
    done = kitty("auth", "login", *at, cwd=repo)
    assert (done.exit, done.json["data"]["account"]) == (0, "ann")
    assert "WDJB-MJHT" in done.stderr
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert [path.name for path in store.folder.iterdir() if path.name.endswith(".json")] == [store.path.name]
    status = kitty("auth", "status", *at)
    assert status.json["data"] | {"expires_at": "", "path": ""} == {
        "hub": hub.address.url, "logged_in": True, "account": "ann", "renewable": True, "expires_at": "",
        "path": "", "consent": False, "sends": False, "last_failure": None,
    }  # fmt: skip
    store.path.chmod(0o640)
    exposed = kitty("auth", "refresh", *at)
    assert (exposed.exit, exposed.json["error"]["code"]) == (4, "CREDENTIALS_EXPOSED")
    store.path.chmod(0o600)
    hub.behave("/v1/auth/revoke", "500")
    out = kitty("auth", "logout", *at)
    assert (out.exit, out.json["data"]["revoked"]) == (0, False)
    assert [d["diagnostic_code"] for d in out.json["diagnostics"]] == ["TOKEN_NOT_REVOKED"]
    assert not store.path.exists()
    refused = kitty("auth", "refresh", *at)
    assert (refused.exit, refused.json["error"]["code"]) == (4, "NOT_LOGGED_IN")
    done = kitty("auth", "login", "--with-token", *at, stdin="pasted\n")
    assert (done.exit, done.json["data"]["renewable"]) == (0, False)
    for each in (done, status, out, refused, exposed):
        assert "access-" not in each.stdout + each.stderr and "refresh-" not in each.stdout + each.stderr


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nobody\n", "TOKEN_REFUSED"),
        ("two words", "TOKEN_INVALID"),
        ("", "TOKEN_INVALID"),
        ("a\r\nb: c", "TOKEN_INVALID"),
    ],
)
def test_a_refused_paste_changes_nothing(text: str, code: str, logged_in: CredentialStore, client: HubClient) -> None:
    before = logged_in.read()
    with pytest.raises(KittyFlowError) as caught:
        login_with_token(logged_in, client, text)
    assert caught.value.code == code and logged_in.read() == before
    assert "nobody" not in str(caught.value)


def test_whatever_stands_in_the_file(store: CredentialStore, tmp_path: Path) -> None:
    keep(store)
    text = store.path.read_text()
    wrong = [text.replace("access-0", "a b"), text.replace("127.0.0.1", "example.com"), "[" * 9999]
    for content in ("", "{", "[]", *wrong):
        store.path.write_text(content)
        with pytest.raises(KittyFlowError, match="CREDENTIALS_DAMAGED"):
            store.read()
    store.path.unlink()
    store.path.mkdir()
    with pytest.raises(KittyFlowError, match="CREDENTIALS_DAMAGED"):
        store.read()
    store.path.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(text)
    store.path.symlink_to(elsewhere)
    with pytest.raises(KittyFlowError, match="CREDENTIALS_DAMAGED"):
        store.read()
    os.mkfifo(store.path.with_name("fifo"))
    assert store.forget() and elsewhere.exists()
