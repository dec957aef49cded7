"""The gates that look at the reviews: the verdict that counts, the commit it is about, and who gave it.

Source: seed 004, merge-ship-preflight: approved or done work whose latest verdict is a rejection must not be released.
"""

from __future__ import annotations

from collections.abc import Callable

from kitty_flow.flow.readiness import has_no_head
from kitty_flow.graph.ownership import owns
from kitty_flow.ledger.view import EntityState
from kitty_flow.model.gate import GateResult
from kitty_flow.model.text import is_same_actor
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.landing import Landing

__all__ = ["approved_heads_reviewed", "owned_files_respected", "reviewers_are_not_implementers", "verdicts_consistent"]


def verdicts_consistent(landing: Landing) -> GateResult:
    """No work package is called approved or done while the latest verdict on it asks for changes."""
    rejected = _those(landing, lambda entity: entity.facts.get("verdict") == "changes_requested")
    if not rejected:
        return open_gate("verdicts_consistent", "no approved work package has a rejection as its latest verdict")
    what = ", ".join(f"{e.entity_id} is {e.state}" for e in rejected)
    return _closed(
        landing,
        rejected[0],
        "verdicts_consistent",
        "REVIEW_ARTIFACT_INCONSISTENT",
        f"{what}, but its latest verdict asks for changes",
        "the state of a work package agrees with its latest review",
    )


def approved_heads_reviewed(landing: Landing) -> GateResult:
    """The commit that lands is the commit that a reviewer approved."""
    unseen = _those(
        landing,
        lambda entity: (
            entity.facts.get("verdict") != "changes_requested"
            and (
                entity.facts.get("verdict") != "approved"
                or entity.facts.get("reviewed_commit") != entity.facts.get("head_commit")
            )
        ),
    )
    if not unseen:
        return open_gate("approved_heads_reviewed", "every approved commit is the one that was reviewed")
    names = ", ".join(e.entity_id for e in unseen)
    return _closed(
        landing,
        unseen[0],
        "approved_heads_reviewed",
        "HEAD_NOT_REVIEWED",
        f"no verdict approves the commits of {names} that would land",
        "only reviewed commits land",
    )


def reviewers_are_not_implementers(landing: Landing) -> GateResult:
    """Nobody approved their own work, unless the project's policy lets them, and let them then."""
    own = _those(
        landing,
        lambda entity: is_same_actor(str(entity.facts.get("implementer")), str(entity.facts.get("reviewer"))),
    )
    is_allowed = bool(own) and landing.mission.project.allows_self_review
    alone = [entity for entity in own if not (is_allowed and entity.facts.get("self_review"))]
    if not alone:
        told = "nobody approved their own work"
        if own:
            told = f"the policy allow_self_review lets {', '.join(e.entity_id for e in own)} be approved by who made it"
        return open_gate("reviewers_are_not_implementers", told)
    names = ", ".join(f"{e.entity_id} by {e.facts.get('reviewer')}" for e in alone)
    return _closed(
        landing,
        alone[0],
        "reviewers_are_not_implementers",
        "SELF_REVIEW",
        f"approved by its own implementer: {names}",
        "a reviewer is somebody else than the implementer",
    )


def owned_files_respected(landing: Landing) -> GateResult:
    """The commits that were handed in change owned files only; asked of git, not of the log."""
    mission = landing.mission
    outside: dict[str, list[str]] = {}
    for entity in _those(landing, lambda entity: True):
        patterns = mission.definition.work_package(entity.entity_id).owned_files
        base, head = entity.facts.get("base_commit"), entity.facts.get("head_commit")
        if patterns and base and head:
            changed = mission.project.history.changed_paths(str(base), str(head))
            outside[entity.entity_id] = [path for path in changed if not owns(patterns, path)]
    found = {name: paths for name, paths in outside.items() if paths}
    if not found:
        return open_gate("owned_files_respected", "every work package changed its owned files only")
    what = "; ".join(f"{name}: {', '.join(paths[:5])}" for name, paths in found.items())
    return _closed(
        landing,
        mission.work_package(next(iter(found))),
        "owned_files_respected",
        "OWNERSHIP_VIOLATED",
        f"files outside the owned files were changed: {what}",
        "a work package changes the files that it owns",
    )


def _those(landing: Landing, wanted: Callable[[EntityState], bool]) -> list[EntityState]:
    """Approved and done work packages with a head, in merge order, for which `wanted` holds."""
    mission = landing.mission
    view = mission.view()
    entities = (mission.work_package(i, view) for i in mission.plan.merge_order)
    return [e for e in entities if e.state in ("approved", "done") and not has_no_head(e) and wanted(e)]


def _closed(landing: Landing, entity: EntityState, gate: str, code: str, message: str, invariant: str) -> GateResult:
    """The answer of a gate that a work package closes; what helps depends on whether it has landed."""
    name, slug = entity.entity_id, landing.mission.slug
    remedy = f"kitty-flow wp reopen {name} --reason TEXT -m {slug}, to have it done and reviewed again"
    if entity.state == "done":
        remedy = f"kitty-flow verify {slug}; what has landed is taken back by a revert on the target"
    return closed_gate(gate, code, message, subject=name, invariant=invariant, remediation=remedy)
