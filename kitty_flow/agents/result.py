"""Reading the result file of an agent: bounded, strict, and never an approval by accident."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from pydantic import ValidationError

from kitty_flow.errors import RefusedError
from kitty_flow.model.base import Model
from kitty_flow.model.result import ImplementResult, ReviewResult

__all__ = ["MAX_RESULT_BYTES", "read_implement_result", "read_review_result"]

MAX_RESULT_BYTES: Final = 1024 * 1024
_MAX_DEPTH: Final = 32
_MAX_DIGITS: Final = 18
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TOKEN: Final = re.compile(r"\\.|[\"\[{\]}]", re.DOTALL)
_HINT: Final = "write the JSON that docs/reference/agent-protocol.md describes to the result path that the prompt names"

_ResultModel = TypeVar("_ResultModel", bound=Model)


def read_implement_result(path: Path) -> ImplementResult:
    """Read what the implementer wrote.

    Raises:
        RefusedError: RESULT_MISSING when there is no file; RESULT_INVALID, with every problem, when it is not usable.
    """
    return _read(path, ImplementResult)


def read_review_result(path: Path) -> ReviewResult:
    """Read the reviewer's verdict; `reviewed_commit` must be a full commit id.

    Raises:
        RefusedError: RESULT_MISSING when there is no file; RESULT_INVALID, with every problem, when it is not usable.
    """
    result = _read(path, ReviewResult)
    if _COMMIT.fullmatch(result.reviewed_commit) is None:
        message = "must be the full id of the reviewed commit in lower-case hex, as the prompt gives it"
        _refuse(path, [{"code": "INVALID_VALUE", "message": message, "where": "reviewed_commit"}])
    return result


def _read(path: Path, model: type[_ResultModel]) -> _ResultModel:
    text = _text(path)
    try:
        _check_json(text)
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        problems = [
            {
                "code": "MISSING_FIELD" if entry["type"] == "missing" else "INVALID_VALUE",
                "message": entry["msg"],
                "where": ".".join(str(part) for part in entry["loc"]),
            }
            for entry in error.errors(include_url=False)[:50]
        ]
        _refuse(path, problems)
    except ValueError as error:
        _refuse(path, [{"code": "NOT_STRICT_JSON", "message": str(error), "where": ""}])


def _text(path: Path) -> str:
    """The text of a regular file that is not a link; a FIFO or device put there cannot make us wait."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            _refuse_file(path, "is a symbolic link, not a regular file")
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise RefusedError(
            "RESULT_MISSING",
            f"the agent wrote no result file at {path}; its exit status alone decides nothing",
            hint=_HINT,
            details={"path": str(path)},
        ) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            _refuse_file(path, "is a symbolic link, not a regular file")
        _refuse_file(path, f"cannot be opened: {error.strerror}")
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            _refuse_file(path, "is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(MAX_RESULT_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_RESULT_BYTES:
        _refuse_file(path, f"is larger than {MAX_RESULT_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse_file(path, f"is not UTF-8 (byte {error.start})")


def _check_json(text: str) -> None:
    """Refuse what lenient parsers let through: deep nesting, duplicate keys, NaN, infinities, endless numbers."""
    depth, in_string = 0, False
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == '"':
            in_string = not in_string
        elif not in_string and token in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
        elif not in_string and token in "]}":
            depth -= 1
    value = json.loads(
        text,
        object_pairs_hook=_unique,
        parse_constant=_reject("the constant"),
        parse_int=lambda digits: int(digits) if len(digits) <= _MAX_DIGITS else _reject("the number")(digits),
        parse_float=_float,
    )
    if not isinstance(value, dict):
        raise ValueError("the result must be a JSON object")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"the key {name[:80]!r} occurs twice in one object")
        result[name] = value
    return result


def _reject(what: str) -> Callable[[str], NoReturn]:
    def reject(text: str) -> NoReturn:
        raise ValueError(f"{what} {text[:30]} is not allowed")

    return reject


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        _reject("the number")(digits)
    return value


def _refuse_file(path: Path, message: str) -> NoReturn:
    _refuse(path, [{"code": "NOT_A_RESULT_FILE", "message": message, "where": ""}])


def _refuse(path: Path, problems: list[dict[str, str]]) -> NoReturn:
    lines = "; ".join(f"{p['where']}: {p['message']}" if p["where"] else p["message"] for p in problems)
    raise RefusedError(
        "RESULT_INVALID",
        f"the result file {path} is not usable: {lines}",
        hint=_HINT,
        details={"path": str(path), "problems": problems},
    )
