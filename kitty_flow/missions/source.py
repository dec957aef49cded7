"""Finds missions in a repository and loads one with the reader that fits."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kitty_flow.errors import DefinitionError, UsageError
from kitty_flow.missions import native, readers, spec_kitty
from kitty_flow.missions.draft import MissionDraft
from kitty_flow.missions.files import MAX_MISSION_BYTES, children, exists, invalid, is_folder, is_inside, read_text
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.readers import Reader, detect
from kitty_flow.missions.repository_files import RepositoryFiles
from kitty_flow.missions.validation import validate
from kitty_flow.model.ids import is_ulid
from kitty_flow.model.mission import LoadedMission

__all__ = [
    "NATIVE_FOLDER",
    "SPEC_KITTY_FOLDER",
    "DiscoveredMission",
    "discover",
    "find_mission",
    "load_mission",
    "native_path",
    "read_mission",
]

NATIVE_FOLDER: Final = ".kitty-flow/missions"
SPEC_KITTY_FOLDER: Final = "kitty-specs"
_MISSION_TABLE: Final = re.compile(r"^[ \t]*\[[ \t]*mission[ \t]*\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DiscoveredMission:
    """A mission that lies in the repository. `problem` says why it cannot be loaded, as far as a glance tells."""

    slug: str
    path: Path
    kind: str
    id: str | None
    title: str
    problem: str | None


def load_mission(
    path: Path,
    *,
    relative_to: Path | None = None,
    kind: str | None = None,
    files: RepositoryFiles | None = None,
    may_be_empty: bool = False,
) -> LoadedMission:
    """Read and validate the mission at `path`: whatever a reader knows, or a folder with one native file.

    Args:
        relative_to: the repository root; the source path is kept relative to it when the mission lies inside.
        kind: names the reader, where the path alone should not decide.
        files: those of the repository that the mission is for, to be compared with what its work packages own.
        may_be_empty: a mission in its planning phases, without work packages, is no problem.

    Raises:
        UsageError: MISSION_NOT_FOUND, there is no mission at `path`; UNKNOWN_SOURCE_KIND.
        DefinitionError: INVALID_MISSION, with all problems in `details.problems`; UNSAFE_PATH or UNUSABLE_PATH.
    """
    return read_mission(path, relative_to=relative_to, kind=kind, files=files, may_be_empty=may_be_empty)[1]


def read_mission(
    path: Path,
    *,
    relative_to: Path | None = None,
    kind: str | None = None,
    files: RepositoryFiles | None = None,
    may_be_empty: bool = False,
) -> tuple[MissionDraft, LoadedMission]:
    """As `load_mission`, with the draft, which keeps what a definition has no place for.

    Raises:
        UsageError, DefinitionError: as `load_mission`.
    """
    reader, file = _detect(path) if kind is None else (_reader(kind), _absolute(path))
    source_path = _source_path(file, relative_to)
    if not exists(file):
        raise _not_found(path, "does not exist")
    findings = Findings()
    draft = reader.read(file, findings)
    return draft, validate(draft, findings, source_path, files, may_be_empty=may_be_empty)


def _reader(kind: str) -> Reader:
    if kind not in readers.KINDS:
        known = ", ".join(readers.KINDS)
        message = f"there is no reader for {kind!r}; known: {known}"
        raise UsageError("UNKNOWN_SOURCE_KIND", message, hint="kitty-flow mission import --help")
    return readers.reader(kind)


def discover(root: Path) -> tuple[DiscoveredMission, ...]:
    """All missions of the repository at `root`, by slug. Bodies are not read; broken missions are listed as such.

    Raises:
        DefinitionError: UNREADABLE_FILE, a missions folder cannot be listed.
    """
    found = [
        _glance(folder, root, spec_kitty.KIND)
        for folder in children(root / SPEC_KITTY_FOLDER)
        if not folder.name.startswith(".") and spec_kitty.recognises(folder)
    ]
    found += [
        _glance(file, root, native.KIND)
        for file in children(root / NATIVE_FOLDER)
        if file.suffix == ".toml" and not file.name.startswith(".")
    ]
    return tuple(sorted(found, key=lambda mission: (mission.slug, mission.kind)))


def find_mission(root: Path, name: str) -> Path | None:
    """The path of the mission called `name`: its slug, else its ULID, else a prefix of either; None without a match.

    Raises:
        UsageError: AMBIGUOUS_MISSION, with the candidates.
        DefinitionError: UNREADABLE_FILE.
    """
    if not name:
        return None
    missions = discover(root)
    upper, lower = name.upper(), name.casefold()
    for candidates in (
        [m for m in missions if m.slug == name],
        [m for m in missions if m.id == upper],
        [m for m in missions if m.slug.casefold().startswith(lower) or (m.id or "").startswith(upper)],
    ):
        if len(candidates) == 1:
            return candidates[0].path
        if candidates:
            raise _ambiguous(name, candidates, root)
    return None


def native_path(root: Path, slug: str) -> Path:
    """Where the native mission file `slug` belongs in the repository at `root`."""
    return root / NATIVE_FOLDER / f"{slug}.toml"


def _ambiguous(name: str, candidates: list[DiscoveredMission], root: Path) -> UsageError:
    named = [f"{m.slug} ({m.id or m.path.relative_to(root).as_posix()})" for m in candidates]
    return UsageError(
        "AMBIGUOUS_MISSION",
        f"{name!r} stands for {len(candidates)} missions: {', '.join(named[:8])}",
        hint="give more letters, the ULID or the path; see: kitty-flow mission list",
        details={
            "name": name,
            "candidates": [{"slug": m.slug, "id": m.id, "path": str(m.path)} for m in candidates],
        },
    )


def _detect(given: Path) -> tuple[Reader, Path]:
    """The reader for the mission at `given`, and the folder or file, as an absolute path, that it takes."""
    path = _absolute(given)
    found = detect(path)
    if found is not None:
        return found, path
    why = "is nothing that a reader knows" if exists(path) else "does not exist"
    if is_folder(path):
        files = [p for p in children(path) if p.suffix == ".toml" and _looks_native(p)]
        if len(files) == 1:
            return readers.reader(native.KIND), files[0]
        why = f"holds {len(files)} mission files; name one of them" if files else "holds no mission"
    raise _not_found(given, why)


def _not_found(given: Path, why: str) -> UsageError:
    return UsageError(
        "MISSION_NOT_FOUND", f"{given} {why}", hint="kitty-flow mission list", details={"path": str(given)}
    )


def _looks_native(path: Path) -> bool:
    try:
        return _MISSION_TABLE.search(read_text(path, path.name, limit=MAX_MISSION_BYTES)) is not None
    except DefinitionError:
        return False


def _source_path(path: Path, relative_to: Path | None) -> str:
    text = path.as_posix()
    if relative_to is not None:
        root = _absolute(relative_to)
        if is_inside(path, root):
            text = path.resolve().relative_to(root.resolve()).as_posix()
        elif path.is_relative_to(root):
            raise invalid("UNSAFE_PATH", f"{path} is a link that leads out of the repository", path.name)
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise invalid("UNUSABLE_PATH", "the path of the mission is not UTF-8 text; rename it", ascii(path.name))
    return text


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a linked folder and lose its name


def _glance(path: Path, root: Path, kind: str) -> DiscoveredMission:
    fallback = path.stem if kind == native.KIND else path.name
    slug = fallback
    mission_id: str | None = None
    title: str | None = None
    problem: str | None = None
    try:
        if not is_inside(path, root):
            raise invalid("UNSAFE_PATH", "is a link that leads out of the repository", path.name)
        if kind == native.KIND:
            table = native.read_toml(path).get("mission")
            meta = table if isinstance(table, dict) else {}
            slug = _text(meta.get("slug")) or fallback
            mission_id, title = _text(meta.get("id")), _text(meta.get("title"))
            problem = None if isinstance(table, dict) else "has no [mission] table"
        else:
            meta = spec_kitty.read_meta(path)
            slug = spec_kitty.mission_slug(path, meta)
            mission_id, title = _text(meta.get("mission_id")), _text(meta.get("friendly_name"))
            problem = None if spec_kitty.has_work_packages(path) else "has no work packages yet"
    except DefinitionError as error:
        problem = error.message
    mission_id = mission_id.upper() if mission_id and is_ulid(mission_id.upper()) else None
    return DiscoveredMission(slug, path, kind, mission_id, title or slug, problem)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
