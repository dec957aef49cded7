"""A hub as a process of its own on the loopback: it keeps the contract, until it is told to misbehave.

``python hub_server.py FOLDER [CERTIFICATE KEY]`` writes its port into ``FOLDER/port`` and a JSON line for each request
into ``FOLDER/requests.jsonl``. ``FOLDER/script.json`` maps a path to the behaviours of the next requests there, first
one first; the last one stays: ``{"/v1/events": ["reset", "ok"]}``. The behaviours are the functions of `BEHAVIOURS`.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(sys.argv[1])
GATE: Final = threading.Event()
"""Nobody sets it: whoever waits for it hangs until the process ends."""


class State:
    """Tokens and events; one lock for all of it."""

    lock = threading.Lock()
    access = "access-0"
    refresh = "refresh-0"
    before: tuple[str, dict[str, Any]] | None = None
    count = 0
    polls = 0
    events: dict[tuple[str, str], Any] = {}  # noqa: RUF012 - one server, one state
    used: dict[str, int] = {}  # noqa: RUF012


def grant(spent: str | None) -> dict[str, Any]:
    State.count += 1
    State.access, State.refresh = f"access-{State.count}", f"refresh-{State.count}"
    given = {"access_token": State.access, "token_type": "Bearer", "expires_in": 3600, "account": "ann"}
    given["refresh_token"] = State.refresh
    State.before = (spent, given) if spent else None
    return given


class Handler(BaseHTTPRequestHandler):
    """The endpoints of the contract."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """Answer in JSON; bytes are sent as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def handle_any(self) -> None:
        """Note the request, then behave as the script has it."""
        length = int(self.headers.get("Content-Length", 0))
        self.body = json.loads(self.rfile.read(length)) if length else None
        with State.lock:
            names = json.loads((FOLDER / "script.json").read_text()).get(self.path, ["ok"])
            turn = State.used.get(self.path, 0)
            State.used[self.path] = turn + 1
            name = names[min(turn, len(names) - 1)]
            with (FOLDER / "requests.jsonl").open("a") as log:
                told = {"path": self.path, "body": self.body, "token": self.headers.get("Authorization")}
                log.write(json.dumps(told | {"behaviour": name}) + "\n")
        BEHAVIOURS[name](self)

    do_GET = do_POST = handle_any

    def good(self) -> None:
        """What the contract says."""
        with State.lock:
            ROUTES[self.path](self)

    def is_allowed(self) -> bool:
        """Whether the request has the token that holds; answers when it has not."""
        if self.headers.get("Authorization") in (f"Bearer {State.access}", "Bearer pasted"):
            return True
        self.answer(401, {"error": "invalid_token"})
        return False


def refresh(self: Handler) -> None:
    token = self.body["refresh_token"]
    if State.before is not None and token == State.before[0]:
        self.answer(200, State.before[1])
    elif token == State.refresh:
        self.answer(200, grant(token))
    else:
        self.answer(401, {"error": "invalid_grant"})


def events(self: Handler) -> None:
    if not self.is_allowed():
        return
    State.before = None
    results = []
    for event in self.body["events"]:
        key = (event["invocation_id"], event["event_id"])
        if "poison" in json.dumps(event):
            results.append({"event_id": key[1], "status": "rejected", "reason": "not_welcome"})
            continue
        results.append({"event_id": key[1], "status": "duplicate" if key in State.events else "accepted"})
        State.events.setdefault(key, event)
    self.answer(200, {"results": results})


def device(self: Handler) -> None:
    place = f"http://127.0.0.1:{self.server.server_port}/activate"  # type: ignore[attr-defined]
    told = {"device_code": "device-1", "user_code": "WDJB-MJHT", "verification_uri": place, "interval": 0}
    self.answer(200, told | {"expires_in": 60})


def token(self: Handler) -> None:
    State.polls += 1
    self.answer(400, {"error": "authorization_pending"}) if State.polls < 2 else self.answer(200, grant(None))


def session(self: Handler) -> None:
    if self.is_allowed():
        self.answer(200, {"account": "ann"})


ROUTES: Final[dict[str, Callable[[Handler], None]]] = {
    "/v1/auth/device": device,
    "/v1/auth/token": token,
    "/v1/auth/refresh": refresh,
    "/v1/auth/revoke": lambda self: self.answer(200, {}),
    "/v1/session": session,
    "/v1/events": events,
}


def reset(self: Handler) -> None:
    """Break the connection off with RST."""
    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    self.close_connection = True
    self.connection.close()


def drip(self: Handler) -> None:
    """A header that never ends, slowly."""
    while not GATE.wait(0.2):
        try:
            self.connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: " if self.requestline else b"")
            self.requestline = ""
            self.connection.sendall(b"a")
        except OSError:
            return


def whole_refused(self: Handler) -> None:
    """Refuse a batch for one event in it, as a hub does that checks the whole body first."""
    if "poison" in json.dumps(self.body):
        self.answer(422, {"error": "invalid_event"})
    else:
        self.good()


def broken_at_poison(self: Handler) -> None:
    """Fail at one event, whenever it comes."""
    if "poison" in json.dumps(self.body):
        self.answer(500, {})
    else:
        self.good()


def replaced(self: Handler) -> None:
    """Refuse a refresh while somebody without the lock writes newer tokens."""
    path = Path((FOLDER / "credentials-path").read_text())
    kept = json.loads(path.read_text()) | {"access_token": "access-newer"}
    path.write_text(json.dumps(kept))
    self.answer(401, {"error": "invalid_grant"})


BEHAVIOURS: Final[dict[str, Callable[[Handler], Any]]] = {
    "ok": Handler.good,
    "hang": lambda self: GATE.wait(),
    "drip": drip,
    "slow": lambda self: (GATE.wait(0.5), self.good()),
    "reset": reset,
    "401": lambda self: self.answer(401, {"error": "invalid_grant"}),
    "403": lambda self: self.answer(403, {"error": "access_denied"}),
    "404": lambda self: self.answer(404, b"<html>"),
    "429": lambda self: self.answer(429, {}, {"Retry-After": "0"}),
    "429 for long": lambda self: self.answer(429, {}, {"Retry-After": "3600"}),
    "500": lambda self: self.answer(500, b"oops access-0 refresh-0"),
    "503": lambda self: self.answer(503, {}),
    "malformed": lambda self: self.answer(200, b"{"),
    "wrong shape": lambda self: self.answer(200, {"results": [{"event_id": 1}]}),
    "huge": lambda self: self.answer(200, b" " * 2_000_000),
    "no http": lambda self: self.connection.sendall(b"\0\1\2 access-0\r\n\r\n"),
    "elsewhere": lambda self: self.answer(302, b"", {"Location": "https://evil.invalid/x?token=access-0"}),
    "whole refused": whole_refused,
    "broken at poison": broken_at_poison,
    "replaced": replaced,
}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that went away is the point of many tests."""


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scratch = FOLDER / "port.new"
    scratch.write_text(str(server.server_port))
    os.replace(scratch, FOLDER / "port")  # noqa: PTH105
    print("ready", flush=True)
    server.serve_forever()
