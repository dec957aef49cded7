"""The identity of this clone as a writer of segments."""

from __future__ import annotations

import os
import platform
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

from kitty_flow.effects import reach

__all__ = ["writer_id"]

_CONTENT: Final = re.compile(r"(w[0-9a-f]{12}) (\d+)\s*")


def writer_id(state_dir: Path) -> str:
    """The id of this clone, made at first use: from the machine's name and the git directory's inode, so that a lost
    file comes back as it was, as long as neither changed; a new writer is allowed at any time.

    The file names the inode that it was made for, so that a copied repository is another writer.
    """
    path = state_dir / "writer"
    inode = state_dir.parent.stat().st_ino
    made = "w" + sha256(f"{platform.node()} {inode}".encode()).hexdigest()[:12]
    for _ in range(3):
        known = _read(path, inode)
        if known is not None:
            return known
        path.unlink(missing_ok=True)
        reach("writer.create")
        state_dir.mkdir(parents=True, exist_ok=True)
        scratch = state_dir / f"writer.{os.getpid()}.{secrets.token_hex(4)}"
        scratch.write_text(f"{made} {inode}\n", encoding="ascii")
        # A hard link fails when another process was first; then its id is the one to use.
        try:
            os.link(scratch, path)
        except FileExistsError:
            pass
        finally:
            scratch.unlink()
    return _read(path, inode) or made


def _read(path: Path, inode: int) -> str | None:
    """The id in the file; None when it is missing, damaged, or was made for another folder."""
    try:
        found = _CONTENT.fullmatch(path.read_text(encoding="ascii", errors="replace"))
        return found[1] if found and int(found[2]) == inode else None
    except FileNotFoundError:
        return None
