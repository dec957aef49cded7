"""Reads the text files of a mission with bounds: regular files only, limited size, UTF-8, strict JSON."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Final, NoReturn

from kitty_flow.errors import DefinitionError

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_MISSION_BYTES",
    "MAX_WORK_PACKAGES",
    "children",
    "exists",
    "invalid",
    "is_file",
    "is_folder",
    "is_inside",
    "parse_json_object",
    "read_bytes",
    "read_text",
]

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_MISSION_BYTES: Final = 8 * 1024 * 1024  # of a file that holds all work packages
MAX_WORK_PACKAGES: Final = 10_000


def invalid(code: str, message: str, where: str) -> DefinitionError:
    """The error for one unusable place of a mission; `Findings.gathering` turns it into a problem."""
    return DefinitionError(code, message, hint="kitty-flow mission list", details={"where": where})


def read_bytes(path: Path, where: str, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """The content of a mission file of at most `limit` bytes.

    Raises:
        DefinitionError: UNREADABLE_FILE (missing, no regular file, no permission) or FILE_TOO_LARGE.
    """
    try:
        if not is_file(path):
            raise invalid("UNREADABLE_FILE", "is missing or not a regular file", where)
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise invalid("UNREADABLE_FILE", f"cannot be read: {error.strerror or error}", where) from error
    if len(data) > limit:
        raise invalid("FILE_TOO_LARGE", f"is larger than {limit} bytes", where)
    return data


def read_text(path: Path, where: str, *, limit: int = MAX_FILE_BYTES) -> str:
    """The text of a mission file of at most `limit` bytes, without byte order mark and with plain line ends.

    Raises:
        DefinitionError: as `read_bytes`, or NOT_UTF8.
    """
    data = read_bytes(path, where, limit=limit)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise invalid("NOT_UTF8", f"line {line} is not UTF-8 text", f"{where}:{line}") from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def is_file(path: Path) -> bool:
    """Whether `path` is a regular file, or leads to one, as far as it can be seen."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder, or leads to one, as far as it can be seen."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def exists(path: Path) -> bool:
    """Whether there is anything at `path`: a link counts even when it leads nowhere."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True  # it cannot be looked at; reading it says why
    return True


def is_inside(path: Path, folder: Path) -> bool:
    """Whether `path`, with all symbolic links followed, lies in `folder`."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of symbolic links
        return False


def children(folder: Path) -> tuple[Path, ...]:
    """The entries of a folder by name; none when there is no such folder.

    Raises:
        DefinitionError: UNREADABLE_FILE.
    """
    try:
        return tuple(sorted(folder.iterdir(), key=lambda p: os.fsencode(p.name)))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise invalid("UNREADABLE_FILE", f"cannot be listed: {error.strerror or error}", folder.name) from error


def parse_json_object(text: str, where: str, *, line: int | None = None) -> dict[str, Any]:
    """A JSON object, read strictly: no duplicate keys, no NaN, no infinity, no lone surrogates.

    `line` is the place of `text` in its file, when it is one line of many.

    Raises:
        DefinitionError: INVALID_JSON.
    """
    file, where = where, where if line is None else f"{where}:{line}"
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer, parse_float=_finite
        )
    except json.JSONDecodeError as error:
        number = line or error.lineno
        raise invalid("INVALID_JSON", f"is not JSON: {error.msg} (line {number})", f"{file}:{number}") from error
    except ValueError as error:
        raise invalid("INVALID_JSON", f"is not usable JSON: {error}", where) from error
    except RecursionError as error:
        raise invalid("INVALID_JSON", "is nested too deeply", where) from error
    if not isinstance(value, dict):
        raise invalid("INVALID_JSON", "must hold a JSON object", where)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"duplicate key {key[:80]!r}")
        for text in (key, value):
            if isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text):
                raise ValueError("a string holds half of a surrogate pair")
        result[key] = value
    return result


def _integer(text: str) -> int | float:
    # Long enough for any count or time; a longer one would take quadratic time to become a number.
    return int(text) if len(text) <= 20 else _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
