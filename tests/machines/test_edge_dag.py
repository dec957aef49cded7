"""The gates on the edges between work packages: the shipped file, and every way in which one can be wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.flow.edge_gates import EDGE_GATES
from kitty_flow.machines import GATE_NAMES, work_package_edges
from kitty_flow.machines.edge_kinds import EDGE_KINDS, parse_work_package_edges

HEAD = 'name = "e"\nkind = "edges"\ndescription = "x"\n'
GATES = {
    "declared": "prerequisite_approved",
    "conflict": "prerequisite_approved",
    "lane": "lane_free",
    "overlap": "owned_files_free",
}
SOUND = HEAD + "".join(f'[edges.{kind}]\ndescription = "x"\ngates = ["{gate}"]\n' for kind, gate in GATES.items())

RED = {
    "not toml": ("NOT_TOML", "edges = ["),
    "unknown key": ("UNKNOWN_KEY", 'owner = "x"\n' + SOUND),
    "another kind": ("UNKNOWN_KIND", SOUND.replace('"edges"', '"pipeline"')),
    "a kind of edge is missing": ("MISSING_KEY", SOUND[: SOUND.index("[edges.overlap]")]),
    "unknown kind of edge": ("UNKNOWN_KEY", SOUND + '[edges.rope]\ndescription = "x"\ngates = ["lane_free"]\n'),
    "unknown key of an edge": ("UNKNOWN_KEY", SOUND + 'owner = "x"\n'),
    "no gate at all": ("NO_GATES", SOUND.replace('["lane_free"]', "[]")),
    "gates are missing": ("MISSING_KEY", SOUND.replace('gates = ["lane_free"]\n', "")),
    "gates are no list": ("WRONG_TYPE", SOUND.replace('["lane_free"]', '"lane_free"')),
    "unknown gate": ("UNKNOWN_GATE", SOUND.replace('"lane_free"', '"sunny"')),
    "code as a gate": ("UNKNOWN_GATE", SOUND.replace('"lane_free"', '"os.system"')),
    "gate of another kind": ("UNKNOWN_GATE", SOUND.replace('"lane_free"', '"prerequisite_approved"')),
    "gate of a pipeline": ("UNKNOWN_GATE", SOUND.replace('"lane_free"', '"tests_pass"')),
}


def problems_of(text: str) -> list[dict[str, Any]]:
    with pytest.raises(DefinitionError) as caught:
        parse_work_package_edges(text, where="e.toml")
    assert caught.value.code == "INVALID_DAG"
    problems: list[dict[str, Any]] = caught.value.details["problems"]
    return problems


def test_the_sound_form_is_read() -> None:
    found = parse_work_package_edges(SOUND)
    assert {kind.name: kind.gates for kind in found.kinds.values()} == {k: (g,) for k, g in GATES.items()}


@pytest.mark.parametrize("case", sorted(RED))
def test_red(case: str) -> None:
    code, text = RED[case]
    assert code in {problem["code"] for problem in problems_of(text)}


def test_all_problems_are_reported_together() -> None:
    text = 'owner = "x"\n' + SOUND.replace('"lane_free"', '"sunny"').replace('"owned_files_free"', '"rainy"')
    assert [problem["code"] for problem in problems_of(text)] == ["UNKNOWN_KEY", "UNKNOWN_GATE", "UNKNOWN_GATE"]


def test_every_gate_that_an_edge_may_name_has_a_check_and_is_shipped() -> None:
    shipped = {gate for kind in work_package_edges().kinds.values() for gate in kind.gates}
    assert shipped == set(EDGE_GATES) == {gate for kind in EDGE_KINDS for gate in GATE_NAMES[kind]}


def test_asking_for_edges_loads_no_machine_and_no_graph() -> None:
    code = "import sys, kitty_flow.machines as m; m.work_package_edges(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    loaded = set(done.stdout.split())
    assert "kitty_flow.machines.edge_kinds" in loaded
    assert not loaded & {"transitions", "networkx", "pydantic", "kitty_flow.machines.decider", "kitty_flow.graph"}


def test_a_canceled_work_package_stops_those_that_declared_it_only() -> None:
    kinds = work_package_edges().kinds
    assert set(kinds["declared"].gates) - set(kinds["conflict"].gates) == {"prerequisite_not_canceled"}
