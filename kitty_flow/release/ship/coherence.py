"""Does the version stand the same everywhere in the commit that is shipped? Read from git's objects, not from files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kitty_flow.agents.settings_ship import KNOWN, VersionPlace
from kitty_flow.git.process import Git
from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.ship.changelog import COMMON_NAMES, Entry, entries
from kitty_flow.release.ship.draft import drafted_block
from kitty_flow.release.ship.order import canonical
from kitty_flow.release.ship.places import Stated, UnstatedError, dynamic_source, kind_of, stated_version
from kitty_flow.release.ship.sheet import Release

__all__ = ["changelog_entry_present", "file_text", "version_coherent"]

_COHERENT = "version_coherent"
_CHANGELOG = "changelog_entry_present"


class Changelog(NamedTuple):
    """A changelog as it is in the commit; `entries` from the top."""

    path: str
    entries: tuple[Entry, ...]


def file_text(git: Git, commit: str, path: str) -> str | None:
    """The text of a file in a commit; None when there is no such file.

    Raises:
        GitFailedError: it cannot be read.
    """
    listed = git.output("ls-tree", "-z", "--full-tree", "--end-of-options", commit, "--", path)
    fields = listed.partition(b"\t")[0].split()
    if len(fields) != 3 or fields[1] != b"blob":
        return None
    return git.output("cat-file", "blob", fields[2].decode()).decode("utf-8", "replace")


def version_coherent(release: Release) -> tuple[GateResult, ...]:
    """Every place that states a version states this one; each that does not is told with file, line and finding."""
    found = tuple(_compared(release))
    closed = tuple(result for result in found if not result.is_open)
    if closed:
        return closed
    if not found and _changelog(release) is None:
        return (
            closed_gate(
                _COHERENT,
                "VERSION_NOWHERE",
                f"no file of {release.commit[:12]} states a version, so nothing can be compared",
                subject=release.commit,
                remediation="name the files under [[ship.version]] in .kitty-flow/config.toml",
            ),
        )
    places = ", ".join(result.subject for result in found) or "no file but the changelog"
    return (open_gate(_COHERENT, f"{places} state{'s' if len(found) < 2 else ''} {release.version}"),)


def _compared(release: Release) -> Iterator[GateResult]:
    git = release.mission.project.repository.store_git
    for place in _places(release, git):
        text = file_text(git, release.commit, place.path)
        try:
            if text is None:
                raise UnstatedError(f"is not in the commit {release.commit[:12]}")
            stated = stated_version(place.path, text, place.key)
        except UnstatedError as error:
            source = dynamic_source(text or "") if kind_of(place.path) == "PYPROJECT" else None
            if source is not None:
                continue  # the file that it is taken from is a place of its own
            yield _closed(release, place, f"{place.path} {error}", place.path, "VERSION_UNREADABLE")
            continue
        yield _judged(release, place, stated)


def _judged(release: Release, place: VersionPlace, stated: Stated) -> GateResult:
    subject, scheme = f"{place.path}:{stated.line}", release.settings.scheme
    if canonical(stated.version, scheme) == canonical(release.version, scheme):
        return open_gate(_COHERENT, stated.version).model_copy(update={"subject": subject})
    message = f"{subject} says {stated.version!r}, not {release.version!r}"
    return _closed(release, place, message, subject, f"{kind_of(place.path)}_VERSION_DIFFERS")


def _closed(release: Release, place: VersionPlace, message: str, subject: str, code: str) -> GateResult:
    branch = release.mission.target_branch
    return closed_gate(
        _COHERENT,
        code,
        message,
        subject=subject,
        invariant="the version is the same everywhere in the commit that is shipped",
        remediation=f"correct {place.path} in a commit on {branch}, then {release.command}",
    )


def _places(release: Release, git: Git) -> tuple[VersionPlace, ...]:
    """The configured places, else the well-known files that are there; and the file that a dynamic version names."""
    places = release.settings.version
    if not places:
        listed = git.output("ls-tree", "-z", "--name-only", "--full-tree", "--end-of-options", release.commit)
        names = set(listed.decode("utf-8", "replace").split("\0"))
        places = tuple(VersionPlace(path=name) for name in KNOWN if name in names and _states_one(release, git, name))
    sources = [
        dynamic_source(file_text(git, release.commit, place.path) or "")
        for place in places
        if kind_of(place.path) == "PYPROJECT"
    ]
    known = {place.path for place in places}
    return (*places, *(VersionPlace(path=path) for path in sources if path is not None and path not in known))


def _states_one(release: Release, git: Git, path: str) -> bool:
    """Whether a file that nobody configured is about a version: a pyproject.toml may hold settings of tools only."""
    text = file_text(git, release.commit, path) or ""
    return {
        "pyproject.toml": "[project]" in text,
        "package.json": '"version"' in text,
        "Cargo.toml": "version" in text,
    }[path]


def changelog_entry_present(release: Release) -> tuple[GateResult, ...]:
    """The changelog's top entry is for this version, and says something; where it is missing a draft is proposed."""
    log = _changelog(release)
    if log is None:
        wanted = release.settings.changelog
        if wanted is None:
            return (open_gate(_CHANGELOG, "there is no changelog in the commit, so there is nothing to check"),)
        return (_no_entry(release, None, "CHANGELOG_MISSING", f"{wanted} is not in the commit", wanted),)
    top, scheme = next(iter(log.entries), None), release.settings.scheme
    wanted_version = canonical(release.version, scheme)
    own = next((e for e in log.entries if canonical(e.version, scheme) == wanted_version), None)
    if own is None:
        on_top = f"; its top entry is {top.version} in line {top.line}" if top else ""
        message = f"{log.path} has no entry for {release.version}{on_top}"
        return (_no_entry(release, top, "CHANGELOG_ENTRY_MISSING", message, f"{log.path}:{top.line if top else 1}"),)
    subject = f"{log.path}:{own.line}"
    if own is not top and top is not None:
        message = f"the top entry of {log.path} is {top.version} in line {top.line}; {release.version} is in {own.line}"
        return (_no_entry(release, top, "CHANGELOG_ENTRY_NOT_ON_TOP", message, subject, is_missing=False),)
    if not own.has_text:
        message = f"the entry for {release.version} in {subject} says nothing"
        return (_no_entry(release, own, "CHANGELOG_ENTRY_EMPTY", message, subject),)
    return (open_gate(_CHANGELOG, f"{subject} is the top entry, for {release.version}"),)


def _no_entry(
    release: Release, top: Entry | None, code: str, message: str, subject: str, *, is_missing: bool = True
) -> GateResult:
    remedy = f"put the proposed entry into it, in a commit on {release.mission.target_branch}"
    if not is_missing:
        remedy = f"put the entry on top, in a commit on {release.mission.target_branch}"
    result = closed_gate(
        _CHANGELOG,
        code,
        message,
        subject=subject,
        invariant="what is released is described",
        remediation=f"{remedy}, then {release.command}",
    )
    details = {"proposed_changelog_block": drafted_block(release, top)} if is_missing else {}
    return result.model_copy(update={"details": details})


def _changelog(release: Release) -> Changelog | None:
    git = release.mission.project.repository.store_git
    configured = release.settings.changelog
    for name in (configured,) if configured else COMMON_NAMES:
        text = file_text(git, release.commit, name)
        if text is not None:
            return Changelog(name, entries(text))
    return None
