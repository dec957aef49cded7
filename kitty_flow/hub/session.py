"""Logging in and out, and renewing an access token: exactly once, however many processes want it at the same time.

A renewal holds one lock over reading, asking and keeping. The request ends before others stop waiting for the lock, and
the kernel frees it when its holder is killed. A hub accepts a refresh token once more until its successor was used
(contract, ``/v1/auth/refresh``), so that an answer which nobody could keep logs nobody out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from kitty_flow.errors import ExternalToolError, RefusedError, UsageError
from kitty_flow.hub.client import HubClient
from kitty_flow.hub.credentials import Credentials, CredentialStore
from kitty_flow.hub.failure import HubFailure
from kitty_flow.hub.protocol import DeviceCode, Grant, device_code, grant, is_token

__all__ = [
    "Refreshed",
    "Session",
    "begin_login",
    "expires_soon",
    "finish_login",
    "login_with_token",
    "logout",
    "not_logged_in",
    "refresh",
    "session_ended",
]

_SOON_S: Final = 60.0
_SLOWER_S: Final = 5.0
_POLLED_AT_LEAST_S: Final = 1.0


class Refreshed(NamedTuple):
    """The credentials that hold now, and whether this process asked the hub for them."""

    credentials: Credentials
    asked: bool


def expires_soon(credentials: Credentials, now: float) -> bool:
    """Whether the access token ends within a minute of `now` (wall clock, seconds); one without an end does not."""
    return credentials.expires_at is not None and credentials.expires_at - now < _SOON_S


def not_logged_in(store: CredentialStore) -> RefusedError:
    """Nothing is kept for this hub."""
    return RefusedError(
        "NOT_LOGGED_IN",
        f"there are no credentials for the hub {store.hub.url}",
        hint="kitty-flow auth login",
        details={"hub": store.hub.url},
    )


def refresh(store: CredentialStore, client: HubClient, *, seen: Credentials | None) -> Refreshed:
    """Exchange the refresh token for new tokens, unless somebody did so since `seen` was read.

    Raises:
        RefusedError: NOT_LOGGED_IN; NO_REFRESH_TOKEN; SESSION_ENDED, the hub does not know the token: it is forgotten.
        HubFailure: the hub did not answer; what is kept stands.
        ConflictError: LOCK_TIMEOUT.
        ExternalToolError: CREDENTIALS_DAMAGED or CREDENTIALS_UNWRITABLE.
    """
    with store.alone():
        kept = store.read()
        if kept is None:
            raise not_logged_in(store)
        if seen is not None and kept.access_token != seen.access_token:
            return Refreshed(kept, asked=False)
        if kept.refresh_token is None:
            raise RefusedError(
                "NO_REFRESH_TOKEN",
                f"the token for {store.hub.url} was pasted and cannot be renewed",
                hint="kitty-flow auth login",
                details={"hub": store.hub.url},
            )
        try:
            body = client.call("POST", "/v1/auth/refresh", {"refresh_token": kept.refresh_token})
        except HubFailure as error:
            if error.status != 401:
                raise
            return Refreshed(_after_refusal(store, kept), asked=True)
        renewed = _credentials(grant(store.hub, body), kept)
        store.write(renewed)
        return Refreshed(renewed, asked=True)


def _after_refusal(store: CredentialStore, used: Credentials) -> Credentials:
    """The lock is held. Newer tokens that somebody wrote without it are taken; else the refusal is real."""
    now = store.read()
    if now is not None and now != used:
        return now
    store.forget()
    raise session_ended(store)


def session_ended(store: CredentialStore) -> RefusedError:
    """The hub does not know the token any more, and it was forgotten."""
    return RefusedError(
        "SESSION_ENDED",
        f"the hub {store.hub.url} has ended this session; its credentials were forgotten",
        hint="kitty-flow auth login",
        details={"hub": store.hub.url},
    )


def begin_login(client: HubClient) -> DeviceCode:
    """Ask for a code that a person enters in a browser.

    Raises:
        HubFailure: the hub did not answer, or knows no such login.
    """
    return device_code(client.hub, client.call("POST", "/v1/auth/device", {"client": "kitty-flow"}))


def finish_login(
    store: CredentialStore,
    client: HubClient,
    code: DeviceCode,
    *,
    wait: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Credentials:
    """Wait until the person has entered the code, then keep the tokens.

    Raises:
        RefusedError: LOGIN_DENIED or LOGIN_EXPIRED.
        HubFailure: the hub failed.
        ConflictError, ExternalToolError: the tokens could not be kept.
    """
    interval, end = max(code.interval, _POLLED_AT_LEAST_S), now() + code.expires_in
    while now() + interval <= end:
        wait(interval)
        try:
            body = client.call("POST", "/v1/auth/token", {"device_code": code.device_code})
        except HubFailure as error:
            if error.reason == "slow_down":
                interval += _SLOWER_S
            elif error.reason == "access_denied":
                raise _no_login("LOGIN_DENIED", "the login was denied in the browser") from error
            elif error.reason == "expired_token":
                break
            elif error.reason != "authorization_pending" and not error.is_passing:
                raise
            continue
        credentials = _credentials(grant(client.hub, body), None)
        with store.alone():
            store.write(credentials)
        return credentials
    raise _no_login("LOGIN_EXPIRED", "nobody entered the code in time")


def _no_login(code: str, message: str) -> RefusedError:
    return RefusedError(code, f"{message}; nothing was changed", hint="kitty-flow auth login")


def login_with_token(store: CredentialStore, client: HubClient, text: str) -> Credentials:
    """Keep an access token that was pasted, after the hub has accepted it.

    Raises:
        UsageError: TOKEN_INVALID, it cannot be a token.
        RefusedError: TOKEN_REFUSED, the hub does not know it.
        HubFailure: the hub did not answer.
        ConflictError, ExternalToolError: it could not be kept.
    """
    token = text.strip()
    if not is_token(token):
        raise UsageError(
            "TOKEN_INVALID",
            "standard input holds no token: one line of letters, digits and . _ ~ + / = - was expected",
            hint="kitty-flow auth login --with-token < FILE",
        )
    try:
        body = client.call("GET", "/v1/session", token=token)
    except HubFailure as error:
        if error.status != 401:
            raise
        raise RefusedError(
            "TOKEN_REFUSED",
            f"the hub {client.hub.url} does not know this token; nothing was changed",
            hint="make a new one at the hub, then kitty-flow auth login --with-token < FILE",
        ) from error
    fields = body if isinstance(body, dict) else {}
    told = grant(client.hub, {**fields, "access_token": token, "refresh_token": None})
    credentials = _credentials(told, None)
    with store.alone():
        store.write(credentials)
    return credentials


def logout(store: CredentialStore, client: HubClient) -> tuple[bool, HubFailure | None]:
    """Forget the credentials, and have the hub revoke them if it can be reached.

    Returns whether there were any, and why they could not be revoked.

    Raises:
        ConflictError, ExternalToolError: they could not be forgotten.
    """
    with store.alone():
        kept = None
        with suppress(RefusedError, ExternalToolError):  # what cannot be read is forgotten all the same
            kept = store.read()
        was_there = store.forget()
    if kept is None:
        return was_there, None
    try:
        client.call("POST", "/v1/auth/revoke", {"token": kept.refresh_token or kept.access_token})
    except HubFailure as error:
        return was_there, None if error.status == 401 else error
    return was_there, None


def _credentials(given: Grant, before: Credentials | None) -> Credentials:
    now = time.time()
    return Credentials(
        given.access_token,
        given.refresh_token or (before.refresh_token if before else None),
        None if given.expires_in is None else now + given.expires_in,
        now,
        given.account or (before.account if before else None),
    )


class Session:
    """Calls in the name of the user: with the token that holds, renewed before its end and once after a 401."""

    def __init__(self, store: CredentialStore, client: HubClient) -> None:
        self.store = store
        self.client = client

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """As `HubClient.call`.

        Raises:
            RefusedError: NOT_LOGGED_IN; SESSION_ENDED, the token is refused and was forgotten; CREDENTIALS_EXPOSED.
            HubFailure: the hub did not answer, or refused.
            ConflictError: LOCK_TIMEOUT, others are renewing it.
            ExternalToolError: CREDENTIALS_DAMAGED or CREDENTIALS_UNWRITABLE.
        """
        held = self.store.read()
        if held is None:
            raise not_logged_in(self.store)
        if held.refresh_token is not None and expires_soon(held, time.time()):
            held = refresh(self.store, self.client, seen=held).credentials
        try:
            return self.client.call(method, path, body, token=held.access_token)
        except HubFailure as error:
            if error.status != 401:
                raise
        newer = self._after_unauthorized(held)
        return self.client.call(method, path, body, token=newer.access_token)

    def _after_unauthorized(self, used: Credentials) -> Credentials:
        if used.refresh_token is not None:
            return refresh(self.store, self.client, seen=used).credentials
        with self.store.alone():
            return _after_refusal(self.store, used)
