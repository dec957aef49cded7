"""The identity of this clone as a writer of segments."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

__all__ = ["writer_id"]

_WRITER: Final = re.compile(r"w[0-9a-f]{12}")


def writer_id(state_dir: Path) -> str:
    """The id of this clone, made at first use. A lost file makes a new writer, which the ledger allows at any time."""
    path = state_dir / "writer"
    for _ in range(3):
        try:
            text = path.read_text(encoding="ascii", errors="replace").strip()
            if _WRITER.fullmatch(text):
                return text
            path.unlink()
        except FileNotFoundError:
            pass
        state_dir.mkdir(parents=True, exist_ok=True)
        scratch = state_dir / f"writer.{os.getpid()}.{secrets.token_hex(4)}"
        scratch.write_text(f"w{secrets.token_hex(6)}\n", encoding="ascii")
        # A hard link fails when another process was first; then its id is the one to use.
        try:
            os.link(scratch, path)
        except FileExistsError:
            pass
        finally:
            scratch.unlink()
    return path.read_text(encoding="ascii").strip()
