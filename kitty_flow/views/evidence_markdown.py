"""An evidence bundle as a Markdown page, with the mission's DAG, for whoever is to believe it without reading JSON.

Text of missions and agents stands in code, as in `report_markdown`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from kitty_flow.agents.markdown import code, fenced
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan
from kitty_flow.views.dag_mermaid import mermaid

__all__ = ["evidence_markdown"]


def evidence_markdown(
    statement: Mapping[str, Any], definition: MissionDefinition, plan: Plan, states: Mapping[str, str], bundle: str
) -> str:
    """The page about the bundle in the file called `bundle`."""
    predicate = statement["predicate"]
    parts = [f"# What landed with {code(str(predicate['mission']['slug']))}\n"]
    for landing in predicate["landings"]:
        parts += _landing(landing, predicate["events"])
    for release in predicate["releases"]:
        parts += _release(release)
    parts += ["## Work packages\n", fenced(mermaid(definition, plan, states), "mermaid")]
    ledger = predicate["ledger"]
    parts.append(
        f"All of this follows from {len(predicate['events'])} events of {code(ledger['ref'])}, recorded by "
        f"{code(ledger['commit'])}. To check it in any clone:\n"
    )
    parts.append(fenced(f"kitty-flow verify --bundle {shlex.quote(bundle)}", "sh"))
    return "\n".join(parts)


def _landing(landing: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[str]:
    tests, environment = landing["tests"], landing["environment"] or {}
    rows = [
        ("target", landing["target_ref"]),
        ("before", landing["target_commit_before"]),
        ("commit", landing["commit"]),
        ("tree, as tested", landing["tree"]),
        ("strategy", landing["strategy"]),
        ("landed by", landing["landed_by"]),
        ("at", landing["landed_at"]),
        ("test command", shlex.join(map(str, tests["command"] or []))),
        ("its exit status", tests["exit_status"]),
        ("its duration", f"{(tests['duration_ms'] or 0) / 1000:.1f} s"),
        ("SHA-256 of its log", tests["log_sha256"] or "not recorded"),
        *((name.replace("_", "-"), value) for name, value in sorted(environment.items())),
    ]
    parts = [f"## Landing {code(landing['id'])}\n", _table(("", ""), rows)]
    packages = [(w["id"], w["head"], w["implementer"], w["reviewer"], w["verdict"]) for w in landing["work_packages"]]
    parts += ["### Approved heads\n", _table(("WP", "Head", "Made by", "Approved by", "Verdict"), packages)]
    parts += ["### Gates\n", *_gates(landing["id"], events)]
    over = [(o.get("gate") or f"{o['work_package']} {o['forced']}", o["who"], o["why"]) for o in landing["overrides"]]
    parts += ["### Overridden\n", _table(("What", "By", "Why"), over) if over else "Nothing.\n"]
    return parts


def _gates(landing: str, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each answer with the step that it let pass: some gates are asked again right before the target moves."""
    rows = [
        (event["trigger"], gate.get("gate"), gate.get("outcome"), gate.get("message"))
        for event in events
        if event["entity_id"] == landing
        for gate in event["evidence"].get("gates") or ()
    ]
    if not rows:
        return ["None was recorded.\n"]
    told = "Asked before the step in the first column; what was true before the tests is asked again before `land`.\n"
    return [told, _table(("Before", "Gate", "Answer", "What it saw"), rows)]


def _release(release: Mapping[str, Any]) -> list[str]:
    rows = [
        ("state", release["state"]),
        ("commit", release["commit"]),
        ("tree", release["tree"]),
        ("tag", f"{release['tag']} ({'signed' if release['signed'] else 'not signed'})" if release["tag"] else ""),
        ("its object", release["tag_object"]),
        ("pushed to", release["remote"]),
    ]
    parts = [f"## Release {code(str(release['version']))}\n", _table(("", ""), rows)]
    artifacts = [(each["name"], each["digest"]["sha256"]) for each in release["artifacts"]]
    if artifacts:
        parts.append(_table(("Artifact", "SHA-256"), artifacts))
    public = [(each.get("step"), each.get("sha256"), each.get("log_sha256")) for each in release["published"]]
    if public:
        parts.append(_table(("Published", "SHA-256", "SHA-256 of the log"), public))
    over = [(each["gate"], each["who"], each["why"]) for each in release["overrides"]]
    if over:
        parts += ["### Overridden\n", _table(("What", "By", "Why"), over)]
    steps = [(step["step"], step["state"], step["who"], step["at"]) for step in release["steps"]]
    return [*parts, "### Steps\n", _table(("Step", "State", "By", "At"), steps)]


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return code(text).replace("|", "\\|") if text.strip() else ""
