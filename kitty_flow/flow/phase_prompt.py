"""What the agent of a phase is told: the task, the answers it may build on, what is checked, how to report."""

from __future__ import annotations

import shlex

from kitty_flow.agents.markdown import code, fenced, line
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.phase_gates import PhaseFacts
from kitty_flow.flow.phases import Phase, template_of

__all__ = ["phase_prompt"]


def phase_prompt(mission: OpenMission, phase: Phase, facts: PhaseFacts, agent: str, result_path: str) -> str:
    """The text of the prompt file, in Markdown."""
    node, root = phase.node, mission.project.root
    parts = [
        f"# {node.name}: {line(mission.definition.title)}\n",
        f"You do the phase {code(node.name)} of the mission {code(mission.slug)}. {node.description}\n",
        f"Work in the main checkout, {code(str(root))}. The files of the mission are in {code(str(facts.folder))}.\n",
    ]
    if node.artifact:
        parts.append(f"Write {code(str(facts.folder / node.artifact))}.\n")
    if any(answer.result.gate == "work_packages_present" for answer in phase.gates):
        source = code(str(root / mission.definition.source.path))
        parts.append(f"Write the work packages into the source of the mission, {source}.\n")
    parts += [f"## Given: {name}\n\n{fenced(text)}" for name, text in _answers(mission, facts).items()]
    if phase.gates:
        checks = "\n".join(f"- {answer.result.gate}: now {line(answer.result.message)}" for answer in phase.gates)
        parts.append(f"## Checked when you report success\n\n{checks}\n")
    command = code(f"kitty-flow next --agent {shlex.quote(agent)} -m {mission.slug} --result success")
    example = code('{"outcome": "success", "summary": "..."}')
    parts.append(
        f"## Report\n\nType {command}, or with `failed` or `blocked` in place of `success`. "
        f"To say more, write {example} to {code(result_path)} and give that path in place of the word.\n"
    )
    return "\n".join(parts)


def _answers(mission: OpenMission, facts: PhaseFacts) -> dict[str, str]:
    template = template_of(mission)
    names = [name for node in template.nodes for name in node.requires_inputs] if template else []
    found = {name: facts.records.answer(name) for name in names}
    return {name: text for name, text in found.items() if text is not None}
