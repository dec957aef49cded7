"""What the reports in a terminal and as a page have in common: the cells of the table, and sentences about it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kitty_flow.flow.activity import Usage
from kitty_flow.flow.report import MissionReport, PackageReport
from kitty_flow.flow.standing import FINISHED
from kitty_flow.model.text import clean
from kitty_flow.views.figures import clock, dollars, large, many, span

__all__ = ["table", "teams", "totals"]


def teams(report: MissionReport) -> set[tuple[str, ...]]:
    """Who implemented and who reviewed, as far as that differs from one work package to the next."""
    names = [(each.implementers, each.reviewers) for each in report.work_packages]
    implementers = {one for one, _ in names if one} or {()}
    reviewers = {other for _, other in names if other} or {()}
    return {(*one, *other) for one in implementers for other in reviewers}


def table(report: MissionReport, shown: Sequence[PackageReport]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Names and cells; rejections, tokens and cost only where there are any."""
    columns = ["WP", "TITLE", "STATE", "TRY", "REVIEWS", "REJECTED", "WHO", "TIME", "TOKENS", "COST"]
    told = {
        "REJECTED": any(each.rejections for each in report.work_packages),
        "TOKENS": bool(report.usage.tokens),
        "COST": bool(report.usage.cost_usd),
    }
    kept = [place for place, name in enumerate(columns) if told.get(name, True)]
    rows = [tuple(_cells(each)[place] for place in kept) for each in shown]
    return tuple(columns[place] for place in kept), rows


def _cells(each: PackageReport) -> tuple[str, ...]:
    return (
        each.id,
        each.title,
        each.state + (f" (forced {each.force_count}x)" if each.force_count else ""),
        str(each.attempts or ""),
        str(each.reviews or ""),
        str(each.rejections or ""),
        ", ".join(dict.fromkeys((*each.implementers, *each.reviewers))),
        clock(each.worked_s) if each.attempts else "",
        large(each.usage.tokens) if each.usage.tokens else "",
        dollars(each.usage.cost_usd) if each.usage.cost_usd else "",
    )


def totals(report: MissionReport, quoted: Callable[[str], str] = clean) -> Iterator[str]:
    """Sentences about all work packages together; `quoted` makes the names of agents safe where they go."""
    packages = report.work_packages
    counted = [each for each in packages if each.state != "canceled"]
    finished = sum(each.state in FINISHED for each in counted)
    yield f"{finished} of {many(len(counted), 'work package', 'work packages')} approved, in {_wave_words(report)}"
    attempts, rejections = sum(e.attempts for e in packages), sum(e.rejections for e in packages)
    failures = sum(e.failures for e in packages)
    if attempts:
        words = [many(attempts, "attempt", "attempts")]
        words += [f"{rejections} sent back by review"] if rejections else []
        words += [f"{failures} failed"] if failures else []
        alike = teams(report)
        words += [f"by {' and '.join(map(quoted, alike.pop()))}"] if len(alike) == 1 else []
        yield f"{', '.join(words)}; {span(report.worked_s)} of work within {span(report.elapsed_s)}"
    if report.usage.tokens or report.usage.cost_usd:
        yield f"used {_used(report.usage)}"
    open_runs = sum(run["outcome"] is None for run in report.runs)
    if open_runs:
        yield f"{many(open_runs, 'run', 'runs')} did not end in order, or is still going on"


def _used(usage: Usage) -> str:
    words = [f"{large(usage.input)} tokens in, {large(usage.output)} out"] if usage.tokens else []
    words += [dollars(usage.cost_usd)] if usage.cost_usd else []
    unknown = f" ({many(usage.unknown, 'invocation', 'invocations')} told nothing)" if usage.unknown else ""
    return ", ".join(words) + unknown


def _wave_words(report: MissionReport) -> str:
    over = sum(wave.finished == len(wave.work_packages) for wave in report.waves)
    return f"{over} of {many(len(report.waves), 'wave', 'waves')}"
