"""The story of a demo for people: plain text that fits 80 columns, as far as the paths do."""

from __future__ import annotations

import shlex
import textwrap

from kitty_flow.demo.story import Rejection, Story

__all__ = ["summary_text"]

_WIDTH = 80
_LOOP = [
    "kitty-flow init                  settings, and how to go on",
    "kitty-flow run MISSION           drives your agents, as it did here",
    "kitty-flow next --agent NAME     or: each agent asks for its own steps",
]


def summary_text(story: Story, program: str) -> str:
    """The waves with their times, what was sent back and why, the landing with its proof, and where to look."""
    count = sum(len(wave.work_packages) for wave in story.waves)
    head = f"{story.mission['title']}: {count} work packages in {len(story.waves)} waves, {story.seconds:.1f} s"
    sections = [
        [head, "=" * len(head)],
        _waves(story),
        _section("Sent back by review", [line for r in story.rejections for line in _rejection(r)]),
        _section("Ordered because of shared files", _conflicts(story)),
        _section("Landed and proved", _landed(story)),
        _section("Where to look", _places(story)),
        _section("Try", _commands(story, program)),
        _section("In a repository of yours", _LOOP),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _section(title: str, lines: list[str]) -> list[str]:
    return [title, *(f"  {line}" for line in lines)] if lines else []


def _waves(story: Story) -> list[str]:
    titles = max(len(step.title) for wave in story.waves for step in wave.work_packages)
    lanes = max(len(step.execution_lane) for wave in story.waves for step in wave.work_packages)
    lines = [f"WAVE        WP    {'TITLE':<{titles}}  {'LANE':<{lanes}}  TRIES    TIME"]
    for wave in story.waves:
        label = f"{wave.number} {wave.seconds:6.1f} s"
        for step in wave.work_packages:
            lines.append(
                f"{label:<10}  {step.id:<4}  {step.title:<{titles}}  {step.execution_lane:<{lanes}}  "
                f"{step.attempts:>5}  {step.seconds:>4.1f} s"
            )
            label = ""
    return lines


def _rejection(rejection: Rejection) -> list[str]:
    lines = [f"{rejection.work_package_id} {rejection.title}"]
    for found in rejection.findings:
        place = f"{found.get('path', '')}:{found.get('line', '')}".strip(":")
        lines += _indented(f"{place}  {found['message']}")
    approved = rejection.approved_commit
    ended = f"reworked by {rejection.implementer}, approved {approved[:10]}" if approved else "not approved since"
    return [*lines, *_indented(f"{rejection.reviewer} rejected {rejection.rejected_commit[:10]}; {ended}")]


def _indented(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH - 2, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _conflicts(story: Story) -> list[str]:
    return [f"{c['ordered']}: both may write {' and '.join(dict.fromkeys(c['patterns']))}" for c in story.conflicts]


def _landed(story: Story) -> list[str]:
    landed = story.landed
    target = landed.target_ref.removeprefix("refs/heads/")
    tests = "the tests" if landed.tests_run is None else f"{landed.tests_run} tests"
    total = len(landed.proved) + len(landed.unproved)
    lines = [
        f"commit  {landed.commit}  on {target}",
        f"tree    {landed.tree}  {tests} passed on it",
        f"proof   git finds the approved commits of {len(landed.proved)} of {total} work packages on {target}",
    ]
    return [*lines, *(f"missing {i}" for i in landed.unproved)]


def _places(story: Story) -> list[str]:
    place = story.place
    rows = {
        "pictures": f"{place.shown(place.picture('mission.html'))} (for a browser), dag.svg, dag.mmd",
        "ledger": f"{story.ledger['ref']}, {story.ledger['events']} events",
        "agents": f"{place.shown(place.agents)}: two scripts, {place.agents.name}/builder.py and critic.py",
        "logs": f"{place.shown(place.workspace / 'invocations')}: prompts, results, output",
    }
    return [f"{name:<8}  {words}" for name, words in rows.items()]


def _commands(story: Story, program: str) -> list[str]:
    lines = [f"cd {shlex.quote(story.place.shown(story.place.project))}"]
    if program != "kitty-flow":
        lines.append(f"alias kitty-flow={shlex.quote(program)}")
    return [*lines, *story.commands("kitty-flow")]
