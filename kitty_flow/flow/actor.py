"""Who acts when a person types a command."""

from __future__ import annotations

import os

from kitty_flow.model.text import printable

__all__ = ["current_user", "plain_actor"]


def current_user() -> str:
    """The actor for commands typed by a person: KITTY_FLOW_ACTOR, else the login name."""
    named = os.environ.get("KITTY_FLOW_ACTOR")
    if named:
        return plain_actor(named)
    import getpass  # late: reading commands act as nobody

    try:
        return plain_actor(getpass.getuser())
    except (OSError, KeyError):
        return "unknown"


def plain_actor(name: str) -> str:
    """A name as it goes into the ledger: printable, at most 128 characters."""
    return printable(name, "?")[:128] or "unknown"
