"""The computed plan of a mission (shape: `docs/reference/json.md`, "plan")."""

from __future__ import annotations

from typing import Literal

from kitty_flow.model.base import Model

__all__ = ["ExecutionLane", "Makespan", "OwnershipConflict", "Placement", "Plan"]


class OwnershipConflict(Model):
    """Two otherwise unordered work packages whose owned files can overlap, and the order that was put between them."""

    work_packages: tuple[str, str]
    patterns: tuple[str, str]
    before: str
    after: str

    @property
    def ordered(self) -> str:
        """The added order in words: ``WP02 before WP03``."""
        return f"{self.before} before {self.after}"


class ExecutionLane(Model):
    """The chain of work packages that one worktree and branch carries. `lane-planning` holds planning artifacts."""

    id: str
    work_packages: tuple[str, ...]


class Placement(Model):
    """Where and when one work package runs: its wave (from 1), execution lane and slack (in units of the makespan)."""

    wave: int
    execution_lane: str
    slack: int


class Makespan(Model):
    """Predicted length of the whole mission for a number of agents, with the bound that no schedule can beat."""

    agents: int
    estimate: float
    lower_bound: float
    unit: Literal["work packages", "seconds"] = "work packages"


class Plan(Model):
    """Everything the graph says about a mission. All orders are deterministic.

    `edges` are (prerequisite, dependent) pairs as declared; `conflicts` carry the added ones.
    """

    waves: tuple[tuple[str, ...], ...]
    edges: tuple[tuple[str, str], ...]
    conflicts: tuple[OwnershipConflict, ...]
    execution_lanes: tuple[ExecutionLane, ...]
    critical_path: tuple[str, ...]
    merge_order: tuple[str, ...]
    makespan: Makespan
    placements: dict[str, Placement]

    def prerequisites(self, work_package_id: str) -> tuple[str, ...]:
        """All work packages that must be approved first: declared dependencies, then conflict predecessors."""
        declared = [a for a, b in self.edges if b == work_package_id]
        added = [c.before for c in self.conflicts if c.after == work_package_id]
        return tuple(dict.fromkeys(declared + added))

    def execution_lane(self, lane_id: str) -> ExecutionLane:
        """The execution lane with that id.

        Raises:
            KeyError: there is none.
        """
        for lane in self.execution_lanes:
            if lane.id == lane_id:
                return lane
        raise KeyError(lane_id)
