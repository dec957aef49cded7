"""The phases of a mission as text: where each stands, and what closes the way out of the one that is at hand."""

from __future__ import annotations

from kitty_flow.flow.phases import Phase
from kitty_flow.model.text import printable

__all__ = ["phases_text"]


def phases_text(phases: tuple[Phase, ...]) -> str:
    """One line a phase, with the closed gates and missing inputs below it; the empty string for no phases."""
    width = max((len(phase.node.name) for phase in phases), default=0)
    lines = [line for phase in phases for line in _lines(phase, width)]
    return "\n\nphases\n" + "\n".join(map(printable, lines)) if lines else ""


def _lines(phase: Phase, width: int) -> list[str]:
    by = f"  by {phase.by}" if phase.by else ""
    lines = [f"  {phase.node.name:<{width}}  {phase.state}{by}"]
    indent = " " * (width + 4)
    if phase.state == "ready":
        lines += [f"{indent}needs an answer: {name}" for name in phase.missing]
    if phase.state in ("active", "ready") or (phase.state == "finished" and phase.closed):
        lines += [
            f"{indent}{answer.result.gate}: {answer.result.message}; {answer.result.remediation}"
            for answer in phase.gates
            if answer.result.outcome != "pass"
        ]
    return lines
