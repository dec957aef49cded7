"""The root of the command line: a table of commands, each imported only when it is typed."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.main import get_command as build_command

from kitty_flow import EVENT_SCHEMA, __version__
from kitty_flow.cli.groups import CommandGroup
from kitty_flow.cli.output import JsonOption, Output, Result, opened
from kitty_flow.cli.plain_values import spare_conversion

__all__ = ["COMMANDS", "Row", "main", "root_command"]


class Row(NamedTuple):
    """One command of the root: its name, where it is (``module:attribute``), its line in the help, and its purpose."""

    name: str
    target: str
    summary: str
    purpose: str


COMMANDS: Final = (
    Row("init", "kitty_flow.cli.init_cmd:init", "Write the project's settings file.", "Plan"),
    Row("mission", "kitty_flow.cli.mission_cmd:app", "Create, import, amend, export and show missions.", "Plan"),
    Row("plan", "kitty_flow.cli.plan_cmd:plan", "Validate a mission and compute its waves.", "Plan"),
    Row("graph", "kitty_flow.cli.graph_cmd:graph", "Draw a mission's work packages as a picture.", "Plan"),
    Row("run", "kitty_flow.cli.run_cmd:run", "Drive a mission, wave by wave.", "Run"),
    Row("next", "kitty_flow.cli.next_cmd:next_step", "Report the last step and claim the next one.", "Run"),
    Row("agents", "kitty_flow.cli.agents_cmd:app", "List and check the agents of the settings.", "Run"),
    Row("wp", "kitty_flow.cli.wp_cmd:app", "Show or move one work package.", "Run"),
    Row("guard", "kitty_flow.cli.guard_cmd:app", "Keep commits inside the owned files.", "Run"),
    Row("skills", "kitty_flow.cli.skills_cmd:app", "Teach coding agents the loop.", "Run"),
    Row("demo", "kitty_flow.cli.demo_cmd:demo", "Run a whole sample mission in a fresh repository.", "Run"),
    Row("profiles", "kitty_flow.cli.profiles_cmd:app", "List the profiles that requests are put to.", "Ask"),
    Row("advise", "kitty_flow.cli.advise_cmd:advise", "Find the profile and the rules for a request.", "Ask"),
    Row("ask", "kitty_flow.cli.advise_cmd:ask", "Put work to a profile.", "Ask"),
    Row("do", "kitty_flow.cli.advise_cmd:do", "Put work to the profile that it leads to.", "Ask"),
    Row("profile-invocation", "kitty_flow.cli.invocations_cmd:closing", "Report how a request ended.", "Ask"),
    Row("status", "kitty_flow.cli.status_cmd:status", "Show the board of a mission.", "See"),
    Row("why", "kitty_flow.cli.why_cmd:why", "Explain why a work package is not ready or done.", "See"),
    Row("log", "kitty_flow.cli.log_cmd:log", "List the events of a mission.", "See"),
    Row("invocations", "kitty_flow.cli.invocations_cmd:app", "List what was asked of which profile.", "See"),
    Row("errors", "kitty_flow.cli.errors_cmd:app", "List what was refused or did not validate.", "See"),
    Row("ledger", "kitty_flow.cli.ledger_cmd:app", "Export ledgers, and prove that they are sound.", "See"),
    Row("machines", "kitty_flow.cli.machines_cmd:app", "Show the state machines that ship.", "See"),
    Row("dags", "kitty_flow.cli.dags_cmd:app", "Show the templates and pipelines that ship.", "See"),
    Row("merge", "kitty_flow.cli.merge_cmd:merge", "Land a mission on its target branch, gated.", "Land"),
    Row("ship", "kitty_flow.cli.ship_cmd:ship", "Release a merged mission, gated.", "Land"),
    Row("verify", "kitty_flow.cli.verify_cmd:verify", "Prove that what is called done has landed.", "Land"),
    Row("sync", "kitty_flow.cli.sync_cmd:sync", "Exchange ledgers with a remote.", "Share"),
    Row("auth", "kitty_flow.cli.auth_cmd:app", "Log in to a hosted hub, and out.", "Share"),
    Row("doctor", "kitty_flow.cli.doctor_cmd:app", "Find and explain what is broken.", "Mend"),
)

_PRINTING_OPTIONS: Final = frozenset({"--help", "-h", "--show-completion", "--install-completion"})
_INTERRUPTED: Final = 130  # what typer returns after Ctrl-C


class _Root(CommandGroup):
    """The group that lists its commands from the table and imports one only to run it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the table's order."""
        return [row.name for row in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command with that name, imported now; None when there is none."""
        row = next((row for row in COMMANDS if row.name == cmd_name), None)
        return _load(row) if row is not None else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by purpose, from the table alone."""
        width = max(len(row.name) for row in COMMANDS)
        for purpose in dict.fromkeys(row.purpose for row in COMMANDS):
            with formatter.section(purpose):
                formatter.write_dl([(row.name.ljust(width), row.summary) for row in COMMANDS if row.purpose == purpose])


def _load(row: Row) -> Any:
    module, _, attribute = row.target.partition(":")
    loaded = getattr(import_module(module), attribute)
    if isinstance(loaded, typer.Typer):
        return spare_conversion(build_command(loaded))
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(row.name)(loaded)
    return spare_conversion(build_command(alone))


def _print_version(ctx: typer.Context, wanted: bool) -> None:
    output = ctx.find_object(Output)
    if not wanted or output is None:
        return
    output.command = ("version",)
    data = {"version": __version__, "event_schema": EVENT_SCHEMA}
    raise typer.Exit(output.show(Result(data, f"kitty-flow {__version__} (event schema {EVENT_SCHEMA})")))


def _kitty_flow(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the versions of kitty-flow and of its event schema.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Conduct planned software work that is done by many coding agents at once.

    A mission is cut into work packages; kitty-flow runs them wave by wave in git worktrees, has them reviewed, lands
    them, and keeps a ledger of what happened.

    \b
    Examples:
      kitty-flow demo
      kitty-flow plan kitty-specs/my-mission
    """


def root_command() -> Any:
    """The whole command line as one typer command."""
    app = typer.Typer(
        cls=_Root, name="kitty-flow", rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.callback()(_kitty_flow)
    return spare_conversion(build_command(app))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; the entry point of the console script."""
    # Most commands have answered before garbage in cycles matters; to look for it early costs a fifth of their time.
    gc.set_threshold(100_000, *gc.get_threshold()[1:])
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    with opened(as_json="--json" in options) as output:
        try:
            return _run(arguments, output, prints_itself=not _PRINTING_OPTIONS.isdisjoint(options))
        except (Exception, KeyboardInterrupt) as error:
            return output.fail(error)


def _run(arguments: list[str], output: Output, *, prints_itself: bool) -> int:
    """Let typer parse and run. What it prints on its own, the help, becomes the document's data under ``--json``."""
    aside = io.StringIO()
    with redirect_stdout(aside) if output.as_json and prints_itself else nullcontext():
        status = root_command().main(args=arguments, prog_name="kitty-flow", standalone_mode=False, obj=output)
    status = status if isinstance(status, int) else 0
    if status == _INTERRUPTED and not output.written:
        raise KeyboardInterrupt
    if output.as_json and not output.written:
        output.show(Result({"text": aside.getvalue()}))
    return status
