"""The shipped DAGs: their order, their gates, and every way in which one can be wrong."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import DefinitionError, UsageError
from kitty_flow.machines import END, GATE_NAMES, dag, dag_names, machine, step_order
from kitty_flow.machines.dag_definition import DagKind, parse_dag

PHASES = {
    "software-dev": "discovery specify plan tasks implement review accept merge",
    "research": "scoping methodology gathering synthesis output accept",
    "documentation": "discover audit design generate validate publish accept",
    "plan": "specify research plan review",
}
HEAD = 'name = "d"\nkind = "mission"\ndescription = "x"\n'
SOUND = HEAD + '[nodes.a]\ndescription = "x"\n[nodes.b]\ndescription = "x"\ndepends_on = ["a"]\n'

RED: dict[str, tuple[str, str]] = {
    "not toml": ("NOT_TOML", "name = ["),
    "unknown key": ("UNKNOWN_KEY", 'owner = "x"\n' + SOUND),
    "unknown node key": ("UNKNOWN_KEY", SOUND + 'command = "rm"\n'),
    "missing description": ("MISSING_KEY", SOUND.replace('description = "x"\n', "", 1)),
    "missing nodes": ("MISSING_KEY", HEAD),
    "no nodes": ("NO_NODES", HEAD + "[nodes]\n"),
    "wrong kind": ("UNKNOWN_KIND", SOUND.replace('"mission"', '"errand"')),
    "wrong type": ("WRONG_TYPE", SOUND.replace('["a"]', '"a"')),
    "node is no table": ("WRONG_TYPE", HEAD + "[nodes]\na = 1\n"),
    "repeated prerequisite": ("REPEATED_ENTRY", SOUND.replace('["a"]', '["a", "a"]')),
    "unknown prerequisite": ("UNKNOWN_NODE", SOUND.replace('["a"]', '["z"]')),
    "bad node name": ("BAD_NAME", SOUND + '[nodes.B]\ndescription = "x"\n'),
    "code as a node name": ("CALLBACK_LIKE_NAME", SOUND + '[nodes."os.path"]\ndescription = "x"\n'),
    "gate of a pipeline in a mission": ("UNKNOWN_GATE", SOUND + '[nodes.b.gates]\na = ["tests_pass"]\n'),
    "gate between work packages in a mission": ("UNKNOWN_GATE", SOUND + '[nodes.b.gates]\na = ["lane_free"]\n'),
    "unknown gate at the end": ("UNKNOWN_GATE", SOUND + '[end]\nb = ["sunny"]\n'),
    "an end behind no last node": ("GATE_WITHOUT_EDGE", SOUND + '[end]\na = ["mission_accepted"]\n'),
    "the end is no table": ("WRONG_TYPE", "end = 1\n" + SOUND),
    "absolute artifact": ("BAD_PATH", SOUND + 'artifact = "/etc/passwd"\n'),
    "artifact in another folder": ("BAD_PATH", SOUND + 'artifact = "a/../../b.md"\n'),
    "unknown gate": ("UNKNOWN_GATE", SOUND + '[nodes.b.gates]\na = ["sunny"]\n'),
    "gate without an edge": ("GATE_WITHOUT_EDGE", SOUND + '[nodes.a.gates]\nb = ["tests_pass"]\n'),
    "trigger without a machine": ("TRIGGER_WITHOUT_MACHINE", SOUND + 'trigger = "go"\n'),
    "waits for itself": ("CYCLE", SOUND.replace('["a"]', '["b"]')),
    "cycle": ("CYCLE", SOUND.replace("[nodes.a]\n", '[nodes.a]\ndepends_on = ["b"]\n')),
}


@pytest.mark.parametrize("name", sorted(PHASES))
def test_mission_templates_have_their_phases_in_order(name: str) -> None:
    template = dag("mission", name)
    assert step_order(template) == tuple(PHASES[name].split())
    assert template.kind == "mission" and template.machine is None
    assert all(node.description for node in template.nodes)


def test_templates_and_pipelines_are_listed() -> None:
    assert dag_names("mission") == tuple(sorted(PHASES))
    assert dag_names("pipeline") == ("merge", "ship")


def test_phases_say_what_they_need_and_yield() -> None:
    template = dag("mission", "software-dev")
    assert template.node("specify").artifact == "spec.md"
    assert template.node("discovery").requires_inputs == ("request",)
    with pytest.raises(KeyError):
        template.node("nope")


@pytest.mark.parametrize(
    ("name", "gates"),
    [
        (
            "software-dev",
            {
                "specify": "artifact_present",
                "plan": "artifact_present",
                "tasks": "work_packages_present",
                "implement": "work_packages_submitted",
                "review": "work_packages_approved",
                "accept": "mission_accepted",
                "merge": "mission_merged",
            },
        ),
        (
            "research",
            {
                "scoping": "artifact_present",
                "methodology": "artifact_present",
                "gathering": "artifact_present sources_listed",
                "synthesis": "artifact_present",
                "output": "artifact_present",
                "accept": "publication_approved",
            },
        ),
        ("documentation", dict.fromkeys(("audit", "design", "generate", "validate", "publish"), "artifact_present")),
        (
            "plan",
            {**dict.fromkeys(("specify", "research", "plan"), "artifact_present"), "review": "reviewed_by_another"},
        ),
    ],
)
def test_what_it_takes_to_leave_a_phase(name: str, gates: dict[str, str]) -> None:
    template = dag("mission", name)
    assert {edge.before: " ".join(edge.gates) for edge in template.edges if edge.gates} == gates
    last = step_order(template)[-1]
    assert all(edge.after == END for edge in template.edges_from(last))
    for edge in template.edges:
        assert "artifact_present" not in edge.gates or template.node(edge.before).artifact


def test_the_merge_pipeline_has_its_gates_on_the_edges() -> None:
    pipeline = dag("pipeline", "merge")
    assert step_order(pipeline) == ("preflight", "candidate", "test", "land", "prove")
    user = ("checkout_clean", "no_user_operation_in_progress")
    mission = ("approved_heads_integrated", "mission_accepted")
    reviews = ("verdicts_consistent", "approved_heads_reviewed", "reviewers_are_not_implementers")
    clone = ("config_unchanged", "ledger_descends")
    moves = ("mission_unmoved", "target_unmoved", "landing_recomputed")
    before_the_move = ("tests_pass", *clone, *mission, *moves, *user)
    gates = {(edge.before, edge.after): edge.gates for edge in pipeline.edges}
    assert gates == {
        ("preflight", "candidate"): (
            *clone,
            *mission,
            *reviews,
            "owned_files_respected",
            "target_exists",
            "target_in_sync",
            "checkout_clean",
            "worktrees_clean",
            "no_user_operation_in_progress",
        ),
        ("candidate", "test"): ("merge_clean", "checkout_can_follow", "no_secrets"),
        ("test", "land"): before_the_move,
        ("land", "prove"): ("landing_proved",),
    }
    assert pipeline.gates_before("land") == before_the_move
    assert pipeline.gates_before("preflight") == ()


def test_every_gate_of_a_pipeline_stands_on_an_edge_of_one() -> None:
    edges = [edge for name in dag_names("pipeline") for edge in dag("pipeline", name).edges]
    assert {gate for edge in edges for gate in edge.gates} == GATE_NAMES["pipeline"]


@pytest.mark.parametrize("name", dag_names("pipeline"))
def test_the_triggers_of_a_pipeline_lead_its_machine_to_its_end(name: str) -> None:
    pipeline = dag("pipeline", name)
    assert pipeline.machine is not None
    definition = machine(pipeline.machine)
    state: str | None = None
    for step in step_order(pipeline):
        trigger = pipeline.node(step).trigger
        if trigger is not None:
            edge = definition.transition(state, trigger)
            assert edge is not None
            (state,) = edge.to_states
    assert state in definition.final_states


@pytest.mark.parametrize("kind", ["mission", "pipeline"])
@pytest.mark.parametrize("name", ["nope", "../missions/plan", "", "plan.toml"])
def test_an_unknown_dag_is_a_usage_error(kind: DagKind, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        dag(kind, name)
    assert caught.value.code == "UNKNOWN_DAG"


def problems_of(text: str) -> list[dict[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        parse_dag(text, where="d.toml")
    assert caught.value.code == "INVALID_DAG"
    problems: list[dict[str, str]] = caught.value.details["problems"]
    return problems


@pytest.mark.parametrize("case", sorted(RED))
def test_red(case: str) -> None:
    code, text = RED[case]
    assert code in {problem["code"] for problem in problems_of(text)}


def test_all_problems_are_reported_together() -> None:
    text = 'owner = "x"\n' + SOUND.replace('["a"]', '["z", "b"]') + '[nodes.b.gates]\nb = ["sunny"]\n'
    codes = {problem["code"] for problem in problems_of(text)}
    assert codes == {"UNKNOWN_KEY", "UNKNOWN_NODE", "UNKNOWN_GATE", "CYCLE"}


def test_a_cycle_is_named_with_its_path() -> None:
    text = HEAD + "".join(
        f'[nodes.{name}]\ndescription = "x"\ndepends_on = ["{before}"]\n' for name, before in ("ac", "ba", "cb")
    )
    (problem,) = problems_of(text)
    path = problem["message"].rsplit(": ", 1)[1].split(" -> ")
    assert path[0] == path[-1] and set(path) == {"a", "b", "c"}
    steps = set(pairwise(path))
    assert steps == {("a", "b"), ("b", "c"), ("c", "a")}


@given(st.data())
def test_the_order_respects_every_edge_and_is_always_the_same(data: st.DataObject) -> None:
    names = data.draw(st.permutations([f"n{i}" for i in range(6)]))
    text = HEAD
    for index, name in enumerate(names):
        before = data.draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        listed = ", ".join(f'"{node}"' for node in before)
        text += f'[nodes.{name}]\ndescription = "x"\ndepends_on = [{listed}]\n'
    definition = parse_dag(text)
    order = step_order(definition)
    assert sorted(order) == sorted(names)
    assert all(order.index(edge.before) < order.index(edge.after) for edge in definition.edges)
    assert step_order(parse_dag(text)) == order
    # Each node is declared after its prerequisites here, so the order of the file is the first choice.
    assert order == tuple(names)
