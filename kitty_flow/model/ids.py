"""Which identifiers are allowed; checked before an id becomes a path, a ref name or an argument.

`git check-ref-format` accepts names such as ``-evil``, and ``--output=x`` as a slug once overwrote a file, so the
rule here is stricter than git's: a leading letter or digit, then letters, digits and hyphens.
"""

from __future__ import annotations

import re
from typing import Final

from kitty_flow.errors import DefinitionError

__all__ = ["check_mission_slug", "check_ulid", "check_work_package_id", "is_ulid", "natural_key"]

_SLUG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", re.ASCII)
_WORK_PACKAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}", re.ASCII)
_DIGITS: Final = re.compile(r"(\d+)")
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


def check_mission_slug(text: str) -> str:
    """Return `text` if it may name a mission.

    Raises:
        DefinitionError: INVALID_MISSION_SLUG.
    """
    if _SLUG.fullmatch(text):
        return text
    raise DefinitionError(
        "INVALID_MISSION_SLUG",
        f"{text[:80]!r} cannot name a mission: letters, digits and hyphens only, at most 63, no leading hyphen",
        hint="rename the mission folder or set a plain slug",
    )


def check_work_package_id(text: str) -> str:
    """Return `text` if it may name a work package, such as ``WP01``.

    Raises:
        DefinitionError: INVALID_WORK_PACKAGE_ID.
    """
    if _WORK_PACKAGE.fullmatch(text):
        return text
    raise DefinitionError(
        "INVALID_WORK_PACKAGE_ID",
        f"{text[:80]!r} cannot name a work package: letters, digits and hyphens only, at most 32, no leading hyphen",
        hint="use ids such as WP01",
    )


def is_ulid(text: str) -> bool:
    """Whether `text` is a ULID in canonical upper-case form (26 characters, Crockford base 32)."""
    return _ULID.fullmatch(text) is not None


def check_ulid(text: str) -> str:
    """Return `text` if it is a canonical ULID.

    Raises:
        DefinitionError: INVALID_ULID.
    """
    if is_ulid(text):
        return text
    raise DefinitionError("INVALID_ULID", f"{text[:80]!r} is not a ULID (26 characters of Crockford base 32)")


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which WP2 comes before WP10. Numbers are compared as text: they may have thousands of digits."""
    return tuple(_part_key(part) for part in _DIGITS.split(text) if part)


def _part_key(part: str) -> tuple[int, int, str]:
    if part.isascii() and part.isdigit():
        digits = part.lstrip("0")
        return 0, len(digits), digits
    return 1, 0, part
