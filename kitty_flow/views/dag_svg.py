"""The DAG as a self-contained SVG picture, fit for a README: no scripts, no web fonts, no external files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan
from kitty_flow.model.text import clean
from kitty_flow.views.dag_layout import Box, Layout, Point, lay_out
from kitty_flow.views.dag_picture import Arrow, Arrows, arrows, columns_of, state_class, state_style, wrap
from kitty_flow.views.dag_spacing import Metrics
from kitty_flow.views.dag_style import style_sheet

__all__ = ["summary", "svg"]

_BOX_WIDTH: Final = 216.0
_MARGIN: Final = 28.0
_HEADER: Final = 122.0
_LEGEND: Final = 56.0
_TITLE_COLUMNS: Final = 29
_TITLE_LINES: Final = 3
_LEAST_WIDTH: Final = 760.0
_TIPS: Final = """\
  <defs>
    <marker id="kf-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" \
markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0.8 L10 5 L0 9.2 L2.4 5 Z"/></marker>
    <marker id="kf-tip-critical" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="12" markerHeight="12" \
markerUnits="userSpaceOnUse" orient="auto"><path class="tip critical" d="M0 0.8 L10 5 L0 9.2 L2.4 5 Z"/></marker>
  </defs>"""


@dataclass(frozen=True)
class _Card:
    """What is written on one box."""

    id: str
    lines: tuple[str, ...]
    tooltip: str
    execution_lane: str
    state: str | None
    critical: bool


def svg(
    definition: MissionDefinition,
    plan: Plan,
    states: Mapping[str, str] | None = None,
    *,
    style: str | None = None,
) -> str:
    """The mission as an SVG document: waves as columns, dashed arrows for conflict order, the critical path emphasised.

    Args:
        definition: the mission; titles are escaped.
        plan: its plan.
        states: the state of each work package, or None for a mission that is only planned.
        style: another style sheet than the usual one; an empty one is left out.

    Raises:
        ExternalToolError: LAYOUT_MISSING.
    """
    cards = _cards(definition, plan, states)
    rows = max((len(card.lines) for card in cards.values()), default=1)
    box_height = 44.0 + 17 * rows + (24 if states is not None else 4)
    picture = arrows(plan)
    layout = lay_out(plan.waves, [(a.source, a.target) for a in picture.drawn], Metrics(_BOX_WIDTH, box_height))
    width = max(_LEAST_WIDTH, layout.width + 2 * _MARGIN)
    # What is seen as a whole needs larger words in the margins.
    scale = min(3.0, max(1.0, width / 2400))
    header = _HEADER * scale
    height = header + layout.height + _MARGIN + _LEGEND * scale
    left = (width - layout.width) / 2
    title = clean(definition.title) or definition.slug
    sheet = style_sheet() if style is None else style
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kf" role="img" viewBox="0 0 {_n(width)} {_n(height)}" '
        f'width="{_n(width)}" height="{_n(height)}" aria-labelledby="kf-title kf-desc">',
        f'  <title id="kf-title">{_text(title)}</title>',
        f'  <desc id="kf-desc">{_text(_description(plan, states))}</desc>',
        *([f"  <style>\n{sheet}  </style>"] if sheet else []),
        _TIPS,
        f'  <rect class="paper" x=".5" y=".5" width="{_n(width - 1)}" height="{_n(height - 1)}" rx="12"/>',
        *_scaled(_header(title, summary(plan)), 0, scale, "title"),
        f'  <g transform="translate({_n(left)} {_n(header)})">',
        *_columns(plan, layout, scale),
        *_arrows(picture, layout),
        *(line for name, card in cards.items() for line in _card(card, layout.boxes[name], box_height)),
        "  </g>",
        *_scaled(_legend(picture, cards.values(), _LEGEND - 26), height - _LEGEND * scale, scale, "legend"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _scaled(lines: list[str], y: float, scale: float, name: str) -> list[str]:
    zoom = f" scale({_n(scale)})" if scale != 1 else ""
    return [f'  <g class="{name}" transform="translate(0 {_n(y)}){zoom}">', *lines, "  </g>"]


def _cards(definition: MissionDefinition, plan: Plan, states: Mapping[str, str] | None) -> dict[str, _Card]:
    critical = set(plan.critical_path)
    titles = {work_package.id: work_package.title for work_package in definition.work_packages}
    cards = {}
    for name in plan.merge_order:
        lane = plan.placements[name].execution_lane
        state = states.get(name) if states is not None else None
        facts = [f"{name} {clean(titles[name])}", f"wave {plan.placements[name].wave}, {lane}"]
        facts.append(f"slack {plan.placements[name].slack}" if name not in critical else "on the critical path")
        if state is not None:
            facts.append(state_style(state).label)
        lines = tuple(wrap(titles[name], _TITLE_COLUMNS, _TITLE_LINES))
        cards[name] = _Card(name, lines, ", ".join(facts), lane, state, name in critical)
    return cards


def summary(plan: Plan) -> str:
    """The size of the plan in one line."""
    lanes = len(plan.execution_lanes)
    return " · ".join(
        [
            _count(len(plan.merge_order), "work package"),
            _count(len(plan.waves), "wave"),
            _count(lanes, "execution lane"),
            f"critical path of {len(plan.critical_path)}",
            f"makespan of {plan.makespan.estimate:g} {plan.makespan.unit} with {_count(plan.makespan.agents, 'agent')}",
        ]
    )


def _description(plan: Plan, states: Mapping[str, str] | None) -> str:
    """The picture in words, for those who cannot see it."""
    waves = "; ".join(f"wave {number}: {', '.join(wave)}" for number, wave in enumerate(plan.waves, 1))
    words = [summary(plan), waves, f"Critical path: {', '.join(plan.critical_path)}"]
    words += [f"{conflict.ordered} because both may write the same files" for conflict in plan.conflicts]
    if states is not None:
        words.append(
            "States: " + ", ".join(f"{w} {state_style(states[w]).label}" for w in plan.merge_order if w in states)
        )
    return ". ".join(word for word in words if word) + "."


def _header(title: str, summary: str) -> list[str]:
    return [
        f'  <text class="heading" x="{_n(_MARGIN)}" y="40">{_text(wrap(title, 90, 1)[0] if title else "")}</text>',
        f'  <text class="quiet" x="{_n(_MARGIN)}" y="61">{_text(summary)}</text>',
    ]


def _columns(plan: Plan, layout: Layout, scale: float) -> list[str]:
    lines = []
    for number, (left, wave) in enumerate(zip(layout.columns, plan.waves, strict=True), 1):
        count = _count(len(wave), "work package") if scale < 1.3 else str(len(wave))
        height = layout.height + 14 + 40 * scale
        lines += [
            f'    <g class="head" data-wave="{number}">',
            f'      <rect class="column" x="{_n(left - 12)}" y="{_n(-40 * scale)}" width="{_n(_BOX_WIDTH + 24)}" '
            f'height="{_n(height)}" rx="10"/>',
            *_scaled_words(f'<text class="wave">WAVE {number}</text>', left + 2, -17 * scale, scale),
            *_scaled_words(f'<text class="count">{count}</text>', left + _BOX_WIDTH - 2, -17 * scale, scale),
            "    </g>",
        ]
    return lines


def _scaled_words(words: str, x: float, y: float, scale: float) -> list[str]:
    zoom = f" scale({_n(min(2.2, scale))})" if scale != 1 else ""
    return [f'      <g transform="translate({_n(x)} {_n(y)}){zoom}">{words}</g>']


def _arrows(picture: Arrows, layout: Layout) -> list[str]:
    drawn = sorted(zip(picture.drawn, layout.routes, strict=True), key=lambda pair: pair[0].critical)
    return [_arrow(arrow, route.points) for arrow, route in drawn]


def _arrow(arrow: Arrow, points: tuple[Point, ...]) -> str:
    path = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for index in range(0, len(points), 2):
        (x, y), (end_x, end_y) = points[index], points[index + 1]
        if index:
            path.append(f"H{_n(x)}")
        bend = (end_x - x) * 0.5
        path.append(f"C{_n(x + bend)} {_n(y)} {_n(end_x - bend)} {_n(end_y)} {_n(end_x)} {_n(end_y)}")
    kinds = "arrow" + (" conflict" if arrow.kind == "conflict" else "") + (" critical" if arrow.critical else "")
    tip = "kf-tip-critical" if arrow.critical else "kf-tip"
    return (
        f'    <path class="{kinds}" data-from="{_text(arrow.source)}" data-to="{_text(arrow.target)}" '
        f'marker-end="url(#{tip})" d="{"".join(path)}">'
        f"<title>{_text(arrow.tooltip)}</title></path>"
    )


def _card(card: _Card, box: Box, height: float) -> list[str]:
    frame = f'width="{_n(_BOX_WIDTH)}" height="{_n(height)}" rx="9"'
    badge = 14 + 6.2 * columns_of(card.execution_lane)
    left = _BOX_WIDTH - 12 - badge
    shown = (wrap(card.id, max(4, int((left - 24) / 8)), 1) or [""])[0]
    lines = [
        f'    <g class="card s-{state_class(card.state)}" data-wp="{_text(card.id)}" '
        f'transform="translate({_n(box.x)} {_n(box.y)})"><title>{_text(card.tooltip)}</title>',
        f'      <rect class="face" {frame}/>',
        f'      <path class="bar" d="M9 0H6V{_n(height)}H9A9 9 0 0 1 0 {_n(height - 9)}V9A9 9 0 0 1 9 0Z"/>',
        f'      <rect class="{"frame critical" if card.critical else "frame"}" {frame}/>',
        f'      <text class="id" x="18" y="24">{_text(shown)}</text>',
        f'      <rect class="pill" x="{_n(left)}" y="10" width="{_n(badge)}" height="19" rx="9.5"/>',
        f'      <text class="badge" x="{_n(left + badge / 2)}" y="23.4">{_text(card.execution_lane)}</text>',
    ]
    for row, words in enumerate(card.lines):
        lines.append(f'      <text class="words" x="18" y="{47 + 17 * row}">{_text(words)}</text>')
    if card.state is not None:
        style = state_style(card.state)
        place = f"translate(23.5 {_n(height - 17)})"
        lines.append(f'      <path class="symbol" transform="{place}" d="{style.symbol}"/>')
        lines.append(f'      <text class="state" x="35" y="{_n(height - 13)}">{_text(style.label)}</text>')
    lines.append("    </g>")
    return lines


def _legend(picture: Arrows, cards: Iterable[_Card], y: float) -> list[str]:
    entries = [("arrow", "depends on")]
    if any(arrow.kind == "conflict" for arrow in picture.drawn):
        entries.append(("arrow conflict", "ordered, because both may write the same files"))
    if any(card.critical for card in cards):
        entries.append(("arrow critical", "critical path"))
    lines, x = [], _MARGIN
    for kinds, words in entries:
        tip = "kf-tip-critical" if "critical" in kinds else "kf-tip"
        lines.append(f'  <path class="{kinds}" marker-end="url(#{tip})" d="M{_n(x)} {_n(y - 4)}H{_n(x + 34)}"/>')
        lines.append(f'  <text class="quiet" x="{_n(x + 42)}" y="{_n(y)}">{_text(words)}</text>')
        x += 42 + 6.4 * columns_of(words) + 18
    if picture.remark:
        lines.append(f'  <text class="quiet" x="{_n(x)}" y="{_n(y)}">{_text(picture.remark)}</text>')
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _text(words: str) -> str:
    return escape(clean(words), quote=True)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
