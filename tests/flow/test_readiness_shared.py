"""What `Readiness` works out once for all work packages is what each of them would find out alone."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.flow.board import make_board, order_of_work
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import Readiness, is_finished, is_under_review
from kitty_flow.graph import compute_plan, patterns_overlap
from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage

STATES = ("planned", "claimed", "in_progress", "for_review", "in_review", "approved", "done", "blocked", "canceled")
ACTIVE = STATES[1:5]
PATTERNS = (
    "src/**",
    "src/a.py",
    "src/*.py",
    "docs/",
    "docs/x/y.md",
    "**/y.md",
    "tests/[ab]/**",
    "tests/a",
    "./src/a.py",
)


class View:
    """A ledger's view with whatever states a test wants, also ones that no machine would allow together."""

    conflicts = ()

    def __init__(self, states: dict[str, dict[str, Any]], mission_state: str) -> None:
        self._entities: dict[tuple[str, str], Any] = {("mission", "M"): entity("M", mission_state, {})}
        for name, fields in states.items():
            facts = {"review_invocation_id": f"I{name}", "head_commit": "c", "integrated_head": fields["integrated"]}
            self._entities["work_package", name] = entity(name, fields["state"], facts)
            self._entities["invocation", f"I{name}"] = entity(f"I{name}", fields["review"], {})

    def entity(self, kind: str, name: str) -> Any:
        return self._entities.get((kind, name))

    def of_type(self, kind: str) -> dict[str, Any]:
        return {key[1]: found for key, found in self._entities.items() if key[0] == kind}


def entity(name: str, state: str, facts: dict[str, Any]) -> Any:
    last = SimpleNamespace(event_id=f"E{name}", reason=None)
    return SimpleNamespace(entity_id=name, state=state, facts=facts, last_event=last, epoch=0, forced=0, counts={})


@st.composite
def situations(draw: st.DrawFn) -> tuple[OpenMission, View]:
    """A small mission whose work packages are in any states."""
    names = [f"WP{number}" for number in range(1, draw(st.integers(1, 8)) + 1)]
    work_packages = tuple(
        WorkPackage(
            id=name,
            title=name,
            dependencies=tuple(
                draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=2)) if place else ()
            ),
            owned_files=tuple(draw(st.lists(st.sampled_from(PATTERNS), unique=True, max_size=3))),
            execution_mode=draw(st.sampled_from(("code_change", "code_change", "planning_artifact"))),
        )
        for place, name in enumerate(names)
    )
    source = MissionSource(kind="native", path="m.toml")
    definition = MissionDefinition("M", "sample", "Sample", "trunk", source, work_packages)
    fields = st.fixed_dictionaries(
        {
            "state": st.sampled_from(STATES),
            "review": st.sampled_from(("started", "done")),
            "integrated": st.sampled_from(("c", None)),
        }
    )
    view = View({name: draw(fields) for name in names}, draw(st.sampled_from(("running", "running", "paused"))))
    ledger: Any = SimpleNamespace(mission_id="M", mission_slug="sample", view=lambda: view)
    project: Any = None
    return OpenMission(project, ledger, definition, compute_plan(definition)), view


def lane(mission: OpenMission, name: str) -> str:
    return mission.plan.placements[name].execution_lane


@given(situations())
def test_every_answer_is_that_of_a_search_through_all_pairs(situation: tuple[OpenMission, Any]) -> None:
    mission, view = situation
    readiness = Readiness(mission, view)
    all_of_them = mission.definition.work_packages
    states = {w.id: view.entity("work_package", w.id) for w in all_of_them}
    ready = []
    for w in all_of_them:
        edges = [*mission.plan.edges, *((c.before, c.after) for c in mission.plan.conflicts)]
        before = dict.fromkeys(a for a, b in edges if b == w.id)
        assert mission.plan.prerequisites(w.id) == tuple(before)
        unsatisfied = tuple(
            p for p in before if not is_finished(states[p]) or (states[p].state == "canceled" and p in w.dependencies)
        )
        others = [o for o in all_of_them if o.id != w.id]
        conflicts = tuple(
            o.id
            for o in others
            if states[o.id].state in ACTIVE
            and (
                lane(mission, o.id) == lane(mission, w.id)
                or any(patterns_overlap(a, b) for a in w.owned_files for b in o.owned_files)
            )
        )
        users = tuple(
            o.id
            for o in others
            if lane(mission, o.id) == lane(mission, w.id)
            and (states[o.id].state in ("claimed", "in_progress") or is_under_review(states[o.id], view))
        )
        assert readiness.unsatisfied(w.id) == unsatisfied
        assert readiness.active_conflicts(w.id) == conflicts
        assert readiness.lane_users(w.id) == users
        hindrances = readiness.hindrances(w.id)
        assert readiness.is_ready(w.id) == (not hindrances)
        if states[w.id].state == "planned" and mission.state(view) == "running":
            assert len(hindrances) == len(unsatisfied) + len(conflicts)
            ready += [] if hindrances else [w.id]
        else:
            assert len(hindrances) == 1
    board = make_board(mission)
    assert board.ready == tuple(sorted(ready, key=lambda i: order_of_work(mission, i)))
    assert {card.id: card.state for card in board.work_packages} == {i: states[i].state for i in states}


def longest_chain(mission: OpenMission, name: str) -> int:
    """By trying every way."""
    after = [w.id for w in mission.definition.work_packages if name in mission.plan.prerequisites(w.id)]
    return 1 + max((longest_chain(mission, other) for other in after), default=0)


@given(situations())
def test_what_is_ready_is_done_in_the_order_of_the_critical_path(situation: tuple[OpenMission, Any]) -> None:
    """Least slack first, then the longest chain that still hangs on it, then the id; whatever the order of writing."""
    mission, _ = situation
    names = [w.id for w in mission.definition.work_packages]
    for name in names:
        assert mission.plan.remaining_path[name] == longest_chain(mission, name)
    ordered = sorted(names, key=lambda i: order_of_work(mission, i))
    slack = {name: mission.plan.placements[name].slack for name in names}
    for one, other in pairwise(ordered):
        assert slack[one] <= slack[other]
        if slack[one] == slack[other]:
            chains = longest_chain(mission, one), longest_chain(mission, other)
            assert chains[0] > chains[1] or (chains[0] == chains[1] and int(one[2:]) < int(other[2:]))
    assert slack[ordered[0]] == 0
    backwards = names[::-1]
    assert sorted(backwards, key=lambda i: order_of_work(mission, i)) == ordered
