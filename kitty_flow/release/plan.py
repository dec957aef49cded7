"""The merge before it happens: the real code up to the commit point, and nothing is recorded or moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kitty_flow.flow.life import refuse_without_work_packages
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.radar import Collision, look_around
from kitty_flow.machines import GateCommand, step_order
from kitty_flow.model.gate import GateResult
from kitty_flow.release.candidate import build_candidate
from kitty_flow.release.gates import GATES, ask_gate
from kitty_flow.release.landing import Landing, MergeOptions, heads
from kitty_flow.release.override import marked
from kitty_flow.release.pipeline import project_pipeline
from kitty_flow.release.recorded import open_landing
from kitty_flow.release.stack import Layer, build_stack
from kitty_flow.release.test_outlook import ToTest, test_outlook

__all__ = ["Later", "MergePlan", "plan_merge"]

_TELLS_ONLY_LATER: Final = ("landing_proved", "landing_recomputed", "mission_unmoved", "target_unmoved", "tests_pass")
"""Gates about what happens in the course of a merge."""

_RUNS_NOTHING: Final = ("merge_clean", "no_secrets")
"""Gates that can be asked of a repository whose configuration is not to be trusted: they look at objects only."""


class Later(NamedTuple):
    """A gate that is asked in the course of a merge: before which step, and what it makes sure of."""

    gate: str
    step: str
    description: str


@dataclass(frozen=True)
class MergePlan:
    """What a merge would do now: the commit that would land, and what every gate says.

    `heads` are the commits of the approved work packages in merge order; `collisions` the heads that do not merge with
    each other or with the target; `layers`
    are the same work packages one on top of the other, and `later` the gates that are asked only while the merge
    happens.
    """

    target_ref: str
    before: str | None
    mission_head: str | None
    strategy: str
    heads: dict[str, str]
    layers: tuple[Layer, ...]
    candidate_commit: str
    candidate_tree: str
    changed_paths: tuple[str, ...]
    conflicts: tuple[str, ...]
    collisions: tuple[Collision, ...]
    gates: tuple[GateResult, ...]
    later: tuple[Later, ...]
    test_command: tuple[str, ...] | None
    remarks: tuple[str, ...]
    tests: tuple[ToTest, ...] = ()

    @property
    def closed(self) -> tuple[GateResult, ...]:
        """The gates that would stop the merge."""
        return tuple(gate for gate in self.gates if not gate.is_open)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self.__dict__,
            "collisions": [collision.as_data() for collision in self.collisions],
            "layers": [layer._asdict() for layer in self.layers],
            "later": [later._asdict() for later in self.later],
            "gates": [gate.model_dump(exclude_defaults=True) for gate in self.gates],
            "tests": [each.as_data() for each in self.tests],
            "would_land": not self.closed,
        }


def plan_merge(mission: OpenMission, options: MergeOptions) -> MergePlan:
    """Ask every gate that can answer now and build the candidate; a merge lands this very commit if nothing moves.

    The candidate's objects are written, as a merge would write them; no ref, no file and no ledger changes.

    Raises:
        RefusedError: NO_WORK_PACKAGES.
    """
    refuse_without_work_packages(mission)
    refs = mission.project.repository.refs
    target, head = refs.commit(mission.target_ref), refs.commit(mission.branch)
    landing = Landing(mission, options, "", None, target, head, heads(mission, mission.view(), "approved"))
    begun = open_landing(mission, options)
    landing.strategy = options.strategy or (begun.strategy if begun else options.default_strategy)
    pipeline = project_pipeline(mission.project.root, "merge")
    gates: list[GateResult] = []
    later: dict[str, Later] = {}
    is_untrusted = False
    for step in step_order(pipeline):
        if step == "test" and target and head:
            build_candidate(landing)
        for name in pipeline.gates_before(step):
            waits = is_untrusted and name not in _RUNS_NOTHING
            if name in _TELLS_ONLY_LATER or name in pipeline.commands or waits:
                later.setdefault(name, Later(name, step, _description(name, pipeline.commands)))
            elif name not in {gate.gate for gate in gates}:
                gates += marked([ask_gate(name, landing)], options)
                is_untrusted = is_untrusted or (name == "config_unchanged" and not gates[-1].is_open)
    history = mission.project.history
    changed = history.changed_paths(str(target), landing.candidate_commit) if landing.candidate_commit else ()
    layers = build_stack(mission, target, landing.heads).layers if target and _are_here(mission, landing) else ()
    return MergePlan(
        mission.target_ref,
        target,
        head,
        landing.strategy,
        dict(landing.heads),
        layers,
        landing.candidate_commit,
        landing.candidate_tree,
        changed,
        landing.conflicts,
        look_around(mission),
        tuple(gates),
        tuple(later.values()),
        options.test_command,
        tuple(landing.remarks),
        test_outlook(landing),
    )


def _are_here(mission: OpenMission, landing: Landing) -> bool:
    return all(mission.project.repository.refs.commit(head) for head in landing.heads.values())


def _description(name: str, commands: Mapping[str, GateCommand]) -> str:
    """What a gate makes sure of: its own sentence, or what the project says about its command."""
    if name in commands:
        return commands[name].description
    return (GATES[name].__doc__ or "").partition("\n")[0]
