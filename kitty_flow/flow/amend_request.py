"""What an amendment asks for, as typed, and as read: pairs of work packages, and files with new ones."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from kitty_flow.errors import DefinitionError
from kitty_flow.missions import native
from kitty_flow.missions.draft import MissionDraft
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.validation import validate
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.mission import WorkPackage

__all__ = ["AmendRequest", "Change", "Edge", "Split", "read_change"]

_EDGE: Final = re.compile(r"([A-Za-z0-9-]{1,32}):([A-Za-z0-9-]{1,32})", re.ASCII)


@dataclass(frozen=True)
class AmendRequest:
    """The options of one `mission amend`. Dependencies are written ``PREREQUISITE:DEPENDENT``."""

    add_dependencies: tuple[str, ...] = ()
    drop_dependencies: tuple[str, ...] = ()
    add_files: tuple[Path, ...] = ()
    drop_work_packages: tuple[str, ...] = ()
    split: str | None = None
    into: Path | None = None


class Edge(NamedTuple):
    """A dependency, and the option that named it."""

    before: str
    after: str
    where: str


class Split(NamedTuple):
    """A work package and its parts; `silent` are the parts that say nothing about dependencies and inherit them."""

    work_package_id: str
    parts: tuple[WorkPackage, ...]
    silent: frozenset[str]


@dataclass
class Change:
    """A request that was read, not yet held against the mission; `findings` are the problems of the request itself."""

    added_edges: tuple[Edge, ...] = ()
    dropped_edges: tuple[Edge, ...] = ()
    added: tuple[tuple[WorkPackage, str], ...] = ()
    dropped: tuple[str, ...] = ()
    split: Split | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    findings: Findings = field(default_factory=Findings)

    def fingerprint(self, reason: str, actor: str) -> str:
        """SHA-256 in hex of what is asked for, why and by whom: a command that is typed again has the same."""
        split = None
        if self.split is not None:
            split = [self.split.work_package_id, [_plain(p) for p in self.split.parts], sorted(self.split.silent)]
        asked = [
            [edge[:2] for edge in self.added_edges],
            [edge[:2] for edge in self.dropped_edges],
            [_plain(work_package) for work_package, _ in self.added],
            self.dropped,
            split,
            reason,
            actor,
        ]
        return hashlib.sha256(json.dumps(asked, ensure_ascii=True).encode()).hexdigest()


def read_change(request: AmendRequest) -> Change:
    """Read the files of a request and take its pairs apart; what is wrong is noted in `findings`."""
    change = Change(dropped=request.drop_work_packages)
    change.added_edges = _edges("--add-dependency", request.add_dependencies, change.findings)
    change.dropped_edges = _edges("--drop-dependency", request.drop_dependencies, change.findings)
    for path in request.add_files:
        work_packages, _ = _load(path, change)
        change.added += tuple((work_package, path.name) for work_package in work_packages)
    if request.split is not None and request.into is not None:
        change.split = Split(request.split, *_load(request.into, change))
    return change


def _edges(option: str, texts: tuple[str, ...], findings: Findings) -> tuple[Edge, ...]:
    found = []
    for text in texts:
        match = _EDGE.fullmatch(text)
        where = f"{option} {text[:80]}"
        if match is None:
            findings.problem("INVALID_DEPENDENCY", "must be PREREQUISITE:DEPENDENT, such as WP03:WP05", where)
        else:
            found.append(Edge(match[1], match[2], where))
    return tuple(found)


def _load(path: Path, change: Change) -> tuple[tuple[WorkPackage, ...], frozenset[str]]:
    """The valid work packages of a file, and which of them are silent about dependencies.

    What they depend on is looked for later: it may be part of the mission.
    """
    path = path.absolute()  # every path then has a name to be called by
    findings = Findings()
    drafts, silent = native.read_work_packages(path, findings)
    own = {each.id for each in drafts}
    draft = MissionDraft(
        path=path,
        where=path.name,
        kind=native.KIND,
        id=None,
        slug="amendment",
        title="",
        target_branch=None,
        template="software-dev",
        work_packages=drafts,
        unreadable=frozenset(d for each in drafts for d in each.dependencies) - own,
    )
    try:
        loaded = validate(draft, findings, path.name)
    except DefinitionError:
        change.findings.problems += findings.problems
        return (), frozenset()
    change.diagnostics += loaded.diagnostics
    return loaded.definition.work_packages, silent


def _plain(work_package: WorkPackage) -> dict[str, Any]:
    return vars(work_package)
