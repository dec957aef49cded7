"""Versions by PEP 440 or by Semantic Versioning: are they valid, what is their plain form, which one is greater."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

__all__ = ["Scheme", "canonical", "greatest", "is_greater", "versions_of_tags"]

Scheme = Literal["pep440", "semver"]


def _parsed(text: str, scheme: Scheme) -> Any:
    """The library's own object, which orders.

    Raises:
        ValueError: the text is no version of that scheme.
    """
    if scheme == "semver":
        from semver import Version as SemanticVersion

        return SemanticVersion.parse(text)
    from packaging.version import Version

    return Version(text)


def canonical(text: str, scheme: Scheme) -> str | None:
    """The one way to write the version; None when the text is none."""
    try:
        return str(_parsed(text, scheme))
    except (ValueError, TypeError):
        return None


def is_greater(new: str, old: str, scheme: Scheme) -> bool:
    """Whether `new` comes after `old`; pre-releases come before their release.

    Raises:
        ValueError: one of them is no version of that scheme.
    """
    return bool(_parsed(new, scheme) > _parsed(old, scheme))


def greatest(versions: Iterable[str], scheme: Scheme) -> str | None:
    """The greatest of some valid versions; None of none."""
    return max(versions, key=lambda text: _parsed(text, scheme), default=None)


def versions_of_tags(tags: Iterable[str], pattern: str, scheme: Scheme) -> dict[str, str]:
    """The version of every tag that is made after `pattern` (``v{version}``), by the tag's short name."""
    before, _, after = pattern.partition("{version}")
    form = re.compile(re.escape(before) + r"(?P<version>.+)" + re.escape(after))
    named = {tag: found["version"] for tag in tags if (found := form.fullmatch(tag))}
    return {tag: version for tag, version in named.items() if canonical(version, scheme) is not None}
