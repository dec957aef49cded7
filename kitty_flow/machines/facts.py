"""The frozen facts that guards look at. None means "not established", and a guard never passes on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["TARGET_FACTS", "Facts"]

TARGET_FACTS: Final = frozenset({"requested_state", "state_before_block", "state_before_failure", "state_before_pause"})
"""The facts that may choose among several targets of a transition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What was observed before a decision. The caller probes; the decision only reads.

    A tuple that is empty says "looked, and there is none"; None says "nobody looked". `holder` is the empty string
    when nobody holds the work package. `epoch` is the caller's fencing number, `current_epoch` the ledger's.
    """

    # Who and why.
    actor: str | None = None
    reason: str | None = None

    # Planning and claiming.
    mission_valid: bool | None = None
    unsatisfied_dependencies: tuple[str, ...] | None = None
    holder: str | None = None
    ownership_conflicts: tuple[str, ...] | None = None
    epoch: int | None = None
    current_epoch: int | None = None
    lease_expired: bool | None = None

    # The workspace and the work in it.
    worktree: str | None = None
    branch: str | None = None
    base_commit: str | None = None
    base_contains_dependencies: bool | None = None
    head_commit: str | None = None
    worktree_clean: bool | None = None
    out_of_scope_paths: tuple[str, ...] | None = None
    open_subtasks: tuple[str, ...] | None = None
    changes: bool | None = None

    # Review.
    implementer: str | None = None
    reviewer: str | None = None
    self_review_allowed: bool | None = None
    review_invocation_id: str | None = None
    prompt_identity_matches: bool | None = None
    verdict: str | None = None
    reviewed_commit: str | None = None
    feedback: str | Mapping[str, Any] | None = None

    # Choosing among targets.
    requested_state: str | None = None
    state_before_block: str | None = None
    state_before_pause: str | None = None
    state_before_failure: str | None = None

    # Invocation.
    outcome: str | None = None

    # Mission and merge.
    unfinished_work_packages: tuple[str, ...] | None = None
    failed_gates: tuple[str, ...] | None = None
    candidate_tree: str | None = None
    tested_tree: str | None = None
    landed_tree: str | None = None
    landing_proved: bool | None = None
    landed: bool | None = None

    # Release.
    version: str | None = None
    release_commit: str | None = None
    artifact_digests: tuple[str, ...] | None = None
    artifacts_verified: bool | None = None
    tag_commit: str | None = None
    remote_matches: bool | None = None
    index_matches: bool | None = None
    release_proved: bool | None = None
    public: bool | None = None
