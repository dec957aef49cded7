"""What an amendment changes for whom: two plans of one mission side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from kitty_flow.flow.amend import Amended
from kitty_flow.model.ids import natural_key
from kitty_flow.model.plan import Plan

__all__ = ["Difference", "Moved", "difference"]


class Moved(NamedTuple):
    """What is different for one work package that is in both plans or in one: (before, after), None where it is not."""

    work_package_id: str
    wave: tuple[int | None, int | None]
    execution_lane: tuple[str | None, str | None]
    prerequisites: tuple[tuple[str, ...], tuple[str, ...]]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "id": self.work_package_id,
            "wave": list(self.wave),
            "execution_lane": list(self.execution_lane),
            "prerequisites": [list(side) for side in self.prerequisites],
        }


@dataclass(frozen=True)
class Difference:
    """Two plans, and the work packages for which something is different, in natural order."""

    before: Plan
    after: Plan
    moved: tuple[Moved, ...]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        sides = {"before": self.before, "after": self.after}
        return {
            "work_packages": [each.as_data() for each in self.moved],
            "waves": {side: [list(wave) for wave in plan.waves] for side, plan in sides.items()},
            "execution_lanes": {
                side: [lane._asdict() for lane in plan.execution_lanes] for side, plan in sides.items()
            },
            "critical_path": {side: list(plan.critical_path) for side, plan in sides.items()},
            "makespan": {side: plan.makespan._asdict() for side, plan in sides.items()},
        }


def difference(amended: Amended) -> Difference:
    """The plans before and after an amendment, compared."""
    before, after = amended.before[1], amended.after[1]
    ids = sorted({*before.placements, *after.placements}, key=natural_key)
    rows = (_moved(i, before, after) for i in ids)
    return Difference(before, after, tuple(row for row in rows if _is_news(row)))


def _moved(work_package_id: str, before: Plan, after: Plan) -> Moved:
    old, new = before.placements.get(work_package_id), after.placements.get(work_package_id)
    return Moved(
        work_package_id,
        (old.wave if old else None, new.wave if new else None),
        (old.execution_lane if old else None, new.execution_lane if new else None),
        (
            tuple(sorted(before.prerequisites(work_package_id), key=natural_key)),
            tuple(sorted(after.prerequisites(work_package_id), key=natural_key)),
        ),
    )


def _is_news(row: Moved) -> bool:
    return any(before != after for before, after in (row.wave, row.execution_lane, row.prerequisites))
