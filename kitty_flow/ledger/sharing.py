"""Which refs the clones of a repository share, and what they are called at a remote.

Logs move forward and are united; everything else is named by its commit and never moves. A host that refuses names
below ``refs/kitty/`` gets the same commits as branches below ``kitty/state/``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FALLBACK", "KEPT", "LOGS", "MISSIONS", "fallback_name", "is_log", "local_name", "work_ref"]

_OWN: Final = "refs/kitty/"
FALLBACK: Final = "refs/heads/kitty/state/"
"""Where a remote that refuses other names keeps them."""

MISSIONS: Final = "refs/kitty/m/"
"""Below it lies the ledger of each mission, by its id."""

LOGS: Final = (MISSIONS, "refs/kitty/errors", "refs/kitty/ops")
"""Ledgers of missions, and the logs that belong to no mission."""

KEPT: Final = ("refs/kitty/salvage/", "refs/kitty/work/")
"""Unsaved work that was kept, and the commits that ledgers speak of."""


def work_ref(mission_id: str, commit: str) -> str:
    """The ref under which a commit that a ledger names is shared."""
    return f"refs/kitty/work/{mission_id}/{commit}"


def is_log(ref: str) -> bool:
    """Whether the ref is a log."""
    return any(ref.startswith(name) if name.endswith("/") else ref == name for name in LOGS)


def fallback_name(ref: str) -> str:
    """The branch that stands for a ref of ours: ``kitty/state/<mission-ulid>`` for a mission's ledger."""
    return FALLBACK + ref.removeprefix(_OWN).removeprefix("m/")


def local_name(name: str) -> str | None:
    """The ref here for a name at a remote; None when it is none of ours."""
    if name.startswith(FALLBACK):
        rest = name.removeprefix(FALLBACK)
        name = _OWN + (rest if "/" in rest or rest in ("errors", "ops") else f"m/{rest}")
    shared = is_log(name) or any(name.startswith(prefix) for prefix in KEPT)
    return name if shared else None
