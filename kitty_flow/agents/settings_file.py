"""The settings file as TOML: read and refused here, checked key by key in `settings`.

Apart from the checks, so that a command that needs no setting finds out without waiting for them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from kitty_flow.errors import DefinitionError

__all__ = ["SETTINGS_PATH", "invalid", "problem", "read_settings"]

SETTINGS_PATH: Final = Path(".kitty-flow", "config.toml")
"""Where the settings live, relative to the repository root."""

_MAX_BYTES: Final = 1024 * 1024


def read_settings(root: Path) -> dict[str, Any]:
    """The tables of the settings file of the repository at `root`; none when there is no file.

    Raises:
        DefinitionError: INVALID_SETTINGS, it cannot be read or is no TOML.
    """
    path = root / SETTINGS_PATH
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise invalid(path, [problem("UNREADABLE", f"cannot be read: {error.strerror}", "")]) from error
    if len(data) > _MAX_BYTES:
        raise invalid(path, [problem("TOO_LARGE", "is larger than 1 MiB", "")])
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise invalid(path, [problem("NOT_TOML", str(error), "")]) from error
    except RecursionError as error:
        raise invalid(path, [problem("NOT_TOML", "is nested too deeply", "")]) from error


def problem(code: str, message: str, where: str) -> dict[str, str]:
    """One problem of the file, at the dotted key `where`."""
    return {"code": code, "message": message, "where": where}


def invalid(path: Path, problems: list[dict[str, str]]) -> DefinitionError:
    """The error that names every problem of the file."""
    lines = "; ".join(f"{p['where']}: {p['message']}" if p["where"] else p["message"] for p in problems)
    return DefinitionError(
        "INVALID_SETTINGS",
        f"{path}: {lines}",
        hint=f"correct {SETTINGS_PATH.as_posix()}; every key is described in docs/reference/config.md",
        details={"path": str(path), "problems": problems},
    )
