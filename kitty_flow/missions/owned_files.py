"""Which owned-file patterns are allowed: relative, inside the repository, without tricks.

A pattern decides what an agent may change and later becomes an argument of git, so the rule is a closed one: a pattern
that leaves the repository, reaches git's own folder or reads as an option or a pathspec signature is refused. A `!`
before a pattern takes away what it matches from the patterns before it (`graph/ownership.py`); the rest of the rule is
the same.
"""

from __future__ import annotations

import re
from itertools import dropwhile
from typing import Final

from kitty_flow.graph.ownership import EXCLUSION
from kitty_flow.missions.findings import Findings

__all__ = ["MAX_PATTERNS", "MAX_PATTERN_LENGTH", "check_owned_files"]

MAX_PATTERNS: Final = 256
MAX_PATTERN_LENGTH: Final = 512

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CODE: Final = "INVALID_OWNED_FILES"


def check_owned_files(patterns: tuple[str, ...], where: str, findings: Findings) -> tuple[str, ...]:
    """The patterns in plain form (no leading ``./``, no doubled slashes, no repeats); bad ones become problems.

    Where there are exclusions, a repeat counts where it stands last, because the last pattern that matches decides.
    """
    if len(patterns) > MAX_PATTERNS:
        findings.problem(_CODE, f"has {len(patterns)} owned files; at most {MAX_PATTERNS} patterns are allowed", where)
        return ()
    plain: list[str] = []
    for pattern in patterns:
        bare = pattern.removeprefix(EXCLUSION)
        fault = _fault(bare)
        if fault is None and bare != pattern and not plain:
            fault = "takes nothing away: no pattern stands before it"
        if fault is not None:
            findings.problem(_CODE, f"owned file {pattern[:80]!r} {fault}", where)
            continue
        if "\\" in pattern:
            findings.warn(
                "BACKSLASH_IN_PATTERN",
                f"owned file {pattern[:80]!r} holds a backslash, which stands for itself; folders are parted by '/'",
                where,
            )
        plain.append((EXCLUSION if bare != pattern else "") + _plain(bare))
    if any(each.startswith(EXCLUSION) for each in plain):
        latest = tuple(dict.fromkeys(reversed(plain)))[::-1]
        return tuple(dropwhile(lambda each: each.startswith(EXCLUSION), latest))
    return tuple(dict.fromkeys(plain))


def _plain(pattern: str) -> str:
    folder = "/" if pattern.endswith("/") else ""
    return "/".join(s for s in pattern.split("/") if s not in ("", ".")) + folder


def _fault(pattern: str) -> str | None:
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"is longer than {MAX_PATTERN_LENGTH} characters"
    if _CONTROL.search(pattern):
        return "holds a control character"
    plain = _plain(pattern)  # what is kept is what must be harmless: './:' would be kept as ':'
    if pattern.startswith("/") or plain.startswith(("\\", "~")) or _DRIVE.match(plain):
        return "is not relative to the repository root"
    segments = re.split(r"[/\\]", pattern)
    if ".." in segments:
        return "leaves its folder with '..'"
    if any(s.rstrip(". ").casefold() in (".git", "git~1") for s in segments):
        return "reaches into git's own folder"
    if plain.startswith(("-", "!", ":")):
        return f"begins with {plain[0]!r}, which reads as an option, a negation or a pathspec signature"
    if not plain.strip("/"):
        return "names no file; the whole repository is '**'"
    return None
