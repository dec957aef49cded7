"""The command line: one file per command, one module that prints, and a start-up that imports only what it needs.

How a command is written
    Each file ``<name>_cmd.py`` holds one command or one group. A command is a function that calls a use case and
    returns a `Result`; it never prints, never exits and never catches a `KittyFlowError` just to show it. The decorator
    `command` adds ``--json`` and the examples, and turns whatever the function returns or raises into text or into one
    JSON document::

        @command(examples=["kitty-flow plan my-mission --agents 4"])
        def plan(mission: MissionArgument = None, agents: AgentsOption = 4) -> Result:
            \"\"\"Validate a mission and compute its waves, execution lanes and critical path.\"\"\"
            from kitty_flow.flow.planning import plan_mission  # late: `kitty-flow --help` must stay quick

            planned = plan_mission(Path.cwd(), mission, agents=agents)
            return Result(planned.as_json(), lambda: _board(planned), planned.diagnostics)

    A group is a typer application made by `command_group`; its commands are added with two decorators::

        app = command_group("The life of a mission.")

        @app.command("list")
        @command(examples=["kitty-flow mission list"])
        def list_missions() -> Result: ...

    Then the command gets its row in `kitty_flow.cli.main.COMMANDS`: name, ``module:attribute``, its line in the help,
    and its purpose.

What the frame guarantees
    The JSON schema's name comes from the words typed: ``mission list`` is ``kitty-flow/mission-list/1``. Text is made
    safe for terminals on the way out: plain strings as a whole, table cells by `terminal.table`. `Result.text` may be a
    function, so that it is only built when somebody reads it. A failure that still has something to tell returns
    ``Result(data, text, error=RefusedError(...))``: exit status and ``ok: false`` come from the error, the data stay.
    Whatever else writes to stdout under ``--json`` lands on stderr. Progress while a use case runs goes to
    stderr (`views.progress`).
"""

from __future__ import annotations

__all__: list[str] = []
