"""The shipped DAGs: the phases of mission templates and the steps of pipelines, with gates on their edges."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, Literal

from kitty_flow import resources
from kitty_flow.errors import UsageError
from kitty_flow.machines.gate_names import GATE_NAMES
from kitty_flow.machines.problems import Problems, read_document

__all__ = ["END", "Dag", "DagEdge", "DagKind", "DagNode", "GateCommand", "dag", "dag_names", "parse_dag", "step_order"]

DagKind = Literal["mission", "pipeline"]

END: Final = "(end)"
"""Where a finished DAG leads; the gates on the edges to it are what its last nodes have to pass."""

_TIMEOUT_S: Final = 600.0
_MAX_TIMEOUT_S: Final = 7 * 24 * 3600.0
_FOLDERS: Final[Mapping[str, str]] = {"mission": "missions", "pipeline": "pipelines"}
_NODE_KEYS: Final = ("depends_on", "artifact", "requires_inputs", "trigger", "gates")


@dataclass(frozen=True)
class DagNode:
    """A phase or a step.

    `artifact` is the path or pattern of what it yields; `trigger` the machine's edge recorded when it is finished.
    """

    name: str
    description: str
    depends_on: tuple[str, ...] = ()
    artifact: str | None = None
    requires_inputs: tuple[str, ...] = ()
    trigger: str | None = None


@dataclass(frozen=True)
class DagEdge:
    """`after` begins when `before` is finished and every gate passes. `after` is `END` behind a last node."""

    before: str
    after: str
    gates: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateCommand:
    """A gate that a project adds: a command's words, its limit in seconds, and what it is there for."""

    name: str
    argv: tuple[str, ...]
    timeout_s: float
    description: str


@dataclass(frozen=True)
class Dag:
    """A validated, acyclic definition. `machine` names the machine that its triggers belong to, if any.

    `commands` are the gates that it brings along, by name.
    """

    name: str
    kind: DagKind
    description: str
    nodes: tuple[DagNode, ...]
    edges: tuple[DagEdge, ...]
    machine: str | None = None
    commands: Mapping[str, GateCommand] = field(default_factory=dict)

    def node(self, name: str) -> DagNode:
        """The node with that name.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def gates_before(self, name: str) -> tuple[str, ...]:
        """The gates on all incoming edges of a node, in the order of the file."""
        return tuple(dict.fromkeys(gate for edge in self.edges if edge.after == name for gate in edge.gates))

    def edges_from(self, name: str) -> tuple[DagEdge, ...]:
        """The edges that leave a node, in the order of the file."""
        return tuple(edge for edge in self.edges if edge.before == name)


def dag_names(kind: DagKind) -> tuple[str, ...]:
    """The names of the shipped DAGs of one kind, sorted.

    Raises:
        DefinitionError: BUNDLED_DATA_MISSING.
    """
    return resources.names("dags", _FOLDERS[kind])


@cache
def dag(kind: DagKind, name: str) -> Dag:
    """The shipped DAG of that kind and name, read and validated once.

    Raises:
        UsageError: UNKNOWN_DAG.
        DefinitionError: INVALID_DAG, or BUNDLED_DATA_MISSING.
    """
    known = dag_names(kind)
    if name not in known:
        raise UsageError(
            "UNKNOWN_DAG",
            f"there is no {kind} dag {name!r:.80}; known are {', '.join(known)}",
            hint="kitty-flow dags list",
            details={"kind": kind, "name": name[:80], "known": list(known)},
        )
    text = resources.read_text("dags", _FOLDERS[kind], f"{name}.toml")
    return parse_dag(text, where=f"dags/{_FOLDERS[kind]}/{name}.toml")


def step_order(definition: Dag) -> tuple[str, ...]:
    """All nodes in one deterministic topological order; among free ones the order of the file decides."""
    position = {node.name: index for index, node in enumerate(definition.nodes)}
    sorter = TopologicalSorter({node.name: node.depends_on for node in definition.nodes})
    sorter.prepare()
    order: list[str] = []
    free: set[str] = set()
    while sorter.is_active():
        free.update(sorter.get_ready())
        step = min(free, key=position.__getitem__)
        free.remove(step)
        sorter.done(step)
        order.append(step)
    return tuple(order)


def parse_dag(text: str, *, where: str = "dag") -> Dag:
    """Read a DAG from TOML `text`; `where` names its origin in messages.

    Raises:
        DefinitionError: INVALID_DAG, with every problem in ``details["problems"]``; a cycle is named with its path.
    """
    subject = f"the dag {where!r}"
    document = read_document(text, where, _check_dag, code="INVALID_DAG", subject=subject, hint="kitty-flow dags list")
    nodes = tuple(_node(name, table) for name, table in document["nodes"].items())
    edges = tuple(
        DagEdge(before, node.name, tuple(document["nodes"][node.name].get("gates", {}).get(before, ())))
        for node in nodes
        for before in node.depends_on
    )
    ends = tuple(DagEdge(before, END, tuple(gates)) for before, gates in document.get("end", {}).items())
    return Dag(
        document["name"],
        document["kind"],
        document["description"],
        nodes,
        (*edges, *ends),
        machine=document.get("machine"),
        commands={name: _command(name, table) for name, table in document.get("gates", {}).items()},
    )


def _node(name: str, table: Mapping[str, Any]) -> DagNode:
    return DagNode(
        name=name,
        description=table["description"],
        depends_on=tuple(table.get("depends_on", ())),
        artifact=table.get("artifact"),
        requires_inputs=tuple(table.get("requires_inputs", ())),
        trigger=table.get("trigger"),
    )


def _command(name: str, table: Mapping[str, Any]) -> GateCommand:
    argv, limit = tuple(table["command"]), float(table.get("timeout_s", _TIMEOUT_S))
    return GateCommand(name, argv, limit, table.get("description") or " ".join(argv))


def _check_commands(document: Mapping[str, Any], kind: str, problems: Problems) -> frozenset[str]:
    """The gates that the definition brings along; returns their names."""
    tables = problems.typed(document, "gates", dict, {}, "dag")
    if tables and kind != "pipeline":
        problems.add("GATE_NOT_POSSIBLE", "only a pipeline can bring gates along", "gates")
    for name in tables:
        where = f"gates.{name}"
        problems.name(name, where)
        if name in GATE_NAMES["pipeline"]:
            problems.add("GATE_TAKEN", f"{name!r:.80} is a gate of kitty-flow", where)
        table = problems.typed(tables, name, dict, {}, where)
        problems.keys(table, ("command",), ("timeout_s", "description"), where)
        problems.typed(table, "description", str, "", where)
        words = problems.typed(table, "command", list, ["-"], where)
        if not words or not all(isinstance(word, str) and word for word in words):
            problems.add("WRONG_TYPE", "'command' must be a list of words", f"{where}.command")
        limit = table.get("timeout_s", _TIMEOUT_S)
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= _MAX_TIMEOUT_S:
            problems.add("WRONG_VALUE", "'timeout_s' must be a number of seconds, at most a week", f"{where}.timeout_s")
    return frozenset(tables)


def _check_dag(document: Mapping[str, Any], problems: Problems) -> None:
    problems.keys(document, ("name", "kind", "description", "nodes"), ("machine", "end", "gates"), "dag")
    problems.named(document, "name", "dag", hyphens=True)
    problems.typed(document, "description", str, "", "dag")
    problems.named(document, "machine", "dag")
    kind = problems.typed(document, "kind", str, "mission", "dag")
    if kind not in _FOLDERS:
        problems.add("UNKNOWN_KIND", f"{kind!r:.80} is neither 'mission' nor 'pipeline'", "kind")
    known = GATE_NAMES.get(kind, frozenset()) | _check_commands(document, kind, problems)
    tables = problems.typed(document, "nodes", dict, {}, "dag")
    if "nodes" in document and not tables:
        problems.add("NO_NODES", "there is no node", "nodes")
    depends_on: dict[str, tuple[str, ...]] = {}
    for name in tables:
        where = f"nodes.{name}"
        problems.name(name, where, hyphens=True)
        table = problems.typed(tables, name, dict, {}, where)
        depends_on[name] = _check_node(table, tables, where, problems)
        _check_gates(table, "gates", depends_on[name], known, where, problems)
        if "trigger" in table and "machine" not in document:
            problems.add("TRIGGER_WITHOUT_MACHINE", "a trigger needs the dag to name its machine", f"{where}.trigger")
    followed = {before for names in depends_on.values() for before in names}
    _check_gates(document, "end", [name for name in tables if name not in followed], known, "dag", problems)
    _check_cycle(depends_on, problems)


def _check_node(table: Mapping[str, Any], known: Iterable[str], where: str, problems: Problems) -> tuple[str, ...]:
    problems.keys(table, ("description",), _NODE_KEYS, where)
    problems.typed(table, "description", str, "", where)
    artifact = problems.typed(table, "artifact", str, "", where)
    if artifact.startswith("/") or "\\" in artifact or ".." in artifact.split("/"):
        problems.add("BAD_PATH", f"{artifact!r:.80} leads out of the mission's folder", f"{where}.artifact")
    problems.named(table, "trigger", where)
    for name in problems.texts(table, "requires_inputs", where):
        problems.name(name, f"{where}.requires_inputs")
    prerequisites = problems.texts(table, "depends_on", where)
    for name in prerequisites:
        if name not in known:
            problems.add("UNKNOWN_NODE", f"the node {name!r:.80} is not declared", f"{where}.depends_on")
    return prerequisites


def _check_gates(
    table: Mapping[str, Any], key: str, befores: Collection[str], known: Collection[str], where: str, problems: Problems
) -> None:
    """The gates under `key`, one list for each node in `befores` that an edge leads from."""
    gates = problems.typed(table, key, dict, {}, where)
    for before in gates:
        if before not in befores:
            problems.add("GATE_WITHOUT_EDGE", f"there is no edge from {before!r:.80}", f"{where}.{key}")
        for gate in problems.texts(gates, before, f"{where}.{key}"):
            if gate not in known:
                problems.add("UNKNOWN_GATE", f"there is no gate {gate!r:.80} here", f"{where}.{key}.{before}")


def _check_cycle(depends_on: Mapping[str, tuple[str, ...]], problems: Problems) -> None:
    try:
        TopologicalSorter(depends_on).prepare()
    except CycleError as error:
        path = " -> ".join(error.args[1])
        problems.add("CYCLE", f"the nodes wait for each other: {path}", "nodes")
