"""Every command line that people and agents are told to type is one that the program takes, and there is one way.

Looked at are the pages, the examples in the help, and the skill pack; `test_hints.py` looks at the hints of errors.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.cli.main import root_command

ROOT_COMMAND = root_command()
ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SKILLS = files("kitty_flow") / "skills"
FENCE = re.compile(r"^ *(`{3,}|~{3,})(\S*)[^\n]*\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
ONE_TRANSITION = re.compile(r"\bwp (start|submit)\b")


def texts() -> dict[str, str]:
    """Every text that teaches, by where it is."""
    found = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
    for folder in SKILLS.iterdir():
        path = folder / "SKILL.md" if folder.is_dir() else folder
        found[f"skills/{folder.name}"] = path.read_text(encoding="utf-8")
    return found


def commands(line: str) -> Iterator[list[str]]:
    """The words of every kitty-flow command in a line of shell, without comments, redirections and what follows."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return
    command: list[str] | None = None
    for word in [*words, ";"]:
        if set(word) <= set("();<>|&"):
            if command is not None:
                yield command
            command = None
        elif command is not None:
            command.append(word)
        elif word == "kitty-flow":
            command = []


def shell_lines() -> list[tuple[str, list[str]]]:
    """(where, words) of every command in a block of shell, and of every example in the help."""
    found = []
    for where, text in texts().items():
        for _, language, block in FENCE.findall(text):
            if language in ("sh", "bash", "shell", "console"):
                lines = block.replace("\\\n", " ").splitlines()
                found += [(where, words) for line in lines for words in commands(line.removeprefix("$ "))]
    for path, command in leaves(ROOT_COMMAND, ()):
        for line in command.help.partition("Examples:\n")[2].splitlines():
            found += [(f"help of {' '.join(path)}", words) for words in commands(line)]
    return found


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from leaves(command.get_command(None, name), (*path, name))
    else:
        yield path, command


def spans() -> list[tuple[str, list[str]]]:
    """(where, words) of every command that a sentence names in code."""
    found = []
    for where, text in texts().items():
        for span in SPAN.findall(FENCE.sub("", text)):
            found += [(where, words) for words in commands(span)]
    return found


def resolved(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the words behind it."""
    command = ROOT_COMMAND
    rest = list(words)
    while rest and hasattr(command, "list_commands"):
        child = command.get_command(None, rest[0])
        if child is None:
            assert rest[0].startswith("-") or getattr(command, "invoke_without_command", False), f"no command {words}"
            break
        command = child
        rest.pop(0)
    return command, rest


def ids(lines: list[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    return sorted({(where, shlex.join(words)) for where, words in lines if words and words[0] != "…"})


def test_there_is_something_to_look_at() -> None:
    assert len(shell_lines()) > 100
    assert len(spans()) > 40


@pytest.mark.parametrize(("where", "line"), ids(shell_lines()))
def test_what_is_to_be_typed_is_understood(where: str, line: str) -> None:
    """The whole line is parsed, as it would be before anything is done."""
    command, rest = resolved(shlex.split(line))
    if hasattr(command, "list_commands") and not rest:
        return
    if rest in (["--help"], ["--version"]):
        return
    # A number that the reader is to fill in.
    rest = [re.sub(r"^(K|N|SECONDS)$", "3", word) for word in rest]
    command.make_context(command.name, rest)


@pytest.mark.parametrize(("where", "line"), ids(spans()))
def test_what_a_sentence_names_exists(where: str, line: str) -> None:
    """The words may be a part of a line; the commands and options in it exist."""
    command, rest = resolved(shlex.split(line))
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
    for word in rest:
        name = word.partition("=")[0].strip("[]")
        if re.fullmatch(r"--?[a-z][a-z-]*", name):
            assert name in options, f"{where}: {line}: no option {name}"


def test_one_way_to_work_is_taught() -> None:
    """`run` and `next`; `wp start` and `wp submit` are named in the reference, and elsewhere only for what they are."""
    for where, text in texts().items():
        if where.startswith("docs/reference/") or where == "CHANGELOG.md":
            continue
        for _, _, block in FENCE.findall(text):
            assert not ONE_TRANSITION.search(block), f"{where} teaches {block}"
        for paragraph in FENCE.sub("", text).split("\n\n"):
            if any(ONE_TRANSITION.search(span) for span in SPAN.findall(paragraph)):
                assert "one transition" in paragraph.lower(), f"{where}: {paragraph}"


@pytest.mark.parametrize(
    "where",
    [
        "README.md",
        "docs/tutorial/first-mission.md",
        "docs/how-to/run-agents-by-hand.md",
        "docs/how-to/plug-in-an-agent.md",
        "skills/kitty-flow-implement",
        "skills/kitty-flow-plan",
        "skills/kitty-flow-review",
        "skills/AGENTS.md",
    ],
)
def test_the_pages_of_beginners_lead_to_the_loop(where: str) -> None:
    assert re.search(r"kitty-flow (run|next)\b", texts()[where])
