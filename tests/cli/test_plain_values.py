"""A value that is not converted is the one that typer's conversion would give; any other is converted or refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
import typer
from typer.main import get_command

from kitty_flow.cli.plain_values import spare_conversion

VALUES = {
    "text": [None, "", "plain", "two words", "Überschrift", "\udcff", "17"],
    "choice": [None, "implement", "review", "Review", "nobody", ""],
    "number": [None, "3", "0", "-1", "three", "3.5"],
    "many": [None, "one"],
}


def _use(
    text: Annotated[str | None, typer.Option("--text")] = None,
    choice: Annotated[Literal["implement", "review"], typer.Option("--choice")] = "implement",
    number: Annotated[int | None, typer.Option("--number", min=1)] = None,
    many: Annotated[list[str] | None, typer.Option("--many")] = None,
    flag: Annotated[bool, typer.Option("--flag")] = False,
) -> None:
    results.append((text, choice, number, many, flag))


results: list[tuple[Any, ...]] = []


def _outcome(command: Any, arguments: list[str]) -> Any:
    results.clear()
    try:
        command.main(args=arguments, standalone_mode=False)
    except typer.TyperException as error:
        return error.format_message()
    return list(results)


def _command() -> Any:
    app = typer.Typer(add_completion=False)
    app.command("use")(_use)
    app.command("other")(lambda: None)
    return get_command(app)


@pytest.mark.parametrize(("option", "value"), [(name, value) for name, values in VALUES.items() for value in values])
def test_the_outcome_is_that_of_the_conversion(option: str, value: str | None) -> None:
    arguments = ["use", "--flag", *([f"--{option}", value] if value is not None else [])]
    assert _outcome(spare_conversion(_command()), arguments) == _outcome(_command(), arguments)


def test_a_group_and_a_command_can_be_used_again() -> None:
    command = spare_conversion(spare_conversion(_command()))
    for _ in range(2):
        assert _outcome(command, ["use", "--text", "a"]) == [("a", "implement", None, None, False)]
