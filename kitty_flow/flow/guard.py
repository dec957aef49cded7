"""The ownership guard: a work package may only change what it owns, and only its current holder may.

Two refusals that must never be taken for one another (seed 004, FR-007 and FR-008): `SCOPE_VIOLATION`, known files of
a known work package are outside of what it owns; and `STALE_OR_AMBIGUOUS_CONTEXT`, it cannot be told whose files these
are. Paths are judged as the tree has them: no renames, no quoting, deletions, links, modes and submodules included.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from kitty_flow.errors import RefusedError
from kitty_flow.flow.ownership_context import Active, OwnershipContext, Stale, active_here
from kitty_flow.flow.project import Project
from kitty_flow.git.process import Git
from kitty_flow.graph.ownership import literal_prefix, owns
from kitty_flow.model.mission import MissionDefinition

__all__ = ["Checked", "Scope", "Violation", "check", "diagnosed", "legible", "outside"]

Scope = Literal["staged", "head"]

_SHOWN: Final = 100
"""How many paths an answer names."""

_INVARIANTS: Final = {
    "scope_violation": "OWN-001: a work package changes only files that it owns",
    "stale_or_ambiguous_context": "OWN-002: work counts only from the one current claim of a work package in progress",
}
_OF_SUBMISSION: Final = {"OWNERSHIP_VIOLATED": "scope_violation", "STALE_EPOCH": "stale_or_ambiguous_context"}


class Violation(NamedTuple):
    """A path outside the owned files, and the work packages that own it instead."""

    path: str
    owners: tuple[str, ...]

    @property
    def told(self) -> str:
        """Who owns it, in a sentence."""
        if not self.owners:
            return f"nobody owns {self.path}"
        return f"{' and '.join(self.owners)} {'own' if len(self.owners) > 1 else 'owns'} {self.path}"

    def as_problem(self) -> dict[str, Any]:
        """The form in which errors list what they are about."""
        return {"message": self.told, "path": self.path, "owners": list(self.owners)}


@dataclass(frozen=True)
class Checked:
    """A check that found nothing wrong. Without a `context` there was nothing to check, for the `reason` given."""

    scope: Scope
    context: OwnershipContext | None
    reason: str = ""

    def as_data(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "checked": self.scope,
            "result": "passed" if self.context else "nothing_to_check",
            "reason": self.reason or None,
            "context": self.context.as_data() if self.context else None,
        }


def check(scope: Scope, environment: Mapping[str, str], start: Path | None = None) -> Checked:
    """Judge what is staged in the working tree around `start`, or everything that its head has beyond the base.

    Of what is staged, a path that is brought back to what it was at the base is never wrong. In a hook git names the
    index of this very commit in `GIT_INDEX_FILE`, which is not the usual one for `commit -a` and `commit FILE`.

    Raises:
        RefusedError: SCOPE_VIOLATION or STALE_OR_AMBIGUOUS_CONTEXT.
        UsageError: NO_REPOSITORY.
    """
    project = Project.discover(start)
    here = _top(start)
    if here is None:
        is_scratch = project.scratch_root.resolve() in (start or Path.cwd()).resolve().parents
        where = "work in this folder changes no files" if is_scratch else "this is not a working tree"
        return Checked(scope, None, where)
    found = active_here(project, here, environment)
    if found is None:
        return Checked(scope, None, f"no work package is in progress in {here}")
    if isinstance(found, Stale):
        raise _stale(found)
    changed = _changed(here, found.base_commit, scope, environment.get("GIT_INDEX_FILE"))
    context = replace(found.context, staged_files=tuple(map(legible, changed[:_SHOWN])))
    wrong = outside(found.definition, context.active_work_package_id, changed)
    if wrong:
        raise _outside(found, context, wrong, scope)
    return Checked(scope, context)


def outside(definition: MissionDefinition, work_package_id: str, changed: Iterable[str]) -> tuple[Violation, ...]:
    """The paths that a work package may not change, each with who owns it; one that owns nothing may change all."""
    owned = definition.work_package(work_package_id).owned_files
    wrong = [path for path in changed if not owns(owned, path)] if owned else []
    others = [w for w in definition.work_packages if w.id != work_package_id] if wrong else []
    owners = {path: tuple(w.id for w in others if _may_own(w.owned_files, path)) for path in wrong[:_SHOWN]}
    return tuple(Violation(legible(path), owners.get(path, ())) for path in wrong)


def _may_own(patterns: Sequence[str], path: str) -> bool:
    """As `owns`; most patterns are ruled out by how they begin."""
    parts = tuple(path.split("/"))
    near = (pattern for pattern in patterns if parts[: len(start := literal_prefix(pattern))] == start)
    return next(near, None) is not None and owns(patterns, path)


def legible(path: str) -> str:
    """A path as evidence: bytes that are no UTF-8 are escaped, a very long one is cut."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")[:300]


@contextmanager
def diagnosed(definition: MissionDefinition, work_package_id: str, changed: Iterable[str]) -> Iterator[None]:
    """Give a submission that the machine's guards refuse the words of this guard, and name who owns the files."""
    try:
        yield
    except RefusedError as error:
        code = _OF_SUBMISSION.get(error.code)
        if code is None:
            raise
        details = {**error.details, **_diagnosis(code, str(error.hint)), "work_package_id": work_package_id}
        message = error.message
        if code == "scope_violation":
            wrong = outside(definition, work_package_id, changed)
            details["problems"] = [violation.as_problem() for violation in wrong[:_SHOWN]]
            owned = [v.told for v in wrong[:_SHOWN] if v.owners]
            message += f" ({', '.join(owned[:5])}{' …' if len(owned) > 5 else ''})" if owned else ""
        raise RefusedError(error.code, message, hint=error.hint, details=details) from error


def _top(start: Path | None) -> Path | None:
    """The root of the working tree around `start`; None in a bare repository or inside a git directory."""
    done = Git(start or Path.cwd()).call("rev-parse", "--show-toplevel", ok=(0, 128))
    text = os.fsdecode(done.stdout).rstrip("\n")
    return Path(text) if done.returncode == 0 and text else None


def _changed(here: Path, base: str, scope: Scope, index: str | None) -> tuple[str, ...]:
    """The paths that the next commit changes against its parent and against the base; or the head against the base."""
    as_stored = {"GIT_NO_REPLACE_OBJECTS": "1"}  # an agent could have made a replacement
    if scope == "head":
        return tuple(sorted(_paths(Git(here, as_stored), "diff-tree", "-r", base, "HEAD")))
    # Relative to the working tree's root, where hooks run; a user's own check may start further down.
    git = Git(here, {**as_stored, "GIT_INDEX_FILE": os.fspath(here / index)} if index else as_stored)
    staged = _paths(git, "diff-index", "--cached", "HEAD")
    return tuple(sorted(staged & _paths(git, "diff-index", "--cached", base))) if staged else ()


def _paths(git: Git, command: str, *words: str) -> set[str]:
    # No setting of the repository may hide a submodule: `submodule.NAME.ignore` is the agent's to change.
    plain = ("-z", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=none")
    out = git.output(command, *plain, *words, "--")
    return {os.fsdecode(path) for path in out.split(b"\0") if path}


def _stale(found: Stale) -> RefusedError:
    remedy = "kitty-flow next --agent NAME shows what NAME holds now and where; git stash keeps what is here"
    return RefusedError(
        "STALE_OR_AMBIGUOUS_CONTEXT",
        f"it cannot be told whose work this is: {found.message}",
        hint=remedy,
        details={**_diagnosis("stale_or_ambiguous_context", remedy), "work_packages_here": list(found.work_packages)},
    )


def _outside(found: Active, context: OwnershipContext, wrong: Sequence[Violation], scope: Scope) -> RefusedError:
    name, count = context.active_work_package_id, len(wrong)
    files = "a file" if count == 1 else f"{count} files"
    owned = ", ".join(context.owned_files[:5]) + (" …" if len(context.owned_files) > 5 else "")
    holder = shlex.quote(found.holder)
    remedy = _undo([violation.path for violation in wrong], None if scope == "staged" else found.base_commit)
    return RefusedError(
        "SCOPE_VIOLATION",
        f"{name} may not change {files} outside its owned files ({owned})",
        hint=f"{remedy}\nif {name} needs the change: kitty-flow next --agent {holder} --result blocked",
        details={
            **_diagnosis("scope_violation", remedy),
            "mission": context.mission,
            "work_package_id": name,
            "context": context.as_data(),
            "violation_count": count,
            "problems": [violation.as_problem() for violation in wrong[:_SHOWN]],
        },
    )


def _undo(paths: Sequence[str], base: str | None) -> str:
    """What takes paths out of the next commit; with a base, what brings them back to it."""
    # Such a character at the beginning, or a wildcard, would mean more than this one path.
    exact = " --literal-pathspecs" if any(path[0] == ":" or set("*?[\\") & set(path) for path in paths[:5]) else ""
    source = f" --source={base[:12]} --staged --worktree" if base else " --staged"
    first = " ".join(shlex.quote(path) for path in paths[:5]) + (" …" if len(paths) > 5 else "")
    return f"git{exact} restore{source} -- {first}" + (" and commit" if base else "")


def _diagnosis(code: str, remedy: str) -> dict[str, str]:
    return {"diagnostic_code": code, "violated_invariant": _INVARIANTS[code], "remediation": remedy}
