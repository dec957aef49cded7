"""Near ancestors of a commit, found in the loose objects without a git process.

Most questions about ancestry are about the few commits that an agent has just made, and each would cost a process.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from pathlib import Path
from typing import Final

__all__ = ["is_near_ancestor"]

_NAME: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MOST_COMMITS: Final = 64
"""Reading so many takes about as long as asking git once."""

_HEAD_BYTES: Final = 1 << 16
"""More than the lines before the message of any merge that we make."""


def is_near_ancestor(objects: Path, ancestor: str, descendant: str) -> bool:
    """Whether `ancestor` is `descendant` itself or one of its nearest ancestors. False says nothing: ask git.

    The commits are taken as they are, whatever a `git replace` says of them.

    Args:
        objects: the repository's ``objects`` directory.
    """
    if _NAME.fullmatch(ancestor) is None or _NAME.fullmatch(descendant) is None:
        return False
    seen = {descendant}
    waiting = deque(seen)
    while waiting and len(seen) <= _MOST_COMMITS:
        name = waiting.popleft()
        parents = _parents(objects, name)
        if parents is None:
            continue
        if name == ancestor:
            return True
        waiting.extend(parent for parent in dict.fromkeys(parents) if parent not in seen)
        seen.update(parents)
    return False


def _parents(objects: Path, name: str) -> list[str] | None:
    """The parents of a commit; None when it is no loose object, or no commit."""
    try:
        content = (objects / name[:2] / name[2:]).read_bytes()
        text = zlib.decompressobj().decompress(content, _HEAD_BYTES)
    except (OSError, zlib.error):
        return None
    kind, _, rest = text.partition(b"\0")
    if not kind.startswith(b"commit "):
        return None
    lines = rest.partition(b"\n\n")[0].decode("utf-8", "replace").splitlines()
    return [line.removeprefix("parent ") for line in lines if line.startswith("parent ")]
