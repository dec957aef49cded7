"""Every state, trigger and guard outcome of the five machines, against a table written independently of the data."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import DefinitionError, KittyFlowError, RefusedError
from kitty_flow.machines import (
    GUARDS,
    Facts,
    Guard,
    check_guards,
    decide,
    is_final,
    machine,
    machine_names,
    next_states,
)


class Row(NamedTuple):
    trigger: str
    sources: str
    targets: str
    guards: str
    event: str
    target_fact: str = ""


STATES = {
    "work_package": "planned claimed in_progress for_review in_review approved done blocked canceled",
    "invocation": "started done failed abandoned",
    "mission": "draft planned running paused accepted merged shipped aborted",
    "merge": "prepared tested landed proved refused aborted",
    "release": "planned checked built verified tagged published pushed proved aborted",
}
FINAL = {
    "work_package": "done canceled",
    "invocation": "done failed abandoned",
    "mission": "shipped aborted",
    "merge": "proved refused aborted",
    "release": "proved aborted",
}
INITIAL = {
    "work_package": "planned",
    "invocation": "started",
    "mission": "draft",
    "merge": "prepared",
    "release": "planned",
}
_HELD = "planned claimed in_progress for_review in_review approved"
TABLE = {
    "work_package": (
        Row("plan", "NEW", "planned", "mission_valid", "planned"),
        Row("claim", "planned", "claimed", "dependencies_satisfied unclaimed no_active_ownership_conflict", "claimed"),
        Row("start", "claimed", "in_progress", "holds_epoch workspace_ready", "started"),
        Row(
            "submit",
            "in_progress",
            "for_review",
            "holds_epoch work_committed worktree_clean ownership_respected subtasks_complete",
            "submitted",
        ),
        Row(
            "begin_review",
            "for_review",
            "in_review",
            "reviewer_is_not_implementer prompt_identity_matches",
            "review_begun",
        ),
        Row("approve", "in_review", "approved", "verdict_bound_to_head reviewer_is_not_implementer", "approved"),
        Row(
            "request_changes",
            "in_review",
            "planned in_progress",
            "feedback_present",
            "changes_requested",
            "requested_state",
        ),
        Row("land", "approved", "done", "landing_proved", "landed"),
        Row("block", _HELD, "blocked", "reason_given", "blocked"),
        Row("unblock", "blocked", _HELD, "reason_given", "unblocked", "state_before_block"),
        Row("release", "claimed in_progress", "planned", "reason_given", "released"),
        Row("expire", "claimed in_progress", "planned", "lease_expired", "expired"),
        Row("reopen", "approved", "planned", "reason_given", "reopened"),
        Row("cancel", f"{_HELD} blocked", "canceled", "reason_given", "canceled"),
    ),
    "invocation": (
        Row("start", "NEW", "started", "actor_named", "started"),
        Row("complete", "started", "done", "outcome_reported", "completed"),
        Row("fail", "started", "failed", "reason_given", "failed"),
        Row("abandon", "started", "abandoned", "reason_given", "abandoned"),
    ),
    "mission": (
        Row("create", "NEW", "draft", "actor_named", "created"),
        Row("plan", "draft", "planned", "mission_valid", "planned"),
        Row("start", "planned", "running", "mission_valid", "started"),
        Row("pause", "planned running accepted", "paused", "reason_given", "paused"),
        Row("resume", "paused", "planned running accepted", "actor_named", "resumed", "state_before_pause"),
        *(
            Row("amend", state, state, "mission_valid reason_given", "amended")
            for state in ("planned", "running", "paused")
        ),
        Row("accept", "running", "accepted", "all_work_packages_finished", "accepted"),
        Row("reopen", "accepted", "running", "reason_given", "reopened"),
        Row("merge", "accepted", "merged", "landing_proved", "merged"),
        Row("ship", "merged", "shipped", "release_proved", "shipped"),
        Row("abort", "draft planned running paused accepted", "aborted", "reason_given", "aborted"),
    ),
    "merge": (
        Row("prepare", "NEW", "prepared", "gates_passed", "prepared"),
        Row("test", "prepared", "tested", "gates_passed tested_tree_is_candidate", "tested"),
        Row("land", "tested", "landed", "gates_passed landed_tree_is_tested", "landed"),
        Row("prove", "landed", "proved", "landing_proved", "proved"),
        Row("refuse", "prepared tested landed", "refused", "reason_given not_landed", "refused"),
        Row("abort", "prepared tested", "aborted", "reason_given not_landed", "aborted"),
    ),
    "release": (
        Row("plan", "NEW", "planned", "version_named gates_passed", "planned"),
        Row("check", "planned", "checked", "gates_passed", "checked"),
        Row("build", "checked", "built", "artifacts_recorded", "built"),
        Row("verify", "built", "verified", "artifacts_verified", "verified"),
        Row("tag", "verified", "tagged", "gates_passed tag_at_release_commit", "tagged"),
        Row("publish", "tagged", "published", "index_matches", "published"),
        Row("push", "published", "pushed", "remote_matches", "pushed"),
        Row("prove", "pushed", "proved", "release_proved", "proved"),
        Row("abort", "planned checked built verified tagged", "aborted", "reason_given nothing_public", "aborted"),
    ),
}

Edge = tuple[str, str | None, str, Row]
EDGES: list[Edge] = [
    (name, None if source == "NEW" else source, target, row)
    for name, rows in TABLE.items()
    for row in rows
    for source in row.sources.split()
    for target in row.targets.split()
]
TRIGGERS = sorted({row.trigger for rows in TABLE.values() for row in rows})
ALIEN_TRIGGERS = ["force", "to_done", "to_planned", "trigger", "is_done", "", "Claim", "os.system"]


def edge_id(edge: Edge) -> str:
    return f"{edge[0]}:{edge[1]}-{edge[3].trigger}->{edge[2]}"


def facts_for(target: str, row: Row) -> Facts:
    chosen: dict[str, Any] = {row.target_fact: target} if row.target_fact else {}
    return Facts(**chosen)


def boom(facts: Facts) -> bool:
    raise RuntimeError("probe broke")


ANSWERS: dict[str, Any] = {
    "true": lambda facts: True,
    "false": lambda facts: False,
    "none": lambda facts: None,
    "truthy": lambda facts: 1,
    "raises": boom,
}


def registry(answers: dict[str, str]) -> dict[str, Guard]:
    return {
        name: Guard(name=name, predicate=ANSWERS[how], code=f"NO_{name}".upper(), message=f"{name} says no", hint="h")
        for name, how in answers.items()
    }


def test_all_machines_are_in_the_table() -> None:
    assert set(machine_names()) == set(TABLE)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_states_and_final_states_are_exactly_these(name: str) -> None:
    definition = machine(name)
    assert sorted(definition.state_names) == sorted(STATES[name].split())
    assert {s for s in definition.state_names if is_final(definition, s)} == set(FINAL[name].split())
    assert definition.initial == INITIAL[name]
    assert all(state.description for state in definition.states)
    assert all(edge.description for edge in definition.transitions)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_next_states_is_the_table(name: str) -> None:
    definition = machine(name)
    for state in (None, *definition.state_names):
        expected = {(e[3].trigger, e[2]) for e in EDGES if e[0] == name and e[1] == state}
        found = next_states(definition, state)
        assert set(found) == expected
        assert len(found) == len(expected)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_pair_outside_the_table_is_illegal(name: str) -> None:
    definition = machine(name)
    for state, trigger in product((None, *definition.state_names), TRIGGERS + ALIEN_TRIGGERS):
        legal = [e[3].trigger for e in EDGES if e[0] == name and e[1] == state]
        if trigger in legal:
            continue
        with pytest.raises(RefusedError) as caught:
            decide(definition, state, trigger, Facts())
        assert caught.value.code == "ILLEGAL_TRANSITION"
        assert caught.value.hint == f"kitty-flow machines show {name}"
        details = caught.value.details
        assert (details["machine"], details["state"], details["trigger"]) == (name, state, trigger)
        assert set(details["allowed"]) == set(legal)


@pytest.mark.parametrize("edge", EDGES, ids=edge_id)
def test_every_combination_of_guard_outcomes(edge: Edge) -> None:
    name, state, target, row = edge
    definition = machine(name)
    guards = row.guards.split()
    facts = facts_for(target, row)
    for combination in product(ANSWERS, repeat=len(guards)):
        answers = dict(zip(guards, combination, strict=True))
        if set(combination) == {"true"}:
            decision = decide(definition, state, row.trigger, facts, guards=registry(answers))
            assert (decision.from_state, decision.to_state, decision.event) == (state, target, row.event)
            assert (decision.machine, decision.machine_digest) == (name, definition.digest)
            assert decision.trigger == row.trigger and decision.forced is False
            assert {o.guard for o in decision.guards if o.guard in guards and o.passed} == set(guards)
            continue
        with pytest.raises(RefusedError) as caught:
            decide(definition, state, row.trigger, facts, guards=registry(answers))
        expected = {
            guard: "" if how == "true" else "GUARD_ERROR" if how == "raises" else f"NO_{guard}".upper()
            for guard, how in answers.items()
        }
        reported = {o["guard"]: o["code"] for o in caught.value.details["guards"] if o["guard"] in answers}
        assert reported == expected
        # The data fixes the order of the guards; the first that fails names the refusal.
        assert caught.value.code == next(code for code in reported.values() if code)


PASSING: dict[str, dict[str, Any]] = {
    "actor_named": {"actor": "claude-1"},
    "reason_given": {"reason": "because"},
    "mission_valid": {"mission_valid": True},
    "dependencies_satisfied": {"unsatisfied_dependencies": ()},
    "unclaimed": {"holder": ""},
    "no_active_ownership_conflict": {"ownership_conflicts": ()},
    "holds_epoch": {"epoch": 2, "current_epoch": 2},
    "lease_expired": {"lease_expired": True},
    "workspace_ready": {
        "worktree": "/w",
        "branch": "b",
        "base_commit": "aaa",
        "base_contains_dependencies": True,
    },
    "work_committed": {"base_commit": "aaa", "head_commit": "bbb"},
    "worktree_clean": {"worktree_clean": True},
    "ownership_respected": {"out_of_scope_paths": ()},
    "subtasks_complete": {"open_subtasks": ()},
    "reviewer_is_not_implementer": {"implementer": "claude-1", "reviewer": "codex-2"},
    "prompt_identity_matches": {"prompt_identity_matches": True},
    "verdict_bound_to_head": {"verdict": "approved", "reviewed_commit": "bbb", "head_commit": "bbb"},
    "feedback_present": {"feedback": {"summary": "", "findings": [{"message": "wrong"}]}},
    "landing_proved": {"landing_proved": True},
    "not_landed": {"landed": False},
    "outcome_reported": {"outcome": "success"},
    "all_work_packages_finished": {"unfinished_work_packages": ()},
    "gates_passed": {"failed_gates": ()},
    "tested_tree_is_candidate": {"candidate_tree": "ttt", "tested_tree": "ttt"},
    "landed_tree_is_tested": {"tested_tree": "ttt", "landed_tree": "ttt"},
    "version_named": {"version": "1.2.0", "release_commit": "ccc"},
    "artifacts_recorded": {"artifact_digests": ("sha256:1",)},
    "artifacts_verified": {"artifacts_verified": True},
    "tag_at_release_commit": {"release_commit": "ccc", "tag_commit": "ccc"},
    "remote_matches": {"remote_matches": True},
    "index_matches": {"index_matches": True},
    "release_proved": {"release_proved": True},
    "nothing_public": {"public": False},
}


def passing_facts(target: str, row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {row.target_fact: target} if row.target_fact else {}
    for guard in row.guards.split():
        values |= PASSING[guard]
    return values


def test_every_guard_is_used_by_a_machine_and_known_to_the_table() -> None:
    used = {guard for rows in TABLE.values() for row in rows for guard in row.guards.split()}
    assert used == set(GUARDS) == set(PASSING)


@pytest.mark.parametrize("edge", EDGES, ids=edge_id)
def test_real_guards_open_the_edge_and_each_missing_fact_closes_it(edge: Edge) -> None:
    name, state, target, row = edge
    definition = machine(name)
    values = passing_facts(target, row)
    assert decide(definition, state, row.trigger, Facts(**values)).to_state == target
    for fact in values:
        lacking = Facts(**{k: v for k, v in values.items() if k != fact})
        with pytest.raises(RefusedError) as caught:
            decide(definition, state, row.trigger, lacking)
        failed = [o["guard"] for o in caught.value.details["guards"] if not o["passed"]]
        wanted = [g for g in row.guards.split() if fact in PASSING[g]] or ["target_allowed"]
        assert sorted(failed) == sorted(wanted)
        assert caught.value.message.startswith(f"{row.trigger} is refused: ")
        assert caught.value.hint


@pytest.mark.parametrize("edge", [e for e in EDGES if e[3].target_fact], ids=edge_id)
def test_a_target_outside_the_list_is_refused(edge: Edge) -> None:
    name, state, target, row = edge
    definition = machine(name)
    values = passing_facts(target, row)
    allowed = set(row.targets.split())
    strangers: list[Any] = [*(set(definition.state_names) - allowed), "(new)", "nowhere", "", None, 3, True]
    for stranger in strangers:
        with pytest.raises(RefusedError) as caught:
            decide(definition, state, row.trigger, Facts(**values | {row.target_fact: stranger}))
        assert caught.value.code == "TARGET_NOT_ALLOWED"


def forced_pairs() -> Iterator[tuple[str, str, str]]:
    for name, states in STATES.items():
        yield from ((name, one, other) for one, other in product(states.split(), repeat=2))


def test_force_reaches_every_state_from_every_state_and_says_so() -> None:
    facts = Facts(actor="ada", reason="repaired by hand")
    for name, state, target in forced_pairs():
        decision = decide(machine(name), state, "force", facts, force_to=target)
        assert (decision.from_state, decision.to_state, decision.forced) == (state, target, True)
        assert (decision.trigger, decision.event) == ("force", "forced")
        assert [o.guard for o in decision.guards if o.passed] == ["actor_named", "reason_given"]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (Facts(), "ACTOR_MISSING"),
        (Facts(reason="r"), "ACTOR_MISSING"),
        (Facts(actor="a"), "REASON_MISSING"),
        (Facts(actor="a", reason=" \t"), "REASON_MISSING"),
        (Facts(actor=" ", reason="r"), "ACTOR_MISSING"),
    ],
)
def test_force_needs_an_actor_and_a_reason(facts: Facts, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        decide(machine("work_package"), "planned", "force", facts, force_to="done")
    assert caught.value.code == code


@pytest.mark.parametrize("target", ["nowhere", "(new)", "", "DONE"])
def test_force_to_no_state_is_refused(target: str) -> None:
    with pytest.raises(RefusedError) as caught:
        decide(machine("work_package"), "planned", "force", Facts(actor="a", reason="r"), force_to=target)
    assert caught.value.code == "UNKNOWN_STATE"


@pytest.mark.parametrize(("state", "trigger"), [(None, "force"), ("planned", "claim")])
def test_force_is_its_own_trigger_and_creates_nothing(state: str | None, trigger: str) -> None:
    with pytest.raises(RefusedError) as caught:
        decide(machine("work_package"), state, trigger, Facts(actor="a", reason="r"), force_to="done")
    assert caught.value.code == "ILLEGAL_TRANSITION"


@pytest.mark.parametrize("state", ["genesis", "(new)", "", "Planned"])
def test_a_state_that_the_machine_does_not_know_is_a_definition_error(state: str) -> None:
    definition = machine("work_package")
    calls = (
        lambda: decide(definition, state, "claim", Facts()),
        lambda: decide(definition, state, "force", Facts(actor="a", reason="r"), force_to="planned"),
        lambda: check_guards(definition, state, "claim", Facts()),
        lambda: next_states(definition, state),
        lambda: is_final(definition, state),
    )
    for call in calls:
        with pytest.raises(DefinitionError) as caught:
            call()
        assert caught.value.code == "UNKNOWN_STATE"


def test_check_guards_explains_without_deciding() -> None:
    definition = machine("work_package")
    facts = Facts(unsatisfied_dependencies=("WP01", "WP02"), holder="", ownership_conflicts=())
    outcomes = check_guards(definition, "planned", "claim", facts)
    assert [(o.guard, o.passed) for o in outcomes] == [
        ("dependencies_satisfied", False),
        ("unclaimed", True),
        ("no_active_ownership_conflict", True),
    ]
    assert outcomes[0].message.endswith("WP01, WP02")
    with pytest.raises(RefusedError, match="ILLEGAL_TRANSITION"):
        check_guards(definition, "done", "claim", facts)


_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 3),
    st.sampled_from(["", " ", "a", "approved", *STATES["work_package"].split()]),
    st.just(()),
    st.just(("WP01",)),
)


@given(
    name=st.sampled_from(sorted(TABLE)),
    pick=st.integers(0, 30),
    trigger=st.sampled_from([*TRIGGERS, *ALIEN_TRIGGERS]),
    values=st.dictionaries(st.sampled_from(sorted(Facts.__dataclass_fields__)), _VALUES),
    force_to=st.one_of(st.none(), st.sampled_from(["done", "planned", "nowhere", "(new)"])),
)
def test_a_decision_never_leaves_the_definition(
    name: str, pick: int, trigger: str, values: dict[str, Any], force_to: str | None
) -> None:
    definition = machine(name)
    states = (None, *definition.state_names)
    state = states[pick % len(states)]
    try:
        decision = decide(definition, state, trigger, Facts(**values), force_to=force_to)
    except KittyFlowError as error:
        assert isinstance(error, RefusedError)
        return
    assert decision.to_state in definition.state_names
    assert decision.from_state == state
    assert all(outcome.passed for outcome in decision.guards)
    if not decision.forced:
        assert (trigger, decision.to_state) in next_states(definition, state)


@given(edge=st.sampled_from(EDGES), extra=st.sampled_from([Facts(), Facts(actor="x")]))
def test_the_same_question_has_the_same_answer(edge: Edge, extra: Facts) -> None:
    name, state, target, row = edge
    facts = Facts(**{"actor": extra.actor} | passing_facts(target, row))
    first = decide(machine(name), state, row.trigger, facts)
    assert decide(machine(name), state, row.trigger, facts) == first
