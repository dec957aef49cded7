"""What a hub can do wrong, as one error that says whether to try again. No text of the hub's own is ever in it."""

from __future__ import annotations

import re
from typing import Any, Final

from kitty_flow.errors import ExternalToolError
from kitty_flow.hub.address import HubAddress

__all__ = ["HubFailure", "answered", "invalid_answer"]

_CODE: Final = re.compile(r"[a-z][a-z_]{0,39}", re.ASCII)
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class HubFailure(ExternalToolError):
    """The hub could not be reached, or gave no answer that helps.

    Args:
        status: the HTTP status, or None when there was no answer.
        reason: the hub's own word for it, such as ``invalid_grant``, where it is a plain word.
        is_passing: it may go by itself: trying again later makes sense.
        retry_after_s: how long the hub asked to be left alone.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str,
        status: int | None = None,
        reason: str | None = None,
        is_passing: bool = False,
        retry_after_s: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, hint=hint, details={**(details or {}), "status": status, "reason": reason})
        self.status = status
        self.reason = reason
        self.is_passing = is_passing
        self.retry_after_s = retry_after_s


def invalid_answer(hub: HubAddress, what: str, status: int | None = None) -> HubFailure:
    """The answer is none that the contract knows."""
    return HubFailure(
        "HUB_ANSWER_INVALID",
        f"the hub {hub.url} gave an answer that its contract does not know: {what}",
        hint="check that [hub] url is the address of a hub: kitty-flow auth status",
        status=status,
    )


def answered(hub: HubAddress, status: int, body: Any, retry_after_s: float | None) -> HubFailure:
    """The failure that a status other than 2xx stands for; of the body only a plain word is kept."""
    found = body.get("error") if isinstance(body, dict) else None
    reason = found if isinstance(found, str) and _CODE.fullmatch(found) else None
    told = f"status {status}" + (f", {reason}" if reason else "")
    if status == 429:
        wait = f" and asks for {retry_after_s:.0f} s of rest" if retry_after_s else ""
        code, message, hint = "HUB_BUSY", f"the hub {hub.url} has no time{wait}", "kitty-flow sync, later"
    elif status in _RETRIED or status >= 500:
        code, message, hint = "HUB_BROKEN", f"the hub {hub.url} failed ({told})", "kitty-flow sync, later"
    elif status == 401:
        code, message, hint = (
            "HUB_UNAUTHORIZED",
            f"the hub {hub.url} does not accept the token",
            "kitty-flow auth login",
        )
    elif status == 403:
        code, message = "HUB_FORBIDDEN", f"the hub {hub.url} does not allow it ({told})"
        hint = "ask who runs the hub, or take the [hub] table out of the settings"
    elif status == 404:
        code, message = "HUB_NOT_FOUND", f"there is no hub at {hub.url} ({told})"
        hint = "correct [hub] url in .kitty-flow/config.toml; kitty-flow auth status shows it"
    else:
        code, message = "HUB_REFUSED", f"the hub {hub.url} refused what it was sent ({told})"
        hint = "kitty-flow errors list"
    passing = status in _RETRIED or status >= 500
    return HubFailure(
        code, message, hint=hint, status=status, reason=reason, is_passing=passing, retry_after_s=retry_after_s
    )
