"""Looks for secrets in the lines that a landing adds, with the token detectors of detect-secrets; asks no network.

This module is the only door to the library; it is imported late, for it loads an HTTP client that is never used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from kitty_flow.git.merging import open_merger
from kitty_flow.git.repository import Repository

__all__ = ["MAX_FILE_BYTES", "MAX_LINES", "Scan", "added_lines", "scan_added_lines"]

MAX_FILE_BYTES: Final = 2_000_000
"""A larger file counts as binary."""

MAX_LINES: Final = 200_000
MAX_LINE: Final = 4_000
"""Characters of one line that are looked at: minified code has lines of megabytes."""

_LEFT_OUT: Final = frozenset({"IPPublicDetector"})
"""An address is no secret. The detectors by entropy and by keyword are left out too (they are of another class): they
take commit ids and the passwords of tests for secrets, and a gate that cries wolf gets overridden."""

_HUNK: Final = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class Added(NamedTuple):
    """One added line; `text` is None for a file that is binary or too large to be read as text."""

    path: str
    line: int
    text: str | None


class Finding(NamedTuple):
    """Where a secret seems to be, and of what kind; the secret itself is nowhere kept."""

    path: str
    line: int
    kind: str


@dataclass(frozen=True)
class Scan:
    """What was found. `skipped` are files that were not read; `is_complete`, whether the rest was read to its end."""

    findings: tuple[Finding, ...]
    allowed: int
    skipped: tuple[str, ...]
    lines: int
    is_complete: bool


def scan_added_lines(repository: Repository, base: str, head: str) -> Scan:
    """Look at the lines that `head` has and `base` has not.

    A line that ends in the comment ``pragma: allowlist secret`` is let through, and counted.

    Raises:
        GitFailedError: the commits cannot be compared.
    """
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.filters.allowlist import is_line_allowlisted
    from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
    from detect_secrets.util.code_snippet import CodeSnippet

    kinds: Iterable[type[BasePlugin]] = get_mapping_from_secret_type_to_class().values()
    detectors = [k() for k in kinds if issubclass(k, RegexBasedDetector) and k.__name__ not in _LEFT_OUT]
    findings: list[Finding] = []
    skipped: list[str] = []
    allowed, count, before = 0, 0, ""
    for added in added_lines(repository, base, head):
        if added.text is None:
            skipped.append(added.path)
            continue
        if count == MAX_LINES:
            return Scan(tuple(findings), allowed, tuple(skipped), count, False)
        count += 1
        text = added.text[:MAX_LINE]
        kind = next((str(d.secret_type) for d in detectors if any(True for _ in d.analyze_string(text))), None)
        if kind is not None:
            if is_line_allowlisted(added.path, text, CodeSnippet([before, text], added.line, 1)):
                allowed += 1
            else:
                findings.append(Finding(added.path, added.line, kind))
        before = text
    return Scan(tuple(findings), allowed, tuple(skipped), count, True)


def added_lines(repository: Repository, base: str, head: str) -> Iterator[Added]:
    """Every line that `head` adds to `base`, in the order of the paths.

    The comparison is made where no configuration and no attributes reach: a file that an agent calls binary is read.
    """
    with open_merger(repository, keep_trees=False) as merger:
        limit = ("-c", f"core.bigFileThreshold={MAX_FILE_BYTES}")
        words = ("diff-tree", "-r", "-p", "-U0", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
        patch = merger.git.output(*limit, *words, base, head)
    path, line, left_gone, left_added = "", 0, 0, 0
    for row in patch.split(b"\n"):
        if left_gone and row.startswith(b"-"):
            left_gone -= 1
        elif left_added and row.startswith(b"+"):
            yield Added(path, line, row[1:].decode("utf-8", "replace").rstrip("\r"))
            line, left_added = line + 1, left_added - 1
        elif hunk := _HUNK.match(row):
            left_gone, line, left_added = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)
        elif row.startswith(b"+++ "):
            path = _path(row[4:])
        elif row.startswith(b"Binary files ") and not row.endswith(b" and /dev/null differ"):
            yield Added(_path(row.rpartition(b" and ")[2].removesuffix(b" differ")), 0, None)


def _path(name: bytes) -> str:
    return name.rstrip(b"\t").decode("utf-8", "replace").strip('"').removeprefix("b/")
