"""What was acknowledged last in the log of requests: one small file of this clone that the ref has to contain.

It follows the ref and never leads it, as the index of a ledger does: it is written after the commit, under the log's
lock, and may be deleted. A ref that was moved back or aside, or is gone, no longer contains what it names.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from kitty_flow.effects import replace_file
from kitty_flow.errors import LedgerError
from kitty_flow.git.history import History
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository

__all__ = ["OPS_REF", "acknowledged", "contains", "memory_file", "ops_rewound", "remember"]

OPS_REF: Final = "refs/kitty/ops"

_NAME: Final = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n")


def memory_file(repository: Repository) -> Path:
    """Where it is kept."""
    return repository.state_dir / "ops.last"


def acknowledged(repository: Repository) -> str | None:
    """The commit that was acknowledged last; None when nothing is remembered. Read it before the ref: a record of
    somebody else moves the ref first."""
    try:
        found = _NAME.fullmatch(memory_file(repository).read_bytes())
    except OSError:
        return None
    return found[1].decode("ascii") if found else None


def remember(repository: Repository, tip: str) -> None:
    """Keep what is acknowledged now; the caller holds the log's lock. Where that fails, the older one is kept."""
    with suppress(OSError):
        replace_file(memory_file(repository), tip.encode("ascii") + b"\n", "ops.last")


def contains(repository: Repository, tip: str | None, commit: str | None) -> bool:
    """Whether the commit `tip` has all of `commit`; not when that is not here any more."""
    if commit in (None, tip):
        return True
    if tip is None:
        return False
    try:
        return History(repository.store_git, repository.common_dir / "objects").is_ancestor(str(commit), tip)
    except GitFailedError:
        return False


def ops_rewound(last: str, tip: str | None) -> LedgerError:
    """The log of requests lost what was acknowledged; nothing is recorded behind that."""
    return LedgerError(
        "LEDGER_REWOUND",
        f"the log of requests was moved back: {OPS_REF} does not contain {last[:12]}, which was acknowledged",
        hint="kitty-flow doctor ledger --fix brings both together again",
        details={"ref": OPS_REF, "last_seen": last, "tip": tip},
    )
