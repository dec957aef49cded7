"""What a prompt is made from: the identity of its invocation, and everything it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from kitty_flow.model.mission import WorkPackage

__all__ = ["IDENTITY_FIELDS", "Delta", "Place", "PromptContext"]

IDENTITY_FIELDS: Final = (
    "invocation_id",
    "repo_root",
    "mission_id",
    "mission_slug",
    "work_package_id",
    "lane_worktree",
    "mission_branch",
    "lane_branch",
    "base_ref",
    "prompt_path",
    "created_at",
)

Place = Literal["worktree", "checkout", "scratch"]
"""Where the work is done: in the lane's worktree, in the user's main checkout, or in an empty folder."""


class Delta(NamedTuple):
    """What an earlier review has seen, as full commit ids: a review that follows it looks at what changed since."""

    base: str
    head: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """Everything a prompt says. The first eleven fields are its identity; refs are full names or full commit ids.

    `salvage_ref` keeps what the last attempt left unsaved; `earlier` is work that was handed in before and does not
    merge any more, or that an earlier review has seen; `cycles_left` says how often a review may still send it back;
    `summary` is the implementer's, for a review of work that changed no files.
    """

    invocation_id: str
    repo_root: str
    mission_id: str
    mission_slug: str
    work_package_id: str
    lane_worktree: str
    mission_branch: str
    lane_branch: str
    base_ref: str
    prompt_path: str
    created_at: str
    work_package: WorkPackage
    result_path: str
    attempt: int = 1
    cycles_left: int | None = None
    head_commit: str | None = None
    feedback: Mapping[str, Any] | None = None
    salvage_ref: str | None = None
    earlier: Delta | None = None
    place: Place = "worktree"
    summary: str | None = None

    def identity(self) -> dict[str, str]:
        """The fields that bind the prompt to one invocation."""
        return {name: getattr(self, name) for name in IDENTITY_FIELDS}
