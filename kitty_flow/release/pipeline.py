"""The steps of a merge or a release with their gates: as shipped, or the project's own, in `.kitty-flow/pipelines`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.machines import Dag, dag, parse_dag, step_order
from kitty_flow.missions.files import exists, read_text
from kitty_flow.release.override import OVERRIDABLE, OVERRIDABLE_IN_SHIP

__all__ = ["PIPELINES_PATH", "project_pipeline"]

PIPELINES_PATH: Final = Path(".kitty-flow", "pipelines")
"""Where a project's own pipelines stand, relative to the repository root."""

_MAY_BE_LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {"merge": OVERRIDABLE, "ship": OVERRIDABLE_IN_SHIP}

_MAX_BYTES: Final = 256 * 1024


def project_pipeline(root: Path, name: str) -> Dag:
    """The pipeline `name` (``merge`` or ``ship``) of the repository at `root`.

    A project may add gates of its own, and leave out those that a person may override. What keeps a landing or a
    release exact stays where it is: without it nobody could say what landed, or what was shipped.

    Raises:
        DefinitionError: INVALID_DAG, with every problem, and its line where it can be told.
    """
    shipped, path = dag("pipeline", name), root / PIPELINES_PATH / f"{name}.toml"
    if not exists(path):
        return shipped
    where, text = path.relative_to(root).as_posix(), ""
    try:
        text = read_text(path, where, limit=_MAX_BYTES)
        own = parse_dag(text, where=where)
    except DefinitionError as error:
        unread = [{"code": error.code, "message": error.message, "where": ""}]
        raise _invalid(error.details.get("problems", unread), text, where) from error
    problems = _differences(shipped, own)
    if problems:
        raise _invalid(problems, text, where)
    return own


def _differences(shipped: Dag, own: Dag) -> list[dict[str, Any]]:
    """What a project's pipeline may not change."""
    found: list[tuple[str, str, str]] = []
    names = (own.name, own.kind, own.machine)
    if names != (shipped.name, shipped.kind, shipped.machine):
        message = f"it has to be the pipeline {shipped.name!r} of the machine {shipped.machine!r}"
        found.append(("WRONG_NAME", message, "name"))
    steps, known = step_order(own), step_order(shipped)
    found += [("UNKNOWN_STEP", f"there is no step {s!r}", f"nodes.{s}") for s in steps if s not in known]
    found += [("MISSING_STEP", f"the step {s!r} is missing", "nodes") for s in known if s not in steps]
    if not found and steps != known:
        found.append(("WRONG_ORDER", f"the steps have to come in the order {', '.join(known)}", "nodes"))
    own_gates = {gate for edge in shipped.edges for gate in edge.gates} | own.commands.keys()
    for step in (step for step in known if step in steps):
        wanted, got = shipped.node(step).trigger, own.node(step).trigger
        if wanted != got:
            found.append(("WRONG_TRIGGER", f"the step {step!r} has to record {wanted!r}, not {got!r}", f"nodes.{step}"))
        for gate in shipped.gates_before(step):
            if gate not in _MAY_BE_LEFT_OUT[shipped.name] and gate not in own.gates_before(step):
                why = "only gates that can be overridden may be left out"
                found.append(
                    ("GATE_DROPPED", f"the gate {gate!r} before {step!r} cannot be dropped: {why}", f"nodes.{step}")
                )
        for gate in own.gates_before(step):
            if gate not in own_gates:
                found.append(("UNKNOWN_GATE", f"this pipeline has no gate {gate!r}", f"nodes.{step}"))
    return [{"code": code, "message": message, "where": where} for code, message, where in found]


def _invalid(problems: list[dict[str, Any]], text: str, where: str) -> DefinitionError:
    placed = [{**problem, "line": _line(problem, text)} for problem in problems]
    told = [f"line {p['line']}: {p['message']}" if p["line"] else str(p["message"]) for p in placed]
    return DefinitionError(
        "INVALID_DAG",
        f"{where}: {'; '.join(told)}",
        hint=f"correct {where}, or remove it; docs/how-to/change-the-merge-pipeline.md tells how",
        details={"path": where, "problems": placed},
    )


def _line(problem: dict[str, Any], text: str) -> int | None:
    """The first line with the word that the message quotes, else with the table in which the problem is."""
    told = re.search(r"\(at line (\d+)", problem["message"])
    if told:
        return int(told[1])
    quoted = re.search(r"'([^']+)'", problem["message"])
    table = ".".join(str(problem["where"]).split(".")[:2])
    for word in (quoted[1] if quoted else "", f"[{table}]"):
        pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
        for number, line in enumerate(text.splitlines() if word else (), start=1):
            if not line.lstrip().startswith("#") and pattern.search(line):
                return number
    return None
