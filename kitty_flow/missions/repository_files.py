"""The files of a repository, to be asked whether a pattern matches any: near a pattern's literal beginning only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from kitty_flow.graph.ownership import literal_prefix, pattern_matches

__all__ = ["RepositoryFiles"]


class RepositoryFiles:
    """Paths relative to the repository root, parted by slashes."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = sorted(paths)

    def has_match(self, pattern: str) -> bool:
        """Whether one of the files is owned by `pattern`."""
        prefix = "/".join(literal_prefix(pattern))
        for index in range(bisect_left(self._paths, prefix), len(self._paths)):
            path = self._paths[index]
            if not path.startswith(prefix):
                return False
            if pattern_matches(pattern, path):
                return True
        return False
