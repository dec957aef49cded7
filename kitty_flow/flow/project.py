"""The project a command works in: its repository, its settings, and where kitty-flow's own working files go."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kitty_flow.effects import replace_file
from kitty_flow.errors import ExternalToolError, UsageError
from kitty_flow.git.history import History
from kitty_flow.git.process import Git
from kitty_flow.git.repository import Repository

if TYPE_CHECKING:
    from kitty_flow.agents.settings import Settings
    from kitty_flow.git.worktrees import Worktrees
    from kitty_flow.missions.repository_files import RepositoryFiles

__all__ = ["Project"]

_SCRATCH: Final = "scratch"
_MARK: Final = "repository"
_MAX_MARK: Final = 4096


@dataclass(frozen=True)
class Project:
    """A repository with its settings. Everything is found from the main checkout, never from where the user stands."""

    repository: Repository

    @classmethod
    def discover(cls, start: Path | None = None) -> Project:
        """The project around `start` (default: the current directory); of a folder for work without files, its own.

        Raises:
            UsageError: NO_REPOSITORY.
            ExternalToolError: git is missing or too old.
        """
        try:
            return cls(Repository.discover(start))
        except UsageError as error:
            owner = cls._owner_of(start or Path.cwd()) if error.code == "NO_REPOSITORY" else None
            if owner is None:
                raise
            return owner

    @classmethod
    def _owner_of(cls, start: Path) -> Project | None:
        """The project that `start`, a folder outside of every repository, was made by: it has to say so itself."""
        for folder in start.resolve().parents:
            mark = folder / _MARK
            if folder.name != _SCRATCH or not mark.is_file():
                continue
            try:
                project = cls(Repository.discover(Path(os.fsdecode(mark.read_bytes()[:_MAX_MARK])).absolute()))
            except (ExternalToolError, UsageError, OSError, ValueError):
                return None  # the repository was moved
            return project if project.scratch_root.resolve() == folder else None
        return None

    @property
    def root(self) -> Path:
        """The main checkout."""
        return self.repository.root

    @cached_property
    def settings(self) -> Settings:
        """The project's settings; defaults without a settings file.

        Raises:
            DefinitionError: INVALID_SETTINGS.
        """
        from kitty_flow.agents.settings import load_settings  # late: the board needs no settings

        return load_settings(self.root)

    @cached_property
    def allows_self_review(self) -> bool:
        """Whether an implementer may review its own work; without a table for reviews nothing else need be read.

        Raises:
            DefinitionError: INVALID_SETTINGS.
        """
        from kitty_flow.agents.settings_file import read_settings  # late, as `settings`

        return "review" in read_settings(self.root) and self.settings.review.allow_self_review

    @cached_property
    def files(self) -> RepositoryFiles:
        """What is under version control in the main checkout."""
        from kitty_flow.missions.repository_files import RepositoryFiles

        return RepositoryFiles(filter(None, Git(self.root).text("ls-files", "-z").split("\0")))

    @property
    def history(self) -> History:
        """The commit graph."""
        return History(self.repository.git, self.repository.common_dir / "objects")

    @property
    def worktrees(self) -> Worktrees:
        """The working trees."""
        from kitty_flow.git.worktrees import Worktrees  # late: the board needs none

        return Worktrees(self.repository.git, self.repository.common_dir)

    @cached_property
    def workspace_root(self) -> Path:
        """Where worktrees, prompts and agent logs live: the setting, else ``<repository>.kitty`` beside the repository.

        Agents refuse to write below ``.git``, and a folder inside the checkout would show up in the user's status.
        Where the parent cannot be written, or belongs to another repository, a folder in the git directory has to do.
        In a folder that is set, which several repositories may share, each has one of its own.
        """
        from kitty_flow.agents.settings_file import read_settings  # late, as `settings`

        # The checks of the settings take longer than all else that `next --peek` does, and mostly nothing is set here.
        if "workspace" in read_settings(self.root):
            chosen = self.settings.workspace_root(self.root)
            if chosen is not None:
                return chosen / _own_name(self.repository.common_dir)
        parent = self.root.parent
        fallback = self.repository.state_dir / "workspace"
        if self.repository.is_bare or not os.access(parent, os.W_OK) or _inside_repository(parent):
            return fallback
        beside = parent / f"{self.root.name}.kitty"
        return beside if _may_use(beside, self.repository.common_dir) else fallback

    @property
    def scratch_root(self) -> Path:
        """Where the empty folders are made in which work that changes no files is done."""
        return self.workspace_root / _SCRATCH

    def mark_scratch_root(self) -> None:
        """Write down whose these folders are: no git is around them, and an agent in one has to find its project."""
        mark, own = self.scratch_root / _MARK, os.fsencode(self.root)
        if not mark.is_file() or mark.read_bytes() != own:
            replace_file(mark, own, "workspace.mark")


def _own_name(common_dir: Path) -> str:
    """A name that no other repository has, and that a person can read."""
    place = common_dir.parent if common_dir.name == ".git" else common_dir
    return f"{place.name}-{hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:12]}"


def _inside_repository(folder: Path) -> bool:
    return Git(folder).call("rev-parse", "--git-dir", ok=(0, 128)).returncode == 0


def _may_use(folder: Path, common_dir: Path) -> bool:
    """Whether the folder is new or marked as ours; a folder of the same name that is somebody else's is left alone."""
    mark = folder / "owner"
    owner = hashlib.sha256(os.fsencode(common_dir)).hexdigest()
    if not folder.exists():
        folder.mkdir(mode=0o700)
        mark.write_text(owner + "\n", encoding="ascii")
    return mark.is_file() and mark.read_text(encoding="ascii", errors="replace").strip() == owner
