"""Pushing a proved landing: the target and the mission's ledger together or not at all, and looked at afterwards.

A step of its own, which landing never implies. It can be repeated: a push that was killed asks the remote what it has,
and what is there already is not sent again. No hook of the repository runs, the user's ``pre-push`` included: whoever
works in a lane can write one (docs/adr/0023-push.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kitty_flow.errors import ConflictError, ExternalToolError, RefusedError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.sync.exchange import alone
from kitty_flow.flow.sync.peer import Peer, open_peer
from kitty_flow.git.refs import ABSENT
from kitty_flow.git.remote import Pushed, Update
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.release.gates import check_gates
from kitty_flow.release.landing import Landing, contains
from kitty_flow.release.remote_gate import upstream_of

__all__ = ["PushReport", "push_landing"]

_GATES: Final = ("config_unchanged", "ledger_descends")


@dataclass(frozen=True)
class PushReport:
    """What the remote has of a landing. `before` is its commit of the target until then, None without one.

    `ledger_commit` is the commit of the ledger that went along, None where the remote takes no such refs.
    """

    remote: str
    ref: str
    before: str | None
    commit: str
    ledger_commit: str | None
    was_there: bool
    remarks: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


def push_landing(mission: OpenMission, landing: Landing) -> PushReport:
    """Push the landed commit to the branch that the target follows, with the ledger, and record that it is there.

    Raises:
        UsageError: REMOTE_NEEDED or REMOTE_UNKNOWN.
        RefusedError: NOTHING_LANDED; LANDING_NOT_PROVED, the target here does not contain it any more; CONFIG_CHANGED
            or LEDGER_REWOUND; TARGET_BRANCH_NOT_SYNCHRONIZED, the remote has commits that the landing lacks.
        ConflictError: REMOTE_MOVED, somebody pushed meanwhile; nothing was pushed. LOCK_TIMEOUT.
        ExternalToolError: REMOTE_UNREACHABLE, REMOTE_REFUSES, or PUSH_NOT_CONFIRMED.
    """
    _refuse_unproved(mission, landing)
    check_gates(landing, _GATES)  # a push runs what the configuration names: transports, credential helpers
    name, ref = upstream_of(mission) or (None, mission.target_ref)
    peer = open_peer(mission.project, name)
    try:
        with alone(mission.project, peer):
            report = _push(mission, landing, peer, ref)
    except ExternalToolError as error:
        error.details.setdefault("landed_commit", landing.candidate_commit)
        if error.code == "REMOTE_UNREACHABLE":
            error.hint = f"the landing stays; when the remote answers: {_again(mission)}"
        raise
    _record(mission, landing, report)
    return report


def _again(mission: OpenMission) -> str:
    return f"kitty-flow merge {mission.slug} --push"


def _refuse_unproved(mission: OpenMission, landing: Landing) -> None:
    if landing.state != "proved":
        raise RefusedError(
            "NOTHING_LANDED",
            f"no landing of {mission.slug} is proved, so there is nothing to push",
            hint=f"kitty-flow merge {mission.slug}",
        )
    if not landing.is_on_target():
        raise RefusedError(
            "LANDING_NOT_PROVED",
            f"{mission.target_ref} does not contain the landed commit {landing.candidate_commit[:12]} any more",
            hint=f"kitty-flow verify {mission.slug}",
        )


def _push(mission: OpenMission, landing: Landing, peer: Peer, ref: str) -> PushReport:
    commit = landing.candidate_commit
    remote = peer.remote
    before = remote.fetch([ref])[ref] if ref in remote.refs(ref) else None
    if contains(mission, before, commit):
        return PushReport(peer.shown, ref, before, commit, None, True, ())
    if before is not None and not contains(mission, commit, before):
        raise RefusedError(
            "TARGET_BRANCH_NOT_SYNCHRONIZED",
            f"{peer.shown} has commits on {ref.removeprefix('refs/heads/')} that the landing does not contain "
            f"(it is at {before[:12]}); nothing was pushed",
            hint=f"git pull (or merge {ref.removeprefix('refs/heads/')} of {peer.shown} yourself), then git push; "
            f"or kitty-flow merge {mission.slug} --pull-request before landing",
            details={
                "remote": peer.shown,
                "ref": ref,
                "remote_commit": before,
                "violated_invariant": "a push only adds",
            },
        )
    ledger, remarks = _ledger_update(mission, peer), list(_not_run(mission))
    target = Update(ref, commit, before or ABSENT)
    found = _sent(mission, peer, [target, *ledger])
    if found[0].outcome == "refused" and ledger:
        # A host with rules about names declines both when it declines one: the target alone may pass.
        remarks.append(f"{peer.shown} did not take the mission's ledger along: {found[-1].words or found[0].words}")
        ledger = []
        found = _sent(mission, peer, [target])
    if found[0].outcome == "refused":
        raise ExternalToolError(
            "REMOTE_REFUSES",
            f"{peer.shown} does not take {ref}: {found[0].words}",
            hint=f"kitty-flow merge {mission.slug} --pull-request, or change the rule there, then {_again(mission)}",
            details={"remote": peer.shown, "ref": ref},
        )
    _confirm(mission, peer, [target, *ledger])
    return PushReport(peer.shown, ref, before, commit, ledger[0].new if ledger else None, False, tuple(remarks))


def _ledger_update(mission: OpenMission, peer: Peer) -> list[Update]:
    """The ledger, united with what the remote has of it, so that its push only adds."""
    ledger = mission.ledger
    peer.ask([ledger.ref])
    theirs = peer.tips.get(ledger.ref)
    _, view = ledger.receive(theirs)
    if view.tip is None or view.tip == theirs:
        return []
    return [Update(peer.names.get(ledger.ref, ledger.ref), view.tip, theirs or ABSENT)]


def _sent(mission: OpenMission, peer: Peer, updates: list[Update]) -> tuple[Pushed, ...]:
    found = peer.remote.push(updates, atomic=True)
    stale = [pushed.update.ref for pushed in found if pushed.outcome == "stale"]
    if stale:
        raise ConflictError(
            "REMOTE_MOVED",
            f"somebody pushed {', '.join(stale)} to {peer.shown} meanwhile; nothing was pushed",
            hint=_again(mission),
            details={"remote": peer.shown, "refs": stale},
        )
    return found


def _confirm(mission: OpenMission, peer: Peer, updates: list[Update]) -> None:
    """What git said is not taken for granted: the remote is asked what it has."""
    other = peer.remote.unconfirmed({update.ref: update.new for update in updates})
    if other:
        raise ExternalToolError(
            "PUSH_NOT_CONFIRMED",
            f"{peer.shown} took the push and shows another value of {', '.join(sorted(other))} now",
            hint=_again(mission),
            details={"remote": peer.shown, "refs": other},
        )


def _not_run(mission: OpenMission) -> tuple[str, ...]:
    hook = mission.project.repository.common_dir / "hooks" / "pre-push"
    return ("the pre-push hook of this repository was not run; git push runs it",) if hook.exists() else ()


def _record(mission: OpenMission, landing: Landing, report: PushReport) -> None:
    """Record that the remote has the landing: once for each remote and ref, also when another command pushed it."""
    evidence = {
        "pushed_to": report.remote,
        "pushed_ref": report.ref,
        "pushed_commit": report.commit,
        "remote_commit_before": report.before,
        "pushed_ledger_commit": report.ledger_commit,
    }

    def build(view: LedgerView) -> Batch:
        entity = view.entity("merge", landing.id)
        names = ("pushed_to", "pushed_ref", "pushed_commit")
        if entity is not None and all(entity.facts.get(name) == evidence[name] for name in names):
            return Batch(())
        builder = BatchBuilder(view, actor=current_user(), correlation_id=landing.id)
        builder.annotate("merge", landing.id, "push", evidence=evidence)
        return builder.build()

    mission.ledger.record(build)
