"""Files that git does not carry into a worktree, such as ``.env``: copied from the main checkout, kept up to date."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from kitty_flow.errors import ExternalToolError, RefusedError
from kitty_flow.git.worktrees import Checkout
from kitty_flow.model.text import printable

__all__ = ["copy_files"]


def copy_files(root: Path, checkout: Checkout, patterns: Sequence[str]) -> None:
    """Copy what matches from the main checkout `root`, with modes and times, where the worktree's file is older.

    Symbolic links are neither copied nor followed. A path that git does not ignore in the worktree is not copied: it
    would be taken for the agent's work.

    Raises:
        RefusedError: COPY_NOT_IGNORED.
        ExternalToolError: COPY_FAILED.
    """
    found = sorted({path for pattern in patterns for path in _matching(root, pattern)})
    if not found:
        return
    listed = "".join(f"{path}\0" for path in found).encode("utf-8", "surrogateescape")
    done = checkout.git.call("check-ignore", "-z", "--stdin", stdin=listed, ok=(0, 1))
    ignored = set(done.stdout.decode("utf-8", "surrogateescape").split("\0"))
    exposed = [path for path in found if path not in ignored]
    if exposed:
        named = ", ".join(map(printable, exposed[:5]))
        raise RefusedError(
            "COPY_NOT_IGNORED",
            f"copy_files of [workspace] names what git does not ignore: {named}; "
            "a copy of it would count as the agent's work",
            hint=f"add it to .gitignore or to {checkout.path.name}'s branch as a file, "
            "or take it out of copy_files in .kitty-flow/config.toml",
            details={"paths": exposed[:100]},
        )
    for path in found:
        try:
            _copy(root / path, checkout.path, path)
        except OSError as error:
            raise ExternalToolError(
                "COPY_FAILED",
                f"{printable(path)} cannot be copied into {checkout.path}: {error.strerror or error}",
                hint="mend it, then run the command again",
            ) from error


def _matching(root: Path, pattern: str) -> Iterator[str]:
    """The regular files, relative to `root`, that a path or glob names; a folder stands for all in it."""
    for place in root.glob(pattern):
        relative = place.relative_to(root)
        if _has_link(root, relative) or ".git" in relative.parts:
            continue
        if place.is_dir():
            for folder, folders, files in os.walk(place):  # follows no links
                folders[:] = sorted(name for name in folders if name != ".git")
                below = (Path(folder, name) for name in sorted(files))
                yield from (f.relative_to(root).as_posix() for f in below if f.is_file() and not f.is_symlink())
        elif place.is_file():
            yield relative.as_posix()


def _has_link(root: Path, relative: Path) -> bool:
    """Whether a part of the path is a symbolic link."""
    return any((root / part).is_symlink() for part in (relative, *relative.parents))


def _copy(source: Path, worktree: Path, path: str) -> None:
    """Copy one file into its place at once; the agent may have put links in the way, which are not followed."""
    target, relative = worktree / path, Path(path)
    if any((worktree / parent).is_symlink() for parent in relative.parents):
        raise OSError(f"a symbolic link is in the way at {relative.parent}")
    if target.is_file() and not target.is_symlink() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        shutil.copy2(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
