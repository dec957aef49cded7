"""The computed plan of a mission (shape: `docs/reference/json.md`, "plan"). No pydantic, as in `mission.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

__all__ = ["ExecutionLane", "Makespan", "OwnershipConflict", "Placement", "Plan"]


class OwnershipConflict(NamedTuple):
    """Two otherwise unordered work packages whose owned files can overlap, and the order that was put between them."""

    work_packages: tuple[str, str]
    patterns: tuple[str, str]
    before: str
    after: str

    @property
    def ordered(self) -> str:
        """The added order in words: ``WP02 before WP03``."""
        return f"{self.before} before {self.after}"


class ExecutionLane(NamedTuple):
    """The chain of work packages that one worktree and branch carries. `lane-planning` holds planning artifacts."""

    id: str
    work_packages: tuple[str, ...]


class Placement(NamedTuple):
    """Where and when one work package runs: its wave (from 1), execution lane and slack (in units of the makespan)."""

    wave: int
    execution_lane: str
    slack: int


class Makespan(NamedTuple):
    """Predicted length of the whole mission for a number of agents, with the bound that no schedule can beat."""

    agents: int
    estimate: float
    lower_bound: float
    unit: Literal["work packages", "seconds"] = "work packages"


@dataclass(frozen=True)
class Plan:
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
    placements: Mapping[str, Placement]

    @classmethod
    def from_json(cls, content: bytes) -> Plan:
        """The plan that `as_json` wrote.

        Raises:
            ValueError: something else wrote it.
        """
        try:
            data = json.loads(content)
            conflicts = ({**c, **{k: tuple(c[k]) for k in ("work_packages", "patterns")}} for c in data["conflicts"])
            lanes = ({**lane, "work_packages": tuple(lane["work_packages"])} for lane in data["execution_lanes"])
            shaped = {
                "waves": tuple(map(tuple, data["waves"])),
                "edges": tuple(map(tuple, data["edges"])),
                "conflicts": tuple(OwnershipConflict(**conflict) for conflict in conflicts),
                "execution_lanes": tuple(ExecutionLane(**lane) for lane in lanes),
                "critical_path": tuple(data["critical_path"]),
                "merge_order": tuple(data["merge_order"]),
                "makespan": Makespan(**data["makespan"]),
                "placements": {name: Placement(**placement) for name, placement in data["placements"].items()},
            }
            return cls(**{**data, **shaped})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a plan: {error}") from error

    def as_json(self) -> bytes:
        """The plan as one line of JSON, the form in which the ledger keeps it."""
        data = {
            "waves": self.waves,
            "edges": self.edges,
            "conflicts": [conflict._asdict() for conflict in self.conflicts],
            "execution_lanes": [lane._asdict() for lane in self.execution_lanes],
            "critical_path": self.critical_path,
            "merge_order": self.merge_order,
            "makespan": self.makespan._asdict(),
            "placements": {name: placement._asdict() for name, placement in self.placements.items()},
        }
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    def prerequisites(self, work_package_id: str) -> tuple[str, ...]:
        """All work packages that must be approved first: declared dependencies, then conflict predecessors."""
        return self._prerequisites.get(work_package_id, ())

    @cached_property
    def remaining_path(self) -> Mapping[str, int]:
        """How many work packages the longest chain has that begins with each one, itself included."""
        found: dict[str, int] = {}
        for work_package_id in reversed(self.merge_order):
            found[work_package_id] = 1 + found.get(work_package_id, 0)
            for before in self.prerequisites(work_package_id):
                found[before] = max(found.get(before, 0), found[work_package_id])
        return found

    @cached_property
    def _prerequisites(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {}
        for before, after in (*self.edges, *((c.before, c.after) for c in self.conflicts)):
            found.setdefault(after, {})[before] = None
        return {after: tuple(before) for after, before in found.items()}
