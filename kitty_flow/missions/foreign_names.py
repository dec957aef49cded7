"""Names of another tool, made valid here: deterministic, and two different names never become one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["slug_of_folder", "work_package_id", "work_package_ids"]

_MAX_ID: Final = 32
_MAX_SLUG: Final = 63
_OTHER: Final = re.compile(r"[^A-Za-z0-9]+", re.ASCII)


def slug_of_folder(folder: Path, fallback: str) -> str:
    """A mission slug from the name of `folder`; `fallback` where nothing of the name can stay."""
    return _plain(folder.name, _MAX_SLUG) or fallback


def work_package_id(name: str) -> str:
    """The id for a work package that is called `name` elsewhere: ``7`` is WP07, ``bd-a1b2.3`` is bd-a1b2-3."""
    if name.isascii() and name.isdigit() and len(name) <= 9:
        return f"WP{int(name):02d}"
    return _plain(name, _MAX_ID) or "WP"


def work_package_ids(names: Iterable[str]) -> dict[str, str]:
    """The ids for all `names`, in their order; where one is taken already, the later name gets a number behind it.

    Ids that differ only in case count as the same.
    """
    ids: dict[str, str] = {}
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    for name in dict.fromkeys(names):
        wanted = chosen = work_package_id(name)
        while chosen.casefold() in taken:
            numbers[wanted] = numbers.get(wanted, 1) + 1
            tail = f"-{numbers[wanted]}"
            chosen = wanted[: _MAX_ID - len(tail)].rstrip("-") + tail
        taken.add(chosen.casefold())
        ids[name] = chosen
    return ids


def _plain(name: str, length: int) -> str:
    return _OTHER.sub("-", name[: 4 * length]).strip("-")[:length].rstrip("-")
