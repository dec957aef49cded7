"""One profile file: strict TOML, every problem found at once and told with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from kitty_flow.invocation.profile import Profile, Source
from kitty_flow.invocation.verbs import ROLES
from kitty_flow.invocation.words import phrase
from kitty_flow.missions.native_places import top_level_keys

__all__ = ["MAX_PROFILE_BYTES", "Problem", "key_place", "parse_profile", "problem"]

Problem = dict[str, str]
"""A problem of a profile: `code`, `message`, and `where` it is, as ``file:line``."""

MAX_PROFILE_BYTES: Final = 64 * 1024

_ID: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_LINE: Final = re.compile(r"at line (\d+)")
_MAX_ID: Final = 64
_MAX_ITEMS: Final = 100
_MAX_WORDS: Final = 6

_Check = Callable[[object], str | None]


def parse_profile(text: str, where: str, source: Source) -> tuple[Profile | None, list[Problem]]:
    """The profile that `text`, the file `where`, holds; None, and why, when it holds none."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _LINE.search(str(error))
        return None, [problem("NOT_TOML", f"is not TOML: {error}", f"{where}:{line[1]}" if line else where)]
    except RecursionError:
        return None, [problem("NOT_TOML", "is nested too deeply", where)]
    problems = [*_missing(table, where), *_wrong(table, text, where)]
    stem = where.rpartition("/")[2].removesuffix(".toml")
    if not problems and table["id"] != stem:
        message = f"id: is {table['id']!r}, but the file is called {stem}.toml; the two have to be the same"
        problems.append(problem("ID_IS_NOT_THE_FILE", message, key_place(text, where, "id")))
    if problems:
        return None, problems
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Profile(**values, source=source, path=where), []


def problem(code: str, message: str, where: str) -> Problem:
    """One problem at `where`."""
    return {"code": code, "message": message, "where": where}


def key_place(text: str, where: str, key: str) -> str:
    """The file and line at which a key stands; the file alone for one that does not stand in a line of its own."""
    line = top_level_keys(text).get(key)
    return f"{where}:{line}" if line else where


def _missing(table: Mapping[str, Any], where: str) -> list[Problem]:
    return [problem("MISSING_KEY", f"{key}: is required", where) for key in _REQUIRED if key not in table]


def _wrong(table: Mapping[str, Any], text: str, where: str) -> list[Problem]:
    problems = []
    for key, value in table.items():
        check = _CHECKS.get(key)
        if check is None:
            near = get_close_matches(key, _CHECKS, n=1)
            meant = f"did you mean {near[0]}?" if near else f"known: {', '.join(_CHECKS)}"
            problems.append(
                problem("UNKNOWN_KEY", f"{key[:80]}: is no key of a profile; {meant}", _at(text, where, key))
            )
        elif message := check(value):
            problems.append(problem("INVALID_VALUE", f"{key}: {message}", _at(text, where, key)))
    return problems


def _at(text: str, where: str, key: str) -> str:
    """As `key_place`; a table's head counts as its key."""
    place = key_place(text, where, key)
    if place == where and (head := re.search(rf"^\s*\[+\s*{re.escape(key)}\b", text, re.MULTILINE)):
        return f"{where}:{text.count(chr(10), 0, head.end()) + 1}"
    return place


def _line(longest: int) -> _Check:
    """A rule for one line of text of at most `longest` characters."""

    def check(value: object) -> str | None:
        if not isinstance(value, str):
            return "must be a text"
        if not value.strip() or not value.isprintable():
            return "must be one line of text that is not empty, without control characters"
        return f"is longer than {longest} characters" if len(value) > longest else None

    return check


def _items(check: _Check) -> _Check:
    """A rule for a list whose items all follow `check` and differ from each other."""

    def check_all(value: object) -> str | None:
        if not isinstance(value, list):
            return 'must be a list, such as ["one", "two"]'
        if len(value) > _MAX_ITEMS:
            return f"has more than {_MAX_ITEMS} items"
        for number, item in enumerate(value, 1):
            message = check(item) or ("stands there twice" if item in value[: number - 1] else None)
            if message:
                return f"item {number} {message}"
        return None

    return check_all


def _id(value: object) -> str | None:
    if isinstance(value, str) and len(value) <= _MAX_ID and _ID.fullmatch(value):
        return None
    return f"must be lower-case letters, digits and single '-', beginning with a letter, at most {_MAX_ID}"


def _role(value: object) -> str | None:
    if isinstance(value, str) and value in ROLES:
        return None
    near = get_close_matches(value, ROLES, n=1) if isinstance(value, str) else ()
    return f"must be one of {', '.join(ROLES)}" + (f"; did you mean {near[0]}?" if near else "")


def _priority(value: object) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return None if whole and 0 <= value <= 100 else "must be a whole number from 0 to 100"  # type: ignore[operator]


def _verb(value: object) -> str | None:
    return _line(40)(value) or (None if len(phrase(str(value))) == 1 else "must be one word")


def _keyword(value: object) -> str | None:
    return _line(100)(value) or (
        None if 1 <= len(phrase(str(value))) <= _MAX_WORDS else f"must have one to {_MAX_WORDS} words"
    )


_CHECKS: Final[Mapping[str, _Check]] = {
    "id": _id,
    "name": _line(80),
    "purpose": _line(500),
    "role": _role,
    "priority": _priority,
    "verbs": _items(_verb),
    "domain_keywords": _items(_keyword),
    "collaborators": _items(_id),
    "hands_off_to": _items(_id),
    "directives": _items(_line(1000)),
    "boundaries": _items(_line(1000)),
}
_REQUIRED: Final = ("id", "name", "purpose", "role")
