"""The gates of phases and of edges fail closed; what counts as an artifact."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import DefinitionError
from kitty_flow.flow import edge_gates, phase_gates
from kitty_flow.flow.edge_gates import Edge, ask, closed
from kitty_flow.flow.phase_gates import PHASE_GATES, PhaseFacts, ask_gate
from kitty_flow.machines import GATE_NAMES, DagNode, dag, dag_names
from kitty_flow.missions.artifacts import artifacts, listed_entries, open_questions, substance

NODE = DagNode("specify", "Write it down.", artifact="spec.md")
FACTS = cast("PhaseFacts", SimpleNamespace(mission=SimpleNamespace(slug="trip")))


def edge(state: str, **facts: Any) -> Edge:
    other = SimpleNamespace(entity_id="WP01", state=state, facts=facts)
    return Edge(cast("Any", SimpleNamespace(option="")), "declared", "WP02", cast("Any", other))


def test_every_gate_that_a_template_may_name_has_a_check_and_is_used() -> None:
    used = {gate for name in dag_names("mission") for e in dag("mission", name).edges for gate in e.gates}
    assert used == GATE_NAMES["mission"] == set(PHASE_GATES)


def test_an_unknown_gate_of_a_phase_is_closed() -> None:
    found = ask_gate("sunny", FACTS, NODE)
    assert (found.outcome, found.diagnostic_code) == ("error", "GATE_UNKNOWN")


@pytest.mark.parametrize("error", [OSError("gone"), DefinitionError("NOT_UTF8", "odd"), ValueError("odd")])
def test_a_gate_of_a_phase_that_cannot_look_is_closed(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(facts: PhaseFacts, phase: DagNode) -> Any:
        raise error

    monkeypatch.setattr(phase_gates, "PHASE_GATES", {"artifact_present": broken})
    found = ask_gate("artifact_present", FACTS, NODE)
    assert found.outcome == "error" and found.diagnostic_code in ("GATE_ERROR", "NOT_UTF8")


def test_an_unknown_gate_of_an_edge_is_closed() -> None:
    reason = ask("sunny", edge("approved"))
    assert reason is not None and reason.code == "GATE_UNKNOWN" and reason.hint


def test_a_gate_of_an_edge_that_cannot_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_gates, "EDGE_GATES", {"lane_free": lambda _: 1 / 0})
    (reason,) = closed(("lane_free",), edge("planned"))
    assert (reason.wp_id, reason.code) == ("WP02", "GATE_ERROR") and "WP01" in reason.message


@pytest.mark.parametrize(
    ("state", "facts", "codes"),
    [
        ("planned", {}, {"prerequisite_approved", "prerequisite_integrated"}),
        ("approved", {"head_commit": "a"}, {"prerequisite_integrated"}),
        ("approved", {"head_commit": "a", "integrated_head": "b"}, {"prerequisite_integrated"}),
        ("approved", {"head_commit": "a", "integrated_head": "a"}, set()),
        ("done", {}, set()),
        ("canceled", {}, {"prerequisite_not_canceled"}),
    ],
)
def test_which_gate_on_a_dependency_is_closed(state: str, facts: dict[str, Any], codes: set[str]) -> None:
    names = sorted(GATE_NAMES["declared"])
    assert {name for name in names if ask(name, edge(state, **facts)) is not None} == codes
    assert len([*closed(tuple(names), edge(state, **facts))]) == bool(codes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", False),
        ("# Title\n\n## Part\n", False),
        ("<!-- write here -->\n", False),
        ("<!-- write here", False),
        ("- TODO\n* tbd.\n1. ...\n[your text]\n---\n| | |\n", False),
        ("- [ ] \n", False),
        ("TODO: ask Ann about it", True),
        ("<!-- a --> text <!-- b -->", True),
        ("- <https://example.org>", True),
        ("| TODO | it works |", True),
        ("[link](x.md)", True),
    ],
)
def test_what_says_something(text: str, says: bool) -> None:
    assert bool(substance(text)) is says


def test_sources_are_list_items_and_rows_below_a_header() -> None:
    text = "# Sources\n- One\n* one\n1. Two\n  - a detail\n- TODO\n\n| source |\n|---|\n| Three |\n|  |\nprose\n"
    assert listed_entries(text) == {"one", "two", "| three |"}


@given(st.text(alphabet="<!->[]|# \n-*aT1.:", max_size=300))
def test_any_text_is_judged(text: str) -> None:
    assert all(line in text for line in substance(text.replace("<!--", "")))
    assert len(listed_entries(text)) <= len(text.splitlines())
    assert open_questions(text) == 0


def test_hostile_text_is_judged_in_linear_time() -> None:
    for text in ("<!--" * 200_000, "<" * 800_000, "|" * 800_000, "[" + "a" * 800_000, "- " * 400_000):
        substance(text)
        listed_entries(text)


def test_too_many_artifacts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitty_flow.missions.artifacts._MAX_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.md").write_text("x")
    with pytest.raises(DefinitionError) as caught:
        artifacts(tmp_path, "*.md")
    assert caught.value.code == "TOO_MANY_FILES"
    (tmp_path / "0.md").unlink()
    assert [each.path for each in artifacts(tmp_path, "*.md")] == ["1.md", "2.md"]
