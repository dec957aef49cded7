"""`kitty-flow why`: the causal answer to "why is it not ready, not done?"."""

from __future__ import annotations

from kitty_flow.cli.context_options import MissionOption, WorkPackageArgument
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe

__all__ = ["why"]


@command(examples=["kitty-flow why WP03", "kitty-flow why WP03 --mission checkout"])
def why(work_package: WorkPackageArgument, mission: MissionOption = None) -> Result:
    """Explain why a work package is not ready or not done, and which command helps."""
    from kitty_flow.flow.explain import explain
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project

    with open_mission(Project.discover(), mission) as opened:
        found = explain(opened, work_package)
        lines = [found.summary, *(f"- {r.message}" for r in found.reasons if r.message not in found.summary)]
        if len(found.chain) > 1:
            lines.append(f"chain: {' <- '.join(found.chain)}")
        for gate in found.gates:
            if gate.reason is not None:
                lines.append(f"gate: {gate.other} ({gate.edge}) {gate.gate}: closed: {gate.reason.code}")
        lines.append(f"next: {found.next_command}")
        return Result(found.as_data(), "\n".join(safe(line) for line in lines))
