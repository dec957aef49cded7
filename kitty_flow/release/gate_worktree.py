"""The warm working tree in which trees are tested: one for each repository, kept from one merge to the next.

Writing only the files that differ takes a tenth of the time that a new worktree takes (MERGE.md A2). Who comes while
another process tests takes the next free number; only the first is kept. The kernel frees the place of a killed one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from kitty_flow.errors import ConflictError, KittyFlowError
from kitty_flow.flow.project import Project
from kitty_flow.git.exact_tree import ExactTree
from kitty_flow.ledger.lock import exclusive

__all__ = ["gate_worktree"]

_MOST: Final = 16


@contextmanager
def gate_worktree(project: Project) -> Iterator[ExactTree]:
    """A working tree for tests, for the block nobody else's.

    Raises:
        ConflictError: LOCK_TIMEOUT, that many processes test trees of this repository already.
    """
    with ExitStack() as held:
        for number in range(1, _MOST + 1):
            lock = project.repository.state_dir / "locks" / f"gate-{number}.lock"
            try:
                held.enter_context(exclusive(lock, timeout_s=0.0, what="the worktree of the tests"))
            except ConflictError:
                if number == _MOST:
                    raise
                continue
            break
        tree = ExactTree(project.repository, project.workspace_root / "gate" / str(number))
        try:
            yield tree
        finally:
            if number > 1:
                with suppress(KittyFlowError, OSError):  # its next user empties it
                    tree.remove()
