"""The kinds of edges between work packages, and the gates that each carries (`dags/work_packages.toml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from kitty_flow import resources
from kitty_flow.machines.gate_names import GATE_NAMES
from kitty_flow.machines.problems import Problems, read_document

__all__ = ["EDGE_KINDS", "EdgeKind", "WorkPackageEdges", "parse_work_package_edges", "work_package_edges"]

EDGE_KINDS: Final = ("declared", "conflict", "lane", "overlap")
"""A dependency; an order added because of shared files; the same execution lane; files that can overlap."""

_FILE: Final = "work_packages.toml"


@dataclass(frozen=True)
class EdgeKind:
    """One kind of edge; each edge of the kind carries all of `gates`."""

    name: str
    description: str
    gates: tuple[str, ...]


@dataclass(frozen=True)
class WorkPackageEdges:
    """The validated definition: every one of `EDGE_KINDS`, by name."""

    name: str
    description: str
    kinds: Mapping[str, EdgeKind]


@cache
def work_package_edges() -> WorkPackageEdges:
    """The shipped definition, read and validated once.

    Raises:
        DefinitionError: INVALID_DAG, or BUNDLED_DATA_MISSING.
    """
    return parse_work_package_edges(resources.read_text("dags", _FILE), where=f"dags/{_FILE}")


def parse_work_package_edges(text: str, *, where: str = "edges") -> WorkPackageEdges:
    """Read the definition from TOML `text`; `where` names its origin in messages.

    Raises:
        DefinitionError: INVALID_DAG, with every problem in ``details["problems"]``.
    """
    subject = f"the dag {where!r}"
    document = read_document(text, where, _check, code="INVALID_DAG", subject=subject, hint="kitty-flow dags list")
    tables = document["edges"]
    kinds = {name: EdgeKind(name, tables[name]["description"], tuple(tables[name]["gates"])) for name in EDGE_KINDS}
    return WorkPackageEdges(document["name"], document["description"], MappingProxyType(kinds))


def _check(document: Mapping[str, Any], problems: Problems) -> None:
    problems.keys(document, ("name", "kind", "description", "edges"), (), "dag")
    problems.named(document, "name", "dag", hyphens=True)
    problems.typed(document, "description", str, "", "dag")
    kind = problems.typed(document, "kind", str, "edges", "dag")
    if kind != "edges":
        problems.add("UNKNOWN_KIND", f"{kind!r:.80} is not 'edges'", "kind")
    tables = problems.typed(document, "edges", dict, {}, "dag")
    problems.keys(tables, EDGE_KINDS, (), "edges")
    for name in tables:
        where = f"edges.{name}"
        table = problems.typed(tables, name, dict, {}, where)
        problems.keys(table, ("description", "gates"), (), where)
        problems.typed(table, "description", str, "", where)
        gates = problems.texts(table, "gates", where)
        if not gates and table.get("gates") == []:
            problems.add("NO_GATES", "an edge without a gate would hold nobody back", f"{where}.gates")
        for gate in gates:
            if gate not in GATE_NAMES.get(name, ()):
                problems.add("UNKNOWN_GATE", f"no {name!r:.80} edge has a gate {gate!r:.80}", f"{where}.gates")
