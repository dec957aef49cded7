"""Reading the version out of a file's text, with the line that it stands in; nothing is executed."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.yaml_text import YamlMapping, parse_yaml

__all__ = ["Stated", "UnstatedError", "dynamic_source", "kind_of", "stated_version"]

_KINDS: Final[Mapping[str, str]] = {
    "pyproject.toml": "PYPROJECT",
    "package.json": "PACKAGE_JSON",
    "Cargo.toml": "CARGO",
}
_KEYS: Final[Mapping[str, str]] = {
    "PYPROJECT": "project.version",
    "PACKAGE_JSON": "version",
    "CARGO": "package.version",
}


class Stated(NamedTuple):
    """A version as a file states it, and the line, counted from 1."""

    version: str
    line: int


class UnstatedError(Exception):
    """The file states no version that can be read; the text says why."""


def kind_of(path: str) -> str:
    """What kind of place a path is: MODULE, PYPROJECT, PACKAGE_JSON, CARGO, or METADATA for any other file."""
    return "MODULE" if path.endswith(".py") else _KINDS.get(PurePosixPath(path).name, "METADATA")


def stated_version(path: str, text: str, key: str | None = None) -> Stated:
    """The version that the file states at `key` (a dotted path; in Python the name of a variable).

    Raises:
        UnstatedError: the file cannot be read as what it is, or has nothing there.
    """
    kind = kind_of(path)
    if kind == "MODULE":
        return _in_python(text, key or "__version__")
    wanted = key or _KEYS[kind]
    try:
        if path.endswith((".yaml", ".yml")):
            return _in_yaml(text, wanted, path)
        data = json.loads(text) if path.endswith(".json") else tomllib.loads(text)
    except (ValueError, RecursionError, DefinitionError) as error:
        raise UnstatedError(f"cannot be read: {getattr(error, 'message', error)}") from error
    if kind == "CARGO" and key is None and _at(data, wanted) == {"workspace": True}:
        wanted = "workspace.package.version"
    found = _at(data, wanted)
    if not isinstance(found, str):
        raise UnstatedError(f"has no text at {wanted}")
    parts = wanted.split(".")
    return Stated(found, _json_line(text, parts[-1], found) if path.endswith(".json") else _toml_line(text, parts))


def dynamic_source(text: str) -> str | None:
    """The Python file that a pyproject.toml takes its dynamic version from, where its build backend is told one."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    dynamic = _at(data, "project.dynamic")
    if not isinstance(dynamic, list) or "version" not in dynamic:
        return None
    path = _at(data, "tool.hatch.version.path") or _at(data, "tool.pdm.version.path")
    return path if isinstance(path, str) and path.endswith(".py") else None


def _at(data: Any, key: str) -> Any:
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _in_python(text: str, name: str) -> Stated:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnstatedError(f"is no Python: {str(error) or 'nested too deeply'}") from error
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                return Stated(node.value.value, node.lineno)
            raise UnstatedError(f"computes {name} in line {node.lineno}; only a plain text can be compared")
    raise UnstatedError(f"does not set {name}")


def _in_yaml(text: str, key: str, path: str) -> Stated:
    node: Any = parse_yaml(text, path)
    line = 1
    for part in key.split("."):
        if not isinstance(node, YamlMapping) or part not in node:
            raise UnstatedError(f"has nothing at {key}")
        node, line = node[part], node.lines[part]
    if not isinstance(node, str):
        raise UnstatedError(f"has no text at {key}")
    return Stated(node, line)


def _toml_line(text: str, parts: list[str]) -> int:
    """The line of a key: below its table's header, else where the key is last written with a value."""
    header, within, fallback = ".".join(parts[:-1]), len(parts) == 1, 1
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r"[\s\"']", "", line)
        if bare.startswith("["):
            within = bare.strip("[]").partition("#")[0].rstrip("]") == header
        elif within and re.match(rf"{re.escape(parts[-1])}[.=]", bare):
            return number
        elif bare.startswith(f"{parts[-1]}="):
            fallback = number
    return fallback


def _json_line(text: str, name: str, value: str) -> int:
    pattern = re.compile(rf"{re.escape(json.dumps(name))}\s*:\s*{re.escape(json.dumps(value))}")
    found = pattern.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else 1
