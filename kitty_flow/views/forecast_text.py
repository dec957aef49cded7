"""What a mission will take, and what would become of it, in words for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kitty_flow.model.forecast import Forecast

if TYPE_CHECKING:
    from kitty_flow.graph.what_if import Outlook, WhatIf

__all__ = ["forecast_lines", "many", "shortened", "span", "what_if_lines", "what_if_rows"]


def many(number: int, noun: str) -> str:
    """``1 wave``, ``2 waves``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shortened(names: Sequence[str], limit: int, separator: str = ", ") -> str:
    """The names in a row; of more than `limit` the first ones and the last, with the number left out between them."""
    if len(names) <= limit + 1:
        return separator.join(names)
    return separator.join([*names[: limit - 1], f"({len(names) - limit} more)", names[-1]])


def span(seconds: float) -> str:
    """A time in its two largest units: ``45 s``, ``12 min``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    large, small, names = (minutes // 60, minutes % 60, ("h", "min"))
    if minutes >= 48 * 60:
        large, small, names = (*divmod(round(minutes / 60), 24), ("d", "h"))
    return f"{large} {names[0]} {small} {names[1]}" if small else f"{large} {names[0]}"


def forecast_lines(forecast: Forecast) -> tuple[str, ...]:
    """How long it will take with so many agents, and what that rests on."""
    if not forecast.remaining:
        return ("nothing is left to be done",) if forecast.finished else ()
    left = f"what is left ({many(forecast.remaining, 'work package')} of {forecast.remaining + forecast.finished}) "
    head = f"{left if forecast.finished else ''}with {many(forecast.agents, 'agent')}: "
    if forecast.unit == "work packages":
        return (
            f"{head}{forecast.estimate:g} work packages long, at best {forecast.lower_bound:g}, "
            f"one after another {forecast.sequential:g}",
        )
    whose = "this mission" if forecast.learned_from == "mission" else "this repository"
    return (
        f"{head}about {_span(forecast.median)} (median of {forecast.runs} simulations), "
        f"in nine of ten at most {_span(forecast.p90)}",
        f"if each took the mean: {span(forecast.estimate)}, at best {span(forecast.lower_bound)}, "
        f"one after another {span(forecast.sequential)}",
        f"learned from {many(forecast.samples, 'finished work package')} of {whose}; waiting for people is not counted",
    )


def what_if_rows(compared: WhatIf) -> list[tuple[object, ...]]:
    """One row for each figure: its name, as it is, as it would be."""
    before, after = _figures(compared.before), _figures(compared.after)
    return [(name, before[name], after[name]) for name in before]


def what_if_lines(compared: WhatIf) -> tuple[str, ...]:
    """What was supposed, and what follows beside the figures."""
    lines = [f"{after} would not wait for {before}" for before, after in compared.supposition.dropped]
    lines += [f"shared files would demand {before} before {after}" for before, after in compared.orders_added]
    lines += [f"shared files would not demand {before} before {after}" for before, after in compared.orders_removed]
    failed = compared.supposition.failed
    if failed:
        names = shortened(failed, 8)
        lines.append(f"without {names} these wait for ever: {shortened(compared.blocked, 12) or 'none'}")
        if compared.held:
            held = shortened(compared.held, 12)
            lines.append(f"held by shared files alone, free once what cannot be done is canceled: {held}")
        lines.append(f"still possible: {shortened(compared.possible, 12) or 'nothing'}")
    return tuple(lines)


def _figures(outlook: Outlook) -> dict[str, object]:
    makespan = outlook.makespan
    figures: dict[str, object] = {
        "agents": makespan.agents,
        "work packages": outlook.work_packages,
        "finished": makespan.finished,
        "waves": outlook.waves,
        "worktrees": outlook.worktrees,
        "critical path": f"{len(outlook.critical_path)}: {shortened(outlook.critical_path, 5, ' -> ')}",
    }
    if makespan.unit == "work packages":
        return figures | {"length in WPs": f"{makespan.estimate:g}", "at best": f"{makespan.lower_bound:g}"}
    return figures | {
        "median": _span(makespan.median),
        "9 of 10 within": _span(makespan.p90),
        "if each took the mean": span(makespan.estimate),
        "at best then": span(makespan.lower_bound),
    }


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)
