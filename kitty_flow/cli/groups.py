"""Command groups: they know which words were typed, suggest the nearest command, and show their help when alone."""

from __future__ import annotations

from typing import Any, Final

import typer
from typer.core import TyperGroup

from kitty_flow.cli.output import Output
from kitty_flow.errors import UsageError

__all__ = ["CommandGroup", "command_group"]

_WHOLE: Final = 1000
"""More characters than the first sentence of any help has."""


class CommandGroup(TyperGroup):
    """A group whose refusals say what exists; it also tells the output which command is meant, for the JSON schema."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the group's own options; no word at all asks for the help, and in a script it is a mistake."""
        if not ctx.resilient_parsing and not set(args) - {"--json"}:
            output = ctx.find_object(Output)
            if output is not None and output.as_json:
                ctx.fail("Missing command.")
            args = ["--help"]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with the whole first sentence of its help; where that is long it is wrapped, not cut."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_WHOLE)) for name, each in found.items() if each])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the next word names.

        Raises:
            UsageError: UNKNOWN_COMMAND.
        """
        if ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if args[0] not in self.list_commands(ctx):
            raise self._unknown(ctx.command_path, args[0], self.list_commands(ctx))
        output = ctx.find_object(Output)
        if output is not None:
            output.command = (*ctx.command_path.split()[1:], args[0])
        return super().resolve_command(ctx, args)

    def _unknown(self, path: str, word: str, known: list[str]) -> UsageError:
        from difflib import get_close_matches

        near = get_close_matches(word, known)
        message = f"{path} has no command {word!r}"
        return UsageError(
            "UNKNOWN_COMMAND",
            f"{message}; did you mean {near[0]!r}?" if near else message,
            hint=f"{path} {near[0]} --help" if near else f"{path} --help",
            details={"suggestions": near, "commands": known},
        )


def command_group(summary: str) -> typer.Typer:
    """An empty group, to be filled with commands."""
    return typer.Typer(cls=CommandGroup, help=summary, add_completion=False, rich_markup_mode=None)
