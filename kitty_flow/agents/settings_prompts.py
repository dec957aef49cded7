"""The `[prompts]` table of the settings: templates of the project instead of the shipped ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from kitty_flow.agents.prompt_template import KINDS, TemplateKind, template_problems
from kitty_flow.agents.settings_file import SETTINGS_PATH
from kitty_flow.agents.settings_types import Text
from kitty_flow.model.base import Model

__all__ = ["PromptSettings", "prompt_problems", "template_place"]


class PromptSettings(Model):
    """The `[prompts]` table: paths relative to the repository root; ``.kitty-flow/prompts/KIND.md`` by default."""

    implement: Text | None = None
    review: Text | None = None

    @field_validator("implement", "review")
    @classmethod
    def _check_path(cls, path: str | None) -> str | None:
        if path is not None and (not path.strip() or "\0" in path):
            raise ValueError("must be the path of a file")
        return path


def template_place(root: Path, kind: TemplateKind, named: str | None) -> tuple[Path, bool]:
    """Where a template of the repository at `root` is, and whether it has to be there: in a place of its own choice."""
    default = root / SETTINGS_PATH.parent / "prompts" / f"{kind}.md"
    path = default if named is None else root / named
    return path, path != default


def prompt_problems(root: Path, table: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is wrong with the templates that the settings `table` names, or that are in the default place.

    They are looked at together with the settings, which come before every claim and review: a step that could not be
    told is not begun.
    """
    prompts = table.get("prompts")
    found: list[dict[str, str]] = []
    for kind in KINDS:
        named = prompts.get(kind) if isinstance(prompts, dict) else None
        if named is None or (isinstance(named, str) and named.strip() and "\0" not in named):
            path, is_named = template_place(root, kind, named)
            found += template_problems(kind, path, is_named=is_named)
    return found
