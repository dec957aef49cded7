"""The steps of a merge and their gates: as shipped, or as a project has them in `.kitty-flow/pipelines/merge.toml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.machines import Dag, dag, parse_dag, step_order
from kitty_flow.release.override import OVERRIDABLE

__all__ = ["PIPELINE_PATH", "merge_pipeline"]

PIPELINE_PATH: Final = Path(".kitty-flow", "pipelines", "merge.toml")
"""Where a project's own pipeline stands, relative to the repository root."""

_MAX_BYTES: Final = 256 * 1024


def merge_pipeline(root: Path) -> Dag:
    """The merge pipeline of the repository at `root`.

    A project may add gates of its own, and leave out those that a person may override. What keeps a landing exact
    stays where it is: without it nobody could say what landed.

    Raises:
        DefinitionError: INVALID_DAG, with every problem, and its line where it can be told.
    """
    shipped, path = dag("pipeline", "merge"), root / PIPELINE_PATH
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_BYTES).decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return shipped
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid([{"code": "UNREADABLE", "message": f"it cannot be read: {error}", "where": ""}], "") from error
    try:
        own = parse_dag(text, where=PIPELINE_PATH.as_posix())
    except DefinitionError as error:
        raise _invalid(error.details["problems"], text) from error
    problems = _differences(shipped, own)
    if problems:
        raise _invalid(problems, text)
    return own


def _differences(shipped: Dag, own: Dag) -> list[dict[str, Any]]:
    """What a project's pipeline may not change."""
    found: list[tuple[str, str, str]] = []
    names = (own.name, own.kind, own.machine)
    if names != (shipped.name, shipped.kind, shipped.machine):
        found.append(("WRONG_NAME", "it has to be the pipeline 'merge' of the machine 'merge'", "name"))
    steps, known = step_order(own), step_order(shipped)
    found += [("UNKNOWN_STEP", f"there is no step {s!r}", f"nodes.{s}") for s in steps if s not in known]
    found += [("MISSING_STEP", f"the step {s!r} is missing", "nodes") for s in known if s not in steps]
    if not found and steps != known:
        found.append(("WRONG_ORDER", f"the steps have to come in the order {', '.join(known)}", "nodes"))
    for step in (step for step in known if step in steps):
        wanted, got = shipped.node(step).trigger, own.node(step).trigger
        if wanted != got:
            found.append(("WRONG_TRIGGER", f"the step {step!r} has to record {wanted!r}, not {got!r}", f"nodes.{step}"))
        for gate in shipped.gates_before(step):
            if gate not in OVERRIDABLE and gate not in own.gates_before(step):
                why = "it keeps the landing exact; only gates that can be overridden may be left out"
                found.append(
                    ("GATE_DROPPED", f"the gate {gate!r} before {step!r} cannot be dropped: {why}", f"nodes.{step}")
                )
    return [{"code": code, "message": message, "where": where} for code, message, where in found]


def _invalid(problems: list[dict[str, Any]], text: str) -> DefinitionError:
    placed = [{**problem, "line": _line(problem, text)} for problem in problems]
    told = [f"line {p['line']}: {p['message']}" if p["line"] else str(p["message"]) for p in placed]
    return DefinitionError(
        "INVALID_DAG",
        f"{PIPELINE_PATH.as_posix()}: {'; '.join(told)}",
        hint=f"correct {PIPELINE_PATH.as_posix()}, or remove it; docs/how-to/change-the-merge-pipeline.md tells how",
        details={"path": PIPELINE_PATH.as_posix(), "problems": placed},
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
