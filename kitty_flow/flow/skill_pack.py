"""The skills that teach a coding agent the loop: what ships, what is installed where, and installing it.

A skill is a folder with a `SKILL.md`: YAML front matter with `name` (the folder's) and `description`, then Markdown, as
the Agent Skills format has it (agentskills.io). `.agents/skills` is where Codex, Gemini CLI, Cursor, Copilot and
opencode look, `.claude/skills` is where Claude Code does (developers.openai.com/codex/skills, geminicli.com/docs/cli/
using-agent-skills, docs.github.com/copilot/concepts/agents/about-agent-skills, code.claude.com/docs/skills).
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from kitty_flow import __version__
from kitty_flow.errors import ExternalToolError, UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["FOLDERS", "Skill", "Standing", "State", "agents_snippet", "install", "skills", "standings"]

FOLDERS: Final = (Path(".agents/skills"), Path(".claude/skills"))
"""Where skills go when no folder is named, relative to the root of the repository."""

State = Literal["missing", "current", "other version", "edited"]

_DESCRIPTION: Final = re.compile(r"^description: (.+)$", re.MULTILINE)
_STAMP: Final = re.compile(r'metadata:\n  kitty-flow-version: "[^"\n]*"\n  kitty-flow-digest: "([0-9a-f]{64})"\n')


class Skill(NamedTuple):
    """A skill that ships: its name, when an agent should use it, and the text of its `SKILL.md`."""

    name: str
    description: str
    text: str


class Standing(NamedTuple):
    """How an installed skill compares with the one that ships; `written` says whether it was just put there."""

    skill: str
    path: Path
    state: State
    written: bool = False


def skills() -> tuple[Skill, ...]:
    """The skills that ship, by name."""
    folders = sorted((f for f in _shipped().iterdir() if f.is_dir()), key=lambda f: f.name)
    return tuple(_skill(f.name, (f / "SKILL.md").read_text(encoding="utf-8")) for f in folders)


def agents_snippet() -> str:
    """What an `AGENTS.md` can say about the loop; for people to copy, since that file is theirs."""
    return (_shipped() / "AGENTS.md").read_text(encoding="utf-8")


def standings(folder: Path) -> Iterator[Standing]:
    """What is installed in a folder of skills.

    An edited file is told by the digest that an installation leaves in the front matter. A file without one is
    somebody's own, and counts as edited.
    """
    for skill in skills():
        path = folder / skill.name / "SKILL.md"
        yield Standing(skill.name, path, _state(path, skill))


def install(folder: Path, *, force: bool = False) -> tuple[Standing, ...]:
    """Write every skill that is missing or was written by another version; edited ones only with `force`.

    Raises:
        UsageError: SKILLS_NOT_WRITABLE.
    """
    shipped = {skill.name: skill for skill in skills()}
    done = []
    for standing in standings(folder):
        if standing.state == "current" or (standing.state == "edited" and not force):
            done.append(standing)
            continue
        try:
            _write(standing.path, _stamped(shipped[standing.skill]))
        except OSError as error:
            raise UsageError(
                "SKILLS_NOT_WRITABLE",
                f"{standing.path} cannot be written: {error.strerror or error}",
                hint="kitty-flow skills install --dir DIR",
            ) from error
        done.append(standing._replace(state="current", written=True))
    return tuple(done)


def _shipped() -> Traversable:
    found = files("kitty_flow") / "skills"
    if not found.is_dir():
        raise ExternalToolError("SKILLS_MISSING", "the skills are not part of this installation", hint="reinstall it")
    return found


def _skill(name: str, text: str) -> Skill:
    found = _DESCRIPTION.search(text)
    return Skill(name, found[1] if found else "", text)


def _state(path: Path, skill: Skill) -> State:
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape").replace("\r\n", "\n")  # git may have put them in
    except (FileNotFoundError, NotADirectoryError):
        return "edited" if path.is_symlink() else "missing"
    except OSError:
        return "edited"
    stamp = _STAMP.search(text)
    if stamp is None or _digest(text.replace(stamp[0], "", 1)) != stamp[1]:
        return "edited"
    return "current" if text == _stamped(skill) else "other version"


def _stamped(skill: Skill) -> str:
    """The text with the version and its own digest at the end of the front matter."""
    head, front, body = skill.text.split("---\n", 2)
    digest = _digest(skill.text)
    stamp = f'metadata:\n  kitty-flow-version: "{__version__}"\n  kitty-flow-digest: "{digest}"\n'
    return f"{head}---\n{front}{stamp}---\n{body}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _write(path: Path, text: str) -> None:
    """Put the file in place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
