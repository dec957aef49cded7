"""What a merge reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitty_flow.model.gate import GateResult
from kitty_flow.release.eject import ejected
from kitty_flow.release.landing import Landing

__all__ = ["MergeReport", "report_of"]


@dataclass(frozen=True)
class MergeReport:
    """What landed, where, and on what evidence; `ejected` is what went back to work because the tests fail with it."""

    merge_id: str
    target_ref: str
    before: str | None
    landed_commit: str
    tested_tree: str
    landed_work_packages: tuple[str, ...]
    gates: tuple[GateResult, ...]
    remarks: tuple[str, ...]
    resumed: bool
    test_log: str | None
    strategy: str
    ejected: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        data = dict(self.__dict__)
        data["gates"] = [g.model_dump(exclude_defaults=True) for g in self.gates]
        return data


def report_of(landing: Landing, *, resumed: bool) -> MergeReport:
    """The report of a landing that was proved."""
    return MergeReport(
        landing.id,
        landing.mission.target_ref,
        landing.target_commit,
        landing.candidate_commit,
        landing.candidate_tree,
        landing.landed_work_packages,
        tuple(landing.gates),
        tuple(landing.remarks),
        resumed,
        landing.test_run.log_path if landing.test_run else None,
        landing.strategy,
        ejected(landing.mission, landing.mission.view()),
    )
