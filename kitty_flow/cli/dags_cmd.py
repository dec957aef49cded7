"""`kitty-flow dags`: the mission templates, the pipelines and the edges between work packages, with their gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import table
from kitty_flow.errors import ExternalToolError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from kitty_flow.machines import Dag, DagKind, WorkPackageEdges

__all__ = ["app"]

app = command_group("The DAGs that ship: phases of missions, steps of pipelines, edges between work packages.")

_Kind = Literal["mission", "pipeline", "edges"]
_KINDS: tuple[DagKind, ...] = ("mission", "pipeline")
_CHANGEABLE = ("merge", "ship")
"""The pipelines that a project may have a copy of."""


@app.command("list")
@command(examples=["kitty-flow dags list"])
def list_dags() -> Result:
    """List the mission templates, the pipelines, and what the edges between work packages carry."""
    from kitty_flow.machines import dag, dag_names, step_order, work_package_edges

    known = [dag(kind, name) for kind in _KINDS for name in dag_names(kind)]
    data: dict[str, list[dict[str, Any]]] = {
        "dags": [
            {"name": item.name, "kind": item.kind, "description": item.description, "order": step_order(item)}
            for item in known
        ]
    }
    edges = work_package_edges()
    data["dags"].append({"name": edges.name, "kind": "edges", "description": edges.description, "order": ()})
    rows = [(item["name"], item["kind"], item["description"]) for item in data["dags"]]
    return Result(data, lambda: table(("DAG", "KIND", "DESCRIPTION"), rows))


@app.command("show")
@command(
    examples=[
        "kitty-flow dags show software-dev",
        "kitty-flow dags show merge --kind pipeline",
        "kitty-flow dags show work-packages",
    ]
)
def show_dag(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A DAG's name.", show_default=False)],
    kind: Annotated[
        _Kind | None, typer.Option("--kind", help="Needed when two kinds share the name.", show_default=False)
    ] = None,
) -> Result:
    """Show the steps of a DAG in their order, with the gates before each; or the kinds of edges with their gates.

    Of a pipeline it is the project's own, where it has one in .kitty-flow/pipelines.

    Raises:
        UsageError: UNKNOWN_DAG or AMBIGUOUS_DAG.
        DefinitionError: INVALID_DAG, the project's own pipeline is not valid.
    """
    from kitty_flow.machines import work_package_edges

    if kind in (None, "edges") and name == work_package_edges().name:
        edges = work_package_edges()
        return Result(_edges_data(edges), lambda: _edges_text(edges))
    definition = _find(name, kind)
    return Result(_dag_data(definition), lambda: _dag_text(definition, _own_copy(definition)))


def _own_copy(definition: Dag) -> str:
    """How a project gets a pipeline of its own to change, or where it has it."""
    from shlex import quote

    from kitty_flow.resources import location

    if definition.kind != "pipeline" or definition.name not in _CHANGEABLE:
        return ""
    folder, file = ".kitty-flow/pipelines", f"{definition.name}.toml"
    root = _project_root()
    if root is not None and (root / folder / file).exists():
        return f"\nread from {folder}/{file}"
    shipped = quote(location("dags", "pipelines", file))
    return f"\nto have one of your own:\n  mkdir -p {folder}\n  cp {shipped} {folder}/{file}"


def _find(name: str, kind: _Kind | None) -> Dag:
    from kitty_flow.machines import dag, dag_names, work_package_edges
    from kitty_flow.release.pipeline import project_pipeline

    kinds = [each for each in _KINDS if kind in (None, each) and name in dag_names(each)]
    if len(kinds) > 1:
        raise UsageError(
            "AMBIGUOUS_DAG",
            f"{name!r} names a {' and a '.join(kinds)}",
            hint=f"kitty-flow dags show {name} --kind {kinds[0]}",
            details={"kinds": kinds},
        )
    if not kinds:
        known = [each for group in _KINDS for each in dag_names(group)] + [work_package_edges().name]
        raise UsageError(
            "UNKNOWN_DAG",
            f"there is no dag {name!r:.80}; known are {', '.join(known)}",
            hint="kitty-flow dags list",
            details={"name": name[:80], "known": known},
        )
    if kinds[0] == "pipeline" and (root := _project_root()) is not None:
        return project_pipeline(root, name)
    return dag(kinds[0], name)


def _project_root() -> Path | None:
    """The project around, whose own pipeline is meant; the shipped ones can be looked at without any."""
    from kitty_flow.flow.project import Project

    try:
        return Project.discover().root
    except (ExternalToolError, UsageError):
        return None


def _edges_data(edges: WorkPackageEdges) -> dict[str, Any]:
    """As the other kinds, which have nodes of their own; here the work packages of each mission are the nodes."""
    return {
        "name": edges.name,
        "kind": "edges",
        "description": edges.description,
        **{"machine": None, "order": [], "nodes": [], "edges": [], "end": []},
        "edge_kinds": [{"name": k.name, "description": k.description, "gates": k.gates} for k in edges.kinds.values()],
    }


def _edges_text(edges: WorkPackageEdges) -> RenderableType:
    from rich.console import Group

    rows = [(k.name, k.gates, k.description) for k in edges.kinds.values()]
    return Group(f"{edges.name} (edges): {edges.description}\n", table(("EDGE", "GATES", "DESCRIPTION"), rows))


def _dag_data(definition: Dag) -> dict[str, Any]:
    from kitty_flow.machines import END, step_order

    return {
        "name": definition.name,
        "kind": definition.kind,
        "description": definition.description,
        "machine": definition.machine,
        "order": step_order(definition),
        "commands": {name: list(command.argv) for name, command in definition.commands.items()},
        "nodes": [
            {
                "name": node.name,
                "description": node.description,
                "depends_on": node.depends_on,
                "artifact": node.artifact,
                "requires_inputs": node.requires_inputs,
                "trigger": node.trigger,
            }
            for node in definition.nodes
        ],
        "edges": [
            {"before": edge.before, "after": edge.after, "gates": edge.gates}
            for edge in definition.edges
            if edge.after != END
        ],
        "end": [{"before": edge.before, "gates": edge.gates} for edge in definition.edges if edge.after == END],
    }


def _dag_text(definition: Dag, note: str) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from kitty_flow.machines import END, step_order

    rows: list[tuple[object, ...]] = []
    for number, name in enumerate(step_order(definition), start=1):
        node = definition.node(name)
        rows.append((number, name, node.depends_on, definition.gates_before(name), node.description))
    if END in {edge.after for edge in definition.edges}:
        befores = tuple(edge.before for edge in definition.edges if edge.after == END)
        rows.append(("", END, befores, definition.gates_before(END), "It is finished."))
    return Group(
        f"{definition.name} ({definition.kind}): {definition.description}\n",
        table(("", "STEP", "AFTER", "GATES", "DESCRIPTION"), rows),
        *([Text(note, no_wrap=True, overflow="ignore")] if note else []),  # a path is to be copied
    )
