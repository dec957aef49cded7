"""A project's own gate: a command that has to end with status 0 on the tree that would land."""

from __future__ import annotations

from typing import Final

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.machines import GateCommand
from kitty_flow.model.gate import GateResult
from kitty_flow.model.text import printable
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.landing import Landing
from kitty_flow.release.tested_tree import run_on_tree

__all__ = ["answer_of", "ask_command"]

_SHOWN: Final = 300


def ask_command(command: GateCommand, landing: Landing) -> GateResult:
    """Run the command where the tests run, on the candidate, or on the mission branch before there is one.

    Raises:
        ExternalToolError: the command cannot be found or started.
    """
    mission, name = landing.mission, command.name
    commit = landing.candidate_commit or landing.mission_head
    if not commit:
        return closed_gate(name, "GATE_ERROR", f"there is no tree yet on which {name} could run", outcome="error")
    spec = check_executable(AgentSpec(name, command.argv, command.timeout_s, 0.0), mission.project.root)
    log = mission.project.workspace_root / "merges" / f"{landing.id}.{name}.log"
    done, _ = run_on_tree(mission.project, commit, spec, log)
    return answer_of(command, done, commit, f"look at {log}; then kitty-flow merge {mission.slug}")


def answer_of(command: GateCommand, done: ProcessOutcome, commit: str, remediation: str) -> GateResult:
    """What the end of the command says: status 0 passes, another one is a no, and everything else says nothing."""
    shown = " ".join(command.argv)
    if done.reason == "exited" and done.exit_code == 0:
        return open_gate(command.name, f"{shown} passed in {done.duration_s:.1f} s")
    has_answered = done.reason == "exited" and (done.exit_code or 0) > 0
    how = f"ended with status {done.exit_code}" if done.reason == "exited" else f"did not end by itself: {done.reason}"
    last = printable(done.tail.strip()[-_SHOWN:]).strip()
    return closed_gate(
        command.name,
        "GATE_COMMAND_FAILED" if has_answered else "GATE_ERROR",
        f"{shown} {how}" + (f": {last}" if last else ""),
        outcome="fail" if has_answered else "error",
        subject=commit,
        invariant=command.description,
        remediation=remediation,
    )
