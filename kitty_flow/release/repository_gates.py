"""The gates that look at the clone: its configuration, the ledger's past, unsaved work in worktrees.

Source: RELIABILITY H4 and H10, MERGE G2 and G10. An agent shares all of these with the release manager.
"""

from __future__ import annotations

from kitty_flow.flow.life import config_fact
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.retention import lane_worktrees
from kitty_flow.git.config_state import config_state, drift
from kitty_flow.git.merging import open_merger
from kitty_flow.ledger.sharing import fallback_name
from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.landing import Landing, contains

__all__ = ["config_gate", "config_unchanged", "ledger_descends", "worktrees_clean"]


def config_unchanged(landing: Landing) -> GateResult:
    """Nothing in the repository's own configuration that can run code or change a merge is other than at the start."""
    answer = config_gate(landing.mission, f"kitty-flow merge {landing.mission.slug}")
    return answer if answer.is_open else answer.model_copy(update={"message": answer.message + _conflicts_too(landing)})


def config_gate(mission: OpenMission, command: str) -> GateResult:
    """The answer of `config_unchanged` for a merge or a release; `command` is what is typed again.

    A clone that has lane worktrees but no note of its start has lost its identity, and cannot answer: else whoever
    takes that away takes the gate away.
    """
    entity = mission.view().entity("mission", mission.id)
    before = entity.facts.get(config_fact(mission)) if entity else None
    override = f"{command} --override config_unchanged --reason TEXT"
    look = "look: git config --show-origin --list --local"
    if not isinstance(before, dict):
        if any(True for _ in lane_worktrees(mission)):
            return closed_gate(
                "config_unchanged",
                "CONFIG_NOT_KNOWN",
                "work of the mission was done in this clone, and what its configuration was then is not on record",
                outcome="error",
                subject=str(mission.project.repository.common_dir),
                invariant="a configuration that nobody can vouch for runs nothing in a release",
                remediation=f"{look}; if all of it is yours: {override}",
            )
        return open_gate("config_unchanged", "nothing to compare: work on the mission did not begin in this clone")
    found = drift(before, config_state(mission.project.repository))
    if not found:
        return open_gate("config_unchanged", "the repository's configuration is what it was when the mission began")
    return closed_gate(
        "config_unchanged",
        "CONFIG_CHANGED",
        f"the repository's configuration changed since the mission began ({found.words})",
        subject=str(mission.project.repository.common_dir),
        invariant="nothing that came with the work runs in the release, or decides how it merges",
        remediation=f"{look}; undo it, or if it is yours: {override}",
    )


def _conflicts_too(landing: Landing) -> str:
    """The conflicts with the target, which are to be told whatever was planted; nothing configured is asked."""
    if not landing.target_commit or not landing.mission_head:
        return ""
    with open_merger(landing.mission.project.repository, keep_trees=False) as merger:
        merged = merger.merge_trees(landing.target_commit, landing.mission_head)
    if merged.is_clean:
        return ""
    return f"; it conflicts with {landing.mission.target_branch} besides, in: {', '.join(merged.conflicts[:10])}"


def ledger_descends(landing: Landing) -> GateResult:
    """The mission's ledger still contains what this clone saw of it last, and what it exchanged with its remotes.

    The first is kept in the index, the second in refs of our own; neither is in the ledger's ref.
    """
    mission = landing.mission
    view, repository = mission.view(), mission.project.repository
    if view.rewound_from is not None:
        return _rewound(landing, view.rewound_from, "this clone has seen", "kitty-flow doctor ledger --fix")
    names = tuple("/" + name.removeprefix("refs/") for name in (mission.ledger.ref, fallback_name(mission.ledger.ref)))
    seen = {ref: oid for ref, oid in repository.refs.under("refs/kitty/remotes").items() if ref.endswith(names)}
    for ref, oid in seen.items():
        if not contains(mission, view.tip, oid):
            remote = ref.split("/")[3]
            return _rewound(landing, oid, f"came from or went to the remote {remote}", f"kitty-flow sync {remote}")
    count = f" and {len(seen)} remote(s)" if seen else ""
    return open_gate("ledger_descends", f"the ledger contains everything that this clone{count} saw of it")


def _rewound(landing: Landing, commit: str, how: str, remedy: str) -> GateResult:
    ledger = landing.mission.ledger
    return closed_gate(
        "ledger_descends",
        "LEDGER_REWOUND",
        f"{ledger.ref} does not contain {commit[:12]}, which {how}: events may be missing",
        subject=ledger.ref,
        invariant="what was recorded stays recorded",
        remediation=f"{remedy}, then kitty-flow merge {landing.mission.slug}",
    )


def worktrees_clean(landing: Landing) -> GateResult:
    """No worktree of a lane whose work lands has changes that nobody committed and that would stay behind."""
    mission = landing.mission
    lanes = {mission.plan.placements[name].execution_lane for name in landing.heads}
    looked = 0
    for checkout in lane_worktrees(mission):
        if checkout.path.name.partition(".")[0] not in lanes:
            continue
        looked += 1
        dirty = checkout.changes()
        if dirty:
            shown = ", ".join(dirty[:5]) + (f" and {len(dirty) - 5} more" if len(dirty) > 5 else "")
            return closed_gate(
                "worktrees_clean",
                "WORKTREE_DIRTY",
                f"{checkout.path} has uncommitted changes that would not land: {shown}",
                subject=checkout.path.name,
                invariant="no work is left behind unseen",
                remediation=f"look: git -C {checkout.path} status; remove or move them, then kitty-flow merge "
                f"{mission.slug}, or land without them: --override worktrees_clean --reason TEXT",
            )
    if not looked:
        return open_gate("worktrees_clean", "nothing to check: no worktree of these lanes is here")
    return open_gate("worktrees_clean", f"{looked} worktree(s) of these lanes have no uncommitted changes")
