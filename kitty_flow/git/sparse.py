"""Sparse worktrees without a word in the user's configuration.

`git sparse-checkout` would set `extensions.worktreeConfig` for the whole repository. But git keeps in the index which
files are left out, whatever the configuration says, and reads the patterns from the worktree's own administrative
directory. So only our own git is told to look there; what an agent commits still has every file that was left out.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["SPARSE_VARIABLES", "cone", "is_sparse", "write_patterns"]

SPARSE_VARIABLES: Final = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "core.sparseCheckout",
    "GIT_CONFIG_VALUE_0": "true",
    "GIT_CONFIG_KEY_1": "core.sparseCheckoutCone",
    "GIT_CONFIG_VALUE_1": "true",
}
"""What a git process needs in its environment to go by the patterns."""

_EVERYTHING: Final = "/*\n"


def cone(folders: Sequence[str]) -> str:
    """The patterns for these folders, with all in them, and the files beside and above them (git-sparse-checkout(1),
    cone mode). No folders stand for everything."""
    wanted = {PurePosixPath(folder) for folder in folders}
    whole = sorted(f for f in wanted if not wanted.intersection(f.parents))
    above = sorted({parent for folder in whole for parent in folder.parents if parent.parts})
    if not whole:
        return _EVERYTHING
    lines = ["/*", "!/*/", *(line for f in above for line in (f"/{f}/", f"!/{f}/*/")), *(f"/{f}/" for f in whole)]
    return "\n".join(lines) + "\n"


def is_sparse(git_dir: Path) -> bool:
    """Whether a worktree has patterns, by its administrative directory."""
    return _file(git_dir).is_file()


def write_patterns(git_dir: Path, folders: Sequence[str]) -> bool:
    """Set the patterns of a worktree; says whether they changed, so that it has to be checked out anew."""
    path, text = _file(git_dir), cone(folders)
    try:
        if path.read_text(encoding="utf-8", errors="replace") == text:
            return False
    except FileNotFoundError:
        if not folders:
            return False
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f"sparse-checkout.{secrets.token_hex(4)}")
    temporary.write_bytes(os.fsencode(text))
    temporary.replace(path)
    return True


def _file(git_dir: Path) -> Path:
    return git_dir / "info" / "sparse-checkout"
