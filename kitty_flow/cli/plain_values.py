"""Values of options and arguments that need no conversion, so that no command waits for what would find that out.

typer converts every value with pydantic, whose import takes as long as all of typer's own. A plain word for a text, a
known word for a choice, or nothing at all comes out of that as it went in, and plain digits as their number; only other
values are handed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, get_args, get_origin

__all__ = ["spare_conversion"]

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


def spare_conversion(command: Any) -> Any:
    """Let the parameters of a typer command, and of the commands of a group, skip conversions that change nothing."""
    for each in getattr(command, "commands", {}).values():
        spare_conversion(each)
    command.get_params = partial(_sparing, command.get_params)  # the help option is made for each context
    return command


def _sparing(get_params: Callable[[Any], list[Any]], ctx: Any) -> list[Any]:
    parameters = get_params(ctx)
    for parameter in parameters:
        convert = getattr(parameter, "get_runtime_param", None)
        # A later typer may convert in another way: then all that is lost is time.
        if convert is None or isinstance(convert, partial) or parameter.nargs != 1 or parameter.multiple:
            continue
        parameter.get_runtime_param = partial(_Sparing, parameter.type_descriptor, convert)
    return parameters


class _Sparing:
    """Stands in for typer's converter of one parameter, which is only made for a value that it may change or refuse."""

    def __init__(self, descriptor: Any, convert: Callable[[], Any]) -> None:
        self._annotation = descriptor.annotation
        self._limits = descriptor.parameter_info
        self._convert = convert

    def coerce(self, value: Any, **context: Any) -> Any:
        """The value as the parameter's type wants it."""
        if value is None or self._fits(value):
            return value
        if self._annotation is int and _NUMBER.fullmatch(str(value)) and self._is_within(int(value)):
            return int(value)
        return self._convert().coerce(value, **context)

    def _is_within(self, number: int) -> bool:
        low, high = self._limits.min, self._limits.max
        return (low is None or number >= low) and (high is None or number <= high)

    def _fits(self, value: Any) -> bool:
        if get_origin(self._annotation) is Literal:
            return value in get_args(self._annotation)
        return self._annotation is str and isinstance(value, str) and value.isascii()
