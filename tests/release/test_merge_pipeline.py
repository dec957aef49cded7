"""A project's own merge pipeline: gates of its own come in, exact ones stay, and mistakes are told with their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow import resources
from kitty_flow.errors import DefinitionError
from kitty_flow.machines import dag, step_order
from kitty_flow.release.override import OVERRIDABLE
from kitty_flow.release.pipeline import PIPELINE_PATH, merge_pipeline

SHIPPED = resources.read_text("dags", "pipelines", "merge.toml")


def written(root: Path, *changes: tuple[str, str], more: str = "") -> str:
    text = SHIPPED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = root / PIPELINE_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + more)
    return text + more


def problems(root: Path) -> list[dict[str, Any]]:
    with pytest.raises(DefinitionError) as caught:
        merge_pipeline(root)
    assert caught.value.code == "INVALID_DAG"
    assert caught.value.hint
    found: list[dict[str, Any]] = caught.value.details["problems"]
    return found


def test_what_can_be_overridden_may_be_left_out_and_nothing_else(tmp_path: Path) -> None:
    assert merge_pipeline(tmp_path) == dag("pipeline", "merge")
    pipeline = dag("pipeline", "merge")
    for step in step_order(pipeline):
        for gate in pipeline.gates_before(step):
            head, _, rest = SHIPPED.partition(f"[nodes.{step}.gates]")
            without = head + f"[nodes.{step}.gates]" + rest.replace(f'"{gate}"', "", 1)
            without = without.replace("[, ", "[").replace(", ,", ",").replace("  ,\n", "")
            written(tmp_path, (SHIPPED, without))
            if gate in OVERRIDABLE:
                assert gate not in merge_pipeline(tmp_path).gates_before(step)
            else:
                assert [(p["code"], gate in p["message"]) for p in problems(tmp_path)] == [("GATE_DROPPED", True)]


@pytest.mark.parametrize(
    ("change", "code", "at"),
    [
        (('"verdicts_consistent"', '"verdicts_good"'), "UNKNOWN_GATE", '"verdicts_good"'),
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
