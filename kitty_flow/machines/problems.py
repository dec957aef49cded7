"""Collecting what is wrong with a definition, so that its author sees every problem at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from kitty_flow.errors import DefinitionError

__all__ = ["Problem", "Problems", "read_document"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_HYPHENATED: Final = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)


class Problem(NamedTuple):
    """One thing that is wrong: a stable code, a sentence, and the place in the file."""

    code: str
    message: str
    where: str


class Problems:
    """Gathers problems while a document is read; the checks return only values that passed."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, code: str, message: str, where: str) -> None:
        """Note one problem."""
        self.found.append(Problem(code, message, where))

    def raise_if_any(self, code: str, subject: str, hint: str) -> None:
        """Raise one error that lists every problem found.

        Raises:
            DefinitionError: `code`, when there is at least one problem.
        """
        if not self.found:
            return
        first = self.found[0]
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        raise DefinitionError(
            code,
            f"{subject} is not valid: {first.message} [{first.where}]{more}",
            hint=hint,
            details={"problems": [problem._asdict() for problem in self.found]},
        )

    def toml(self, text: str, where: str) -> dict[str, Any]:
        """The decoded document; empty, and a problem, when `text` is not TOML."""
        import tomllib

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self.add("NOT_TOML", f"it is not TOML: {error}", where)
            return {}

    def keys(self, table: Mapping[str, Any], required: Iterable[str], optional: Iterable[str], where: str) -> None:
        """Note missing and unknown keys of a table."""
        required = tuple(required)
        for key in required:
            if key not in table:
                self.add("MISSING_KEY", f"the key {key!r} is missing", where)
        for key in table:
            if key not in required and key not in tuple(optional):
                self.add("UNKNOWN_KEY", f"the key {key!r} has no meaning here", where)

    def typed(self, table: Mapping[str, Any], key: str, kind: type, default: Any, where: str) -> Any:
        """The value of `key` if it has exactly that type, else `default` and, when it is there, a problem."""
        if key not in table:
            return default
        value = table[key]
        if type(value) is kind:
            return value
        self.add("WRONG_TYPE", f"{key!r} must be {_TYPE_WORDS[kind]}, not {value!r:.60}", where)
        return default

    def texts(self, table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        """The strings listed under `key`; other values are problems, and so are repetitions."""
        kept: list[str] = []
        for value in self.typed(table, key, list, [], where):
            if not isinstance(value, str):
                self.add("WRONG_TYPE", f"{key!r} must list strings, not {value!r:.60}", where)
            elif value in kept:
                self.add("REPEATED_ENTRY", f"{value!r} is listed twice under {key!r}", where)
            else:
                kept.append(value)
        return tuple(kept)

    def named(self, table: Mapping[str, Any], key: str, where: str, *, hyphens: bool = False) -> str:
        """The plain name under `key`; the empty string when it is missing or no string."""
        text: str = self.typed(table, key, str, "", where)
        if type(table.get(key)) is str:
            self.name(text, f"{where}.{key}", hyphens=hyphens)
        return text

    def name(self, text: str, where: str, *, hyphens: bool = False) -> None:
        """Note a name that is not plain. A dotted one would be imported and called by a careless library."""
        if (_HYPHENATED if hyphens else _NAME).fullmatch(text):
            return
        if "." in text or ":" in text or "(" in text:
            self.add("CALLBACK_LIKE_NAME", f"{text!r:.80} looks like code; only plain names are allowed", where)
        else:
            self.add("BAD_NAME", f"{text!r:.80} is not a plain lower-case name", where)


_TYPE_WORDS: Final = {str: "a string", list: "a list", dict: "a table", bool: "true or false"}


def read_document(
    text: str, where: str, check: Callable[[Mapping[str, Any], Problems], None], *, code: str, subject: str, hint: str
) -> dict[str, Any]:
    """The TOML document `text` when `check` finds nothing wrong with it; `where` names its origin in messages.

    Raises:
        DefinitionError: `code`, with every problem in ``details["problems"]``.
    """
    problems = Problems()
    document = problems.toml(text, where)
    if not problems.found:
        check(document, problems)
    problems.raise_if_any(code, subject, hint)
    return document
