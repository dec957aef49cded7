"""A project's own pipelines: gates of its own come in, exact ones stay, and mistakes are told with their line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow import resources
from kitty_flow.errors import DefinitionError
from kitty_flow.machines import dag, step_order
from kitty_flow.release.override import OVERRIDABLE, OVERRIDABLE_IN_SHIP
from kitty_flow.release.pipeline import PIPELINES_PATH, project_pipeline


def written(root: Path, *changes: tuple[str, str], more: str = "", name: str = "merge") -> str:
    text = resources.read_text("dags", "pipelines", f"{name}.toml")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = root / PIPELINES_PATH / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + more)
    return text + more


def problems(root: Path, name: str = "merge") -> list[dict[str, Any]]:
    with pytest.raises(DefinitionError) as caught:
        project_pipeline(root, name)
    assert caught.value.code == "INVALID_DAG"
    assert caught.value.hint
    found: list[dict[str, Any]] = caught.value.details["problems"]
    return found


@pytest.mark.parametrize(("name", "optional"), [("merge", OVERRIDABLE), ("ship", OVERRIDABLE_IN_SHIP)])
def test_what_can_be_overridden_may_be_left_out_and_nothing_else(
    tmp_path: Path, name: str, optional: tuple[str, ...]
) -> None:
    pipeline, shipped = dag("pipeline", name), resources.read_text("dags", "pipelines", f"{name}.toml")
    assert project_pipeline(tmp_path, name) == pipeline
    for step in step_order(pipeline):
        for gate in pipeline.gates_before(step):
            head, _, rest = shipped.partition(f"[nodes.{step}.gates]")
            without = head + f"[nodes.{step}.gates]" + re.sub(rf'"{gate}",?', "", rest, count=1)
            written(tmp_path, (shipped, without), name=name)
            if gate in optional:
                assert gate not in project_pipeline(tmp_path, name).gates_before(step)
            else:
                assert [(p["code"], gate in p["message"]) for p in problems(tmp_path, name)] == [("GATE_DROPPED", True)]


@pytest.mark.parametrize(
    ("change", "code", "at"),
    [
        (('"verdicts_consistent"', '"verdicts_good"'), "UNKNOWN_GATE", '"verdicts_good"'),
        (('"verdicts_consistent"', '"version_coherent", "verdicts_consistent"'), "UNKNOWN_GATE", '"version_coherent"'),
        (('trigger = "test"', 'trigger = "land"'), "WRONG_TRIGGER", "[nodes.test]"),
        (('depends_on = ["preflight"]', 'depends_on = ["preflight", "nope"]'), "UNKNOWN_NODE", '"nope"'),
        (('name = "merge"', 'name = "merging"'), "WRONG_NAME", 'name = "merging"'),
        (('name = "merge"', "name = "), "NOT_TOML", "name = "),
        (
            ("[nodes.preflight]", "[nodes.shipping]\ndescription = 'x'\n[nodes.preflight]"),
            "UNKNOWN_STEP",
            "[nodes.shipping]",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], code: str, at: str) -> None:
    lines = written(tmp_path, change).splitlines()
    found = {problem["code"]: problem for problem in problems(tmp_path)}
    assert code in found
    if code != "WRONG_NAME":
        assert at in lines[found[code]["line"] - 1]


def test_gates_that_are_not_well_made(tmp_path: Path) -> None:
    more = '[gates.empty]\ncommand = []\n[gates.late]\ncommand = ["x"]\ntimeout_s = 0\n'
    written(tmp_path, more=more + '[gates.tests_pass]\ncommand = ["x"]\n')
    assert {problem["code"] for problem in problems(tmp_path)} == {"WRONG_TYPE", "WRONG_VALUE", "GATE_TAKEN"}


@pytest.mark.slow
def test_a_gate_of_the_project(bench: Workbench) -> None:
    gate = ('"merge_clean", ', '"merge_clean", "has_two", ')
    before = bench.git("rev-parse", "trunk")
    written(
        bench.root,
        gate,
        more='\n[gates.has_two]\ncommand = ["test", "-f", "three.txt"]\ndescription = "There are two."\n',
    )
    shown = bench.kitty("dags", "show", "merge")["data"]
    assert shown["commands"] == {"has_two": ["test", "-f", "three.txt"]}
    later = bench.kitty("merge", "--plan", "--test-command", "true")["data"]["later"]
    assert ("has_two", "test", "There are two.") in [(g["gate"], g["step"], g["description"]) for g in later]
    error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert error["code"] == "GATE_COMMAND_FAILED"
    written(bench.root, gate, more='\n[gates.has_two]\ncommand = ["there-is-no-such-command"]\n')
    error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert error["details"]["gates"][1]["outcome"] == "error"
    assert bench.git("rev-parse", "trunk") == before
    written(bench.root, gate, more='\n[gates.has_two]\ncommand = ["test", "-f", "two.txt"]\n')
    gates = bench.kitty("merge", "--test-command", "true")["data"]["gates"]
    assert [g["outcome"] for g in gates if g["gate"] == "has_two"] == ["pass"]
