"""Shipped machines by name, and their pictures."""

from __future__ import annotations

import pytest

from kitty_flow.errors import UsageError
from kitty_flow.machines import machine, machine_names, mermaid, next_states

MACHINES = ("invocation", "merge", "mission", "release", "work_package")


def test_the_shipped_machines_are_listed() -> None:
    assert machine_names() == MACHINES


@pytest.mark.parametrize("name", ["nope", "", "../pyproject", "work_package.toml", "/etc/passwd"])
def test_an_unknown_machine_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        machine(name)
    assert caught.value.code == "UNKNOWN_MACHINE"
    assert caught.value.hint == "kitty-flow machines list"
    assert caught.value.details["known"] == list(MACHINES)


def test_a_machine_is_read_once() -> None:
    assert machine("mission") is machine("mission")


def test_digests_of_different_machines_differ() -> None:
    assert len({machine(name).digest for name in MACHINES}) == len(MACHINES)


@pytest.mark.parametrize("name", MACHINES)
def test_the_diagram_covers_every_edge_and_nothing_else(name: str) -> None:
    definition = machine(name)
    lines = mermaid(definition).splitlines()
    assert lines[0] == "stateDiagram-v2"
    expected = {f"    [*] --> {target} : {trigger}" for trigger, target in next_states(definition, None)}
    for state in definition.states:
        for trigger, target in next_states(definition, state.name):
            expected.add(f"    {state.name} --> {target} : {trigger}")
        if state.final:
            expected.add(f"    {state.name} --> [*]")
    assert set(lines[1:]) == expected
    assert len(lines[1:]) == len(expected)
