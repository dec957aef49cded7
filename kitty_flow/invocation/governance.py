"""The governance context: what whoever does the work has to follow, put together from the profile and the charter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from kitty_flow.errors import DefinitionError
from kitty_flow.invocation.profile import Profile
from kitty_flow.invocation.project_text import read_inside
from kitty_flow.missions.files import exists

__all__ = ["DEFAULT_CHARTER", "MAX_CONTEXT_BYTES", "GovernanceContext", "charter_files", "governance_context"]

DEFAULT_CHARTER: Final = (".kitty-flow/charter.md", ".kitty-flow/charter/*.md")
"""Where a charter is looked for when the settings name no files."""

MAX_CONTEXT_BYTES: Final = 256 * 1024
"""Of the whole context. A longer one is refused, not cut: a rule that is left out is a rule that is broken."""

_MAX_FILES: Final = 100


class GovernanceContext(NamedTuple):
    """The context: its text, the charter files in it, and its digest (SHA-256 of the text as UTF-8, hexadecimal)."""

    text: str
    files: tuple[str, ...]
    digest: str

    @property
    def is_available(self) -> bool:
        """Whether the project has a charter; without one the text has the profile's own rules only."""
        return bool(self.files)


def governance_context(root: Path, profile: Profile, patterns: Sequence[str] | None = None) -> GovernanceContext:
    """The context for `profile` in the project at `root`: the profile first, then the charter's files, in order.

    `patterns` are the files of the settings, each of which has to exist; None looks at `DEFAULT_CHARTER`.

    Raises:
        DefinitionError: CHARTER_MISSING, CHARTER_TOO_LARGE, or what `read_inside` raises.
    """
    files = charter_files(root, patterns)
    parts, size = [_profile_text(profile)], 0
    for path in files:
        text = read_inside(root, path, limit=MAX_CONTEXT_BYTES)
        parts.append(f"# Charter: {path.relative_to(root).as_posix()}\n\n{text.strip()}\n")
        size += len(parts[-1].encode())
        if size > MAX_CONTEXT_BYTES:
            raise _too_large(f"has more than {MAX_CONTEXT_BYTES} bytes", path.relative_to(root).as_posix())
    text = "\n".join(parts)
    names = tuple(path.relative_to(root).as_posix() for path in files)
    return GovernanceContext(text, names, hashlib.sha256(text.encode()).hexdigest())


def charter_files(root: Path, patterns: Sequence[str] | None = None) -> tuple[Path, ...]:
    """The charter's files, in the order of the patterns and by name within one; each once.

    Raises:
        DefinitionError: CHARTER_MISSING, CHARTER_TOO_LARGE.
    """
    found: dict[Path, None] = {}
    for pattern in DEFAULT_CHARTER if patterns is None else patterns:
        if "*" in pattern or "?" in pattern:
            matches = sorted(path for path in root.glob(pattern) if not path.name.startswith("."))
        else:
            matches = [path for path in (root / pattern,) if exists(path)]
        if not matches and patterns is not None:
            raise DefinitionError(
                "CHARTER_MISSING",
                f"the settings name {pattern} as a part of the charter, and there is no such file",
                hint="write the file, or take it out of governance.charter in .kitty-flow/config.toml",
                details={"where": pattern},
            )
        found.update(dict.fromkeys(matches))
        if len(found) > _MAX_FILES:
            raise _too_large(f"has more than {_MAX_FILES} files", pattern)
    return tuple(found)


def _too_large(why: str, where: str) -> DefinitionError:
    return DefinitionError(
        "CHARTER_TOO_LARGE",
        f"the charter {why}; {where} is where that is reached",
        hint="name fewer files in governance.charter of .kitty-flow/config.toml, or shorten them",
        details={"where": where, "limit": MAX_CONTEXT_BYTES},
    )


def _profile_text(profile: Profile) -> str:
    sections = (
        ("Directives", profile.directives),
        ("Boundaries", profile.boundaries),
        ("Asks", profile.collaborators),
        ("Hands off to", profile.hands_off_to),
    )
    lists = ["\n".join((f"## {title}", "", *(f"- {item}" for item in items))) for title, items in sections if items]
    head = f"# Profile: {profile.name} ({profile.id})\n\n{profile.purpose}"
    return "\n\n".join((head, *lists)) + "\n"
