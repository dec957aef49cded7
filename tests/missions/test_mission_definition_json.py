"""A definition and a plan as the ledger keeps them: nothing is lost, and the digest says when something was changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.graph import compute_plan
from kitty_flow.model.mission import MissionDefinition, MissionSource, Subtask, WorkPackage
from kitty_flow.model.plan import Plan

ODD = MissionDefinition(
    id="01JZ5N3C8RWE5P1YF0K6SHTAVD",
    slug="s",
    title='Wörk "quoted" \\ \x7f \u2028 é\U0001f600',
    target_branch=None,
    source=MissionSource(kind="native", path="m.toml"),
    work_packages=(
        WorkPackage(
            id="WP01",
            title="A\tb\x01",
            owned_files=("a/**", "b"),
            subtasks=(Subtask(id="T001", title="</x>"), Subtask(id="T002")),
            requirement_refs=("FR-1",),
            prompt="line\r\nnext\b\f",
        ),
        WorkPackage(
            id="WP02", title="", dependencies=("WP01",), execution_mode="planning_artifact", owned_files=("a/c",)
        ),
        WorkPackage(id="WP03", title="x", owned_files=("a/c",)),
    ),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def test_a_digest_stays_what_it_was_when_it_was_recorded() -> None:
    """The value was computed by the first version, with pydantic: ledgers hold it."""
    two = replace(ODD, work_packages=(ODD.work_packages[0], replace(ODD.work_packages[1], owned_files=())))
    assert two.digest == "e77e16c2ec7310e90984298caa6abcb28879778fc4853dd4c3613e14194afc0c"


@given(TEXT, TEXT, st.none() | TEXT, TEXT)
def test_a_definition_comes_back_as_it_was(title: str, prompt: str, branch: str | None, path: str) -> None:
    first = replace(ODD.work_packages[0], prompt=prompt)
    meant = replace(ODD, title=title, target_branch=branch, source=MissionSource("text", path), work_packages=(first,))
    content = meant.as_json()
    found = MissionDefinition.from_json(content)
    assert found == meant
    assert found.digest == meant.digest
    assert found.has_digest(meant.digest, content)
    assert json.loads(content)["work_packages"][0]["subtasks"] == [s._asdict() for s in first.subtasks]


def test_the_order_of_the_keys_in_the_ledger_does_not_matter() -> None:
    content = json.dumps(dict(reversed(json.loads(ODD.as_json()).items())), indent=1).encode()
    found = MissionDefinition.from_json(content)
    assert found == ODD
    assert found.has_digest(ODD.digest, content)


@pytest.mark.parametrize(
    ("before", "after"), [(b'"x"', b'"y"'), (b"planning_artifact", b"code_change"), (b'"slug":"s"', b'"slug":"t"')]
)
def test_a_changed_definition_does_not_have_the_digest(before: bytes, after: bytes) -> None:
    content = ODD.as_json().replace(before, after)
    assert not MissionDefinition.from_json(content).has_digest(ODD.digest, content)


@pytest.mark.parametrize("damage", ["unknown", "missing", "list", "number", "text"])
@pytest.mark.parametrize("kind", [MissionDefinition, Plan])
def test_what_nobody_wrote_is_refused(damage: str, kind: Any) -> None:
    data = json.loads(ODD.as_json() if kind is MissionDefinition else compute_plan(ODD).as_json())
    last = list(data)[-1]
    missing = {name: value for name, value in data.items() if name != last}
    damaged = {
        "unknown": data | {"more": 1},
        "missing": missing,
        "list": [data],
        "number": data | {last: 7},
        "text": "{",
    }
    content = damaged[damage]
    with pytest.raises(ValueError):
        kind.from_json(content.encode() if isinstance(content, str) else json.dumps(content).encode())


def test_a_plan_comes_back_as_it_was() -> None:
    plan = compute_plan(ODD)
    assert plan.conflicts
    assert Plan.from_json(plan.as_json()) == plan
