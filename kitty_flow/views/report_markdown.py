"""The report of a mission as a Markdown page, for a pull request, a ticket or a mail.

Text of agents and missions is data: it stands in code or in a block that it cannot close, so that it never becomes a
heading, a link, a picture or a mention of somebody.
"""

from __future__ import annotations

from typing import Final

from kitty_flow.agents.markdown import code, fenced, line
from kitty_flow.flow.report import MissionReport, PackageReport
from kitty_flow.views.report_lines import table, totals

__all__ = ["report_markdown"]

_SENTENCE: Final = 300
_OF_OTHERS: Final = ("WP", "TITLE", "WHO")
"""Columns with text that we did not write."""


def report_markdown(report: MissionReport) -> str:
    """The report as a page."""
    mission = report.mission
    parts = [f"# Report of {code(str(mission['slug']))}\n"]
    parts.append(
        f"{code(str(mission['title']) or '-')} is **{mission['state']}**; as of "
        f"{report.made_at:%Y-%m-%d %H:%M:%S} UTC.\n"
    )
    parts.append("".join(f"- {sentence}\n" for sentence in totals(report, code)))
    if report.work_packages:
        parts.append("## Work packages\n")
        parts.append(_table_of(report))
        parts.append("## Waves\n")
        parts.append(_waves(report))
    left = [each for each in report.work_packages if each.failure is not None or each.state == "blocked"]
    if left:
        parts.append("## What went wrong\n")
        parts += [_problem(each) for each in left]
    if any(each.sent_back for each in report.work_packages):
        parts.append("## Sent back by review\n")
        parts += [_sent_back(each) for each in report.work_packages if each.sent_back]
    if report.remarks:
        parts.append("## To be looked at\n")
        parts.append("".join(f"- {code(remark[:_SENTENCE])}\n" for remark in report.remarks))
    if report.next_commands:
        parts.append("## What to do next\n")
        parts.append(fenced("\n".join(report.next_commands), "sh"))
    return "\n".join(parts)


def _waves(report: MissionReport) -> str:
    return "".join(
        f"- wave {wave.number}, {wave.finished} of {len(wave.work_packages)} finished: "
        f"{', '.join(map(code, wave.work_packages))}\n"
        for wave in report.waves
    )


def _table_of(report: MissionReport) -> str:
    columns, rows = table(report, report.work_packages)
    lines = [f"| {' | '.join(name.capitalize() if len(name) > 2 else name for name in columns)} |"]
    lines.append("|" + " --- |" * len(columns))
    for row in rows:
        cells = [_cell(cell) if name in _OF_OTHERS else cell for name, cell in zip(columns, row, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _problem(each: PackageReport) -> str:
    told = f"### {code(each.id)}\n\n"
    if each.failure is not None:
        failure = each.failure
        which, after = ("An earlier", ", and a later one did not") if failure.is_overcome else ("The last", "")
        told += f"{which} {code(failure.action)} by {code(failure.agent)} failed ({code(failure.code)}){after}:\n\n"
        told += fenced(_lines(failure.message))
        told += f"\nIts output: {code(failure.log_path)}\n" if failure.log_path else ""
    elif each.reason:
        told += f"It is {each.state}:\n\n" + fenced(_lines(each.reason))
    return told


def _sent_back(each: PackageReport) -> str:
    told = f"### {code(each.id)}\n"
    for rejection in each.sent_back:
        words = [*([rejection.summary] if rejection.summary.strip() else []), *rejection.findings]
        told += f"\nBy {code(rejection.reviewer)}:\n\n" + fenced(_lines("\n".join(words) or "no word"))
    return told


def _lines(text: str) -> str:
    return "\n".join(line(each) for each in text.splitlines())


def _cell(text: str) -> str:
    """Text of others in a table, as code: there alone a web address, a name after @ or a picture stays what it is."""
    return code(text).replace("|", "\\|") if text.strip() else ""
