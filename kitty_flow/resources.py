"""The data that ships with kitty-flow: `machines/`, `dags/` and `profiles/`, from the wheel or from a checkout."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from kitty_flow.errors import DefinitionError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["DataFolder", "location", "names", "read_text"]

DataFolder = Literal["machines", "dags", "profiles"]

_BUNDLED: Final = "_bundled"
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9]+)?", re.ASCII)


def read_text(folder: DataFolder, *parts: str) -> str:
    """The text of one data file, such as ``read_text("dags", "missions", "plan.toml")``.

    Raises:
        DefinitionError: BUNDLED_DATA_MISSING, the file is not part of this installation.
    """
    node = _descend(folder, parts)
    if not node.is_file():
        raise _missing(folder, parts)
    return node.read_text(encoding="utf-8")


def names(folder: DataFolder, *parts: str) -> tuple[str, ...]:
    """The sorted stems of the ``*.toml`` files in a data folder, or in a folder below it.

    Raises:
        DefinitionError: BUNDLED_DATA_MISSING, the folder is not part of this installation.
    """
    node = _descend(folder, parts)
    if not node.is_dir():
        raise _missing(folder, parts)
    return tuple(sorted(child.name.removesuffix(".toml") for child in node.iterdir() if child.name.endswith(".toml")))


def location(folder: DataFolder, *parts: str) -> str:
    """Where one data file is, for a person who wants to copy it."""
    return str(_descend(folder, parts))


def _descend(folder: DataFolder, parts: tuple[str, ...]) -> Traversable:
    """The node at `parts`; a part that could leave the folder is treated as a missing file."""
    if not all(_PART.fullmatch(part) for part in parts):
        raise _missing(folder, parts)
    node = _root(folder)
    for part in parts:
        node = node / part
    return node


@cache
def _root(folder: DataFolder) -> Traversable:
    from importlib.resources import files

    bundled = files("kitty_flow") / _BUNDLED / folder
    if bundled.is_dir():
        return bundled
    # Site-packages may hold a stranger's "machines" folder; only a checkout has both of ours next to the package.
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "machines" / "work_package.toml").is_file() and (checkout / "dags" / "pipelines").is_dir():
        return checkout / folder
    raise _missing(folder, ())


def _missing(folder: str, parts: tuple[str, ...]) -> DefinitionError:
    path = "/".join((folder, *parts))
    return DefinitionError(
        "BUNDLED_DATA_MISSING",
        f"{path[:120]!r} is not part of this kitty-flow: neither in the installed package nor in a checkout",
        hint="reinstall kitty-flow",
        details={"path": path[:120]},
    )
