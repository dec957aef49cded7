"""Every command that the program tells its users to type exists, with the options it is named with."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import kitty_flow
from kitty_flow.cli.main import root_command

PACKAGE = Path(kitty_flow.__file__).parent
MENTION = re.compile(r"\bkitty-flow ([^,;:`\n()]+)")
# Everything that the command line is planned to have: a word outside this list is prose, one inside must exist by now.
NAMES = re.compile(
    "(init|demo|mission|plan|graph|run|next|wp|status|why|log|errors|merge|ship|verify|sync|doctor|profiles|advise|ask|do|"
    "profile-invocation|invocations|auth|guard|skills|machines|dags)( |$)"
)


def _texts() -> Iterator[tuple[str, str]]:
    """(where, text) of every string in the package, docstrings aside."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            where = f"{path.relative_to(PACKAGE).as_posix()}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                yield where, "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner | statements:
                yield where, node.value


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _mentions() -> list[tuple[str, str]]:
    found = {(where, match[1].strip()) for where, text in _texts() for match in MENTION.finditer(text)}
    return sorted((where, words) for where, words in found if NAMES.match(words))


def test_the_program_names_commands() -> None:
    assert len(_mentions()) > 40


@pytest.mark.parametrize(("where", "text"), _mentions())
def test_a_named_command_exists(where: str, text: str) -> None:
    command = root_command()
    for word in _words(text):
        if word.startswith("-"):
            options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
            assert word in options, f"{where}: {text}: no option {word}"
        elif hasattr(command, "list_commands") and word.islower():
            child = command.get_command(None, word)
            assert child is not None or getattr(command, "invoke_without_command", False), f"{where}: no {text!r}"
            if child is None:
                break
            command = child
