"""The statement about a landing, in the shape of an in-toto Statement (github.com/in-toto/attestation, spec v1).

All of it is derived from events: whoever has the events can derive it again and compare, so no part of it stands on its
own word. Nothing here looks at a clock, a machine or a repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.release.evidence.canonical import sealed
from kitty_flow.release.evidence.selection import proved_landings

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["PREDICATE_TYPE", "STATEMENT_TYPE", "statement_of"]

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://kitty-flow.dev/attestation/landing/v1"


def statement_of(events: Sequence[Event], ledger_ref: str, ledger_commit: str) -> dict[str, Any]:
    """The sealed statement about every completed landing in `events`, which are in the ledger's order.

    Args:
        ledger_ref: the ref of the ledger that holds the events.
        ledger_commit: its commit that recorded the last of them.
    """
    landings = [_landing(events, landing) for landing in proved_landings(events)]
    releases = [_release(events, name) for name in dict.fromkeys(_ids(events, "release"))]
    predicate = {
        "mission": {"id": events[0].mission_id, "slug": events[0].mission_slug} if events else {},
        "ledger": {"ref": ledger_ref, "commit": ledger_commit},
        "landings": landings,
        "releases": releases,
        "events": [event.model_dump(by_alias=True) for event in events],
    }
    subject = [
        {"name": each["target_ref"], "digest": {"gitCommit": each["commit"], "gitTree": each["tree"]}}
        for each in landings
    ]
    subject += [subject for each in releases if each["state"] == "proved" for subject in _subjects(each)]
    return sealed(
        {"_type": STATEMENT_TYPE, "subject": subject, "predicateType": PREDICATE_TYPE, "predicate": predicate}
    )


def _ids(events: Sequence[Event], entity_type: str) -> list[str]:
    return [event.entity_id for event in events if event.entity_type == entity_type]


def _landing(events: Sequence[Event], landing: str) -> dict[str, Any]:
    own = [event for event in events if event.entity_id == landing]
    facts: dict[str, Any] = {}
    for event in own:
        facts |= event.evidence
    heads = facts.get("heads")
    last = own[-1]
    return {
        "id": landing,
        "strategy": facts.get("strategy"),
        "target_ref": facts.get("target_ref"),
        "target_commit_before": facts.get("target_commit_before"),
        "mission_head": facts.get("mission_head"),
        "commit": facts.get("target_commit"),
        "tree": facts.get("landed_tree"),
        "landed_by": last.actor,
        "landed_at": last.at,
        "tests": _tests(facts),
        "environment": facts.get("environment"),
        "gates": [gate for event in own for gate in _rows(event.evidence.get("gates"))],
        "overrides": _overrides(events, landing, heads if isinstance(heads, dict) else {}),
        "work_packages": [
            _work_package(events, name, head) for name, head in (heads if isinstance(heads, dict) else {}).items()
        ],
        "landed_work_packages": facts.get("landed_work_packages", []),
    }


def _tests(facts: dict[str, Any]) -> dict[str, Any]:
    """The run on the tree that landed, and every run on any tree that this landing recorded by itself."""
    return {
        "command": facts.get("test_command"),
        "tree": facts.get("tested_tree"),
        "exit_status": facts.get("test_exit_status"),
        "duration_ms": facts.get("test_duration_ms"),
        "log_sha256": facts.get("test_log_sha256"),
        "runs": [facts[name] for name in sorted(facts) if name.startswith("tests_")],
    }


def _overrides(events: Sequence[Event], landing: str, heads: dict[str, Any]) -> list[dict[str, Any]]:
    """Gates that a person let the landing pass, and transitions of its work packages that somebody forced."""
    found = []
    for event in events:
        if event.trigger == "override_gate" and event.evidence.get("merge_id") == landing:
            what = {"gate": event.evidence.get("overridden_gate"), "found": event.evidence.get("gate_message")}
        elif event.force and event.entity_id in heads:
            what = {"work_package": event.entity_id, "forced": f"{event.from_state} -> {event.to_state}"}
        else:
            continue
        found.append(what | {"who": event.actor, "why": event.reason, "event": event.event_id})
    return found


def _work_package(events: Sequence[Event], name: str, head: str) -> dict[str, Any]:
    """Who made it and who approved it; a commit that no event approves has no verdict."""
    own = [e for e in events if e.entity_type == "work_package" and e.entity_id == name]
    submitted = [e for e in own if e.trigger == "submit" and e.evidence.get("head_commit") == head]
    approved = [e for e in own if e.trigger == "approve" and e.evidence.get("reviewed_commit") == head]
    made = submitted[-1].evidence if submitted else {}
    verdict = approved[-1] if approved else None
    return {
        "id": name,
        "head": head,
        "base": made.get("base_commit"),
        "implementer": made.get("implementer"),
        "submission": submitted[-1].event_id if submitted else None,
        "reviewer": verdict.actor if verdict else None,
        "verdict": verdict.event_id if verdict else None,
    }


def _release(events: Sequence[Event], name: str) -> dict[str, Any]:
    """A release: its commit and tag, what was built with its digests, what is public, and every step that was taken."""
    own = [event for event in events if event.entity_type == "release" and event.entity_id == name]
    steps = [
        {"step": e.trigger, "state": e.to_state, "who": e.actor, "at": e.at, "event": e.event_id, "facts": e.evidence}
        for e in own
    ]
    facts: dict[str, Any] = {}
    for event in own:
        facts |= event.evidence if event.kind == "transition" else {}
    made = facts.get("artifacts")
    return {
        "id": name,
        "state": next((e.to_state for e in reversed(own) if e.kind == "transition"), None),
        "version": facts.get("version"),
        "commit": facts.get("release_commit"),
        "tree": facts.get("release_tree"),
        "tag": facts.get("tag"),
        "tag_object": facts.get("tag_object"),
        "signed": facts.get("signed"),
        "remote": facts.get("remote"),
        "artifacts": [
            {"name": str(path), "digest": {"sha256": digest}}
            for path, digest in sorted(made.items() if isinstance(made, dict) else ())
        ],
        "published": [e.evidence for e in own if e.trigger == "confirm_publish"],
        "gates": _rows(facts.get("release_gates")),
        "overrides": [
            {
                "gate": e.evidence.get("overridden_gate"),
                "found": e.evidence.get("gate_message"),
                "who": e.actor,
                "why": e.reason,
                "event": e.event_id,
            }
            for e in events
            if e.trigger == "override_gate" and e.evidence.get("release_id") == name
        ],
        "steps": steps,
    }


def _subjects(release: dict[str, Any]) -> list[dict[str, Any]]:
    """What a release is about, each with its digest: the tag, by its object and its commit, and the artifacts."""
    tag = {"gitTag": release["tag_object"], "gitCommit": release["commit"]}
    return [{"name": f"refs/tags/{release['tag']}", "digest": tag}, *release["artifacts"]]


def _rows(found: Any) -> list[dict[str, Any]]:
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
