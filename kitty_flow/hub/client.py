"""One request to a hub and its answer: everything that a network can do to it ends in a `HubFailure` in bounded time.

httpx's time limits count each wait for itself, so that a server which drips could hold a request for ever. The
request runs in a thread of its own, and whoever asked leaves it at the deadline.
"""

from __future__ import annotations

import json
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow import __version__
from kitty_flow.hub.address import HubAddress
from kitty_flow.hub.failure import HubFailure, answered, invalid_answer

if TYPE_CHECKING:
    import httpx

__all__ = ["REQUEST_TIMEOUT_S", "Answer", "HubClient"]

REQUEST_TIMEOUT_S: Final = 8.0
"""The longest that any request takes, from the first byte of the connection to the last of the answer."""

_CONNECT_S: Final = 3.0
_READ_S: Final = 8.0
_WRITE_S: Final = 5.0
_POOL_S: Final = 1.0
_ANSWER_BYTES: Final = 1024 * 1024
_MAX_REST_S: Final = 24 * 3600.0


class Answer(NamedTuple):
    """An answer of the hub: its status and its JSON; `retry_after_s` where it asks for rest."""

    status: int
    body: Any
    retry_after_s: float | None


class HubClient:
    """Speaks with one hub. It keeps its connection; close it, or use it as a context manager.

    TLS is verified with the certificates that httpx brings or ``SSL_CERT_FILE`` names. Proxies are those of the
    environment (``HTTPS_PROXY``, ``NO_PROXY``); a loopback hub is reached directly. No redirect is followed: a token
    belongs to one address.
    """

    def __init__(self, hub: HubAddress, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self.hub = hub
        self.timeout_s = timeout_s
        self._client: httpx.Client | None = None

    def __enter__(self) -> HubClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """The JSON of a 2xx answer.

        Raises:
            HubFailure: there is no such answer within `timeout_s` seconds.
        """
        answer = self._in_time(method, path, body, token)
        if not 200 <= answer.status < 300:
            raise answered(self.hub, answer.status, answer.body, answer.retry_after_s)
        return answer.body

    def _in_time(self, method: str, path: str, body: Any, token: str | None) -> Answer:
        found: list[Answer | BaseException] = []

        def ask() -> None:
            try:
                found.append(self._ask(method, path, body, token))
            except BaseException as error:  # told to whoever waits, in its own thread
                found.append(error)

        worker = threading.Thread(target=ask, name="hub-request", daemon=True)
        worker.start()
        worker.join(self.timeout_s)
        if not found:
            self._client = None  # belongs to the thread that still waits
            raise self._no_answer("HUB_TIMEOUT", f"gave no answer within {self.timeout_s:g} s")
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def _ask(self, method: str, path: str, body: Any, token: str | None) -> Answer:
        import httpx

        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= {"User-Agent": f"kitty-flow/{__version__}"} | ({"Authorization": f"Bearer {token}"} if token else {})
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
        try:
            request = self._connected().stream(method, self.hub.url + path, content=content, headers=headers)
            with request as response:
                return self._answer(response)
        except httpx.TimeoutException:
            problem = self._no_answer("HUB_TIMEOUT", "did not answer in time")
        except httpx.ConnectError as error:
            problem = self._tls_failed() if _is_tls(error) else self._no_answer("HUB_UNREACHABLE", _why(error))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            problem = self._no_answer("HUB_UNREACHABLE", _why(error))
        raise problem

    def _connected(self) -> httpx.Client:
        import httpx

        if self._client is None:
            read_s = min(_READ_S, self.timeout_s)
            self._client = httpx.Client(
                timeout=httpx.Timeout(connect=_CONNECT_S, read=read_s, write=_WRITE_S, pool=_POOL_S),
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
                follow_redirects=False,
                trust_env=not self.hub.is_loopback,
            )
        return self._client

    def _answer(self, response: httpx.Response) -> Answer:
        """Read an answer; of one that leads elsewhere only the place is told, never its path or query."""
        status = response.status_code
        if 300 <= status < 400:
            target = response.next_request.url if response.next_request is not None else None
            where = f"{target.scheme}://{target.host}" if target is not None else "nowhere"
            raise HubFailure(
                "HUB_REDIRECTS",
                f"the hub {self.hub.url} sends elsewhere ({status}, to {where}); a token is not taken there",
                hint="set [hub] url in .kitty-flow/config.toml to where the hub is",
                status=status,
            )
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise invalid_answer(self.hub, "it is compressed", status)
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > _ANSWER_BYTES:
                raise invalid_answer(self.hub, f"it is larger than {_ANSWER_BYTES // 1024} KiB", status)
        return Answer(status, self._json(bytes(content), status), _rest(response.headers.get("Retry-After")))

    def _json(self, content: bytes, status: int) -> Any:
        if not content and status != 200:
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            if 200 <= status < 300:
                raise invalid_answer(self.hub, "it is no JSON", status) from None
            return None

    def _no_answer(self, code: str, why: str) -> HubFailure:
        return HubFailure(
            code,
            f"the hub {self.hub.url} {why}",
            hint="repeat the command later; kitty-flow auth status",
            is_passing=True,
        )

    def _tls_failed(self) -> HubFailure:
        return HubFailure(
            "HUB_NOT_TRUSTED",
            f"the hub {self.hub.url} could not prove that it is what it says: its certificate is not trusted",
            hint="name a private authority by SSL_CERT_FILE=FILE; verification cannot be turned off",
        )


def _is_tls(error: BaseException) -> bool:
    import ssl

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _why(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.ConnectError):
        return "cannot be reached"
    if isinstance(error, httpx.ProxyError):
        return "cannot be reached: the proxy of the environment refuses"
    return f"broke the connection off ({type(error).__name__})"


def _rest(text: str | None) -> float | None:
    """Seconds of a Retry-After, which may be a date; None when it is neither."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(0.0, seconds), _MAX_REST_S) if math.isfinite(seconds) else None
