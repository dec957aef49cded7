"""The registry of guards: pure predicates over frozen facts, found by the name that a machine definition uses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kitty_flow.machines.facts import Facts
from kitty_flow.machines.guard import Guard
from kitty_flow.model.text import is_same_actor

__all__ = ["GUARDS"]


def _text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _equal_texts(one: object, other: object) -> bool:
    return _text(one) and _text(other) and one == other


def _none_left(value: object) -> bool:
    return isinstance(value, tuple) and value == ()


def _holds_epoch(facts: Facts) -> bool:
    # type() and not isinstance(): True is an int that equals epoch 1.
    return type(facts.epoch) is int and type(facts.current_epoch) is int and facts.epoch == facts.current_epoch >= 1


def _workspace_ready(facts: Facts) -> bool:
    placed = _text(facts.worktree) and _text(facts.branch) and _text(facts.base_commit)
    return placed and facts.base_contains_dependencies is True


def _work_committed(facts: Facts) -> bool:
    if not (_text(facts.head_commit) and _text(facts.base_commit)):
        return False
    # Work that is to change no files has no commit; its head is its base, which the review is bound to.
    return (facts.head_commit == facts.base_commit) is (facts.changes is False)


def _distinct_reviewer(facts: Facts) -> bool:
    if facts.implementer is None or facts.reviewer is None:
        return False
    are_named = facts.implementer.strip() != "" and facts.reviewer.strip() != ""
    return are_named and (facts.self_review_allowed is True or not is_same_actor(facts.implementer, facts.reviewer))


def _verdict_bound(facts: Facts) -> bool:
    return facts.verdict == "approved" and _equal_texts(facts.reviewed_commit, facts.head_commit)


def _feedback_present(facts: Facts) -> bool:
    if isinstance(facts.feedback, Mapping):
        return any(_text(value) if isinstance(value, str) else bool(value) for value in facts.feedback.values())
    return _text(facts.feedback)


_ALL: Final = (
    Guard(
        name="actor_named",
        predicate=lambda facts: _text(facts.actor),
        code="ACTOR_MISSING",
        message="nobody is named as the actor",
        hint="repeat the command and name the actor",
    ),
    Guard(
        name="reason_given",
        predicate=lambda facts: _text(facts.reason),
        code="REASON_MISSING",
        message="a reason is required",
        hint="repeat the command and give a reason",
    ),
    Guard(
        name="mission_valid",
        predicate=lambda facts: facts.mission_valid is True,
        code="MISSION_INVALID",
        message="the mission's definition is not valid",
        hint="kitty-flow plan MISSION",
    ),
    Guard(
        name="dependencies_satisfied",
        predicate=lambda facts: _none_left(facts.unsatisfied_dependencies),
        code="DEPENDENCIES_NOT_SATISFIED",
        message="its prerequisites are not approved yet",
        hint="kitty-flow why WP",
        shows="unsatisfied_dependencies",
    ),
    Guard(
        name="unclaimed",
        predicate=lambda facts: facts.holder == "",
        code="ALREADY_CLAIMED",
        message="somebody else holds it",
        hint="kitty-flow wp show WP",
        shows="holder",
    ),
    Guard(
        name="no_active_ownership_conflict",
        predicate=lambda facts: _none_left(facts.ownership_conflicts),
        code="OWNERSHIP_CONFLICT",
        message="work packages in progress own overlapping files or use the same execution lane",
        hint="kitty-flow why WP",
        shows="ownership_conflicts",
    ),
    Guard(
        name="holds_epoch",
        predicate=_holds_epoch,
        code="STALE_EPOCH",
        message="the claim is not the current one; a later claim fenced it off, or there is none",
        hint="kitty-flow wp show WP",
    ),
    Guard(
        name="lease_expired",
        predicate=lambda facts: facts.lease_expired is True,
        code="LEASE_NOT_EXPIRED",
        message="the lease of the claim has not run out",
        hint="kitty-flow wp show WP",
    ),
    Guard(
        name="workspace_ready",
        predicate=_workspace_ready,
        code="WORKSPACE_NOT_READY",
        message="there is no worktree and branch at a base that contains the heads of all prerequisites",
        hint="kitty-flow doctor worktrees",
    ),
    Guard(
        name="work_committed",
        predicate=_work_committed,
        code="WORK_NOT_COMMITTED",
        message="there is no commit beyond the base",
        hint="commit the work in its worktree, then: kitty-flow next --agent NAME --result success",
    ),
    Guard(
        name="worktree_clean",
        predicate=lambda facts: facts.worktree_clean is True,
        code="WORKTREE_DIRTY",
        message="the worktree has changes that are not committed",
        hint="commit or remove them in the worktree, then: kitty-flow next --agent NAME --result success",
    ),
    Guard(
        name="ownership_respected",
        predicate=lambda facts: _none_left(facts.out_of_scope_paths),
        code="OWNERSHIP_VIOLATED",
        message="files outside the owned files were changed",
        hint="take these changes out of the commits, then: kitty-flow next --agent NAME --result success",
        shows="out_of_scope_paths",
    ),
    Guard(
        name="subtasks_complete",
        predicate=lambda facts: _none_left(facts.open_subtasks),
        code="SUBTASKS_OPEN",
        message="subtasks are not done",
        hint="kitty-flow wp show WP",
        shows="open_subtasks",
    ),
    Guard(
        name="reviewer_is_not_implementer",
        predicate=_distinct_reviewer,
        code="SELF_REVIEW",
        message="the reviewer must be named and be somebody else than the implementer",
        hint="let another agent review: kitty-flow next --agent NAME --role review",
    ),
    Guard(
        name="prompt_identity_matches",
        predicate=lambda facts: facts.prompt_identity_matches is True,
        code="REVIEW_PROMPT_METADATA_MISMATCH",
        message="the review prompt was written for another repository, mission, work package or worktree",
        hint="kitty-flow next --agent NAME --role review",
    ),
    Guard(
        name="verdict_bound_to_head",
        predicate=_verdict_bound,
        code="VERDICT_NOT_BOUND",
        message="there is no approving verdict for exactly the head commit",
        hint="kitty-flow next --agent NAME --role review",
    ),
    Guard(
        name="feedback_present",
        predicate=_feedback_present,
        code="FEEDBACK_MISSING",
        message="changes can only be requested with feedback",
        hint="repeat the command with the feedback",
    ),
    Guard(
        name="landing_proved",
        predicate=lambda facts: facts.landing_proved is True,
        code="LANDING_NOT_PROVED",
        message="it is not proved that the commits are reachable from the target",
        hint="kitty-flow merge MISSION",
    ),
    Guard(
        name="not_landed",
        predicate=lambda facts: facts.landed is False,
        code="ALREADY_LANDED",
        message="it is not shown that the target is untouched; what landed cannot be taken back",
        hint="kitty-flow merge MISSION",
    ),
    Guard(
        name="outcome_reported",
        predicate=lambda facts: _text(facts.outcome),
        code="RESULT_MISSING",
        message="no readable outcome was reported",
        hint="write a result file with an outcome; its path is shown by kitty-flow wp show WP",
    ),
    Guard(
        name="all_work_packages_finished",
        predicate=lambda facts: _none_left(facts.unfinished_work_packages),
        code="WORK_PACKAGES_UNFINISHED",
        message="work packages are neither approved, nor done, nor canceled with a reason",
        hint="kitty-flow status MISSION",
        shows="unfinished_work_packages",
    ),
    Guard(
        name="gates_passed",
        predicate=lambda facts: _none_left(facts.failed_gates),
        code="GATES_NOT_PASSED",
        message="gates did not pass",
        hint="kitty-flow merge MISSION",
        shows="failed_gates",
    ),
    Guard(
        name="tested_tree_is_candidate",
        predicate=lambda facts: _equal_texts(facts.tested_tree, facts.candidate_tree),
        code="TESTED_TREE_DIFFERS",
        message="the tested tree is not the candidate's tree",
        hint="kitty-flow merge MISSION",
    ),
    Guard(
        name="landed_tree_is_tested",
        predicate=lambda facts: _equal_texts(facts.landed_tree, facts.tested_tree),
        code="LANDED_TREE_DIFFERS",
        message="the tree on the target is not the tested tree",
        hint="kitty-flow verify MISSION",
    ),
    Guard(
        name="version_named",
        predicate=lambda facts: _text(facts.version) and _text(facts.release_commit),
        code="VERSION_MISSING",
        message="the version or the commit to release is not named",
        hint="kitty-flow machines show release",
    ),
    Guard(
        name="artifacts_recorded",
        predicate=lambda facts: facts.artifact_digests is not None,
        code="ARTIFACTS_MISSING",
        message="nobody looked at which artifacts were built",
        hint="kitty-flow machines show release",
    ),
    Guard(
        name="artifacts_verified",
        predicate=lambda facts: facts.artifacts_verified is True,
        code="ARTIFACTS_NOT_VERIFIED",
        message="the artifacts were not checked",
        hint="kitty-flow machines show release",
    ),
    Guard(
        name="tag_at_release_commit",
        predicate=lambda facts: _equal_texts(facts.tag_commit, facts.release_commit),
        code="TAG_DIFFERS",
        message="the tag does not point at the release commit",
        hint="kitty-flow machines show release",
    ),
    Guard(
        name="remote_matches",
        predicate=lambda facts: facts.remote_matches is True,
        code="REMOTE_DIFFERS",
        message="the remote does not show the tag as it was made here",
        hint="kitty-flow machines show release",
    ),
    Guard(
        name="index_matches",
        predicate=lambda facts: facts.index_matches is True,
        code="INDEX_DIFFERS",
        message="a publish step is not shown to be done",
        hint="kitty-flow machines show release",
    ),
    Guard(
        name="release_proved",
        predicate=lambda facts: facts.release_proved is True,
        code="RELEASE_NOT_PROVED",
        message="the tag, or what was published, is not shown to be out",
        hint="kitty-flow machines show release",
    ),
    Guard(
        name="nothing_public",
        predicate=lambda facts: facts.public is False,
        code="ALREADY_PUBLIC",
        message="it is not shown that nothing is public yet; the way on is forward",
        hint="kitty-flow machines show release",
    ),
)

GUARDS: Final[Mapping[str, Guard]] = MappingProxyType({guard.name: guard for guard in _ALL})
"""Every guard that a machine definition may name."""
