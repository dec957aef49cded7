"""`kitty-flow dags`: the mission templates and the pipelines that ship, with the gates on their edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import table
from kitty_flow.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.machines import Dag

__all__ = ["app"]

app = command_group("The DAGs that ship: the phases of mission templates and the steps of pipelines.")

_Kind = Literal["mission", "pipeline"]
_KINDS: tuple[_Kind, ...] = ("mission", "pipeline")


@app.command("list")
@command(examples=["kitty-flow dags list"])
def list_dags() -> Result:
    """List the mission templates and the pipelines."""
    from kitty_flow.machines import dag, dag_names, step_order

    known = [dag(kind, name) for kind in _KINDS for name in dag_names(kind)]
    data = {
        "dags": [
            {"name": item.name, "kind": item.kind, "description": item.description, "order": step_order(item)}
            for item in known
        ]
    }
    rows = [(item.name, item.kind, item.description) for item in known]
    return Result(data, lambda: table(("DAG", "KIND", "DESCRIPTION"), rows))


@app.command("show")
@command(examples=["kitty-flow dags show software-dev", "kitty-flow dags show merge --kind pipeline"])
def show_dag(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A DAG's name.", show_default=False)],
    kind: Annotated[
        _Kind | None, typer.Option("--kind", help="Needed when two kinds share the name.", show_default=False)
    ] = None,
) -> Result:
    """Show the steps of a DAG in their order, with the gates before each.

    Raises:
        UsageError: UNKNOWN_DAG or AMBIGUOUS_DAG.
    """
    definition = _find(name, kind)
    return Result(_dag_data(definition), lambda: _dag_text(definition))


def _find(name: str, kind: _Kind | None) -> Dag:
    from kitty_flow.machines import dag, dag_names

    kinds = [kind] if kind is not None else [each for each in _KINDS if name in dag_names(each)]
    if len(kinds) > 1:
        raise UsageError(
            "AMBIGUOUS_DAG",
            f"{name!r} names a {' and a '.join(kinds)}",
            hint=f"kitty-flow dags show {name} --kind {kinds[0]}",
            details={"kinds": kinds},
        )
    if not kinds:
        known = [each for group in _KINDS for each in dag_names(group)]
        raise UsageError(
            "UNKNOWN_DAG",
            f"there is no dag {name!r:.80}; known are {', '.join(known)}",
            hint="kitty-flow dags list",
            details={"name": name[:80], "known": known},
        )
    return dag(kinds[0], name)


def _dag_data(definition: Dag) -> dict[str, Any]:
    from kitty_flow.machines import step_order

    return {
        "name": definition.name,
        "kind": definition.kind,
        "description": definition.description,
        "machine": definition.machine,
        "order": step_order(definition),
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
        "edges": [{"before": edge.before, "after": edge.after, "gates": edge.gates} for edge in definition.edges],
    }


def _dag_text(definition: Dag) -> RenderableType:
    from rich.console import Group

    from kitty_flow.machines import step_order

    rows = []
    for number, name in enumerate(step_order(definition), start=1):
        node = definition.node(name)
        rows.append((number, name, node.depends_on, definition.gates_before(name), node.description))
    return Group(
        f"{definition.name} ({definition.kind}): {definition.description}\n",
        table(("", "STEP", "AFTER", "GATES", "DESCRIPTION"), rows),
    )
