"""Who acts when a person types a command."""

from __future__ import annotations

import os

from kitty_flow.errors import UsageError
from kitty_flow.model.text import printable

__all__ = ["acting", "current_user", "plain_actor"]


def current_user() -> str:
    """The actor for commands typed by a person: KITTY_FLOW_ACTOR, else the login name."""
    named = os.environ.get("KITTY_FLOW_ACTOR", "")
    if named.strip():
        return plain_actor(named)
    import getpass  # late: reading commands act as nobody

    try:
        login = getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
    return plain_actor(login) if login.strip() else "unknown"


def plain_actor(name: str) -> str:
    """A name as it goes into the ledger: printable, at most 128 characters.

    Raises:
        UsageError: INVALID_ACTOR, it is blank: two such agents would be taken for one.
    """
    if not name.strip():
        raise UsageError(
            "INVALID_ACTOR", "a name for who acts is needed, and this one is empty", hint="choose one, such as claude-1"
        )
    return printable(name, "?")[:128]


def acting(named: str | None) -> str:
    """Who acts, as `--actor` names them; without it the current user.

    Raises:
        UsageError: INVALID_ACTOR.
    """
    return current_user() if named is None else plain_actor(named)
