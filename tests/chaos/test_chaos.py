"""Agents that nobody watches, a quarter of them killed: everything gets approved, and nothing is lost or done twice.

The short form is part of the whole suite; `tox -e chaos` runs the long one: twenty real processes at a mission of
sixty work packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from workbench import Workbench

AGENTS = Path(__file__).with_name("agents.py")
ENDS = {"submit", "expire", "release", "block", "cancel", "force"}
"""What ends a claim."""


class Size(NamedTuple):
    """How much of everything; `lease_s` must be longer than a step on a machine that is busy with all of them."""

    agents: int
    victims: int
    work_packages: int
    lease_s: float
    is_real: bool


SHORT = Size(6, 2, 12, 6, is_real=False)
LONG = Size(20, 5, 60, 45, is_real=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_a_few_agents_of_which_some_are_killed(bench: Workbench, seed: int) -> None:
    check(bench, SHORT, seed)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_agents_of_which_a_quarter_is_killed(bench: Workbench, seed: int) -> None:
    check(bench, LONG, seed)


def check(bench: Workbench, size: Size, seed: int) -> None:
    """Have the agents work, and see what came of it."""
    names = [f"WP{number:02d}" for number in range(1, size.work_packages + 1)]
    # A third depends on one before, so that some wait for others, and lanes have more than one member.
    work_packages = {
        name: {
            "owned_files": [f"{name.lower()}/**"],
            "dependencies": [names[place - 5]] if place >= 5 and place % 3 == 2 else [],
        }
        for place, name in enumerate(names)
    }
    bench.mission(work_packages, target_branch="trunk")
    bench.settings(f"[run]\nhand_lease_s = {size.lease_s}\n")
    bench.kitty("plan", bench.slug)
    said = act(bench, size, seed)

    killed = set(said[-1]["killed"])
    assert len(killed) > size.victims / 2, "some may not have got that far"
    assert {*bench.states().values()} == {"approved"}
    assert bench.kitty("mission", "show", bench.slug)["data"]["state"] == "accepted"
    events = bench.kitty("log", bench.slug, "--limit", "100000")["data"]["events"]
    expect_one_holder_at_a_time(events)
    expect_no_commit_lost(bench, events, said)
    found = expect_no_unsaved_work_lost(bench, said, killed)
    assert found, "some are killed with something unsaved"
    last = {e["entity_id"]: e["to_state"] for e in events if e["entity_type"] == "invocation" and e["to_state"]}
    assert set(last.values()) <= {"done", "abandoned"}
    counts = Counter(e["trigger"] for e in events)
    refused = Counter(each["code"] for each in said if each["what"] == "refused")
    print(
        f"\n{size.agents} agents, {len(killed)} killed, {size.work_packages} work packages, {len(events)} events: "
        f"{counts['claim']} claims, {counts['expire']} expired, {counts['expire_review']} reviews expired, "
        f"{found} unsaved files of killed agents found, refusals {dict(refused)}"
    )


def act(bench: Workbench, size: Size, seed: int) -> list[dict[str, Any]]:
    """Everything that the agents said."""
    settings = {
        "root": str(bench.root),
        "slug": bench.slug,
        "agents": size.agents,
        "victims": size.victims,
        "seed": seed,
        "command": bench.command if size.is_real else None,
    }
    done = subprocess.run(
        [sys.executable, str(AGENTS), json.dumps(settings)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))},
        capture_output=True,
        encoding="utf-8",
        timeout=1500,
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (done.stderr[-3000:], [each for each in said if each["what"] == "refused"][-3:])
    return said


def expect_one_holder_at_a_time(events: list[dict[str, Any]]) -> None:
    """Between a claim and its end there is no other claim, and nobody acts under an epoch that is over."""
    epochs: dict[str, int] = {}
    held: dict[str, str] = {}
    for event in events:
        name, trigger = event["entity_id"], event["trigger"]
        if event["entity_type"] != "work_package":
            continue
        if trigger == "claim":
            assert name not in held, f"{name} was claimed by {event['actor']} while {held[name]} held it"
            assert event["epoch"] == epochs.get(name, 0) + 1
            epochs[name], held[name] = event["epoch"], event["actor"]
        elif trigger in ("start", "submit", "heartbeat"):
            assert held[name] == event["actor"] and event["epoch"] in (None, epochs[name])
        if trigger in ENDS:
            held.pop(name, None)
    assert not held
    approved = Counter(e["entity_id"] for e in events if e["trigger"] == "approve")
    assert set(approved.values()) == {1}


def expect_no_commit_lost(bench: Workbench, events: list[dict[str, Any]], said: list[dict[str, Any]]) -> None:
    """Every submitted head is in the mission branch; what was committed too late is under the ref that was named."""
    submitted = {e["entity_id"]: e["evidence"]["head_commit"] for e in events if e["trigger"] == "submit"}
    contained = set(bench.git("rev-list", bench.mission_branch).splitlines())
    assert set(submitted.values()) <= contained
    committed: dict[tuple[str, str], str] = {}
    for each in said:
        if each["what"] == "committed":
            committed[each["agent"], each["wp"]] = each["head"]
        elif each["what"] == "refused" and each["code"] == "CLAIM_EXPIRED":
            details = each["details"]
            head = committed.get((each["agent"], details["work_package_id"]))
            if head is not None and head not in contained:
                bench.git("merge-base", "--is-ancestor", head, details["salvage_ref"])
        elif each["what"] == "acknowledged" and (each["agent"], each["wp"]) in committed:
            assert committed.pop((each["agent"], each["wp"])) in contained


def expect_no_unsaved_work_lost(bench: Workbench, said: list[dict[str, Any]], killed: set[str]) -> int:
    """What killed agents had not committed is under a salvage ref; returns how many files that were."""
    left = dict(unsaved(said, killed))
    refs = bench.git("for-each-ref", "--format=%(refname)", "refs/kitty/salvage").splitlines()
    for path, text in left.items():
        holding = [ref for ref in refs if bench.git("ls-tree", ref, "--", path)]
        assert {bench.git("show", f"{ref}:{path}") for ref in holding} == {text}, path
    return len(left)


def unsaved(said: list[dict[str, Any]], killed: set[str]) -> Iterator[tuple[str, str]]:
    """Path and text of the file that each killed agent had written and not begun to commit."""
    for name in killed:
        last = [each for each in said if each["agent"] == name][-1]
        if last["what"] == "marked":
            yield last["path"], last["text"]
