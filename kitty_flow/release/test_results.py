"""What is known about trees that were tested: facts of merges, found by tree, command and environment.

Only a pass is ever taken for an answer, and only one that was recorded for the same environment; so another clone's
counts only where it was made on this machine, in the same surroundings. What the digest of the environment cannot see
(installed packages, services, the network, the clock) is why there is ``merge --retest``.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.release.landing import Landing, TestRun

__all__ = ["environment_digest", "known_pass", "record_result", "result_name"]

_EACH_SESSION: Final = frozenset(
    {"_", "COLORTERM", "COLUMNS", "DISPLAY", "GIT_CEILING_DIRECTORIES", "INVOCATION_ID", "JOURNAL_STREAM", "LINES"}
    | {"OLDPWD", "PWD", "SHLVL", "STY", "TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERM_SESSION_ID", "WINDOWID"}
)
_EACH_SESSION_PREFIXES: Final = ("DBUS_SESSION_", "KITTY_FLOW_", "SSH_", "TMUX", "VTE_", "WAYLAND_", "XDG_SESSION_")
"""Variables that every terminal or session sets anew; with them no result would ever count twice."""


def environment_digest(program: str, environment: Mapping[str, str]) -> str:
    """A digest of what surrounds a test: the machine, its system, the program's file, and the environment variables.

    Args:
        program: absolute path of the test command's program.
        environment: what the command is given. Its values leave this function only as part of the digest.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _EACH_SESSION and not name.startswith(_EACH_SESSION_PREFIXES)
    }
    machine = [platform.node(), platform.system(), platform.release(), platform.machine()]
    return _digest([machine, os.path.realpath(program), _stamp(program), kept])


def _stamp(program: str) -> list[int]:
    """Size and time of the program's file: another version of an interpreter is another environment."""
    with suppress(OSError):
        found = Path(program).stat()
        return [found.st_size, found.st_mtime_ns]
    return []


def result_name(tree: str, command: tuple[str, ...], environment: str) -> str:
    """The name of the fact that holds the result of one command on one tree in one environment."""
    return f"tests_{_digest([tree, command, environment])[:24]}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def known_pass(mission: OpenMission, name: str, command: tuple[str, ...]) -> TestRun | None:
    """The last pass that the ledger has under this name; a failure since then does not count against it."""
    for entity in reversed(tuple(mission.view().of_type("merge").values())):
        told = entity.facts.get(name)
        if isinstance(told, Mapping) and told.get("passed") is True:
            return TestRun(
                command,
                0,
                "exited",
                float(told["duration_ms"]) / 1000,
                "",
                str(told["log"]),
                (),
                str(told["log_sha256"]),
                str(told["at"]),
                is_remembered=True,
            )
    return None


def record_result(
    landing: Landing, name: str, run: TestRun, *, tree: str, commit: str, environment: str, what: str
) -> None:
    """Put the result of a run on record: what was tested, with what, and what came of it."""
    result: dict[str, Any] = {
        "what": what,
        "tree": tree,
        "commit": commit,
        "command": [word[:500] for word in run.command[:50]],
        "environment": environment,
        "passed": run.passed,
        "ended": run.ended,
        "exit_status": run.exit_status,
        "duration_ms": round(run.duration_s * 1000),
        "changed_paths": list(run.changed_paths[:20]),
        "log": run.log_path,
        "log_sha256": run.log_digest,
        "at": run.at,
    }

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=landing.id)
        builder.annotate("merge", landing.id, "test_tree", evidence={name: result})
        return builder.build()

    landing.mission.ledger.record(build)
