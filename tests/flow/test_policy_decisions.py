"""Retries, fallbacks, the circuit breaker and budgets as decisions: what holds for every history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.agents.command import AgentSpec
from kitty_flow.flow.invocation import Action
from kitty_flow.flow.lease import Now
from kitty_flow.flow.policies import Ended, Policies, consequence
from kitty_flow.flow.policy.breaker import park, parked_pools, pause_of
from kitty_flow.flow.policy.budget import Limits, Spent, added, spent_by, spent_on
from kitty_flow.flow.policy.deadline import Deadline
from kitty_flow.flow.policy.fallback import choose
from kitty_flow.flow.policy.retry import RetryRule, count_failure, failures, failures_against, retry_wait, schedule
from kitty_flow.ledger.state import EntityState, LastEvent
from kitty_flow.ledger.view import LedgerView

WALL = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = Now("boot-1", 1000.0, WALL)
INVOCATIONS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26)
SECONDS = st.floats(0.01, 1e6)


def entity(
    facts: Mapping[str, Any] = {},
    *,
    state: str = "planned",
    epoch: int = 1,
    **counts: int,
) -> EntityState:
    last = LastEvent("E", 1, "w", "sample", "release", "in_progress", "", "a", None, None)
    return EntityState("work_package", "WP01", state, "work_package", last, epoch, 0, facts, counts)


@given(SECONDS, SECONDS, st.integers(1, 2000), INVOCATIONS)
def test_a_delay_is_doubled_capped_and_at_most_a_quarter_shorter(
    first: float, cap: float, retry: int, invocation: str
) -> None:
    rule = RetryRule(first, cap)
    full = cap if retry > 64 else min(first * 2 ** (retry - 1), cap)
    delay = rule.delay(retry, invocation)
    assert full * 0.75 - 0.001 <= delay <= full + 0.001
    assert delay == rule.delay(retry, invocation)


def test_the_jitter_differs_between_invocations() -> None:
    rule = RetryRule(100.0, 1000.0)
    assert len({rule.delay(1, f"01JZ5N3C8RWE5P1YF0K6SHTA{n:02}") for n in range(50)}) > 40


@given(SECONDS, st.floats(0, 1e6), st.floats(-1e8, 1e8))
def test_on_one_boot_a_deadline_knows_no_wall_clock(lasts: float, later: float, jump: float) -> None:
    deadline = Deadline.after(lasts, NOW)
    moment = Now(NOW.boot, NOW.monotonic + later, WALL + timedelta(seconds=jump))
    assert deadline.left(moment) == pytest.approx(max(0.0, lasts - later), abs=0.01)


@given(SECONDS, st.floats(-1e8, 1e8))
def test_after_a_reboot_no_more_is_waited_for_than_there_ever_was(lasts: float, later: float) -> None:
    left = Deadline.after(lasts, NOW).left(Now("boot-2", 5.0, WALL + timedelta(seconds=later)))
    assert 0.0 <= left <= lasts + 0.01
    if 0.01 <= later <= lasts - 0.01:
        assert left == pytest.approx(lasts - later, abs=0.01)


def test_a_retry_holds_for_the_claim_that_failed_and_no_longer() -> None:
    failed = entity(epoch=3, start=3)
    facts = schedule(failed, "planned", 1, "AGENT_FAILED", "builder", 40.0, NOW)
    later = NOW._replace(monotonic=NOW.monotonic + 15.0)
    assert retry_wait(entity(facts, epoch=3, start=3), later) == pytest.approx(25.0)
    assert retry_wait(entity(facts, epoch=3, start=3), NOW._replace(monotonic=NOW.monotonic + 41.0)) == 0.0
    assert retry_wait(entity(facts, epoch=4, start=4), later) == 0.0, "claimed again"
    assert retry_wait(entity(facts, epoch=3, state="blocked"), later) == 0.0
    assert retry_wait(entity(facts, epoch=3, unblock=1), later) == 0.0, "a person stepped in"


@given(st.lists(st.sampled_from(["builder", "other"])))
def test_failures_count_by_agent_until_work_is_handed_in(agents: list[str]) -> None:
    facts: dict[str, Any] = {}
    for agent in agents:
        facts |= count_failure(entity(facts), "implement", agent)
    found = failures(entity(facts), "implement")
    assert {name: agents.count(name) for name in set(agents)} == dict(found)
    assert failures(entity(facts), "review") == {}
    assert failures(entity(facts, submit=1), "implement") == {}


class Agent(NamedTuple):
    name: str
    retries: int = 0


CHAIN = (Agent("builder", 1), Agent("other"), Agent("third"))


def test_the_chain_is_gone_along_as_its_agents_fail() -> None:
    def chosen(failed: Mapping[str, int], parked: tuple[int, ...] = (), not_by: str | None = None) -> int | None:
        return choose(CHAIN, failed, lambda i: 60.0 + i if i in parked else 0.0, not_by=not_by).chosen

    assert chosen({}) == 0
    assert chosen({"builder": 1}) == 0, "one retry is its own"
    assert chosen({"builder": 2}) == 1
    assert chosen({}, parked=(0,)) == 1
    assert chosen({"builder": 2, "other": 1}) == 2
    assert chosen({"builder": 2, "other": 1, "third": 1}) == 1, "all failed too often: who failed least"
    assert chosen({}, not_by="Builder ") == 1
    assert choose(CHAIN, {}, lambda i: 60.0 + i).wait_s == 60.0
    assert choose(CHAIN[:1], {}, lambda i: 0.0, not_by="builder") == (None, None)


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 5)),
    st.sets(st.sampled_from(["a", "b", "c"])),
    st.sampled_from([None, "A", "b "]),
)
def test_nobody_parked_and_no_implementer_as_reviewer_is_ever_chosen(
    names: list[str], failed: dict[str, int], parked: set[str], not_by: str | None
) -> None:
    chain = [Agent(name) for name in names]
    choice = choose(chain, failed, lambda i: 10.0 if names[i] in parked else 0.0, not_by=not_by)
    may = [n for n in names if not_by is None or n != not_by.strip().lower()]
    if choice.chosen is not None:
        assert names[choice.chosen] in may
        assert names[choice.chosen] not in parked
    elif not may:
        assert choice.wait_s is None
    else:
        assert choice.wait_s == 10.0
        assert set(may) & parked


def test_pools_are_parked_beside_each_other_and_come_back_by_themselves() -> None:
    mission = entity(park(None, "east", "builder", "429", 100.0, NOW))
    later = NOW._replace(monotonic=NOW.monotonic + 60.0)
    mission = entity({**mission.facts, **park(mission, "west", "other", "limit", 10.0, later)})
    assert [(p.pool, round(p.left_s)) for p in parked_pools(mission, later)] == [("east", 40), ("west", 10)]
    assert [p.pool for p in parked_pools(mission, later._replace(monotonic=later.monotonic + 11.0))] == ["east"]
    gone = later._replace(monotonic=later.monotonic + 1000.0)
    assert parked_pools(mission, gone) == ()
    assert list(park(mission, "north", "x", "429", 5.0, gone)["parked_pools"]) == ["north"]


@given(st.floats(-1e6, 1e8), st.floats(1.0, 1e5), INVOCATIONS)
def test_a_pool_rests_to_its_reset_and_never_comes_back_at_once(offset: float, default: float, invocation: str) -> None:
    resets_at = WALL + timedelta(seconds=offset)
    pause = pause_of(resets_at, default, invocation, NOW)
    if resets_at > WALL:
        assert min(max(offset, 30.0), 8 * 86400.0) - 0.01 <= pause <= max(offset, 30.0) * 1.1 + 0.01
    else:
        assert default - 0.01 <= pause <= default * 1.1 + 0.01
    assert pause_of(None, default, invocation, NOW) == pytest.approx(pause_of(WALL, default, invocation, NOW))


PIECES = st.builds(
    Spent,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.floats(0, 100).map(lambda x: round(x, 4)),
    st.tuples(
        st.tuples(st.sampled_from("ab"), st.floats(0, 1000), st.floats(0, 50)).map(lambda t: (*t[:2], sum(t[1:])))
    ),
)


@given(st.lists(PIECES, max_size=20))
def test_what_is_recorded_piece_by_piece_is_the_sum(pieces: list[Spent]) -> None:
    facts: dict[str, Any] = {}
    for piece in pieces:
        facts |= added(entity(facts), piece)
    total = spent_on(entity(facts))
    assert total.tokens == sum(p.tokens for p in pieces)
    assert total.cost_usd == pytest.approx(sum(p.cost_usd for p in pieces), abs=1e-4)
    assert max((p.wall_s for p in pieces), default=0.0) <= total.wall_s + 1e-6
    assert total.wall_s <= sum(p.wall_s for p in pieces) + 1e-6
    assert spent_by([entity(facts), entity()]) == total


def test_two_agents_at_once_take_the_time_once() -> None:
    spent = Spent(worked=(("b", 10.0, 30.0), ("b", 20.0, 40.0), ("b", 100.0, 110.0), ("a", 15.0, 20.0)))
    assert spent.wall_s == 45.0


def test_a_limit_is_reached_by_what_is_used_and_by_nothing_less() -> None:
    limits = Limits(tokens=100, cost_usd=0.3, wall_s=60.0)
    assert limits.reached(Spent(60, 39, 0.2)) is None
    reached = limits.reached(Spent(60, 40))
    assert reached is not None
    assert (reached.key, reached.limit, reached.used) == ("max_tokens", 100.0, 100.0)
    cost = limits.reached(Spent(cost_usd=0.1 + 0.2))
    assert cost is not None
    assert cost.sentence() == "0.30 of 0.30 USD are used up (max_cost_usd)"
    assert limits.time_left(Spent(worked=(("b", 0.0, 45.0),))) == 15.0
    assert not Limits().given
    assert Limits().reached(Spent(10**9, 0, 1e9)) is None


def spec(name: str, **keys: Any) -> AgentSpec:
    return AgentSpec(name, ("x",), pool=keys.pop("pool", name), **keys)


def follow(policies: Policies, known: EntityState, agent: AgentSpec, code: str, action: Action = "implement") -> Any:
    ended = Ended(action, agent, "01JZ5N3C8RWE5P1YF0K6SHTAVD", code, "it broke", Spent(5), NOW)
    view = LedgerView("refs/kitty/m/M", "sample", None)
    return consequence(policies, ended, known, view, "M")


def test_what_follows_from_an_end_depends_on_why() -> None:
    ann, bob = spec("ann", retries=0), spec("bob")
    alone = Policies((spec("ann"),), (), RetryRule(5.0, 300.0), 3)
    told = follow(alone, entity(start=1), alone.implementers[0], "AGENT_FAILED")
    assert [note.name for note in told.annotations] == ["retry_scheduled"]
    assert told.evidence["usage"]["input"] == 5
    for code in ("AGENT_REPORTED_FAILURE", "OWNERSHIP_VIOLATED"):
        told = follow(alone, entity(start=1), alone.implementers[0], code)
        assert told.annotations == ()
        assert told.evidence["implement_failures"]["by_agent"] == {"ann": 1}
    for code in ("INTERRUPTED", "RUN_LOST", "BUDGET_EXHAUSTED"):
        told = follow(alone, entity(start=1), alone.implementers[0], code)
        assert (set(told.evidence), told.annotations) == ({"usage"}, ())
    told = follow(alone, entity(start=3), alone.implementers[0], "AGENT_FAILED")
    assert told.annotations == (), "it was the last attempt"
    told = follow(Policies((ann, bob)), entity(start=2), ann, "AGENT_TIMEOUT")
    assert (told.annotations, told.evidence["attempts_before"]) == ((), 2), "bob starts with all attempts, at once"


def test_a_reviewer_that_breaks_down_is_followed_by_another_with_all_attempts() -> None:
    ann, bob = spec("ann", retries=0), spec("bob", retries=9)
    policies = Policies((spec("imp"),), (ann, bob), RetryRule(5.0, 300.0), 2)
    known = entity({"implementer": "imp"}, state="in_review")
    told = follow(policies, known, ann, "RESULT_MISSING", "review")
    known = entity({**known.facts, **told.evidence}, state="in_review")
    assert failures_against(known, "review") == 0
    for number in (1, 2):
        told = follow(policies, known, bob, "RESULT_MISSING", "review")
        assert bool(told.annotations) is (number == 1)
        known = entity({**known.facts, **told.evidence}, state="in_review")
        assert failures_against(known, "review") == number
    assert policies.choose("review", known, None, NOW).chosen == 1


def test_one_that_cannot_be_started_is_not_tried_again() -> None:
    ann, bob = spec("ann", retries=5), spec("bob")
    told = follow(Policies((ann, bob)), entity(start=1), ann, "AGENT_NOT_STARTED")
    assert told.evidence["implement_failures"]["by_agent"] == {"ann": 6}
    assert Policies((ann, bob)).choose("implement", entity(told.evidence), None, NOW).chosen == 1
