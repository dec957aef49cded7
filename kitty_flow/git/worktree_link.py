"""How a linked worktree and its administrative directory find each other, without trusting the worktree's side.

`<common>/worktrees/<id>/gitdir` names the file `<worktree>/.git`, and that file names the directory. Whoever works in
the worktree can remove or rewrite the file; git would then search further up, and work on the user's checkout.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from kitty_flow.errors import ExternalToolError

__all__ = [
    "administrative_directories",
    "administrative_directory",
    "broken",
    "check_link",
    "location",
    "restore_link",
]


def location(path: Path) -> Path:
    """Where a path is, its own name not followed: a worktree and a symbolic link in its place are the same location."""
    return path.parent.resolve() / path.name


def administrative_directories(common_dir: Path) -> dict[Path, Path]:
    """The administrative directory of each linked worktree, by the location of the worktree."""
    found: dict[Path, Path] = {}
    for git_dir in sorted(common_dir.glob("worktrees/*")):
        place = _worktree_of(git_dir)
        if place is not None:
            found.setdefault(place, git_dir)
    return found


def administrative_directory(common_dir: Path, path: Path) -> Path | None:
    """The administrative directory of the worktree at `path`, if git knows one there."""
    wanted = location(path)
    named = _named_by(path / ".git")
    # What the worktree says is only where to look first; the other side has to agree.
    if named is not None and named.parent == common_dir / "worktrees" and _worktree_of(named) == wanted:
        return named
    return administrative_directories(common_dir).get(wanted)


def broken(path: Path, why: str) -> ExternalToolError:
    """The error for a worktree that git must not be run in."""
    return ExternalToolError(
        "WORKTREE_BROKEN",
        f"the worktree {path} cannot be used: {why}",
        hint="kitty-flow doctor worktrees",
        details={"worktree": os.fspath(path), "reason": why},
    )


def check_link(path: Path, git_dir: Path) -> None:
    """Make sure that `path` is still the worktree of `git_dir`.

    Raises:
        ExternalToolError: WORKTREE_BROKEN.
    """
    if path.is_symlink():
        raise broken(path, "a symbolic link is in its place")
    if path.exists() and not path.is_dir():
        raise broken(path, "a file is in its place")
    if _worktree_of(git_dir) != location(path):
        raise broken(path, f"{git_dir} does not belong to it any more")


def restore_link(path: Path, git_dir: Path) -> None:
    """Put the `.git` file of a worktree right again. A repository in its place is kept beside it, as unsaved work.

    Raises:
        ExternalToolError: WORKTREE_BROKEN.
    """
    check_link(path, git_dir)
    link = path / ".git"
    try:
        if _names(link, git_dir):
            return
        if link.is_dir() and not link.is_symlink():
            link.rename(_free_place(path))
        # A replaced file never passes through a state in which git would search further up; a link is not followed.
        temporary = path / f".git.{secrets.token_hex(8)}"
        try:
            with temporary.open("xb") as file:
                file.write(b"gitdir: " + os.fsencode(git_dir.as_posix()) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(link)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise broken(path, f"its .git file cannot be restored: {error.strerror or error}") from error


def _worktree_of(git_dir: Path) -> Path | None:
    """The location of the worktree that an administrative directory names."""
    try:
        text = os.fsdecode((git_dir / "gitdir").read_bytes().rstrip())
    except OSError:
        return None
    link = git_dir / text  # newer versions of git may write a relative path
    return location(link.parent) if link.name == ".git" and "\0" not in text else None


def _names(link: Path, git_dir: Path) -> bool:
    """Whether the file `link` is a plain one and names `git_dir`; another spelling of it may count as wrong."""
    return _named_by(link) == git_dir


def _named_by(link: Path) -> Path | None:
    """The directory that the plain file `link` names; None when it is something else."""
    try:
        if not stat.S_ISREG(link.lstat().st_mode):
            return None
        word, _, place = link.read_bytes().rstrip(b"\r\n").partition(b" ")
        if word != b"gitdir:" or b"\0" in place:
            return None
        return Path(os.path.normpath(link.parent.resolve() / os.fsdecode(place)))
    except OSError:
        return None


def _free_place(path: Path) -> Path:
    number = 1
    while os.path.lexists(place := path / f".git.replaced-{number}"):
        number += 1
    return place
