"""The gates that look at the mission: is it accepted, is all of it integrated, is it still what was tested."""

from __future__ import annotations

from kitty_flow.flow.readiness import has_no_head, is_noted_integrated, unfinished
from kitty_flow.model.gate import GateResult
from kitty_flow.release.eject import ejected
from kitty_flow.release.gate_answers import closed_gate, moved, open_gate
from kitty_flow.release.landing import Landing, contained, contains, heads

__all__ = ["approved_heads_integrated", "mission_accepted", "mission_unmoved"]


def mission_accepted(landing: Landing) -> GateResult:
    """Nothing of the mission is left to be done, and nobody has paused or given it up."""
    mission = landing.mission
    view = mission.view()
    state, sent_back = mission.state(view), ejected(mission, view)
    left = unfinished(mission, view)
    is_rest = bool(left) and set(left) <= set(sent_back) and bool(heads(mission, view, "approved"))
    if is_rest and state in ("accepted", "running"):
        words = f"everything is approved but {', '.join(sent_back)}, which a merge sent back to work"
        return open_gate("mission_accepted", words)
    if not left and state in ("accepted", "running"):  # a running one is accepted by the merge itself
        return open_gate("mission_accepted", "every work package is approved, or canceled with a reason")
    what = f"not finished: {', '.join(left)}" if left else f"the mission is {state}"
    return closed_gate(
        "mission_accepted",
        "MISSION_NOT_ACCEPTED",
        f"{mission.slug} cannot be merged: {what}",
        subject=mission.slug,
        invariant="only approved work lands",
        remediation=f"kitty-flow run {mission.slug}" if left else f"kitty-flow status {mission.slug}",
    )


def approved_heads_integrated(landing: Landing) -> GateResult:
    """The commit that lands contains every approved head, and whatever landed earlier is not lost; asked of git."""
    mission = landing.mission
    view = mission.view()
    approved = heads(mission, view, "approved")
    integrated = contained(mission, landing.mission_head, approved.values())
    missing = [i for i, head in approved.items() if head not in integrated]
    lost = [
        i
        for i, head in heads(mission, view, "done").items()
        if not has_no_head(mission.work_package(i, view))  # done elsewhere: there is nothing here to be lost
        and not contains(mission, landing.mission_head, head)
        and not contains(mission, landing.target_commit, head)
    ]
    if not missing and not lost:
        return open_gate("approved_heads_integrated", "the mission branch contains every approved commit")
    entities = [mission.work_package(i, view) for i in (*missing, *lost)]
    taken_away = [e for e in entities if is_noted_integrated(e)]
    remedy = f"kitty-flow run {mission.slug}"
    if taken_away and landing.mission_head:
        # The ledger saw them on the branch, so a run has nothing to do: somebody moved the branch back.
        commits = " ".join(str(e.facts["head_commit"]) for e in taken_away)
        branch = mission.branch.removeprefix("refs/heads/")
        remedy = f"git switch {branch} && git merge {commits}, switch back, then kitty-flow merge {mission.slug}"
    names = ", ".join(e.entity_id for e in entities)
    return closed_gate(
        "approved_heads_integrated",
        "WORK_NOT_INTEGRATED",
        f"{mission.branch} does not contain the approved work of {names}",
        subject=mission.branch,
        invariant="all approved work lands",
        remediation=remedy,
    )


def mission_unmoved(landing: Landing) -> GateResult:
    """The mission branch and the approvals are those that the candidate was built from."""
    mission = landing.mission
    now = mission.project.repository.refs.commit(mission.branch)
    approved = heads(mission, mission.view(), "approved")
    if now == landing.mission_head and approved == landing.heads:
        return open_gate("mission_unmoved", "the mission is what it was when the candidate was built")
    if now != landing.mission_head:
        what = moved(mission.branch, landing.mission_head, now)
    else:
        changed = sorted({i for i, _ in set(approved.items()) ^ set(landing.heads.items())})
        what = f"the approval of {', '.join(changed)} changed meanwhile"
    return closed_gate(
        "mission_unmoved",
        "MISSION_MOVED",
        what,
        subject=mission.branch,
        invariant="the work that lands is the work that was tested",
        remediation=f"kitty-flow merge {mission.slug}",
    )
