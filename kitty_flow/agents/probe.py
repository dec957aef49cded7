"""Asking a coding CLI for its version and its options, with no model, no credentials and a time limit.

Only a preset's own command is asked: what a stranger's program does with ``--version`` nobody knows.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.agents.process import ProcessSpec, run_process
from kitty_flow.errors import ExternalToolError
from kitty_flow.model.text import printable

if TYPE_CHECKING:
    from kitty_flow.agents.presets import Preset

__all__ = ["Finding", "Probed", "find_executable", "probe_all"]

_MAX_OUTPUT: Final = 256 * 1024
_VERSION: Final = re.compile(r"\b\d+\.\d+(?:\.\d+)*(?:[-+][\w.]+)?\b")
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_QUIET: Final = {"NO_COLOR": "1", "CI": "1", "TERM": "dumb", "COLUMNS": "200"}


class Finding(NamedTuple):
    """Something wrong with an agent, and the next thing to type or do."""

    code: str
    message: str
    hint: str


class Probed(NamedTuple):
    """What was found out: where the program is, its version, what makes it unusable, and what is merely odd."""

    executable: str | None
    version: str | None
    problems: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()


def find_executable(spec: AgentSpec, cwd: Path) -> str | None:
    """The absolute path of the agent's program; None when there is none."""
    try:
        return check_executable(spec, cwd).argv[0]
    except ExternalToolError:
        return None


def probe_all(agents: Sequence[tuple[AgentSpec, Preset | None]], cwd: Path, *, timeout_s: float) -> list[Probed]:
    """Probe agents at the same time, each with its preset where the command is the preset's own.

    `cwd` is where a relative program is looked for; the probes themselves run in an empty folder. `timeout_s` is for
    each question.
    """

    async def probe_them(folder: Path) -> list[Probed]:
        asked = (_probe(spec, known, cwd, folder / str(n), timeout_s) for n, (spec, known) in enumerate(agents))
        return await asyncio.gather(*asked)

    with TemporaryDirectory(prefix="kitty-flow-probe-", ignore_cleanup_errors=True) as name:
        return asyncio.run(probe_them(Path(name)))


async def _probe(spec: AgentSpec, known: Preset | None, cwd: Path, folder: Path, timeout_s: float) -> Probed:
    try:
        spec = check_executable(spec, cwd)
    except ExternalToolError as error:
        hint = known.install if known is not None else str(error.hint)
        return Probed(None, None, (Finding(error.code, error.message, hint),))
    program = spec.argv[0]
    if known is None:
        return Probed(program, None)
    (folder / "empty").mkdir(parents=True)
    told = await _ask(spec, known.version, folder, timeout_s)
    if isinstance(told, Finding):
        return Probed(program, None, (told,))
    found = _VERSION.search(told)
    version = found.group() if found else None
    text = await _ask(spec, known.help, folder, timeout_s)
    if isinstance(text, Finding):
        return Probed(program, version, (text,))
    return Probed(program, version, *_missing_options(spec, known, version, text))


async def _ask(spec: AgentSpec, words: Sequence[str], folder: Path, timeout_s: float) -> str | Finding:
    """What the program prints when it is called with `words`, on both streams, without colours."""
    argv = (spec.argv[0], *words)
    log = folder / "-".join(["log", *(word.strip("-") for word in words)])
    environment = {**os.environ, **spec.env, **_QUIET}
    process = replace(ProcessSpec(argv, folder / "empty", environment, log, timeout_s), grace_s=1.0)
    outcome = await run_process(process)
    typed = " ".join((Path(spec.argv[0]).name, *words))
    if outcome.reason == "exited" and outcome.exit_code == 0:
        with log.open("rb") as stream:
            return _ESCAPES.sub("", stream.read(_MAX_OUTPUT).decode("utf-8", errors="replace"))
    ended = {
        "timeout": f"did not end within {timeout_s:g} s",
        "not_found": "could not be started",
        "killed": "was killed by a signal",
    }.get(outcome.reason, f"ended with status {outcome.exit_code}")
    last = (_ESCAPES.sub("", outcome.tail).strip().splitlines() or [""])[-1]
    said = f"; its last line: {printable(last)[:200]}" if last else ""
    return Finding("AGENT_PROBE_FAILED", f"{typed} {ended}{said}", f"{typed}: type it yourself and mend what it says")


def _missing_options(
    spec: AgentSpec, known: Preset, version: str | None, text: str
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Options of the preset that this version does not have; and those of the settings that its help does not name."""
    name = Path(spec.argv[0]).name
    own = known.options()
    added = (word.partition("=")[0] for word in spec.argv[len(known.command or ()) :] if word.startswith("-"))
    absent = [option for option in own if not _names(text, option)]
    odd = [option for option in dict.fromkeys(added) if len(option) > 1 and not _names(text, option)]
    which = f"{name} {version or ''}".strip()
    checked = f"; the preset was checked with {known.checked}" if known.checked else ""
    problems = tuple(
        Finding("AGENT_OPTION_UNKNOWN", f"{which} has no option {option}{checked}", known.install) for option in absent
    )
    command = " ".join((name, *known.help))
    remarks = tuple(
        Finding("AGENT_OPTION_UNKNOWN", f"the help of {which} names no option {option}, which args has", command)
        for option in odd
    )
    return problems, remarks


def _names(text: str, option: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None
