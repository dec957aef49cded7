"""The repository of a demo: the sample project as its first commit, with nothing of the user's git configuration."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kitty_flow.demo.place import DemoPlace, not_writable
from kitty_flow.git.process import Git

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["make_repository", "own_git_configuration"]

_OWN: Final = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

_CONFIGURATION: Final = {
    "user.name": "kitty-flow demo",
    "user.email": "demo@localhost",
    "core.excludesFile": os.devnull,
    "core.attributesFile": os.devnull,
}
"""Kept in the new repository only, so that it works where git knows no user, and where a user ignores odd things."""


@contextmanager
def own_git_configuration() -> Iterator[None]:
    """Keep the user's and the system's git configuration out of this process and of everything that it starts.

    A signing key, a global hook or an ignore file of the user could stop the sample's agents in the middle.
    """
    before = {name: os.environ.get(name) for name in _OWN}
    os.environ.update(_OWN)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def make_repository(place: DemoPlace) -> str:
    """Copy the sample, make the repository and its first commit; returns the commit.

    Raises:
        ExternalToolError: git failed.
        UsageError: DEMO_DIR_NOT_WRITABLE.
    """
    sample = files("kitty_flow.demo") / "sample"
    words = {"@PYTHON@": _quoted(sys.executable), "@AGENTS@": _quoted(str(place.agents))}
    try:
        _copy(sample / "agents", place.agents, {})
        _copy(sample / "project", place.project, words)
    except OSError as error:
        raise not_writable(place.directory, error) from error
    git = Git(place.project)
    # An empty template: no sample hooks, and none that a user's own template would bring.
    git.call("init", "--quiet", "--template=", "--initial-branch=main")
    for name, value in _CONFIGURATION.items():
        git.call("config", "--local", name, value)
    git.call("add", "--all")
    git.call("commit", "--quiet", "--message=Start the pantry, with a mission that builds it")
    return git.text("rev-parse", "--verify", "HEAD")


def _copy(source: Traversable, target: Path, words: Mapping[str, str]) -> None:
    """Copy a folder of the package, filling in `words`; what an installer compiled there is left behind."""
    target.mkdir(exist_ok=True)
    for node in source.iterdir():
        if node.is_dir():
            if node.name != "__pycache__":
                _copy(node, target / node.name, words)
            continue
        text = node.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        (target / node.name).write_text(text, encoding="utf-8", newline="\n")


def _quoted(text: str) -> str:
    """`text` as it stands between the quotes of a TOML string, which are those of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
