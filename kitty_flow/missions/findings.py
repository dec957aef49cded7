"""What a reader finds wrong or odd. Problems are gathered, so that one look at the error repairs the whole mission."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kitty_flow.errors import DefinitionError
from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["Findings", "Problem"]

_SHOWN = 5
_KEPT = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that makes the mission invalid; `where` names the file and, when known, the line or the key."""

    code: str
    message: str
    where: str


class Findings:
    """The problems and warnings of one mission, in the order in which they were met."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.diagnostics: list[Diagnostic] = []

    def problem(self, code: str, message: str, where: str) -> None:
        """Note something that makes the mission invalid."""
        self.problems.append(Problem(code, message, where))

    def warn(self, code: str, message: str, where: str) -> None:
        """Note something that looks like a mistake."""
        self._note("warning", code, message, {"where": where})

    def remark(self, code: str, message: str, where: str) -> None:
        """Note something that is worth knowing and may well be right."""
        self._note("info", code, message, {"where": where})

    def guessed(self, code: str, message: str, where: str) -> None:
        """Note what the source does not say plainly, and how it was read."""
        self._note("warning", code, message, {"where": where, "loss": "guessed"})

    def dropped(self, code: str, message: str, where: str) -> None:
        """Note what the source says and a mission of kitty-flow has no place for."""
        self._note("info", code, message, {"where": where, "loss": "dropped"})

    def _note(self, severity: Literal["info", "warning"], code: str, message: str, details: dict[str, Any]) -> None:
        self.diagnostics.append(
            Diagnostic(severity=severity, diagnostic_code=code, message=message, phase="load", details=details)
        )

    @contextmanager
    def gathering(self, where: str) -> Iterator[None]:
        """Turn a DefinitionError of the block into a problem and go on with the next file or field."""
        try:
            yield
        except DefinitionError as error:
            self.problem(error.code, error.message, str(error.details.get("where", where)))

    def raise_if_invalid(
        self, path: Path, *, code: str = "INVALID_MISSION", again: str = "kitty-flow plan {path}"
    ) -> None:
        """Report every problem at once; `again` is the command to repeat when they are mended.

        Raises:
            DefinitionError: with `code`, when there is at least one problem.
        """
        if not self.problems:
            return
        count = len(self.problems)
        shown = "; ".join(f"{p.where}: {p.message}" for p in self.problems[:_SHOWN])
        more = f"; and {count - _SHOWN} more" if count > _SHOWN else ""
        raise DefinitionError(
            code,
            f"{path} has {count} {'problem' if count == 1 else 'problems'}: {shown}{more}",
            hint=f"correct what is named, then: {again.format(path=shlex.quote(str(path)))}",
            details={
                "path": str(path),
                "problem_count": count,
                "problems": [{"code": p.code, "message": p.message, "where": p.where} for p in self.problems[:_KEPT]],
            },
        )
