"""The template of a prompt: Markdown with names in double braces, such as ``{{task}}``, and nothing else.

A template is gone through once. What is put in is never looked at again, so no text of a mission can name a value or
add to the template. There are no conditions: a part that does not apply is empty, and a line that holds nothing but
such a part goes with the blank lines behind it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from kitty_flow.agents.settings_file import problem
from kitty_flow.errors import DefinitionError

__all__ = ["KINDS", "TEMPLATE_NAMES", "TemplateKind", "fill", "load_template", "shipped_template", "template_problems"]

TemplateKind = Literal["implement", "review"]

KINDS: Final[tuple[TemplateKind, ...]] = ("implement", "review")

_VALUES: Final = (
    "work_package_id",
    "mission_id",
    "mission_slug",
    "worktree",
    "branch",
    "mission_branch",
    "base_commit",
    "result_path",
    "attempt",
    "cycles_left",
)
_PARTS: Final = ("title", "place", "task", "owned_files", "subtasks", "feedback", "rules", "result")

TEMPLATE_NAMES: Final[Mapping[TemplateKind, tuple[str, ...]]] = MappingProxyType(
    {
        "implement": (*_VALUES, *_PARTS, "earlier_work"),
        "review": (*_VALUES, *_PARTS, "head_commit", "changes", "delta"),
    }
)
"""What a template of each kind may name (`docs/how-to/change-the-prompts.md`)."""

_NEEDED: Final[Mapping[TemplateKind, tuple[str, ...]]] = MappingProxyType(
    {"implement": ("task", "result"), "review": ("task", "changes", "result")}
)
"""Without these nobody could do the step: they have to be there."""

_MAX_BYTES: Final = 256 * 1024
_PLACE: Final = re.compile(
    r"^\{\{[ \t]*(?P<part>\w+)[ \t]*\}\}[ \t]*(?P<gap>\n+|\Z)|\{\{[ \t]*(?P<value>\w+)[ \t]*\}\}",
    re.MULTILINE | re.ASCII,
)


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with every name replaced by its value, in one pass.

    Raises:
        KeyError: the template names something else; `load_template` refuses such a one.
    """

    def put(found: re.Match[str]) -> str:
        if found["value"] is not None:
            return values[found["value"]]
        text = values[found["part"]].strip("\n")
        return text + found["gap"] if text else ""

    return _PLACE.sub(put, template).rstrip("\n") + "\n"


def load_template(kind: TemplateKind, path: Path, *, is_named: bool) -> str:
    """The project's template at `path`, or the shipped one where there is none and none `is_named` in the settings.

    Raises:
        DefinitionError: INVALID_PROMPT_TEMPLATE, with every problem.
    """
    text, problems = _read(path, is_named=is_named)
    if text is not None:
        problems = _problems(kind, text)
    if problems:
        lines = "; ".join(p["message"] for p in problems)
        raise DefinitionError(
            "INVALID_PROMPT_TEMPLATE",
            f"{path}: {lines}",
            hint=f"correct {path}; what a template may name: docs/how-to/change-the-prompts.md",
            details={"path": str(path), "problems": problems},
        )
    return shipped_template(kind) if text is None else text


def template_problems(kind: TemplateKind, path: Path, *, is_named: bool) -> list[dict[str, str]]:
    """Everything that is wrong with the project's template at `path`; nothing where there is none and none is named."""
    text, problems = _read(path, is_named=is_named)
    found = problems if text is None else _problems(kind, text)
    return [{**entry, "message": f"{path}: {entry['message']}", "where": f"prompts.{kind}"} for entry in found]


@cache
def shipped_template(kind: TemplateKind) -> str:
    """The template that ships with kitty-flow."""
    return (resources.files("kitty_flow.agents") / "prompts" / f"{kind}.md").read_text(encoding="utf-8")


def _read(path: Path, *, is_named: bool) -> tuple[str | None, list[dict[str, str]]]:
    try:
        if not path.is_file() and (is_named or path.exists()):
            return None, [problem("TEMPLATE_MISSING", "there is no such file", "")]
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            return None, [problem("TOO_LARGE", f"is larger than {_MAX_BYTES} bytes", "")]
        return data.decode("utf-8-sig").replace("\r\n", "\n"), []
    except (FileNotFoundError, NotADirectoryError):
        return None, []
    except (OSError, UnicodeDecodeError) as error:
        return None, [problem("UNREADABLE", f"cannot be read: {error}", "")]


def _problems(kind: TemplateKind, text: str) -> list[dict[str, str]]:
    known = TEMPLATE_NAMES[kind]
    used = {found["part"] or found["value"] for found in _PLACE.finditer(text)}
    found = [
        problem("UNKNOWN_NAME", f"{{{{{name}}}}} is not known here; known are {', '.join(known)}", "")
        for name in sorted(used - {*known})
    ]
    # A block of text is closed only by a line of its own: behind other words it would be none.
    inline = {found["value"] for found in _PLACE.finditer(text)} - {None, *_VALUES, "head_commit"}
    found += [
        problem("PART_INLINE", f"{{{{{name}}}}} has to be on a line of its own", "")
        for name in sorted(inline & {*known})
    ]
    found += [
        problem("PART_MISSING", f"{{{{{name}}}}} has to be in the template", "")
        for name in _NEEDED[kind]
        if name not in used
    ]
    # The places are taken out line by line, so that the numbers stay those of the file.
    for number, line in enumerate(text.split("\n"), 1):
        if "{{" in _PLACE.sub("", line):
            found.append(problem("MALFORMED_NAME", f"line {number}: after {{{{ comes one name and }}}}", ""))
    return found
