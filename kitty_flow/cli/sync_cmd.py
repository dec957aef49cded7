"""`kitty-flow sync`: exchange ledgers with a remote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.output import Result, command

if TYPE_CHECKING:
    from kitty_flow.flow.sync.exchange import Exchanged, SyncReport
    from kitty_flow.invocation.propagator import Report

__all__ = ["sync"]


@command(examples=["kitty-flow sync", "kitty-flow sync origin", "kitty-flow sync ../other-clone"])
def sync(
    remote: Annotated[
        str | None,
        typer.Argument(
            metavar="REMOTE", help="A remote's name, a path or a URL.", show_default="settings, origin, the only one"
        ),
    ] = None,
) -> Result:
    """Exchange ledgers with a remote: fetch, unite, push; with the commits that they speak of.

    Nothing is ever forced, and nothing of your branches, index or configuration changes. Where two clones recorded
    without knowing of each other, the larger event id counts everywhere; both events stay in the log.

    Where the settings name a hosted hub, it is then told of the invocations that it does not know yet.
    """
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.remarks import conflict_sentence
    from kitty_flow.flow.sync.exchange import sync as exchange
    from kitty_flow.invocation.propagator import flush
    from kitty_flow.model.diagnostic import Diagnostic

    project = Project.discover()
    try:
        report = exchange(project, remote)
    finally:  # no remote is needed to tell a hub
        told_hub = flush(project)
    told = [("LEDGER_CONFLICT", conflict_sentence(c)) for c in report.conflicts]
    told += [("SYNC_REMARK", remark) for remark in report.remarks]
    diagnostics = [
        Diagnostic(severity="warning", diagnostic_code=code, message=text, phase="sync") for code, text in told
    ]
    data = report.as_data() | {"hub": vars(told_hub) if told_hub is not None else None}
    return Result(data, lambda: "\n".join(filter(None, [_text(report), _hub_line(told_hub)])), diagnostics)


def _hub_line(told: Report | None) -> str:
    if told is None:
        return ""
    counts = [f"{count} {what}" for what, count in vars(told).items() if count]
    return f"hub: {', '.join(counts) or 'nothing new'}"


def _text(report: SyncReport) -> str:
    lines = [_line(log) for log in report.logs] or ["there is nothing to exchange yet"]
    if report.kept_received or report.kept_sent:
        lines.append(f"commits of work packages: {report.kept_received} received, {report.kept_sent} sent")
    return "\n".join([f"exchanged with {report.remote}", *lines])


def _line(log: Exchanged) -> str:
    what = log.slug or log.ref
    words = {"equal": "nothing new", "behind": "brought forward", "ahead": "sent", "diverged": "both sides united"}
    received = f", {log.received} event(s) received" if log.received else ""
    return f"{what}: {words[log.relation]}{received}"
