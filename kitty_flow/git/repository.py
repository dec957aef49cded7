"""Which repository we are in: the same answer from any directory inside it or any of its worktrees."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kitty_flow.errors import ExternalToolError, UsageError
from kitty_flow.git.identity import user_identity
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.process import Git, check_version, failed
from kitty_flow.git.refs import Refs

__all__ = ["Repository"]


@dataclass(frozen=True)
class Repository:
    """A git repository, seen from its main checkout.

    `common_dir` is the git directory that all worktrees share; `root` is the main checkout (for a bare repository the
    git directory itself). Our own disposable files live in `state_dir`.
    """

    common_dir: Path
    root: Path
    is_bare: bool = False

    @classmethod
    def discover(cls, start: Path | None = None) -> Repository:
        """The repository around `start` (default: the current directory).

        Raises:
            UsageError: NO_REPOSITORY, or MAIN_CHECKOUT_UNKNOWN (a linked worktree of a separate git directory).
            ExternalToolError: DIRECTORY_MISSING, GIT_MISSING or GIT_TOO_OLD; GIT_FAILED, git refuses the repository.
        """
        try:
            here = (start or Path.cwd()).resolve()
        except FileNotFoundError as error:
            raise ExternalToolError("DIRECTORY_MISSING", "the current directory was deleted") from error
        git = Git(here)
        check_version(git)
        # Outside a working tree the last question fails, after the others were answered.
        asked = ("rev-parse", "--path-format=absolute", "--absolute-git-dir", "--git-common-dir", "--show-toplevel")
        done = git.call(*asked, ok=(0, 128))
        answers = done.stdout.decode("utf-8", "surrogateescape").splitlines()
        if len(answers) < 2:
            refused = failed(asked, done.returncode, done.stderr)
            if "not a git repository" not in str(refused.details.get("stderr")):
                raise refused
            raise UsageError(
                "NO_REPOSITORY",
                f"{here} is not inside a git repository",
                hint="git init, or change to a repository (kitty-flow demo makes a sample one)",
            ) from refused
        own, common, *toplevel = answers
        if own == common and toplevel:
            return cls(Path(common), Path(toplevel[0]))
        return _from_common_dir(Path(common))

    @cached_property
    def git(self) -> Git:
        """Runs git in the main checkout."""
        return Git(self.root) if not self.is_bare else Git(self.common_dir)

    @cached_property
    def refs(self) -> Refs:
        """The refs."""
        return Refs(self.git, self.common_dir)

    @cached_property
    def object_format(self) -> str:
        """The hash function that names the objects: ``sha1`` or ``sha256``."""
        return self.git.text("rev-parse", "--show-object-format")

    @cached_property
    def identity(self) -> str | None:
        """``Name <mail>`` as the user configured it for git when it was first asked, or None."""
        return user_identity(self.git)

    @property
    def state_dir(self) -> Path:
        """Our own files that may be deleted at any time: locks, index, writer id."""
        return self.common_dir / "kitty-flow"

    @property
    def store_git(self) -> Git:
        """Runs git on objects as they are: what the log says must not be replaced by a `git replace` of somebody."""
        return Git(self.common_dir, {"GIT_DIR": os.fspath(self.common_dir), "GIT_NO_REPLACE_OBJECTS": "1"})

    def objects(self) -> ObjectStore:
        """A new door to the object database; the caller closes it."""
        return ObjectStore(
            self.store_git, self.common_dir / "objects", lambda: self.object_format, self.state_dir / "fresh"
        )


def _from_common_dir(common_dir: Path) -> Repository:
    """The main checkout as its git directory names it: beside it, or by core.worktree (submodule, separate dir)."""
    git = Git(common_dir, {"GIT_DIR": os.fspath(common_dir)})
    done = git.call("config", "--get", "core.worktree", ok=(0, 1))
    worktree = done.stdout.decode("utf-8", "surrogateescape").strip()
    if worktree:
        return Repository(common_dir, (common_dir / worktree).resolve())
    if git.call("config", "--type=bool", "--get", "core.bare", ok=(0, 1)).stdout.strip() == b"true":
        return Repository(common_dir, common_dir, is_bare=True)
    if common_dir.name != ".git":
        raise UsageError(
            "MAIN_CHECKOUT_UNKNOWN",
            f"the git directory {common_dir} does not say where its main checkout is",
            hint="work from the main checkout, or name it once: git config core.worktree PATH-OF-MAIN-CHECKOUT",
        )
    return Repository(common_dir, common_dir.parent)
