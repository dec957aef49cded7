"""Planning artifacts are made in the main checkout on the target branch, when that is safe; or taken back.

The checkout is the user's. It is used only while nothing of theirs is in the way; no branch is ever switched there, and
nothing is forced. Commits of an attempt that came to nothing are kept under a salvage ref before the target goes back.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.base import contains_prerequisites
from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.refs import RefMovedError
from kitty_flow.git.worktree_head import read_head
from kitty_flow.git.worktrees import Checkout
from kitty_flow.graph.ownership import owns
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.text import clean

__all__ = ["CheckoutPlace", "find_place", "free", "main_checkout", "reserve", "take_back", "wants_checkout"]

_LOCK_S: Final = 10.0
_PATH_LENGTH: Final = 200


@dataclass(frozen=True)
class CheckoutPlace:
    """Whether an attempt may work in the main checkout: the base and the start there, or what is in the way."""

    base: str = ""
    start: str = ""
    hindrance: str | None = None


def wants_checkout(mission: OpenMission, work_package_id: str) -> bool:
    """Whether this is planning work, and the settings have it done in the main checkout."""
    if mission.definition.work_package(work_package_id).execution_mode != "planning_artifact":
        return False
    return mission.project.settings.workspace.planning_lane == "checkout"


def main_checkout(mission: OpenMission) -> Checkout | None:
    """The main checkout as it is now; None in a bare repository, or before its first commit."""
    repository = mission.project.repository
    if repository.is_bare:
        return None
    position = read_head(repository.common_dir, repository.refs)
    if position is not None:
        return Checkout(repository.root, position.head, position.branch) if position.head else None
    status = Checkout(repository.root, None, None).status()
    return Checkout(repository.root, status.head, status.branch) if status.head else None


def find_place(mission: OpenMission, work_package_id: str, view: LedgerView) -> CheckoutPlace:
    """Whether the next attempt may work in the main checkout. Changes nothing."""
    checkout, target = main_checkout(mission), mission.target_branch
    if checkout is None or checkout.branch != mission.target_ref or checkout.head is None:
        return CheckoutPlace(hindrance=f"the main checkout is not on {target}")
    operation = checkout.operation_in_progress()
    if operation is not None:
        return CheckoutPlace(hindrance=f"a {operation} is in progress in the main checkout")
    changes = checkout.changes()
    if changes:
        first = clean(changes[0])[:_PATH_LENGTH]
        hindrance = f"the main checkout has {len(changes)} uncommitted or untracked path(s), such as {first}"
        return CheckoutPlace(hindrance=hindrance)
    tip, history = checkout.head, mission.project.history
    if not contains_prerequisites(mission, work_package_id, tip, view):
        return CheckoutPlace(hindrance=f"{target} does not contain the work of all prerequisites")
    facts = mission.work_package(work_package_id, view).facts
    left = _left_over(mission, work_package_id, str(facts.get("start_commit", "")), tip)
    if left is not None:
        return CheckoutPlace(hindrance=f"{target} still has commits of an earlier attempt, up to {left[:12]}")
    earlier, base = facts.get("continue_at"), facts.get("base_commit")
    if earlier and not history.is_ancestor(str(earlier), tip):
        return CheckoutPlace(hindrance=f"{target} does not contain the attempt that is to be continued")
    user = _user(mission, work_package_id, view)
    if user is not None:
        return CheckoutPlace(hindrance=f"{user} works in the main checkout")
    return CheckoutPlace(str(base) if earlier == tip and base else tip, tip)


def reserve(mission: OpenMission, entity: EntityState, view: LedgerView) -> CheckoutPlace:
    """As `find_place`, and with the main checkout reserved for the claim on `entity`, among all missions."""
    with _reserving(mission):
        place = find_place(mission, entity.entity_id, view)
        if place.hindrance is None:
            claim = {"mission_id": mission.id, "slug": mission.slug, "work_package_id": entity.entity_id}
            claim["claim_id"] = str(entity.facts.get("claim_id"))
            temporary = _reservation(mission).with_suffix(".new")
            temporary.write_text(json.dumps(claim), encoding="utf-8")
            temporary.replace(_reservation(mission))
    return place


def free(mission: OpenMission, claim_id: str | None) -> None:
    """Take the reservation of a claim back once it is over: without one the guard's hook has nothing to look at."""
    if _reserved(mission)[2:3] != (str(claim_id),):
        return
    with _reserving(mission):
        if _reserved(mission)[2:3] == (str(claim_id),):  # else somebody else has it by now
            _reservation(mission).unlink(missing_ok=True)


def _reserving(mission: OpenMission) -> AbstractContextManager[None]:
    lock = mission.project.repository.state_dir / "locks" / "planning-checkout.lock"
    return exclusive(lock, timeout_s=_LOCK_S, what="the reservation of the main checkout")


def _reserved(mission: OpenMission) -> tuple[str, ...]:
    """Mission, work package, claim and slug of the reservation; nothing when there is none that can be read."""
    try:
        claim = json.loads(_reservation(mission).read_text(encoding="utf-8"))
        return tuple(str(claim[key]) for key in ("mission_id", "work_package_id", "claim_id", "slug"))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _reservation(mission: OpenMission) -> Any:
    return mission.project.repository.state_dir / "planning-checkout.json"


def _left_over(mission: OpenMission, work_package_id: str, begun: str, tip: str) -> str | None:
    """The last commit of an earlier attempt that could not be taken back from the target and still is on it.

    To go on from there would take it for part of the base, which nobody reviews.
    """
    history, refs = mission.project.history, mission.project.repository.refs
    for kept in refs.under(f"refs/kitty/salvage/{mission.id}/{work_package_id}/").values():
        common = history.common_ancestor(kept, tip)
        if begun and common and common != begun and history.is_ancestor(begun, common):
            return common
    return None


def _user(mission: OpenMission, work_package_id: str, view: LedgerView) -> str | None:
    """Which other work package has reserved the main checkout and still holds the claim that it did so for."""
    reserved = _reserved(mission)
    if not reserved:
        return None
    mission_id, name, claim_id, slug = reserved
    if (mission_id, name) == (mission.id, work_package_id):
        return None
    try:
        if mission_id != mission.id:
            with Ledger(mission.project.repository, mission_id, slug) as ledger:
                view = ledger.view()
    except KittyFlowError:
        return f"{name} of {slug}, whose ledger cannot be read,"
    entity = view.entity("work_package", name)
    is_held = entity is not None and entity.state in ("claimed", "in_progress")
    return f"{name} of {slug}" if is_held and entity and entity.facts.get("claim_id") == claim_id else None


def take_back(mission: OpenMission, entity: EntityState) -> None:
    """Put the target back to where the attempt began, if only the attempt moved it and nothing of the user's is in the
    way. Its commits must be kept under a salvage ref already.

    Raises:
        GitFailedError, ExternalToolError: the files cannot follow.
    """
    checkout, begun = main_checkout(mission), str(entity.facts.get("start_commit", ""))
    refs = mission.project.repository.refs
    tip = refs.commit(mission.target_ref)
    if tip is None or tip == begun or not mission.project.history.is_ancestor(begun, tip):
        return
    if checkout is None or (checkout.branch, checkout.head) != (mission.target_ref, tip):
        return
    if checkout.operation_in_progress() or not _is_the_attempts(mission, entity, begun, tip):
        return
    if not checkout.can_move(tip, begun):
        return
    try:
        refs.swap(mission.target_ref, begun, tip)
    except RefMovedError:
        return
    # The files follow; edits that are not committed stay. Killed here, the checkout shows the attempt as staged.
    checkout.move(tip, begun)


def _is_the_attempts(mission: OpenMission, entity: EntityState, begun: str, tip: str) -> bool:
    """Whether nobody but the attempt can have made the commits: no merges, nothing that was pushed or branched off, and
    all of them only in files that the work package owns."""
    git = mission.project.repository.git
    elsewhere = git.text("for-each-ref", "--format=%(refname)", f"--contains={tip}").splitlines()
    ours = ("refs/kitty/", "refs/heads/kitty/")
    if any(ref != mission.target_ref and not ref.startswith(ours) for ref in elsewhere):
        return False
    defined = mission.definition.by_id.get(entity.entity_id)
    owned = defined.owned_files if defined is not None else ()
    for line in git.text("rev-list", "--parents", f"{begun}..{tip}").splitlines():
        commit, *parents = line.split()
        if len(parents) != 1:
            return False
        changed = mission.project.history.changed_paths(parents[0], commit)
        if owned and not all(owns(owned, path) for path in changed):
            return False
    return True
