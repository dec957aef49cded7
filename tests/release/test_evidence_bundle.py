"""The evidence bundle: the same bytes each time, checked in any clone, and no byte of it that could be another."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import Workbench

from kitty_flow.errors import DefinitionError, KittyFlowError
from kitty_flow.git.repository import Repository
from kitty_flow.release.evidence.canonical import MAX_BYTES, canonical, parse, sealed
from kitty_flow.release.evidence.checking import CheckedBundle, check_bundle

Statement = dict[str, Any]

OVERRIDE = ("--override", "worktrees_clean", "--reason", "only a note")


@pytest.fixture
def landed(bench: Workbench) -> Path:
    """The bundle that a merge left; one gate of it was overridden."""
    lane = next(Path(f"{bench.root}.kitty").glob("worktrees/*/lane-*"))
    (lane / "note.txt").write_text("a person looked around here\n")
    hub = bench.root.parent / "hub.git"
    bench.git("clone", "-q", "--bare", bench.root, hub)
    bench.git("remote", "add", "origin", hub)
    words = ("merge", "sample", "--test-command", "test -f two.txt", *OVERRIDE)
    return Path(bench.kitty(*words)["data"]["bundle"])


def changed(content: bytes, change: Callable[[Statement], None], *, seal: bool = True) -> bytes:
    """A bundle that somebody changed and sealed again, as a forger would."""
    statement = json.loads(content)
    change(statement["predicate"])
    return canonical(sealed(statement) if seal else statement)


def set_any(predicate: Statement, chance: random.Random) -> None:
    """Put something else in place of one value, wherever it is."""
    node: Any = predicate
    while True:
        key = chance.choice(list(node) if isinstance(node, dict) else list(range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key]:
            node[key] = "something else"
            return
        node = node[key]


def contradicted(found: CheckedBundle) -> list[str]:
    return [finding.check for finding in found.findings if finding.outcome == "fail"]


@pytest.mark.slow
def test_a_bundle_proves_what_landed(bench: Workbench, landed: Path) -> None:
    content = landed.read_bytes()
    statement = json.loads(content)
    commit, tree = bench.git("rev-parse", "trunk"), bench.tree("trunk")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "refs/heads/trunk", "digest": {"gitCommit": commit, "gitTree": tree}}]
    events = {event["event_id"]: event for event in bench.events()}
    assert all(
        events[event["event_id"]] == {**events[event["event_id"]], **event}
        for event in statement["predicate"]["events"]
    )
    (landing,) = statement["predicate"]["landings"]
    assert [(w["id"], w["reviewer"]) for w in landing["work_packages"]] == [
        ("WP01", "reviewer-command"),
        ("WP02", "reviewer-command"),
    ]
    assert {events[w["verdict"]]["trigger"] for w in landing["work_packages"]} == {"approve"}
    assert landing["tests"]["command"] == ["test", "-f", "two.txt"]
    assert landing["tests"]["log_sha256"] and landing["environment"]["git"]
    assert {gate["gate"] for gate in landing["gates"] if gate["outcome"] != "pass"} == {"worktrees_clean"}
    (override,) = landing["overrides"]
    assert (override["gate"], override["why"]) == ("worktrees_clean", "only a note")
    assert override["who"] and events[override["event"]]["trigger"] == "override_gate"
    assert "only a note" in landed.with_suffix(".md").read_text()
    assert "tests_pass" in {gate["gate"] for gate in landing["gates"]}
    page = landed.with_suffix(".md").read_text()
    assert "flowchart LR" in page
    for step in ("prepare", "land"):  # asked twice, and it says before what
        assert f"| `{step}` | `checkout_clean` | `pass` |" in page

    # Written again after the ledger has grown: the same bytes, and nothing else of the user's changed.
    bench.kitty("merge", "sample", "--test-command", "test -f two.txt")
    again = bench.root.parent / "again" / "bundle.json"
    bench.kitty("verify", "sample", "--bundle-out", again)
    assert again.read_bytes() == content
    assert bench.git("status", "--porcelain") == ""

    data = bench.kitty("verify", "--bundle", landed)["data"]
    assert data["holds"] and {finding["outcome"] for finding in data["findings"]} == {"pass"}

    # A fresh clone, whatever it checks out, without a ledger; what it cannot compare it says.
    bench.git("push", "-q", "origin", "trunk")
    clone = bench.root.parent / "clone"
    bench.git("clone", "-q", bench.root.parent / "hub.git", clone)
    bench.git("checkout", "-q", "--detach", cwd=clone)
    bench.git("branch", "-D", "trunk", cwd=clone)
    data = bench.kitty("verify", "--bundle", landed, cwd=clone)["data"]
    assert [f["check"] for f in data["findings"] if f["outcome"] != "pass"] == ["ledger"]
    bench.kitty("sync", cwd=bench.root)
    bench.kitty("sync", cwd=clone)
    data = bench.kitty("verify", "--bundle", landed, cwd=clone)["data"]
    assert {finding["outcome"] for finding in data["findings"]} == {"pass"}

    # The target without the landing; and a clone in which the commit never was.
    bench.git("update-ref", "refs/remotes/origin/trunk", "origin/trunk~1", cwd=clone)
    error = bench.refusal("verify", "--bundle", landed, exit=4, cwd=clone)
    assert (error["code"], "does not contain" in error["message"]) == ("BUNDLE_NOT_PROVED", True)
    other = bench.root.parent / "other"
    bench.git("init", "-q", other)
    assert "git fetch" in bench.refusal("verify", "--bundle", landed, exit=4, cwd=other)["message"]


@pytest.mark.slow
def test_one_flipped_byte_fails(bench: Workbench, landed: Path) -> None:
    """Every kind of damage is found by the form alone; whoever forges the form as well is found by what is here."""
    content = landed.read_bytes()
    chance = random.Random(17)
    for _ in range(300):
        at, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
        broken = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
        with pytest.raises(DefinitionError) as refused:
            parse(broken)
        assert refused.value.code == "BUNDLE_DAMAGED"
    for broken in (content[:-1], content + b"\n", b" " + content, content.replace(b": ", b":  ", 1), b""):
        with pytest.raises(DefinitionError):
            parse(broken)
    flipped = landed.with_name("flipped.json")
    flipped.write_bytes(content.replace(b'"reviewer-command"', b'"reviewer-commanD"', 1))
    assert bench.refusal("verify", "--bundle", flipped, exit=3)["code"] == "BUNDLE_DAMAGED"
    bench.refusal("verify", "--bundle", landed.with_name("nowhere.json"), exit=2)

    repository = Repository.discover(bench.root)
    assert check_bundle(repository, content).holds

    def event(predicate: Statement, trigger: str) -> Statement:
        found: Statement = next(e for e in predicate["events"] if e["trigger"] == trigger)
        return found

    def other_reviewer(predicate: Statement) -> None:
        event(predicate, "approve")["actor"] = "somebody"
        predicate["landings"][0]["work_packages"][0]["reviewer"] = "somebody"

    def without_a_verdict(predicate: Statement) -> None:
        predicate["events"].remove(event(predicate, "approve"))
        predicate["landings"][0]["work_packages"][0].update(reviewer=None, verdict=None)

    def without_the_override(predicate: Statement) -> None:
        predicate["events"].remove(event(predicate, "override_gate"))
        predicate["landings"][0]["overrides"].clear()

    def red_tests(predicate: Statement) -> None:
        event(predicate, "test")["evidence"]["test_exit_status"] = 1
        predicate["landings"][0]["tests"]["exit_status"] = 1

    forgeries: list[tuple[Callable[[Statement], None], list[str]]] = [
        (lambda p: p["landings"][0].update(commit=p["landings"][0]["target_commit_before"]), ["statement"]),
        (lambda p: p["landings"][0].update(landed_by="somebody"), ["statement"]),
        (lambda p: p["landings"][0]["gates"].pop(), ["statement"]),
        (lambda p: p.update(more="of it"), ["statement"]),
        (lambda p: p["events"].reverse(), ["statement"]),
        (red_tests, ["statement"]),
        (other_reviewer, ["ledger"]),
        (without_a_verdict, ["ledger"]),
        (without_the_override, ["ledger"]),
    ]
    for forge, expected in forgeries:
        assert contradicted(check_bundle(repository, changed(content, forge))) == expected, forge
    for _ in range(30):
        forged = changed(content, lambda predicate: set_any(predicate, chance))
        try:
            assert forged == content or contradicted(check_bundle(repository, forged)), forged
        except KittyFlowError as error:
            assert error.code in ("BUNDLE_DAMAGED", "UNKNOWN_EVENT_SCHEMA")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(predicate=st.dictionaries(st.text(), JSON, max_size=4), data=st.data())
def test_the_form_has_no_free_byte(predicate: Statement, data: st.DataObject) -> None:
    """Whatever is written reads back; any one byte changed does not, and what is shown is plain text."""
    statement = sealed({"_type": "x", "predicate": predicate})
    content = canonical(statement)
    assert parse(content) == statement
    assert all(32 <= byte < 127 or byte == 10 for byte in content)
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != content[at]))
    with pytest.raises(DefinitionError):
        parse(content[:at] + bytes([byte]) + content[at + 1 :])


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"predicate": ' + b"[" * 500 + b"]" * 500 + b"}\n",
        b'{"predicate": {}, "predicate": {}}\n',
        b'{"predicate": {"a": NaN}}\n',
        b'{"predicate": {"a": 1e999}}\n',
        b'{"predicate": {"a": ' + b"9" * 5000 + b"}}\n",
        b'{"predicate": []}\n',
        b"\xff\xfe",
        b" " * (MAX_BYTES + 1),
        b'{"predicate": {"a": "\x1b[2J"}}\n',
    ],
    ids=["open", "deep", "twice", "nan", "infinite", "long", "list", "bytes", "large", "escape"],
)
def test_a_hostile_bundle_is_refused(content: bytes) -> None:
    with pytest.raises(DefinitionError) as refused:
        parse(content)
    assert refused.value.code == "BUNDLE_DAMAGED"
    assert refused.value.message.isprintable()
