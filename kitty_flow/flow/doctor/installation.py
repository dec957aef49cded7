"""Is this installation whole? Python, git, the required distributions, and the data that ships with kitty-flow."""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import kitty_flow
from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, ok, problem, warning
from kitty_flow.git.process import MINIMUM_VERSION, Git, check_version

if TYPE_CHECKING:
    from kitty_flow.machines.dag_definition import DagKind

__all__ = ["examine_installation", "missing_distributions", "required_distributions"]

_PYTHON: Final = (3, 11)
_DISTRIBUTION: Final = "kitty-flow"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_DAG_KINDS: Final[tuple[DagKind, ...]] = ("mission", "pipeline")


def examine_installation() -> Iterator[DoctorFinding]:
    """What can be said without a repository."""
    yield ok("installation", "kitty-flow", f"{kitty_flow.__version__}, event schema {kitty_flow.EVENT_SCHEMA}")
    yield _python(sys.version_info[:2])
    yield _git()
    distributions = _distributions()
    yield distributions
    if distributions.status != "problem":  # the definitions are read with what they bring
        yield from _definitions()


def _python(version: Sequence[int]) -> DoctorFinding:
    if tuple(version) >= _PYTHON:
        return ok("installation", "python", platform.python_version())
    wanted = ".".join(map(str, _PYTHON))
    found = platform.python_version()
    return problem("installation", "python", f"{found} is too old", f"reinstall kitty-flow with Python {wanted}+")


def _git() -> DoctorFinding:
    try:
        version = check_version(Git(Path(sys.prefix)))
    except KittyFlowError as error:
        return broken("installation", "git", error, f"install git {'.'.join(map(str, MINIMUM_VERSION))} or newer")
    return ok("installation", "git", ".".join(map(str, version)))


def _distributions() -> DoctorFinding:
    try:
        required = required_distributions()
    except (OSError, LookupError, ValueError) as error:
        message = f"what kitty-flow requires is not known here: {type(error).__name__}"
        return warning("installation", "distributions", message, "reinstall kitty-flow")
    missing = missing_distributions(required)
    if missing:
        message = f"not installed: {', '.join(missing)}"
        return problem("installation", "distributions", message, f"python -m pip install {' '.join(missing)}")
    return ok("installation", "distributions", f"all {len(required)} required ones are installed")


def required_distributions() -> tuple[str, ...]:
    """The distributions that kitty-flow always needs, from its own metadata, or from the checkout that it runs in.

    Raises:
        OSError: there is neither metadata nor a checkout.
        LookupError: the checkout's pyproject.toml names no dependencies.
        ValueError: that file is not valid.
    """
    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        text = (Path(kitty_flow.__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
        requirements = tomllib.loads(text)["project"]["dependencies"]
    # A requirement of an extra carries the extra in its marker, behind the semicolon.
    always = [line for line in requirements if "extra" not in line.partition(";")[2]]
    names = (_NAME.match(line.strip()) for line in always)
    return tuple(found.group() for found in names if found)


def missing_distributions(required: Sequence[str]) -> tuple[str, ...]:
    """Those of `required` that are not installed; nothing is imported to find out."""

    def is_missing(name: str) -> bool:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            return True
        return False

    return tuple(name for name in required if is_missing(name))


def _definitions() -> Iterator[DoctorFinding]:
    """Every machine and dag, read and validated as a command would."""
    checked = 0
    try:
        loads = _loads()
    except KittyFlowError as error:
        yield broken("installation", "definitions", error, "reinstall kitty-flow")
        return
    for name, load in loads:
        try:
            load()
        except KittyFlowError as error:
            yield broken("installation", name, error, "reinstall kitty-flow")
        else:
            checked += 1
    if checked == len(loads):
        yield ok("installation", "definitions", f"all {checked} machines and dags are valid")


def _loads() -> list[tuple[str, Callable[[], object]]]:
    from kitty_flow.machines import dag, dag_names, machine, machine_names

    found: list[tuple[str, Callable[[], object]]] = [
        (f"machines/{name}", partial(machine, name)) for name in machine_names()
    ]
    for kind in _DAG_KINDS:
        found += [(f"dags/{kind}/{name}", partial(dag, kind, name)) for name in dag_names(kind)]
    return found
