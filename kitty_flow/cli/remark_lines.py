"""Remarks of a command as lines for stderr: what the reader of a source noted is kept short, the rest is told in full.

A list of two hundred tasks gives two hundred notes; who plans it wants to see the plan. All of them are in the JSON
document, and in the report of ``kitty-flow mission import PATH --dry-run``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["remark_lines"]

_SHOWN: Final = 8


def remark_lines(diagnostics: Sequence[Diagnostic]) -> Iterator[str]:
    """One line for each remark; guesses and losses of a reader as counts, and of many alike the first few."""
    losses: Counter[str] = Counter()
    alike: Counter[str] = Counter()
    for each in diagnostics:
        if "loss" in each.details:
            losses[str(each.details["loss"])] += 1
            continue
        alike[each.diagnostic_code] += each.phase == "load"
        if alike[each.diagnostic_code] <= _SHOWN:
            place = f"{each.details['where']}: " if "where" in each.details else ""
            yield f"{'note' if each.severity == 'info' else each.severity}: {place}{each.message}"
    for code, count in alike.items():
        if count > _SHOWN:
            yield f"warning: and {count - _SHOWN} more {code}; --json has them all"
    if losses:
        counts = ", ".join(f"{count} {loss}" for loss, count in sorted(losses.items(), reverse=True))
        yield f"note: reading the source, {counts}; see: kitty-flow mission import PATH --dry-run"
