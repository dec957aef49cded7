"""The commits that ledgers speak of: shared between clones, and brought into the mission branch where they belong."""

from __future__ import annotations

from collections.abc import Iterator

from kitty_flow.flow.mission import branch_stem
from kitty_flow.flow.project import Project
from kitty_flow.flow.sync.peer import Peer
from kitty_flow.git.merging import open_merger
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.ledger.exchange import relation, write_union
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.sharing import KEPT, MISSIONS, is_log, work_ref
from kitty_flow.ledger.view import LedgerView

__all__ = ["catch_up", "share_work", "take_work"]


def take_work(project: Project, peer: Peer) -> int:
    """Keep the commits that other clones shared; returns how many were new here."""
    own = _kept(project)
    new = {ref: tip for ref, tip in peer.tips.items() if not is_log(ref) and ref not in own}
    for ref, tip in new.items():
        try:
            project.repository.refs.swap(ref, tip, ABSENT)
        except RefMovedError:  # another command of this clone made it: the name says which commit it is
            continue
    return len(new)


def share_work(project: Project, peer: Peer) -> int:
    """Send the heads that ledgers name and unsaved work that was kept; returns how many the remote did not have."""
    refs = project.repository.refs
    missing = {ref: tip for ref, tip in _kept(project).items() if peer.tips.get(ref) != tip}
    for ref in refs.under(MISSIONS.rstrip("/")):
        mission_id = ref.rpartition("/")[2]
        with Ledger(project.repository, mission_id, "") as ledger:
            named = {work_ref(mission_id, commit): commit for commit in _named_commits(ledger.view())}
        # Asking for a commit is a git process: only for those that the remote does not have.
        missing |= {ref: tip for ref, tip in named.items() if peer.tips.get(ref) != tip and refs.commit(tip)}
    if missing:
        peer.send(missing)
    return sum(peer.sent.get(ref) == tip for ref, tip in missing.items())


def catch_up(project: Project, ledger: Ledger) -> list[str]:
    """Bring the mission branch of this clone forward to what other clones integrated, or make it; returns remarks.

    Where both sides went on, all clones make the same merge.
    """
    view = ledger.view()
    mission = view.entity("mission", ledger.mission_id)
    refs, history = project.repository.refs, project.history
    if mission is None:
        return []
    branch = f"refs/heads/{branch_stem(ledger.mission_id, mission.last_event.mission_slug)}"
    tip = refs.commit(branch)
    for commit in _integrated(view):
        if refs.commit(commit) is None or (tip is not None and history.is_ancestor(commit, tip)):
            continue
        if project.worktrees.on_branch(branch):
            return [f"{branch} is checked out here and stays as it is; kitty-flow run brings it forward later"]
        behind = tip is None or relation(history, tip, commit) == "behind"
        new = commit if behind else _merged(project, str(tip), commit)
        if new is None:
            return [f"{branch} does not merge with {commit[:12]}, which another clone integrated; both stay"]
        refs.swap(branch, new, tip or ABSENT)
        tip = new
    return []


def _merged(project: Project, one: str, other: str) -> str | None:
    tips = (min(one, other), max(one, other))
    with open_merger(project.repository) as merger:
        merged = merger.merge_trees(*tips)
    if not merged.is_clean:
        return None
    with project.repository.objects() as objects:
        return write_union(objects, merged.tree, tips, ())


def _named_commits(view: LedgerView) -> Iterator[str]:
    """The submitted heads, and where they were integrated."""
    for entity in view.of_type("work_package").values():
        for name in ("head_commit", "integrated_commit"):
            commit = entity.facts.get(name)
            if isinstance(commit, str) and commit:
                yield commit


def _integrated(view: LedgerView) -> list[str]:
    """The commits of the mission branch that work packages were integrated with, in the ledger's order."""
    found = [e for e in view.of_type("work_package").values() if isinstance(e.facts.get("integrated_commit"), str)]
    return [str(e.facts["integrated_commit"]) for e in sorted(found, key=lambda e: e.last_event.lamport)]


def _kept(project: Project) -> dict[str, str]:
    return {ref: oid for name in KEPT for ref, oid in project.repository.refs.under(name.rstrip("/")).items()}
