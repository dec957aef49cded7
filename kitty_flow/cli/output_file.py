"""The file that a command writes besides its outcome: `-` is stdout, and the folder that it is to be in is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kitty_flow.errors import ExternalToolError

__all__ = ["OutputFileOption", "write_output"]


def _none_for_stdout(path: Path | None) -> Path | None:
    return None if path == Path("-") else path


OutputFileOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to this file, whose folder is made; without it, or with -, to stdout.",
        show_default=False,
        callback=_none_for_stdout,
    ),
]


def write_output(path: Path, content: bytes, *, option: str = "-o") -> None:
    """Write a file as a whole.

    Raises:
        ExternalToolError: OUTPUT_NOT_WRITTEN.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ExternalToolError(
            "OUTPUT_NOT_WRITTEN", f"{path} cannot be written: {error.strerror}", hint=f"choose another {option} FILE"
        ) from error
