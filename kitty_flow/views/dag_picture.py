"""What every picture of the DAG shows: which arrows, which colours, which words. No output format lives here."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kitty_flow.graph.reachability import Reachability
from kitty_flow.model.plan import Plan
from kitty_flow.model.text import clean

__all__ = [
    "CRITICAL_COLOUR",
    "CRITICAL_COLOUR_DARK",
    "STATE_STYLES",
    "Arrow",
    "Arrows",
    "StateStyle",
    "arrows",
    "columns_of",
    "state_class",
    "state_style",
    "wrap",
]

CRITICAL_COLOUR: Final = "#BE185D"
CRITICAL_COLOUR_DARK: Final = "#F472B6"


@dataclass(frozen=True)
class StateStyle:
    """How a work package in one state looks. Colour never stands alone: the label says it, and the symbol differs.

    `symbol` is an SVG path around 0,0 within a radius of 6, filled by the even-odd rule. The tones follow Okabe and
    Ito; `dark_tone` and `dark_fill` are for a dark ground.
    """

    label: str
    tone: str
    fill: str
    dark_tone: str
    dark_fill: str
    symbol: str


def _disc(radius: float) -> str:
    return f"M-{radius:g} 0A{radius:g} {radius:g} 0 1 1 {radius:g} 0A{radius:g} {radius:g} 0 1 1 -{radius:g} 0Z"


_TICK: Final = "M-3.4 .2L-2 -1.2L-.8 0L2.2 -3L3.6 -1.6L-.8 2.8Z"
_RING: Final = _disc(5) + _disc(3.4)

STATE_STYLES: Final[Mapping[str, StateStyle]] = {
    "planned": StateStyle("planned", "#6B7482", "#F6F7F9", "#9AA5B5", "#1E2530", _RING),
    "claimed": StateStyle("claimed", "#2A93D1", "#EAF6FD", "#7CC7F2", "#12303F", _RING + _disc(1.6)),
    "in_progress": StateStyle("in progress", "#0072B2", "#E3F0F8", "#4FA9E2", "#0E2B40", "M-3.6 -5L5 0L-3.6 5Z"),
    "for_review": StateStyle(
        "for review", "#B97D00", "#FDF3DC", "#F0B840", "#372B0E", "M0 -5.6L5.6 0L0 5.6L-5.6 0ZM0 -3L-3 0L0 3L3 0Z"
    ),
    "in_review": StateStyle("in review", "#8A63B0", "#F2ECF8", "#BE9BE0", "#2B2138", "M0 -5.6L5.6 0L0 5.6L-5.6 0Z"),
    "approved": StateStyle(
        "approved", "#009E73", "#E2F5EF", "#3CCB9F", "#0D3127", "M-5.4 .4L-3.6 -1.4L-1.4 .8L3.6 -4.4L5.4 -2.6L-1.4 4.4Z"
    ),
    "done": StateStyle("done", "#00694D", "#CFEBE1", "#8FE3C8", "#114536", _disc(5.6) + _TICK),
    "blocked": StateStyle(
        "blocked", "#D55E00", "#FBE8DB", "#FF9A57", "#40220F", _disc(5.6) + "M-3.6 -1.1H3.6V1.1H-3.6Z"
    ),
    "canceled": StateStyle(
        "canceled",
        "#4A4A4A",
        "#E6E6E6",
        "#B0B0B0",
        "#2C2C2C",
        "M-4.6 -3.2L-3.2 -4.6L0 -1.4L3.2 -4.6L4.6 -3.2L1.4 0L4.6 3.2L3.2 4.6L0 1.4L-3.2 4.6L-4.6 3.2L-1.4 0Z",
    ),
}


def state_style(state: str) -> StateStyle:
    """The style of a state; an unknown one is drawn neutrally under its own name."""
    neutral = StateStyle(clean(state).replace("_", " "), "#6B7482", "#FFFFFF", "#9AA5B5", "#171D26", _disc(2.5))
    return STATE_STYLES.get(state) or neutral


def state_class(state: str | None) -> str:
    """The CSS class of a state: its name where it is a known one, so that no text of others becomes a class."""
    return "none" if state is None else state if state in STATE_STYLES else "other"


@dataclass(frozen=True)
class Arrow:
    """One drawn edge. `reason` is empty for a declared dependency and names the shared files otherwise."""

    source: str
    target: str
    kind: Literal["declared", "conflict"]
    critical: bool
    reason: str

    @property
    def tooltip(self) -> str:
        """The arrow in words."""
        if self.kind == "declared":
            return f"{self.target} depends on {self.source}"
        return f"{self.source} before {self.target}: both may write {self.reason}"


@dataclass(frozen=True)
class Arrows:
    """The arrows of a picture and how many declared ones were left out because others imply them."""

    drawn: tuple[Arrow, ...]
    implied: int

    @property
    def remark(self) -> str:
        """What the reader must know about arrows that are not there; empty when all are."""
        if not self.implied:
            return ""
        return f"{self.implied} implied {'arrow is' if self.implied == 1 else 'arrows are'} not drawn"


def arrows(plan: Plan) -> Arrows:
    """The arrows to draw: the edges of the plan without those that follow from the others."""
    position = {work_package: index for index, work_package in enumerate(plan.merge_order)}
    pairs = [*plan.edges, *((c.before, c.after) for c in plan.conflicts)]
    edges = sorted({(position[a], position[b]) for a, b in pairs}, key=lambda edge: (edge[1], -edge[0]))
    implied = Reachability(len(position), edges).implied(edges)
    hidden = {(plan.merge_order[a], plan.merge_order[b]) for a, b in implied}
    steps = set(zip(plan.critical_path, plan.critical_path[1:], strict=False))
    declared = [Arrow(a, b, "declared", (a, b) in steps, "") for a, b in plan.edges if (a, b) not in hidden]
    added = [
        Arrow(c.before, c.after, "conflict", (c.before, c.after) in steps, _shared_files(c.patterns))
        for c in plan.conflicts
        if (c.before, c.after) not in hidden
    ]
    return Arrows((*declared, *added), len(hidden))


def _shared_files(patterns: tuple[str, str]) -> str:
    return " and ".join(clean(pattern) for pattern in dict.fromkeys(patterns))


def wrap(text: str, width: int, lines: int) -> list[str]:
    """`text` in at most `lines` lines of about `width` columns, cut with an ellipsis; broad characters count more."""
    text = clean(text)[: 2 * width * lines]
    columns = width
    while True:
        wrapped = textwrap.wrap(text, columns, max_lines=lines, placeholder=" …", break_on_hyphens=True)
        widest = max((columns_of(line) for line in wrapped), default=0.0)
        if widest <= width + 1 or columns <= 4:
            return wrapped
        columns = max(4, min(columns - 1, int(columns * width / widest)))


def columns_of(text: str) -> float:
    """About how wide `text` is in a proportional font, where a usual small letter counts 1."""
    return sum(map(_columns, text))


def _columns(character: str) -> float:
    if character in "ijlrtfI.,:;'|!()[] -":
        return 0.7
    if character in "mw…":
        return 1.5
    if character in "MW@%":
        return 1.95
    if unicodedata.east_asian_width(character) in "WF":
        return 2.0
    return 1.25 if character.isupper() else 1.0
