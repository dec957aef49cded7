"""`kitty-flow ledger`: ledgers as plain files, and the proof that they are sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitty_flow.flow.doctor.soundness import Soundness

__all__ = ["app"]

app = command_group("Export ledgers, and prove that they are sound.")

MissionArgument = Annotated[
    str | None,
    typer.Argument(metavar="MISSION", help="Slug, ULID or unambiguous prefix.", show_default="all missions"),
]


@app.command("export")
@command(examples=["kitty-flow ledger export /tmp/ledgers", "kitty-flow ledger export out checkout"])
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; made if needed.")],
    mission: MissionArgument = None,
) -> Result:
    """Write ledgers as plain JSONL files, one for each mission, and the error log as errors.jsonl.

    Every event is one line, as it is in the log, in the ledger's order; superseded ones stay. The same ledger gives the
    same bytes. Damaged lines are left out with a warning.
    """
    from kitty_flow.flow.export import export as write_files
    from kitty_flow.flow.project import Project

    done = write_files(Project.discover().repository, directory, mission)
    lines = [f"{file.path}: {file.lines} line(s)" for file in done.files]
    return Result(done.as_data(), "\n".join(lines or ["there is no ledger to export"]), done.diagnostics, done.error)


@app.command("verify")
@command(examples=["kitty-flow ledger verify", "kitty-flow ledger verify checkout --json"])
def verify(mission: MissionArgument = None) -> Result:
    """Prove that ledgers, and without a MISSION also the log of requests, are sound; nothing is changed.

    All objects of the history are there and are what their names say; every line is an event; chains, clocks and
    machines agree; every event that a commit names is still there; nothing that was acknowledged is missing; and the
    index says what the log says. The exit status is 6 when one of these does not hold.
    """
    from kitty_flow.flow.doctor.soundness import examine_ledger
    from kitty_flow.flow.ledgers import choose_ledgers
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.soundness import examine_op_log

    repository = Project.discover().repository
    proved = [examine_ledger(repository, known, history=True) for known in choose_ledgers(repository, mission)[1]]
    requests = examine_op_log(repository, history=True) if mission is None else None
    proved += [requests] if requests is not None else []
    error = _error([sound for sound in proved if sound.problems])
    data = {"sound": error is None, "ledgers": [sound.as_data() for sound in proved]}
    return Result(data, lambda: _text(proved), (), error)


def _error(unsound: Sequence[Soundness]) -> LedgerError | None:
    problems = [(s.ledger.slug, finding) for s in unsound for finding in s.problems]
    if not problems:
        return None
    return LedgerError(
        "LEDGER_NOT_SOUND",
        f"{', '.join(sorted(slug for slug in {slug for slug, _ in problems}))}: {len(problems)} problem(s)",
        hint=problems[0][1].remedy,
        details={"problems": [{"where": slug, "message": finding.message} for slug, finding in problems]},
    )


def _text(proved: Sequence[Soundness]) -> str:
    lines = []
    for sound in proved:
        counts = ", ".join(f"{what} {number}" for what, number in sound.counts.items())
        lines.append(
            f"{sound.ledger.slug}: {'NOT SOUND' if sound.problems else 'sound'}{f' ({counts})' if counts else ''}"
        )
        lines += [f"  {f.status}: {f.message}" for f in sound.findings if f.status == "warning"]
    return "\n".join(lines or ["there is no ledger to verify"])
