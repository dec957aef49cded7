"""The traps of the `transitions` library: each is shown to be real, and shown to be closed behind `decide`."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from transitions import Machine, MachineError

from kitty_flow.errors import DefinitionError, RefusedError
from kitty_flow.machines import Facts, Guard, decide, machine, parse_machine

DOOR = """
name = "door"
description = "A door."
initial = "shut"
[states.shut]
description = "s"
[states.open]
description = "o"
final = true
[[transitions]]
trigger = "make"
from = ["(new)"]
to = ["shut"]
guards = []
event = "made"
evidence = []
description = "d"
[[transitions]]
trigger = "open"
from = ["shut"]
to = ["open"]
guards = ["reason_given"]
event = "opened"
evidence = []
description = "d"
"""


def fake(answer: Any) -> dict[str, Guard]:
    guard = Guard(name="reason_given", predicate=lambda facts: answer, code="NO", message="no", hint="h")
    return {"reason_given": guard}


def test_automatic_transitions_would_reach_any_state_and_are_off() -> None:
    subject: Any = SimpleNamespace()
    Machine(subject, states=["planned", "done"], initial="planned")
    assert subject.to_done() is True
    definition = machine("work_package")
    for trigger in [f"to_{state}" for state in definition.state_names]:
        with pytest.raises(RefusedError, match="ILLEGAL_TRANSITION"):
            decide(definition, "planned", trigger, Facts(reason="r", actor="a"))


def test_a_misspelt_state_is_accepted_by_the_library_and_refused_here() -> None:
    Machine(None, states=["shut", "open"], initial="shut", transitions=[["open", "shut", "opne"]])
    with pytest.raises(DefinitionError) as caught:
        parse_machine(DOOR.replace('to = ["open"]', 'to = ["opne"]'))
    assert "UNKNOWN_STATE" in {problem["code"] for problem in caught.value.details["problems"]}


def test_a_dotted_guard_is_imported_by_the_library_and_refused_here(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kitty_trap_one.py").write_text("def guard(*args):\n    return True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    subject: Any = SimpleNamespace()
    Machine(subject, states=["a", "b"], initial="a").add_transition("go", "a", "b", conditions="kitty_trap_one.guard")
    subject.go()
    assert "kitty_trap_one" in sys.modules
    monkeypatch.delitem(sys.modules, "kitty_trap_one")
    with pytest.raises(DefinitionError) as caught:
        parse_machine(DOOR.replace("reason_given", "kitty_trap_one.guard"))
    assert "CALLBACK_LIKE_NAME" in {problem["code"] for problem in caught.value.details["problems"]}
    assert "kitty_trap_one" not in sys.modules


class AlwaysEqual:
    """Pretends to be whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


@pytest.mark.parametrize("answer", [1, "yes", object(), None, [True], AlwaysEqual(), False])
def test_a_guard_must_return_exactly_true(answer: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        decide(parse_machine(DOOR), "shut", "open", Facts(), guards=fake(answer))
    assert caught.value.code == "NO"


def test_an_exception_in_a_guard_is_a_refusal_that_names_it() -> None:
    def broken(facts: Facts) -> bool:
        raise ZeroDivisionError("division by zero")

    guard = Guard(name="reason_given", predicate=broken, code="NO", message="no", hint="h")
    with pytest.raises(RefusedError) as caught:
        decide(parse_machine(DOOR), "shut", "open", Facts(), guards={"reason_given": guard})
    assert caught.value.code == "GUARD_ERROR"
    assert "ZeroDivisionError: division by zero" in caught.value.message


def test_an_interrupt_in_a_guard_is_not_turned_into_a_refusal() -> None:
    def interrupted(facts: Facts) -> bool:
        raise KeyboardInterrupt

    guard = Guard(name="reason_given", predicate=interrupted, code="NO", message="no", hint="h")
    with pytest.raises(KeyboardInterrupt):
        decide(parse_machine(DOOR), "shut", "open", Facts(), guards={"reason_given": guard})


def test_with_a_queue_a_refused_trigger_reports_success_and_here_it_does_not() -> None:
    subject: Any = SimpleNamespace()
    queued = Machine(subject, states=["a", "b"], initial="a", queued=True)
    queued.add_transition("go", "a", "b", conditions=lambda: False)
    assert subject.go() is True and subject.state == "a"
    with pytest.raises(RefusedError):
        decide(parse_machine(DOOR), "shut", "open", Facts())


def test_a_failing_after_callback_leaves_the_library_moved_and_definitions_have_no_callbacks() -> None:
    def fail() -> None:
        raise OSError("disk full")

    subject: Any = SimpleNamespace()
    Machine(subject, states=["a", "b"], initial="a").add_transition("go", "a", "b", after=fail)
    with pytest.raises(OSError, match="disk full"):
        subject.go()
    assert subject.state == "b"
    for callback in ("before", "after", "prepare", "conditions", "unless"):
        with pytest.raises(DefinitionError) as caught:
            parse_machine(DOOR + f'{callback} = "print"\n')
        assert caught.value.details["problems"][0]["code"] == "UNKNOWN_KEY"


def test_an_error_in_a_finalizer_is_swallowed_by_the_library_and_definitions_have_no_finalizer() -> None:
    def fail() -> None:
        raise OSError("disk full")

    subject: Any = SimpleNamespace()
    logging.getLogger("transitions").addHandler(logging.NullHandler())
    finalized = Machine(subject, states=["a", "b"], initial="a", finalize_event=fail)
    finalized.add_transition("go", "a", "b")
    assert subject.go() is True
    with pytest.raises(DefinitionError) as caught:
        parse_machine('finalize_event = "print"\n' + DOOR)
    assert caught.value.details["problems"][0]["code"] == "UNKNOWN_KEY"


def test_an_unknown_trigger_is_refused_and_not_ignored() -> None:
    subject: Any = SimpleNamespace()
    strict = Machine(subject, states=["a", "b"], initial="b", auto_transitions=False)
    strict.add_transition("go", "a", "b")
    with pytest.raises(MachineError):
        subject.go()
    with pytest.raises(RefusedError, match="ILLEGAL_TRANSITION"):
        decide(parse_machine(DOOR), "open", "open", Facts(reason="r"))


def test_a_refusal_leaves_nothing_behind_for_the_next_decision() -> None:
    door = parse_machine(DOOR)
    with pytest.raises(RefusedError):
        decide(door, "shut", "open", Facts())
    assert decide(door, "shut", "open", Facts(reason="r")).to_state == "open"
    with pytest.raises(RefusedError):
        decide(door, "shut", "open", Facts())


def test_threads_share_a_machine_without_mixing_their_answers() -> None:
    definition = machine("work_package")
    wanted = ["planned", "in_progress"] * 200

    def ask(target: str) -> str:
        facts = Facts(feedback="again", requested_state=target)
        return decide(definition, "in_review", "request_changes", facts).to_state

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert list(pool.map(ask, wanted)) == wanted


def test_importing_and_reading_machines_does_not_import_the_library() -> None:
    script = (
        "import sys, kitty_flow.machines as m\n"
        "m.mermaid(m.machine('work_package')); m.next_states(m.machine('mission'), 'running')\n"
        "m.dag('pipeline', 'merge')\n"
        "heavy = {'transitions', 'networkx', 'pydantic', 'httpx', 'sqlite_utils'} & set(sys.modules)\n"
        "print(sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
