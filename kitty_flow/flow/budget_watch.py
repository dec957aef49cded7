"""Ends agents of a run that pass a limit while they work: tokens and money as their logs tell, time by the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.assign import out_of_budget
from kitty_flow.flow.lease import now
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policies import Policies, overrun
from kitty_flow.flow.policy.budget import Spent
from kitty_flow.ledger.view import EntityState, LedgerView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitty_flow.flow.run_context import RunContext

__all__ = ["BudgetWatch", "watched_budget"]

_LOOK_S: Final = 0.5


class _AtWork(NamedTuple):
    """An invocation as it was seen last: work package, preset, log, since when it works, and what its log told."""

    work_package_id: str
    preset: str | None
    log_path: Path
    since: float
    size: int = -1
    used: Spent = Spent()

    def spent(self, boot: str, until: float) -> Spent:
        return self.used._replace(worked=((boot, self.since, until),))


class BudgetWatch:
    """What the agents at work have used so far.

    Args:
        end: ends one agent, with a code and a message.
    """

    def __init__(self, mission: OpenMission, policies: Policies, end: Callable[[str, str, str], None]) -> None:
        self._mission = mission
        self._policies = policies
        self._end = end
        self._presets = {agent.name: agent.preset for agent in (*policies.implementers, *policies.reviewers)}
        self._known: dict[str, _AtWork] = {}

    def look(self, at_work: Mapping[str, str]) -> None:
        """Look at the invocations at work, each with its work package, and end those that passed a limit."""
        at = now()
        view = self._mission.view()
        seen = {i: w for i, w in at_work.items() if _is_started(view.entity("invocation", i))}
        self._known = {i: _read_again(self._known.get(i) or self._first_look(i, w, view)) for i, w in seen.items()}
        spent: dict[str, Spent] = {}
        for known in self._known.values():
            spent[known.work_package_id] = known.spent(at.boot or "", at.monotonic)
        for invocation_id, known in self._known.items():
            entity = self._mission.recorded_work_package(known.work_package_id, view)
            reached = overrun(self._policies, view, entity, spent)
            if reached is not None:
                failure = out_of_budget(known.work_package_id, reached)
                self._end(invocation_id, failure.code, failure.message)

    def _first_look(self, invocation_id: str, work_package_id: str, view: LedgerView) -> _AtWork:
        entity = view.entity("invocation", invocation_id)
        facts = entity.facts if entity is not None else {}
        preset = self._presets.get(str(facts.get("agent")))
        return _AtWork(work_package_id, preset, Path(str(facts.get("log_path", ""))), now().monotonic)


def _is_started(invocation: EntityState | None) -> bool:
    """Whether it has not ended: from then on the ledger counts it."""
    return invocation is not None and invocation.state == "started"


def _read_again(known: _AtWork) -> _AtWork:
    """What the log tells now; it is read only when it has grown."""
    try:
        size = known.log_path.stat().st_size
    except OSError:
        return known
    if known.preset is None or size == known.size:
        return known
    from kitty_flow.agents.usage import read_usage

    used = read_usage(known.preset, known.log_path, None)
    return known._replace(size=size, used=Spent(used.input, used.output, used.cost_usd or 0.0))


@contextmanager
def watched_budget(mission: OpenMission, policies: Policies, run: RunContext) -> Iterator[None]:
    """Watch the agents of a run during the block, in a thread of its own; without limits there is none."""
    if not (policies.limits.given or policies.work_package_limits.given):
        yield
        return
    over = threading.Event()
    watch = BudgetWatch(mission, policies, run.end)

    def look() -> None:
        while not over.wait(_LOOK_S):
            at_work = {i: held.work_package_id for i, held in run.claims().items()}
            if at_work:
                try:
                    watch.look(at_work)
                except KittyFlowError:
                    continue  # the ledger could not be read just now: the loop, which needs it too, tells of that

    thread = threading.Thread(target=look, name="kitty-flow-budget", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
