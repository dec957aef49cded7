"""The DAG in the DOT language, for Graphviz."""

from __future__ import annotations

from collections.abc import Mapping

from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan
from kitty_flow.model.text import clean
from kitty_flow.views.dag_picture import CRITICAL_COLOUR, Arrow, arrows, state_style, wrap

__all__ = ["dot"]

_HEADER = """\
    rankdir=LR;
    labelloc=t;
    fontname="Helvetica,Arial,sans-serif";
    fontsize=18;
    nodesep=0.25;
    ranksep=0.7;
    node [shape=box, style="rounded,filled", fillcolor="#FFFFFF", color="#94A3B8", fontcolor="#1F2937", \
fontname="Helvetica,Arial,sans-serif", fontsize=11, margin="0.16,0.1"];
    edge [color="#64748B", fontcolor="#475569", fontname="Helvetica,Arial,sans-serif", fontsize=9, arrowsize=0.7];"""


def dot(definition: MissionDefinition, plan: Plan, states: Mapping[str, str] | None = None) -> str:
    """The mission as a ``digraph``: one rank a wave, dashed arrows for conflict order, the critical path thick.

    Args:
        definition: the mission; titles are escaped.
        plan: its plan.
        states: the state of each work package, or None for a mission that is only planned.
    """
    picture = arrows(plan)
    title = clean(definition.title) or definition.slug
    caption = f"{title}\n({picture.remark})" if picture.remark else title
    lines = [f"digraph {_quote(definition.slug)} {{", f"    label={_quote(caption)};", _HEADER]
    waves = range(1, len(plan.waves) + 1)
    lines += [f'    "wave {n}" [label="Wave {n}", shape=plaintext, style="", fontcolor="#64748B"];' for n in waves]
    if len(plan.waves) > 1:
        chain = " -> ".join(f'"wave {n}"' for n in waves)
        lines.append(f"    {chain} [style=invis];")
    titles = {work_package.id: work_package.title for work_package in definition.work_packages}
    for number, wave in enumerate(plan.waves, 1):
        lines += [f"    {_node(w, titles[w], plan, states.get(w) if states is not None else None)}" for w in wave]
        members = "; ".join(_quote(f"wp {work_package}") for work_package in wave)
        lines.append(f'    {{ rank=same; "wave {number}"; {members}; }}')
    lines += [f"    {_edge(arrow)}" for arrow in picture.drawn]
    return "\n".join([*lines, "}"]) + "\n"


def _node(work_package: str, title: str, plan: Plan, state: str | None) -> str:
    lane = plan.placements[work_package].execution_lane
    attributes = {"tooltip": f"{work_package} {clean(title)}"}
    words = [f"{work_package}  [{lane}]", *wrap(title, 26, 3)]
    if state is not None:
        style = state_style(state)
        words.append(style.label)
        attributes |= {"fillcolor": style.fill, "color": style.tone}
    if work_package in plan.critical_path:
        attributes["penwidth"] = "2.5"
        if state is None:
            attributes["color"] = CRITICAL_COLOUR
    attributes["label"] = "\n".join(words)
    return f"{_quote(f'wp {work_package}')} [{_attributes(attributes)}];"


def _edge(arrow: Arrow) -> str:
    attributes = {"tooltip": arrow.tooltip}
    if arrow.kind == "conflict":
        attributes |= {"style": "dashed", "label": "\n".join(wrap(arrow.reason, 28, 2))}
    if arrow.critical:
        attributes |= {"penwidth": "2.5", "color": CRITICAL_COLOUR}
    return f"{_quote(f'wp {arrow.source}')} -> {_quote(f'wp {arrow.target}')} [{_attributes(attributes)}];"


def _attributes(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={_quote(value)}" for name, value in values.items())


def _quote(text: str) -> str:
    """A quoted string of DOT. Backslashes would start an escape and ampersands an entity, so both are escaped."""
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
