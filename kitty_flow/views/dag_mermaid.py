"""The DAG as a Mermaid flowchart, for Markdown pages that render it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan
from kitty_flow.model.text import clean
from kitty_flow.views.dag_picture import CRITICAL_COLOUR, STATE_STYLES, Arrow, arrows, state_style

__all__ = ["mermaid"]

_TITLE_LIMIT = 80
_REASON_LIMIT = 40
_SUSPICIOUS = re.compile(r"(?<![A-Za-z0-9])[-_]|[-_](?![A-Za-z0-9])|[^\w ,\x80-\U0010ffff-]", re.ASCII)


def mermaid(definition: MissionDefinition, plan: Plan, states: Mapping[str, str] | None = None) -> str:
    """The mission as ``flowchart LR``: one subgraph a wave, dashed arrows for conflict order, the critical path thick.

    Args:
        definition: the mission; titles are escaped.
        plan: its plan.
        states: the state of each work package, or None for a mission that is only planned.
    """
    picture = arrows(plan)
    names = {work_package: f"wp{number}" for number, work_package in enumerate(plan.merge_order, 1)}
    lines = [
        "---",
        f"title: {json.dumps(clean(definition.title) or definition.slug, ensure_ascii=False)}",
        "---",
        "flowchart LR",
    ]
    if picture.remark:
        lines.append(f"    %% {picture.remark}")
    titles = {work_package.id: work_package.title for work_package in definition.work_packages}
    for number, wave in enumerate(plan.waves, 1):
        lines.append(f'    subgraph wave{number}["Wave {number}"]')
        for work_package in wave:
            state = states.get(work_package) if states is not None else None
            label = _label(work_package, titles[work_package], plan.placements[work_package].execution_lane, state)
            lines.append(f'        {names[work_package]}["{label}"]')
        lines.append("    end")
    lines += [f"    {_arrow(arrow, names)}" for arrow in picture.drawn]
    lines += [f"    {line}" for line in _styles(plan, picture.drawn, names, states)]
    return "\n".join(lines) + "\n"


def _label(work_package: str, title: str, execution_lane: str, state: str | None) -> str:
    shown = clean(title)
    shown = shown if len(shown) <= _TITLE_LIMIT else shown[: _TITLE_LIMIT - 2].rstrip() + " …"
    parts = [f"<b>{_escape(work_package)}</b>", _escape(shown), f"<i>{_escape(execution_lane)}</i>"]
    if state is not None:
        parts[-1] += f" · {_escape(state_style(state).label)}"
    return "<br/>".join(part for part in parts if part)


def _arrow(arrow: Arrow, names: Mapping[str, str]) -> str:
    source, target = names[arrow.source], names[arrow.target]
    if arrow.kind == "declared":
        return f"{source} {'==>' if arrow.critical else '-->'} {target}"
    shown = arrow.reason if len(arrow.reason) <= _REASON_LIMIT else arrow.reason[: _REASON_LIMIT - 2].rstrip() + " …"
    return f'{source} -.->|"{_escape(shown)}"| {target}'


def _styles(
    plan: Plan, drawn: tuple[Arrow, ...], names: Mapping[str, str], states: Mapping[str, str] | None
) -> list[str]:
    lines = []
    for state, style in STATE_STYLES.items():
        members = [names[w] for w in plan.merge_order if states is not None and states.get(w) == state]
        if members:
            lines.append(f"classDef {state} fill:{style.fill},stroke:{style.tone},color:#1F2937")
            lines.append(f"class {','.join(members)} {state}")
    if plan.critical_path:
        lines.append(
            "classDef critical stroke-width:3px" + ("" if states is not None else f",stroke:{CRITICAL_COLOUR}")
        )
        lines.append(f"class {','.join(names[w] for w in plan.critical_path)} critical")
    numbers = [str(number) for number, arrow in enumerate(drawn) if arrow.critical]
    if numbers:
        lines.append(f"linkStyle {','.join(numbers)} stroke:{CRITICAL_COLOUR},stroke-width:3px")
    return lines


def _escape(text: str) -> str:
    """Text as a Mermaid label: what is not plainly harmless becomes a numeric entity.

    Beside quotes and brackets this disarms what Mermaid reads inside labels: Markdown and links. A hyphen or underscore
    is harmless only between letters or digits. Formulas (``$$``) and icons (``fa:fa-ban``) are found after entities are
    resolved, so a word joiner keeps their signs apart.
    """
    text = text.replace("$$", "$\u2060$").replace("$$", "$\u2060$").replace(":fa-", ":\u2060fa-")
    return _SUSPICIOUS.sub(lambda match: f"#{ord(match.group())};", text)
