"""What a mission says that does not fit together, or does not fit the repository. Nothing here makes it invalid.

A plan can be made of all this, so these are warnings; each says where it stands (ORIGIN, section 3, has the rules of
the system that the sources come from).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from kitty_flow.graph.dependency_graph import DependencyGraph
from kitty_flow.graph.ownership import EXCLUSION, literal_prefix, pattern_matches
from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.repository_files import RepositoryFiles
from kitty_flow.missions.validation_text import listed

__all__ = ["check_coherence"]

_PLANNING_FOLDERS: Final = (("kitty-specs",), (".kitty-flow",), ("docs",), ("specs",))
_FUNCTIONAL: Final = "FR-"


def check_coherence(
    draft: MissionDraft, graph: DependencyGraph, findings: Findings, files: RepositoryFiles | None = None
) -> None:
    """Warn of what does not fit together in a draft that is valid as far as it goes.

    Args:
        graph: the declared dependencies.
        files: what lies in the repository; None when the mission is read outside of any.
    """
    _check_requirements(draft, findings)
    _check_stated_order(draft, graph, findings)
    for each in draft.work_packages:
        _check_surface(each, findings)
        _check_mode(each, findings)
    if files is not None:
        _check_files(draft, files, findings)


def _check_requirements(draft: MissionDraft, findings: Findings) -> None:
    """Every reference names a requirement, and every functional requirement has a work package."""
    known = draft.requirements
    if not known:
        return
    referred: set[str] = set()
    for each in draft.work_packages:
        referred.update(each.requirement_refs)
        unknown = [ref for ref in each.requirement_refs if ref not in known]
        if unknown:
            message = f"{each.id[:80]} refers to {listed(unknown)}, which the specification does not list"
            findings.warn("UNKNOWN_REQUIREMENT", message, each.place("requirement_refs"))
    if not referred:
        findings.warn("NO_REQUIREMENT_REFS", "no work package says which requirements it meets", draft.where)
        return
    for ref, place in known.items():
        if ref.startswith(_FUNCTIONAL) and ref not in referred:
            findings.warn("REQUIREMENT_NOT_COVERED", f"no work package refers to {ref[:80]}", place)


def _check_stated_order(draft: MissionDraft, graph: DependencyGraph, findings: Findings) -> None:
    """Prose puts nothing side by side of which one waits for the other."""
    rank = {work_package: number for number, work_package in enumerate(graph.ids)}
    after = graph.reachability.after
    for statement in draft.stated:
        together = [name for name in dict.fromkeys(statement.together) if name in rank]
        waits = [
            f"{late} waits for {early}"
            for pair in combinations(together, 2)
            for early, late in (pair, pair[::-1])
            if after[rank[early]] >> rank[late] & 1
        ]
        if waits:
            findings.warn(
                "PROSE_CONTRADICTS_GRAPH",
                f"says that {listed(together)} can run at the same time, but {listed(waits)}; the dependencies count",
                statement.where,
            )


def _check_surface(each: WorkPackageDraft, findings: Findings) -> None:
    if not each.surface or not each.owned_files:
        return
    surface = tuple(name for name in each.surface.split("/") if name not in ("", "."))
    if not any(_begins(literal_prefix(pattern), surface) for pattern in _owning(each)):
        findings.warn(
            "SURFACE_NOT_OWNED",
            f"{each.id[:80]} speaks for {each.surface[:80]!r}, which none of its owned files lies in",
            each.place("surface"),
        )


def _check_mode(each: WorkPackageDraft, findings: Findings) -> None:
    """Planning artifacts are files of planning, and code is not only that."""
    if not each.owned_files:
        return
    owning = _owning(each)
    planning = [p for p in owning if literal_prefix(p)[:1] in _PLANNING_FOLDERS]
    where = each.place("execution_mode")
    if each.execution_mode == "planning_artifact" and len(planning) < len(owning):
        others = [p for p in owning if p not in planning]
        message = f"{each.id[:80]} is a planning_artifact, but owns {listed(others)}"
        findings.warn("MODE_AND_FILES_DISAGREE", message, where)
    elif each.execution_mode == "code_change" and all(literal_prefix(p)[:1] in _PLANNING_FOLDERS[:2] for p in owning):
        message = f"{each.id[:80]} is a code_change, but owns only planning files: {listed(owning)}"
        findings.warn("MODE_AND_FILES_DISAGREE", message, where)


def _owning(each: WorkPackageDraft) -> list[str]:
    """The owned files without the patterns that only take something away."""
    return [pattern for pattern in each.owned_files if not pattern.startswith(EXCLUSION)]


def _begins(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    return longer[: len(shorter)] == shorter


def _check_files(draft: MissionDraft, files: RepositoryFiles, findings: Findings) -> None:
    """An owned pattern matches a file, or is declared as created; told one by one only where the source declares."""
    lost = [(each, pattern) for each in draft.work_packages for pattern in _unmatched(each, files)]
    declares = any(each.created_files is not None for each in draft.work_packages)
    if lost and not declares:
        names = listed([f"{pattern} ({each.id[:40]})" for each, pattern in lost])
        message = f"{len(lost)} owned-file patterns match no file yet: {names}; right if they are to be created"
        findings.remark("OWNED_FILES_ABSENT", message, draft.where)
        return
    for each, pattern in lost:
        findings.warn(
            "OWNED_FILES_MATCH_NOTHING",
            f"{each.id[:80]} owns {pattern[:80]!r}, which matches no file and is not declared as created",
            each.place("owned_files"),
        )


def _unmatched(each: WorkPackageDraft, files: RepositoryFiles) -> Iterator[str]:
    created = each.created_files or ()
    for pattern in _owning(each):
        is_created = pattern in created or any(pattern_matches(pattern, path) for path in created)
        if not is_created and not files.has_match(pattern):
            yield pattern
