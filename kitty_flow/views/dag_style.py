"""The style sheet of the SVG picture: light, and dark where the reader prefers that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kitty_flow.views.dag_picture import CRITICAL_COLOUR, CRITICAL_COLOUR_DARK, STATE_STYLES, StateStyle, state_style

__all__ = ["FONTS", "style_sheet"]

FONTS: Final = "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_SHAPES: Final = """\
.kf text { font-family: %s }
.kf .heading { font-size: 20px; font-weight: 700 }
.kf .quiet { font-size: 12.5px }
.kf .wave { font-size: 12px; font-weight: 700; letter-spacing: .6px }
.kf .count { font-size: 12px; text-anchor: end }
.kf .id { font-size: 13px; font-weight: 700 }
.kf .words { font-size: 13px }
.kf .badge { font-size: 11px; text-anchor: middle }
.kf .state { font-size: 11.5px; font-weight: 700 }
.kf .symbol { fill-rule: evenodd }
.kf .frame { fill: none; stroke-width: 1.2 }
.kf .frame.critical { stroke-width: 2.6 }
.kf .arrow { fill: none; stroke-width: 1.6 }
.kf .arrow.conflict { stroke-dasharray: 6 4 }
.kf .arrow.critical { stroke-width: 2.6 }
"""

_LIGHT: Final = {
    "text": "#1F2937",
    "quiet": "#5B6675",
    "wave": "#475569",
    "paper": "#FFFFFF",
    "rim": "#E2E8F0",
    "column": "#F4F6F9",
    "pill": "#FFFFFF",
    "line": "#CBD5E1",
    "arrow": "#7C8798",
    "critical": CRITICAL_COLOUR,
}
_DARK: Final = {
    "text": "#E6EAF0",
    "quiet": "#A3AEBD",
    "wave": "#B8C2D0",
    "paper": "#0F141B",
    "rim": "#2A3340",
    "column": "#151C25",
    "pill": "#0F141B",
    "line": "#3A4656",
    "arrow": "#8592A5",
    "critical": CRITICAL_COLOUR_DARK,
}


def style_sheet(*, fonts: str = FONTS, dark: bool = True) -> str:
    """The rules for everything of class ``kf``; `dark` adds those for readers who prefer a dark ground."""
    rules = [*(_SHAPES % fonts).splitlines(), *_colours(_LIGHT, dark=False)]
    if dark:
        rules += ["@media (prefers-color-scheme: dark) {", *(f"  {rule}" for rule in _colours(_DARK, dark=True)), "}"]
    return "\n".join(rules) + "\n"


def _colours(colour: Mapping[str, str], *, dark: bool) -> Iterator[str]:
    yield f".kf text {{ fill: {colour['text']} }}"
    yield f".kf .quiet, .kf .count {{ fill: {colour['quiet']} }}"
    yield f".kf .wave {{ fill: {colour['wave']} }}"
    yield f".kf .paper {{ fill: {colour['paper']}; stroke: {colour['rim']} }}"
    yield f".kf .column {{ fill: {colour['column']} }}"
    yield f".kf .pill {{ fill: {colour['pill']}; stroke: {colour['line']} }}"
    yield f".kf .arrow {{ stroke: {colour['arrow']} }}"
    yield f".kf .tip {{ fill: {colour['arrow']} }}"
    yield f".kf .arrow.critical {{ stroke: {colour['critical']} }}"
    yield f".kf .tip.critical {{ fill: {colour['critical']} }}"
    for name, style in {"none": state_style("planned"), "other": state_style("other"), **STATE_STYLES}.items():
        yield from _state_colours(name, style, dark=dark)
    yield f".kf .frame {{ stroke: {colour['line']} }}"
    yield f".kf .frame.critical {{ stroke: {colour['critical']} }}"


def _state_colours(name: str, style: StateStyle, *, dark: bool) -> Iterator[str]:
    tone, fill = (style.dark_tone, style.dark_fill) if dark else (style.tone, style.fill)
    yield f".kf .s-{name} .face {{ fill: {fill} }}"
    yield f".kf .s-{name} .bar, .kf .s-{name} .symbol {{ fill: {tone} }}"
