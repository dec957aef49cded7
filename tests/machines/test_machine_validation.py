"""Each way in which a machine definition can be wrong is reported, all of them at once."""

from __future__ import annotations

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.machines import parse_machine

HEAD = 'name = "door"\ndescription = "A door."\ninitial = "shut"\n'
STATES = '[states.shut]\ndescription = "s"\n[states.open]\ndescription = "o"\nfinal = true\n'


def edge(trigger: str = "open", source: str = '["shut"]', target: str = '["open"]', more: str = "guards = []") -> str:
    return (
        f'[[transitions]]\ntrigger = "{trigger}"\nfrom = {source}\nto = {target}\n'
        f'event = "happened"\nevidence = []\ndescription = "d"\n{more}\n'
    )


CREATE = edge("make", '["(new)"]', '["shut"]')
SOUND = HEAD + STATES + CREATE + edge()

RED: dict[str, tuple[str, str]] = {
    "not toml": ("NOT_TOML", "name = ["),
    "unknown machine key": ("UNKNOWN_KEY", 'on_enter = "x"\n' + SOUND),
    "unknown state key": ("UNKNOWN_KEY", SOUND.replace("final = true", 'final = true\non_enter = "x"')),
    "unknown transition key": ("UNKNOWN_KEY", SOUND + 'after = "print"\n'),
    "missing name": ("MISSING_KEY", SOUND.replace('name = "door"\n', "")),
    "missing initial": ("MISSING_KEY", SOUND.replace('initial = "shut"\n', "")),
    "missing event": ("MISSING_KEY", SOUND.replace('event = "happened"\n', "", 1)),
    "missing trigger": ("MISSING_KEY", SOUND.replace('trigger = "open"\n', "")),
    "missing states": ("MISSING_KEY", HEAD + CREATE),
    "missing transitions": ("MISSING_KEY", HEAD + STATES),
    "states is a list": ("WRONG_TYPE", HEAD + 'states = ["shut"]\n' + CREATE),
    "a state is a string": ("WRONG_TYPE", HEAD + '[states]\nshut = "x"\n' + CREATE),
    "final is a word": ("WRONG_TYPE", SOUND.replace("final = true", 'final = "yes"')),
    "from is a string": ("WRONG_TYPE", SOUND + edge("slam", '"shut"')),
    "a guard is a number": ("WRONG_TYPE", SOUND + edge("slam", more="guards = [1]")),
    "a transition is a string": ("WRONG_TYPE", HEAD + 'transitions = ["open"]\n' + STATES),
    "repeated source": ("REPEATED_ENTRY", SOUND + edge("slam", '["shut", "shut"]')),
    "repeated guard": ("REPEATED_ENTRY", SOUND + edge("slam", more='guards = ["reason_given", "reason_given"]')),
    "unknown source": ("UNKNOWN_STATE", SOUND + edge("slam", '["shutt"]')),
    "unknown target": ("UNKNOWN_STATE", SOUND + edge("slam", target='["opne"]')),
    "unknown initial": ("UNKNOWN_STATE", SOUND.replace('initial = "shut"', 'initial = "ajar"')),
    "target before creation": ("UNKNOWN_STATE", SOUND + edge("slam", target='["(new)"]')),
    "wildcard source": ("UNKNOWN_STATE", SOUND + edge("slam", '["*"]')),
    "no source": ("NO_STATE", SOUND + edge("slam", "[]")),
    "no target": ("NO_STATE", SOUND + edge("slam", target="[]")),
    "unknown guard": ("UNKNOWN_GUARD", SOUND + edge("slam", more='guards = ["is_tuesday"]')),
    "dotted guard": ("CALLBACK_LIKE_NAME", SOUND + edge("slam", more='guards = ["os.getcwd"]')),
    "called guard": ("CALLBACK_LIKE_NAME", SOUND + edge("slam", more='guards = ["exit()"]')),
    "entry point guard": ("CALLBACK_LIKE_NAME", SOUND + edge("slam", more='guards = ["os:getcwd"]')),
    "dotted trigger": ("CALLBACK_LIKE_NAME", SOUND + edge("os.getcwd")),
    "dotted state": ("CALLBACK_LIKE_NAME", SOUND + '[states."os.path"]\ndescription = "x"\n'),
    "dotted event": ("CALLBACK_LIKE_NAME", SOUND.replace("happened", "os.path")),
    "dotted evidence": ("CALLBACK_LIKE_NAME", SOUND.replace("evidence = []", 'evidence = ["a.b"]')),
    "capital trigger": ("BAD_NAME", SOUND + edge("Slam")),
    "private trigger": ("BAD_NAME", SOUND + edge("__class__")),
    "empty trigger": ("BAD_NAME", SOUND + edge("")),
    "reserved trigger": ("RESERVED_NAME", SOUND + edge("force")),
    "duplicate trigger": ("DUPLICATE_TRIGGER", SOUND + edge("open")),
    "final state left": ("FINAL_STATE_LEFT", SOUND + edge("close", '["open"]', '["shut"]')),
    "unreachable state": ("UNREACHABLE_STATE", SOUND + '[states.ajar]\ndescription = "x"\n' + edge("g", '["ajar"]')),
    "dead end": ("DEAD_END", SOUND + '[states.stuck]\ndescription = "x"\n' + edge("jam", target='["stuck"]')),
    "cycle without a way out": (
        "DEAD_END",
        SOUND + '[states.spin]\ndescription = "x"\n' + edge("a", target='["spin"]') + edge("b", '["spin"]', '["spin"]'),
    ),
    "no final state": ("NO_FINAL_STATE", SOUND.replace("final = true\n", "")),
    "no creation": ("NO_CREATION", HEAD + STATES + edge()),
    "creation elsewhere": ("CREATION_NOT_INITIAL", SOUND + edge("import", '["(new)"]', '["open"]')),
    "creation mixed with a state": ("CREATION_NOT_INITIAL", SOUND + edge("reset", '["(new)", "shut"]', '["shut"]')),
    "several targets, no fact": ("TARGET_NOT_CHOSEN", SOUND + edge("slam", target='["open", "shut"]')),
    "unknown fact": (
        "UNKNOWN_TARGET_FACT",
        SOUND + edge("slam", target='["open", "shut"]', more='guards = []\ntarget = "actor"'),
    ),
    "fact without choice": (
        "TARGET_WITHOUT_CHOICE",
        SOUND + edge("slam", more='guards = []\ntarget = "requested_state"'),
    ),
}


def codes_of(text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        parse_machine(text, where="door.toml")
    assert caught.value.code == "INVALID_MACHINE"
    assert "door.toml" in caught.value.message
    problems = caught.value.details["problems"]
    assert all(set(problem) == {"code", "message", "where"} and all(problem.values()) for problem in problems)
    return [problem["code"] for problem in problems]


def test_the_sound_definition_is_read() -> None:
    door = parse_machine(SOUND)
    assert (door.name, door.initial, door.state_names) == ("door", "shut", ("shut", "open"))
    assert door.triggers(None) == ("make",)
    assert door.triggers("shut") == ("open",)


@pytest.mark.parametrize("case", sorted(RED))
def test_red(case: str) -> None:
    code, text = RED[case]
    assert code in codes_of(text)


@pytest.mark.parametrize(
    "case", ["unknown guard", "duplicate trigger", "dead end", "missing trigger", "missing initial", "unknown target"]
)
def test_one_mistake_is_one_problem(case: str) -> None:
    code, text = RED[case]
    assert codes_of(text) == [code]


def test_two_edges_without_a_trigger_are_not_called_duplicates() -> None:
    nameless = edge().replace('trigger = "open"\n', "")
    assert codes_of(HEAD + STATES + CREATE + nameless + nameless) == ["MISSING_KEY", "MISSING_KEY"]


def test_all_problems_are_reported_together() -> None:
    text = SOUND + edge("slam", '["nowhere"]', more='guards = ["is_tuesday"]') + edge("open") + edge("force")
    assert {"UNKNOWN_STATE", "UNKNOWN_GUARD", "DUPLICATE_TRIGGER", "RESERVED_NAME"} <= set(codes_of(text))


def test_the_digest_follows_what_the_machine_allows() -> None:
    digest = parse_machine(SOUND).digest
    assert len(digest) == 64
    reworded = parse_machine("# a comment\n" + SOUND.replace('description = "d"', 'description = "other words"'))
    reordered = parse_machine(HEAD + STATES + edge() + CREATE)
    assert digest == reworded.digest == reordered.digest
    stricter = parse_machine(HEAD + STATES + CREATE + edge(more='guards = ["reason_given"]'))
    renamed = parse_machine(SOUND.replace("happened", "opened"))
    wider = parse_machine(SOUND + edge("slam"))
    assert len({digest, stricter.digest, renamed.digest, wider.digest}) == 4
    choosing = 'guards = []\ntarget = "requested_state"'
    two = parse_machine(SOUND + edge("slam", target='["open", "shut"]', more=choosing))
    other_order = parse_machine(SOUND + edge("slam", target='["shut", "open"]', more=choosing))
    other_fact = parse_machine(
        SOUND + edge("slam", target='["open", "shut"]', more=choosing.replace("requested_state", "state_before_block"))
    )
    third = SOUND + '[states.ajar]\ndescription = "x"\nfinal = true\n'
    narrow = parse_machine(third + edge("slam", target='["open", "ajar"]', more=choosing))
    broad = parse_machine(third + edge("slam", target='["open", "ajar", "shut"]', more=choosing))
    assert two.digest == other_order.digest
    assert len({two.digest, other_fact.digest, narrow.digest, broad.digest}) == 4
