"""The guard right before the target moves: what lands is computed again from the target and the heads, and compared.

A landing that was built from a wrong base takes back what others did meanwhile, and its tests may well be green.
"""

from __future__ import annotations

from collections.abc import Mapping

from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.merging import open_merger
from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.landing import Landing, contains
from kitty_flow.release.stack import build_stack

__all__ = ["landing_fault", "landing_recomputed"]


def landing_fault(
    mission: OpenMission, before: str, mission_head: str, heads: Mapping[str, str], commit: str
) -> str | None:
    """Why `commit` is not the landing of the heads on `before`, in words; None when it is.

    It has to stand on `before`, have the tree of merging the mission branch (or, where only some of its heads land, of
    merging these), and change no path that none of the landed commits changed.
    """
    history = mission.project.history
    if not contains(mission, commit, before):
        return f"it does not contain the target's commit {before[:12]}"
    tree, changed = history.tree(commit), history.changed_paths(before, commit)
    if tree != _merged(mission, before, mission_head):
        stack = build_stack(mission, before, heads)
        wanted = stack.layers[-1].tree if stack.layers and stack.clash is None else history.tree(before)
        if tree != wanted or stack.clash is not None:
            differing = history.changed_paths(tree, wanted)
            return f"merging the approved heads again gives another tree, in {', '.join(differing[:5]) or 'conflict'}"
    foreign = sorted(set(changed) - history.paths_touched((*heads.values(), mission_head), before))
    return f"it changes {', '.join(foreign[:5])}, which no landed commit changes" if foreign else None


def _merged(mission: OpenMission, before: str, head: str) -> str | None:
    """The tree of merging `head` into `before`, made in a git directory of its own; None with conflicts."""
    if contains(mission, before, head):
        return mission.project.history.tree(before)
    with open_merger(mission.project.repository, keep_trees=False) as merger:
        merged = merger.merge_trees(before, head)
    return merged.tree if merged.is_clean else None


def landing_recomputed(landing: Landing) -> GateResult:
    """What would land is, computed once more, the merge of the approved heads into the target, and nothing else."""
    gate, before, head = "landing_recomputed", str(landing.target_commit), str(landing.mission_head)
    fault = landing_fault(landing.mission, before, head, landing.heads, landing.candidate_commit)
    if fault is None:
        return open_gate(gate, "computed again, the merge of the approved heads gives exactly this tree")
    return closed_gate(
        gate,
        "LANDING_DIFFERS",
        f"{landing.candidate_commit[:12]} is not what the approved heads give: {fault}",
        subject=landing.candidate_commit,
        invariant="what lands is the merge of the approved heads into the target",
        remediation=f"kitty-flow merge {landing.mission.slug} --abort, then kitty-flow merge {landing.mission.slug}",
    )
