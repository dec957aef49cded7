"""What failures, quotas and budgets hold up now, in words: for the board, for `why`, and for who asks `next`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from kitty_flow.flow.edge_gates import Reason
from kitty_flow.flow.lease import Now, now, shown_s
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policy.breaker import parked_pools
from kitty_flow.flow.policy.budget import Limits, Overrun, Spent, spent_by, spent_on
from kitty_flow.flow.policy.retry import retry_wait
from kitty_flow.ledger.view import EntityState, LedgerView

if TYPE_CHECKING:
    from kitty_flow.agents.settings_budget import BudgetSettings

__all__ = [
    "BudgetGate",
    "limits_of",
    "mission_spent",
    "next_due",
    "policy_warnings",
    "pool_reasons",
    "run_out_of_budget",
]


def mission_spent(view: LedgerView) -> Spent:
    """What all work packages of the mission have cost so far, also those that left it."""
    return spent_by(view.of_type("work_package").values())


def limits_of(budget: BudgetSettings) -> tuple[Limits, Limits]:
    """The limits of a mission, and those of each of its work packages."""
    return (
        Limits("max_", budget.max_tokens, budget.max_cost_usd, budget.max_wall_s),
        Limits(
            "work_package_max_",
            budget.work_package_max_tokens,
            budget.work_package_max_cost_usd,
            budget.work_package_max_wall_s,
        ),
    )


class BudgetGate:
    """Whether the budget of the settings leaves anything for a work package, as one view has it."""

    def __init__(self, mission: OpenMission, view: LedgerView) -> None:
        self._mission = mission
        self._view = view

    @cached_property
    def _limits(self) -> tuple[Limits, Limits]:
        from kitty_flow.agents.settings_file import read_settings

        # The checks of the settings take longer than the rest of a short command, and mostly nothing is set here.
        if "budget" not in read_settings(self._mission.project.root):
            return Limits(), Limits()
        return limits_of(self._mission.project.settings.budget)

    @cached_property
    def _of_mission(self) -> Overrun | None:
        limits = self._limits[0]
        return limits.reached(mission_spent(self._view)) if limits.given else None

    def reason(self, work_package_id: str) -> Reason | None:
        """Why no agent may be started for the work package; None when one may."""
        overrun = self._of_mission
        if overrun is None and self._limits[1].given:
            entity = self._mission.work_package(work_package_id, self._view)
            overrun = self._limits[1].reached(spent_on(entity))
        if overrun is None:
            return None
        message = f"no agent is started for {work_package_id}: {overrun.sentence()}"
        return Reason(work_package_id, "BUDGET_EXHAUSTED", message, f"raise {overrun.key} in .kitty-flow/config.toml")


def pool_reasons(mission: OpenMission, view: LedgerView, at: Now) -> tuple[Reason, ...]:
    """One reason for every credential pool that is parked now."""
    hint = f"kitty-flow run {mission.slug} goes on by itself then"
    return tuple(
        Reason(
            mission.slug,
            "POOL_PARKED",
            f"the pool {pool.pool} is parked for {shown_s(pool.left_s)}, until {pool.until}: {pool.reason}",
            hint,
        )
        for pool in parked_pools(view.entity("mission", mission.id), at)
    )


def next_due(mission: OpenMission, view: LedgerView, at: Now) -> float | None:
    """Seconds until the next retry is due or the next pool comes back; None when nothing is waited for."""
    waits = [retry_wait(entity, at) for entity in view.of_type("work_package").values()]
    waits += [pool.left_s for pool in parked_pools(view.entity("mission", mission.id), at)]
    return min((wait for wait in waits if wait > 0), default=None)


def run_out_of_budget(mission: EntityState | None) -> str | None:
    """The sentence about the budget that ended the last run; None when it did not, or when a run began since."""
    if mission is None or not mission.counts.get("budget_exhausted"):
        return None
    facts = mission.facts
    if facts.get("exhausted_in_run") != mission.counts.get("run_started", 0):
        return None
    return Overrun(str(facts.get("budget_key")), float(facts["budget_limit"]), float(facts["budget_used"])).sentence()


def policy_warnings(mission: OpenMission, view: LedgerView) -> list[str]:
    """Sentences for the board: the budget that is used up, pools that are parked, retries that are waited for."""
    at = now()
    entity = view.entity("mission", mission.id)
    spent = run_out_of_budget(entity)
    told = [f"the budget is used up: {spent}; raise it in .kitty-flow/config.toml"] if spent else []
    told += [reason.message for reason in pool_reasons(mission, view, at)]
    for name, known in view.of_type("work_package").items():
        wait = retry_wait(known, at)
        if wait > 0:
            facts = known.facts
            told.append(
                f"{name} is tried again in {shown_s(wait)} (retry {facts.get('retry')}, {facts.get('failure_code')})"
            )
    return told
