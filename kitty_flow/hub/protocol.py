"""What a hub's answers hold, read strictly: what the contract does not allow is refused here and goes no further."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from kitty_flow.hub.address import HubAddress, hub_address
from kitty_flow.hub.failure import invalid_answer

__all__ = ["DeviceCode", "Grant", "Verdict", "device_code", "grant", "is_token", "verdicts"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}", re.ASCII)
_WORD: Final = re.compile(r"[a-z][a-z_]{0,39}", re.ASCII)
_STATUSES: Final = ("accepted", "duplicate", "rejected")
_MAX_S: Final = 10 * 365 * 24 * 3600
_ACCOUNT_CHARACTERS: Final = 200


def is_token(text: object) -> bool:
    """Whether it can be a bearer token (RFC 6750, b64token); anything else could break a header, and be shown by it."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True)
class Grant:
    """Tokens as the hub gave them; `expires_in` in seconds, None when it does not say."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: float | None
    account: str | None


@dataclass(frozen=True)
class DeviceCode:
    """A login that waits for a person at `verification_uri`; `interval` and `expires_in` in seconds."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    interval: float
    expires_in: float


class Verdict(NamedTuple):
    """What became of one event: ``accepted``, ``duplicate`` (it was there) or ``rejected``, and then why."""

    event_id: str
    status: str
    reason: str | None


def grant(hub: HubAddress, body: Any) -> Grant:
    """The answer to a login or a refresh.

    Raises:
        HubFailure: HUB_ANSWER_INVALID.
    """
    fields = _object(hub, body, "a grant of tokens")
    refresh, account = fields.get("refresh_token"), fields.get("account")
    if not is_token(fields.get("access_token")) or not (refresh is None or is_token(refresh)):
        raise invalid_answer(hub, "a grant without a token")
    if not (account is None or isinstance(account, str)):
        raise invalid_answer(hub, "an account that is no text")
    seconds = fields.get("expires_in")
    expires_in = None if seconds is None else _seconds(hub, seconds)
    return Grant(fields["access_token"], refresh, expires_in, account[:_ACCOUNT_CHARACTERS] if account else None)


def device_code(hub: HubAddress, body: Any) -> DeviceCode:
    """The answer that begins a login by device code (after RFC 8628, section 3.2).

    Raises:
        HubFailure: HUB_ANSWER_INVALID.
    """
    fields = _object(hub, body, "a device code")
    user_code, place = fields.get("user_code"), fields.get("verification_uri")
    if not is_token(fields.get("device_code")) or not isinstance(user_code, str) or not 0 < len(user_code) <= 40:
        raise invalid_answer(hub, "a device code without its codes")
    try:
        hub_address(str(place).partition("?")[0])  # the same rules: https, and no user name
    except ValueError:
        raise invalid_answer(hub, "a login page that is no https URL") from None
    return DeviceCode(
        fields["device_code"],
        user_code,
        str(place)[:1000],
        _seconds(hub, fields.get("interval", 5)),
        _seconds(hub, fields.get("expires_in")),
    )


def verdicts(hub: HubAddress, body: Any, asked: list[str]) -> list[Verdict]:
    """What became of the events `asked`, one verdict for each, in their order.

    Raises:
        HubFailure: HUB_ANSWER_INVALID, such as when one is missing.
    """
    results = _object(hub, body, "results").get("results")
    found: dict[str, Verdict] = {}
    for each in results if isinstance(results, list) else ():
        fields = _object(hub, each, "a result")
        name, status, reason = fields.get("event_id"), fields.get("status"), fields.get("reason")
        if not isinstance(name, str) or status not in _STATUSES:
            raise invalid_answer(hub, "a result without its event or status")
        known = reason if isinstance(reason, str) and _WORD.fullmatch(reason) else None
        found[name] = Verdict(name, status, known)
    if set(found) != set(asked):
        raise invalid_answer(hub, "results that are not those of the events it was sent")
    return [found[name] for name in asked]


def _object(hub: HubAddress, body: Any, what: str) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise invalid_answer(hub, f"{what} was expected")
    return body


def _seconds(hub: HubAddress, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MAX_S:
        raise invalid_answer(hub, "a time that is no number of seconds")
    return float(value)
