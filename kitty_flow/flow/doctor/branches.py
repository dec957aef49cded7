"""Do the branches hold what the ledger calls approved and done? Asked of git, not of the log."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, ok, problem, warning
from kitty_flow.flow.doctor.ledgers import Ledgers
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import has_no_head
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["examine_branches"]

_JUDGED: Final = ("approved", "done")


def examine_branches(ledgers: Ledgers) -> Iterator[DoctorFinding]:
    """The mission branch, and for landed work the target, of every mission that can be read and was not given up."""
    for mission in ledgers.missions:
        view = mission.view()
        if mission.state(view) == "aborted":
            continue
        try:
            yield from _mission(mission, view)
        except KittyFlowError as error:
            yield broken("branch", mission.slug, error, f"git log {quote(_short(mission.branch))}")


def _mission(mission: OpenMission, view: LedgerView) -> Iterator[DoctorFinding]:
    entities = [mission.work_package(work_package_id, view) for work_package_id in mission.plan.merge_order]
    judged = [entity for entity in entities if entity.state in _JUDGED]
    if not judged:
        return
    refs = mission.project.repository.refs
    branch, target = refs.commit(mission.branch), refs.commit(mission.target_ref)
    found = []
    for entity in judged:
        subject = f"{mission.slug}/{entity.entity_id}"
        head = entity.facts.get("head_commit")
        if not isinstance(head, str):
            if not entity.forced:
                hint = f"kitty-flow wp show {entity.entity_id} --mission {mission.slug}"
                found.append(problem("branch", subject, f"{entity.state} without a head commit", hint))
        elif refs.commit(head) is None:
            message = f"its head {head[:12]} is not in this repository any more"
            hint = f"git fetch CLONE {head}, where CLONE is a clone that still has it"
            found.append(problem("branch", subject, message, hint))
        elif entity.state == "done":
            found += _landed(mission, subject, (head, entity.facts.get("target_commit")), target)
        else:
            found += _approved(mission, view, entity, subject, head, branch)
    forced = [entity.entity_id for entity in judged if entity.forced and has_no_head(entity)]
    if forced:
        message = f"no commit is known for {', '.join(forced)}, so nothing proves where that work is"
        found.append(warning("branch", mission.slug, message, f"kitty-flow verify {mission.slug}"))
    yield from found or [ok("branch", mission.slug, f"{len(judged)} finished work package(s) are where they belong")]


def _landed(
    mission: OpenMission, subject: str, commits: tuple[str, str | None], target: str | None
) -> Iterator[DoctorFinding]:
    """The head of a landed work package, or the commit that it landed as, belongs on the target, if there is one."""
    name, head, refs = _short(mission.target_ref), commits[0], mission.project.repository.refs
    if target is None:
        message = f"done, but its target branch {name} is gone"
        yield warning("branch", subject, message, f"git branch --all --contains {head}")
    elif not any(c and refs.commit(c) and mission.project.history.is_ancestor(c, target) for c in commits):
        message = f"done, but its head {head[:12]} is not on {name}"
        yield problem("branch", subject, message, f"kitty-flow verify {mission.slug}")


def _approved(
    mission: OpenMission, view: LedgerView, entity: EntityState, subject: str, head: str, branch: str | None
) -> Iterator[DoctorFinding]:
    """The head of an approved work package belongs on the mission branch, at the latest after the next run."""
    name = _short(mission.branch)
    if branch is None:
        yield warning("branch", subject, f"the mission branch {name} is gone", f"kitty-flow run {mission.slug}")
    elif mission.project.history.is_ancestor(head, branch):
        return
    elif entity.facts.get("integrated_head") != head:
        message = f"approved, but its head {head[:12]} is not on {name} yet"
        yield warning("branch", subject, message, f"kitty-flow run {mission.slug}")
    else:
        message = f"its head {head[:12]} was on {name}, and is not any more: the branch was moved"
        yield problem("branch", subject, message, _put_back(mission, view, branch))


def _put_back(mission: OpenMission, view: LedgerView, tip: str) -> str:
    """The command that moves the branch to where the ledger last saw it, after keeping what would be lost by that."""
    name = quote(_short(mission.branch))
    last = [str(e.evidence["integrated_commit"]) for e in mission.ledger.events() if "integrated_commit" in e.evidence][
        -1
    ]
    back = f"git branch --force {name} {last}"
    behind = mission.project.repository.refs.commit(last) and mission.project.history.is_ancestor(tip, last)
    return back if behind else f"git branch NEW-NAME {name} && {back}"


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/")
