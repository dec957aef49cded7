"""The router: tables of requests and where they go, and properties that hold for every request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import ExternalToolError, UsageError
from kitty_flow.invocation.plugins import GROUP, Choice, route_with_plugins
from kitty_flow.invocation.profile import Profile
from kitty_flow.invocation.profiles import load_profiles
from kitty_flow.invocation.request import MAX_REQUEST_BYTES, checked_request
from kitty_flow.invocation.route import AmbiguousRouteError, NoRouteError, ProfileNotFoundError, Route
from kitty_flow.invocation.router import candidates_of, route
from kitty_flow.invocation.verbs import ACTIONS, CANONICAL_VERBS, ROLES
from kitty_flow.invocation.words import phrase, stem, words

SHIPPED = load_profiles(None)


def profile(name: str, role: str = "implementer", **fields: Any) -> Profile:
    return Profile(name, name.title(), "For a test.", role, **fields)


# The seven cases of seed 000, T010: named, unknown, verb, keyword, priority, ambiguous, nothing.


def test_a_profile_that_is_named_is_taken_whatever_the_request_says() -> None:
    assert route("implement the parser", SHIPPED, hint="Reviewer ") == (
        "reviewer",
        "implement",
        "exact",
        "profile 'reviewer' was named",
    )
    assert route("is it safe?", SHIPPED, hint="reviewer").action == "review"


def test_a_name_that_no_profile_has_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ProfileNotFoundError) as caught:
        route("implement the parser", SHIPPED, hint="reviwer")
    error = caught.value
    assert (error.code, error.exit_status) == ("PROFILE_NOT_FOUND", 2)
    assert error.suggestions == ("reviewer",)
    assert error.details["known"] == [p.id for p in SHIPPED]


@pytest.mark.parametrize(("action", "verb"), [(a, v) for a, verbs in CANONICAL_VERBS.items() for v in verbs])
def test_every_canonical_verb_leads_to_its_role(action: str, verb: str) -> None:
    found = route(f"{verb} the thing", SHIPPED)
    assert found == (ACTIONS[action], action, "canonical_verb", f"verb '{verb}'")


def test_a_keyword_is_enough_where_there_is_no_verb() -> None:
    found = route("The page hangs, stack trace below", SHIPPED)
    assert found == ("implementer", "implement", "domain_keyword", "keyword 'stack trace'")


def test_priority_decides_between_equals_and_says_so() -> None:
    found = route("implement it", [profile("a"), profile("b", priority=60), profile("c", priority=10)])
    assert found.profile_id == "b"
    assert found.match_reason == "verb 'implement'; its priority 60 is above that of a 50, c 10"


def test_equals_are_an_error_that_names_them_with_reasons() -> None:
    with pytest.raises(AmbiguousRouteError) as caught:
        route("implement and review it", SHIPPED)
    error = caught.value
    assert (error.code, error.exit_status) == ("ROUTER_AMBIGUOUS", 2)
    assert error.details["candidates"] == [
        {"profile_id": "implementer", "action": "implement", "match_reason": "verb 'implement'"},
        {"profile_id": "reviewer", "action": "review", "match_reason": "verb 'review'"},
    ]
    assert error.hint == "choose one: kitty-flow ask implementer 'implement and review it'"


def test_nothing_that_leads_anywhere_is_an_error_with_what_was_perhaps_meant() -> None:
    with pytest.raises(NoRouteError) as caught:
        route("revew the code", SHIPPED)
    error = caught.value
    assert (error.code, error.exit_status) == ("ROUTER_NO_MATCH", 2)
    assert error.suggestions == (("revew", "review", "reviewer"),)
    assert error.hint and error.hint.startswith("name one: kitty-flow ask reviewer 'revew the code'")


SENTENCES = [
    # Case, punctuation, width, invisible characters, spelling.
    ("REVIEW THE PARSER", "reviewer", "canonical_verb"),
    ("  review: the parser!", "reviewer", "canonical_verb"),
    ("\uff52\uff45\uff56\uff49\uff45\uff57 the parser", "reviewer", "canonical_verb"),
    ("re\u200bview the parser", "reviewer", "canonical_verb"),
    ("analyse the numbers", "researcher", "canonical_verb"),
    ("prioritise the epics", "planner", "canonical_verb"),
    ("\u2022 review the parser", "reviewer", "canonical_verb"),
    ("1. Review the parser", "reviewer", "canonical_verb"),
    # Inflection.
    ("planning the sprint", "planner", "canonical_verb"),
    ("debugging the cache", "implementer", "canonical_verb"),
    ("writing the cache", "implementer", "canonical_verb"),
    ("summarised the meetings", "researcher", "canonical_verb"),
    ("classifies the pages", "curator", "canonical_verb"),
    ("fixes the cache", "implementer", "canonical_verb"),
    ("built the cache", "implementer", "canonical_verb"),
    ("refactoring of the cache", "implementer", "profile_verb"),
    # What stands before the command.
    ("please could you fix the cache", "implementer", "canonical_verb"),
    ("Hi, I want you to review the cache", "reviewer", "canonical_verb"),
    ("let's design the form", "designer", "canonical_verb"),
    ("we need to specify the protocol", "architect", "canonical_verb"),
    # The command decides, not its objects.
    ("review the plan", "reviewer", "canonical_verb"),
    ("implement the review page", "implementer", "canonical_verb"),
    ("plan the design of the audit", "planner", "canonical_verb"),
    ("fix the build", "implementer", "canonical_verb"),
    ("document how to fix the build", "curator", "profile_verb"),
    # Several commands of one role are one.
    ("build and fix the cache", "implementer", "canonical_verb"),
    ("inspect, audit and then assess the cache", "reviewer", "canonical_verb"),
    # A thing is no command.
    ("the plan is wrong, investigate", "researcher", "canonical_verb"),
    ("Our code is slow: monitor it", "manager", "canonical_verb"),
    # Keywords: one word, several, with hyphens, plural; and what tells two readings apart.
    ("update the documentation", "curator", "domain_keyword"),
    ("there are two bugs", "implementer", "domain_keyword"),
    ("more dead links than last week", "curator", "domain_keyword"),
    ("the look-and-feel of the form", "designer", "domain_keyword"),
    ("the look and feel of the form", "designer", "domain_keyword"),
    ("a Trade-Off between speed and size", "architect", "domain_keyword"),
    ("what is the state of the art?", "researcher", "domain_keyword"),
    ("Critical  path\nof the release", "planner", "domain_keyword"),
    ("status report for the board", "manager", "domain_keyword"),
    ("code review for the parser", "reviewer", "canonical_verb"),
    ("test plan for the importer", "planner", "canonical_verb"),
    # A profile's own verbs.
    ("add a dark mode", "implementer", "profile_verb"),
    ("split WP03 in two", "planner", "profile_verb"),
    ("compare C++ and Rust", "researcher", "profile_verb"),
    ("escalate it", "manager", "profile_verb"),
]


@pytest.mark.parametrize(("request_text", "profile_id", "confidence"), SENTENCES)
def test_a_request_goes_where_it_belongs(request_text: str, profile_id: str, confidence: str) -> None:
    found = route(checked_request(request_text), SHIPPED)
    assert (found.profile_id, found.confidence) == (profile_id, confidence)


@pytest.mark.parametrize(
    ("request_text", "profile_ids"),
    [
        ("implement and review the cache", ["implementer", "reviewer"]),
        ("plan, then build the cache", ["implementer", "planner"]),
        ("review plan", ["planner", "reviewer"]),
        ("somebody said to review or to track it", ["manager", "reviewer"]),
        ("bug in the glossary", ["curator", "implementer"]),
        ("design and specify and plan the cache", ["architect", "designer", "planner"]),
    ],
)
def test_what_can_be_read_in_two_ways_is_not_guessed(request_text: str, profile_ids: list[str]) -> None:
    with pytest.raises(AmbiguousRouteError) as caught:
        route(request_text, SHIPPED)
    assert [c.profile_id for c in caught.value.candidates] == profile_ids
    assert all(c.match_reason for c in caught.value.candidates)


@pytest.mark.parametrize(
    "request_text", ["what is the weather", "!!!", "12 34", "the plan", "blueprint", "underreviewed", "スライド"]
)
def test_what_leads_nowhere_has_no_route(request_text: str) -> None:
    with pytest.raises(NoRouteError):
        route(request_text, SHIPPED)


SPECIALISTS = (
    profile("generalist"),
    profile("pythonist", domain_keywords=("python", "c++")),
    profile("packager", domain_keywords=("python wheel",), verbs=("ship",)),
    profile("pilot", role="manager", verbs=("ship", "steer"), priority=60),
)


@pytest.mark.parametrize(
    ("request_text", "profile_id"),
    [
        ("implement the python parser", "pythonist"),
        ("implement the c++ parser", "pythonist"),
        ("implement the python wheel", "packager"),
        ("the python wheel", "packager"),
        ("ship it", "pilot"),  # two have the verb; priority decides
        ("ship the python-wheel", "packager"),  # a verb and a keyword come before a priority
        ("steer it", "pilot"),
    ],
)
def test_a_specialist_comes_before_others_of_its_role(request_text: str, profile_id: str) -> None:
    assert route(request_text, SPECIALISTS).profile_id == profile_id


@pytest.mark.parametrize("request_text", ["implement it", "implement it in c"])
def test_specialists_that_nothing_speaks_for_are_equals(request_text: str) -> None:
    with pytest.raises(AmbiguousRouteError):
        route(request_text, SPECIALISTS)


@given(
    st.lists(st.sampled_from(["fix", "review", "plan", "the", "and", "bug", "glossary", "C++", "ship", "ẞ", "?"])),
    st.permutations((*SHIPPED, *SPECIALISTS)),
)
def test_the_order_of_profiles_makes_no_difference(said: list[str], profiles: list[Profile]) -> None:
    text = " ".join(said)
    assert outcome(text, profiles) == outcome(text, [*SHIPPED, *SPECIALISTS])


@given(st.text(max_size=200))
def test_every_request_has_a_route_or_a_typed_error(text: str) -> None:
    kind, found = outcome(text, SHIPPED)
    assert kind in ("route", "ROUTER_AMBIGUOUS", "ROUTER_NO_MATCH")
    if kind == "route":
        assert found.profile_id in ROLES and found.action in ACTIONS and found.match_reason
        assert outcome(text.casefold(), SHIPPED) == (kind, found)
    elif kind == "ROUTER_AMBIGUOUS":
        known = {c.profile_id for c in candidates_of(text, SHIPPED)}
        assert len(found) > 1 and {c["profile_id"] for c in found} <= known


def outcome(text: str, profiles: Any) -> tuple[str, Any]:
    try:
        return "route", route(text, profiles)
    except AmbiguousRouteError as error:
        return error.code, error.details["candidates"]
    except NoRouteError as error:
        return error.code, error.details


@pytest.mark.parametrize("verb", sorted({v for verbs in CANONICAL_VERBS.values() for v in verbs} - {"requirements"}))
def test_inflected_forms_of_a_verb_are_one(verb: str) -> None:
    root = verb.removesuffix("e")
    doubled = root + root[-1] if verb in ("plan", "debug", "tag") else root
    if verb.endswith("y") and verb[-2] not in "aeiou":
        third, past = f"{verb[:-1]}ies", f"{verb[:-1]}ied"
    else:
        third, past = verb + ("es" if verb.endswith(("s", "x", "ch")) else "s"), f"{doubled}ed"
    assert {stem(form) for form in (verb, third, past, f"{doubled}ing")} == {stem(verb)}


def test_words_keep_what_belongs_to_them() -> None:
    assert [w.text for w in words("C++ and C#, snake_case: e2e-tests")] == [
        "c++", "and", "c#", "snake_case", "e2e", "tests",
    ]  # fmt: skip
    assert phrase("State-of-the-Art") == phrase("state of the art")
    assert {stem(w) for w in ("bring", "string", "speed", "class", "status", "basis")}.isdisjoint({"br", "spe", "clas"})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "REQUEST_EMPTY"),
        (" \n\t ", "REQUEST_EMPTY"),
        ("fix \x1b[31m it", "REQUEST_UNREADABLE"),
        ("fix\x00", "REQUEST_UNREADABLE"),
        ("fix \udcff", "REQUEST_UNREADABLE"),
        ("x" * 10 * 2**20, "REQUEST_TOO_LARGE"),
        ("é" * (MAX_REQUEST_BYTES // 2 + 1), "REQUEST_TOO_LARGE"),
    ],
    ids=["empty", "blank", "escape", "nul", "surrogate", "10 MB", "too many bytes"],
)
def test_hostile_requests_are_refused_by_name(text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_request(text)
    assert caught.value.code == code
    assert len(caught.value.message) < 200


def test_the_largest_request_is_routed() -> None:
    text = checked_request("review " + "plan " * ((MAX_REQUEST_BYTES - 7) // 5))
    assert candidates_of(text, SHIPPED)


# Plug-ins.


class Plugin:
    def __init__(self, name: str, answer: Any) -> None:
        self.name, self.value, self.answer = name, f"package:{name}", answer
        self.asked: list[Any] = []

    def load(self) -> Any:
        if self.answer is ImportError:
            raise ImportError("no module named package")
        return self.ask

    def ask(self, *question: Any) -> Any:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(*plugins: Plugin) -> None:
        def entry_points(*, group: str) -> list[Plugin]:
            assert group == GROUP
            return list(plugins)

        monkeypatch.setattr("importlib.metadata.entry_points", entry_points)

    return put


def test_plugins_are_asked_by_name_where_the_rules_find_no_one(install: Any) -> None:
    silent, says, unasked = Plugin("a", None), Plugin("b", Choice("curator", "it rains")), Plugin("c", ValueError())
    install(unasked, says, silent)
    found = route_with_plugins("what is the weather", SHIPPED)
    assert found == Route("curator", "curate", "plugin", "plug-in b: it rains")
    assert silent.asked == [("what is the weather", SHIPPED, ())] and not unasked.asked
    says.answer = Choice("curator", "as ever", "review")
    assert route_with_plugins("implement and review it", SHIPPED).action == "review"
    assert [c.profile_id for c in says.asked[-1][2]] == ["implementer", "reviewer"]


def test_plugins_change_nothing_that_the_rules_decide(install: Any) -> None:
    broken = Plugin("a", ImportError)
    install(broken)
    assert route_with_plugins("review it", SHIPPED).profile_id == "reviewer"
    assert route_with_plugins("whatever", SHIPPED, hint="curator").profile_id == "curator"
    install(Plugin("a", None))
    with pytest.raises(NoRouteError):
        route_with_plugins("what is the weather", SHIPPED)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ImportError, "ImportError: no module"),
        (ValueError("boom"), "ValueError: boom"),
        ("curator", "answered with a str"),
        (Choice("nobody", "why"), "'nobody', which does not exist"),
        (Choice("curator", "why", "dance"), "'dance', which does not exist"),
    ],
)
def test_a_plugin_that_fails_is_named(install: Any, answer: Any, why: str) -> None:
    install(Plugin("weather", answer))
    with pytest.raises(ExternalToolError) as caught:
        route_with_plugins("what is the weather", SHIPPED)
    error = caught.value
    assert error.code == "ROUTER_PLUGIN_FAILED"
    assert error.message.startswith("the router plug-in weather (package:weather) failed: ") and why in error.message
    assert error.details["plugin"] == "weather"


def test_a_profile_replaced_by_another_role_moves_its_verbs() -> None:
    moved = [replace(p, role="curator") if p.id == "reviewer" else p for p in SHIPPED]
    with pytest.raises(NoRouteError):
        route("inspect it", moved)
