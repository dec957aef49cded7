"""What kitty-flow knows about well-known coding CLIs: one TOML file each, beside this module.

A preset says how the tool is called without a person: its words, where the prompt goes, and the flags that let it work
and write the result file without asking. `checked` names the version whose own `--help` was seen to have all of these
options, and `checked_on` the day; a preset without them comes from the tool's documentation and says so in its `note`.
How to add one: CONTRIBUTING.md.
"""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from kitty_flow.agents.settings_types import Command, Words
from kitty_flow.model.base import Model

__all__ = ["Preset", "preset", "preset_names"]

_SUFFIX = ".toml"


class Preset(Model):
    """One coding CLI.

    Args:
        title: the product's name.
        install: how it is installed: a command, or the page of its makers.
        command: program and arguments, with placeholders; an agent's `args` follow. None where the tool alone cannot
            do the job, so that the agent has to name a wrapper as its `command`.
        prompt_on_stdin: whether the prompt is its standard input.
        env: environment variables that its work without a person needs.
        version: the arguments that make it print its version, without a model or credentials.
        help: the arguments that make it print the options that `command` uses.
        not_in_help: options of `command` that its help leaves out although the tool takes them.
        checked: the version that was looked at; None for nobody.
        checked_on: the day of that.
        tried: whether that version did a whole work package with this command, driven by a stand-in for the model: a
            file changed and committed in a linked worktree, and the result file written.
        note: what its user should know, one or two sentences.
    """

    title: str
    install: str
    command: Command | None = None
    prompt_on_stdin: bool = False
    env: dict[str, str] = Field(default_factory=dict)
    version: Words = ("--version",)
    help: Words = ("--help",)
    not_in_help: Words = ()
    checked: str | None = None
    checked_on: Annotated[date | None, Field(strict=True)] = None
    tried: bool = False
    note: str

    def options(self) -> tuple[str, ...]:
        """The options among the words of the command that the tool's help should have."""
        names = (word.partition("=")[0] for word in (self.command or ())[1:] if word.startswith("-") and len(word) > 1)
        return tuple(dict.fromkeys(name for name in names if name not in self.not_in_help))


@cache
def preset_names() -> tuple[str, ...]:
    """The names of all presets, sorted."""
    return tuple(
        sorted(item.name.removesuffix(_SUFFIX) for item in files(__name__).iterdir() if item.name.endswith(_SUFFIX))
    )


@cache
def preset(name: str) -> Preset:
    """The preset called `name`, one of `preset_names`."""
    return Preset.model_validate(tomllib.loads((files(__name__) / f"{name}{_SUFFIX}").read_text(encoding="utf-8")))
