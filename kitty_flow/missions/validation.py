"""Turns a draft into a mission, or reports everything that is wrong with it at once, and warns of what is odd."""

from __future__ import annotations

import difflib
import re
from itertools import pairwise
from typing import Final, get_args

from kitty_flow.errors import DefinitionError
from kitty_flow.graph.dependency_graph import DependencyGraph
from kitty_flow.missions.coherence import check_coherence
from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft
from kitty_flow.missions.files import MAX_WORK_PACKAGES
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.owned_files import check_owned_files
from kitty_flow.missions.repository_files import RepositoryFiles
from kitty_flow.missions.validation_text import listed
from kitty_flow.model.ids import check_mission_slug, check_ulid, check_work_package_id
from kitty_flow.model.mission import ExecutionMode, LoadedMission, MissionDefinition, MissionSource, WorkPackage

__all__ = ["MAX_TITLE_LENGTH", "validate"]

MAX_TITLE_LENGTH: Final = 500

_MOST_SUGGESTIONS: Final = 20  # each compares one name with all others

_MODES: Final[dict[str, ExecutionMode]] = {mode: mode for mode in get_args(ExecutionMode)}
_BRANCH: Final = re.compile(r"(?![-/.@])(?!.*(?:\.\.|//|/\.|@\{))[^\x00-\x20\x7f-\x9f~^:?*\[\\\ud800-\udfff]{1,200}")


def validate(
    draft: MissionDraft,
    findings: Findings,
    source_path: str,
    files: RepositoryFiles | None = None,
    *,
    may_be_empty: bool = False,
) -> LoadedMission:
    """The mission that `draft` describes, with the warnings of `findings`.

    Args:
        files: what lies in the repository; None when the mission is read outside of any.
        may_be_empty: it may be a mission in its planning phases, without work packages.

    Raises:
        DefinitionError: INVALID_MISSION, with every problem of the reader and of these rules in `details.problems`.
    """
    _check_mission(draft, findings, may_be_empty)
    _check_ids(draft, findings)
    _check_dependencies(draft, findings)
    graph = _declared_graph(draft, findings)
    work_packages = tuple(_work_package(each, findings) for each in draft.work_packages[:MAX_WORK_PACKAGES])
    findings.raise_if_invalid(draft.path)
    assert graph is not None, "a graph that cannot be made is a problem"
    check_coherence(draft, graph, findings, files)
    definition = MissionDefinition(
        id=draft.id,
        slug=draft.slug,
        title=draft.title.strip() or draft.slug,
        target_branch=draft.target_branch,
        template=draft.template,
        source=MissionSource(kind=draft.kind, path=source_path),
        work_packages=work_packages,
    )
    return LoadedMission(definition=definition, diagnostics=tuple(findings.diagnostics))


def _check_mission(draft: MissionDraft, findings: Findings, may_be_empty: bool) -> None:
    if not draft.work_packages and not findings.problems and not may_be_empty:
        findings.problem("EMPTY_MISSION", "has no work packages", draft.where)
    with findings.gathering(draft.where):
        check_mission_slug(draft.slug)
    if draft.id is not None:
        with findings.gathering(draft.where):
            check_ulid(draft.id)
    with findings.gathering(draft.where):
        check_mission_slug(draft.template)
    _check_title(draft.title, draft.where, findings)
    if draft.target_branch is not None and not _is_branch_name(draft.target_branch):
        findings.problem(
            "INVALID_TARGET_BRANCH", f"{draft.target_branch[:80]!r} cannot name a target branch", draft.where
        )
    if len(draft.work_packages) > MAX_WORK_PACKAGES:
        findings.problem(
            "TOO_MANY_WORK_PACKAGES",
            f"has {len(draft.work_packages)} work packages; at most {MAX_WORK_PACKAGES} are allowed",
            draft.where,
        )


def _is_branch_name(text: str) -> bool:
    # Stricter than git, which accepts names that read as options.
    return _BRANCH.fullmatch(text) is not None and not text.endswith(("/", ".", ".lock"))


def _check_title(title: str, where: str, findings: Findings) -> None:
    # Other control characters stay: they are data, and the printer neutralises them. NUL cannot be an argument at all.
    if "\x00" in title:
        findings.problem("INVALID_TITLE", "the title holds a NUL character", where)
    if len(title) > MAX_TITLE_LENGTH:
        findings.problem("INVALID_TITLE", f"the title is longer than {MAX_TITLE_LENGTH} characters", where)


def _check_ids(draft: MissionDraft, findings: Findings) -> None:
    first: dict[str, WorkPackageDraft] = {}
    for each in draft.work_packages:
        with findings.gathering(each.where):
            check_work_package_id(each.id)
        other = first.setdefault(each.id.casefold(), each)
        if other is not each:
            findings.problem(
                "DUPLICATE_WORK_PACKAGE_ID",
                f"the id {each.id[:80]!r} is taken by {other.where} (ids that differ only in case count as the same)",
                each.where,
            )


def _check_dependencies(draft: MissionDraft, findings: Findings) -> None:
    known = {each.id for each in draft.work_packages} | draft.unreadable
    suggestions = 0
    for each in draft.work_packages:
        for dependency in each.dependencies:
            if dependency == each.id:
                findings.problem("SELF_DEPENDENCY", f"{each.id[:80]} depends on itself", each.place("dependencies"))
            elif dependency not in known:
                suggestions += 1
                findings.problem(
                    "UNKNOWN_DEPENDENCY",
                    f"{each.id[:80]} depends on {dependency[:80]!r}, which this mission does not have"
                    + (_suggestion(dependency, known) if suggestions <= _MOST_SUGGESTIONS else ""),
                    each.place("dependencies"),
                )


def _declared_graph(draft: MissionDraft, findings: Findings) -> DependencyGraph | None:
    """The declared dependencies as far as they are known; every circle becomes a problem, with its way."""
    by_id = {each.id: each for each in draft.work_packages[:MAX_WORK_PACKAGES]}
    edges = [(d, e.id) for e in by_id.values() for d in e.dependencies if d in by_id and d != e.id]
    try:
        return DependencyGraph(by_id, edges)
    except DefinitionError as error:
        for cycle in error.details["cycles"]:
            steps = [
                f"{after} waits for {before} ({by_id[after].place('dependencies')})"
                for before, after in pairwise(cycle)
            ]
            findings.problem(error.code, f"go in a circle: {listed(steps)}", by_id[cycle[0]].place("dependencies"))
        return None


def _suggestion(dependency: str, known: set[str]) -> str:
    by_case = {name.casefold(): name for name in sorted(known, reverse=True)}
    near = difflib.get_close_matches(dependency[:80].casefold(), sorted(by_case), n=1)
    return f"; did you mean {by_case[near[0]]}?" if near else ""


def _work_package(draft: WorkPackageDraft, findings: Findings) -> WorkPackage:
    _check_title(draft.title, draft.place("title"), findings)
    mode = _MODES.get(draft.execution_mode)
    if mode is None:
        findings.problem(
            "INVALID_EXECUTION_MODE",
            f"execution_mode is {draft.execution_mode[:80]!r}; it must be one of: {', '.join(_MODES)}",
            draft.place("execution_mode"),
        )
    before = len(findings.problems)
    owned = check_owned_files(draft.owned_files, draft.place("owned_files"), findings)
    if not draft.changes and (draft.owned_files or mode == "planning_artifact"):
        findings.problem(
            "INVALID_CHANGES",
            f"{draft.id[:80]} is to change no files, so it has no owned_files and is no planning_artifact",
            draft.place("changes"),
        )
    if draft.changes and not owned and len(findings.problems) == before:
        findings.warn(
            "NO_OWNED_FILES",
            f"{draft.id[:80]} declares no owned files: overlaps with other work packages cannot be seen",
            draft.where,
        )
    return WorkPackage(
        id=draft.id,
        title=draft.title.strip() or draft.id,
        dependencies=tuple(dict.fromkeys(draft.dependencies)),
        owned_files=owned,
        execution_mode=mode or "code_change",
        subtasks=draft.subtasks,
        requirement_refs=tuple(dict.fromkeys(draft.requirement_refs)),
        prompt=draft.prompt,
        changes=draft.changes,
    )
