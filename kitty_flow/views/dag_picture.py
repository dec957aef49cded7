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

__all__ = ["CRITICAL_COLOUR", "STATE_STYLES", "Arrow", "Arrows", "StateStyle", "arrows", "state_style", "wrap"]

CRITICAL_COLOUR: Final = "#BE185D"


@dataclass(frozen=True)
class StateStyle:
    """How a work package in one state looks. The tones follow Okabe and Ito; the label says it in words as well."""

    label: str
    tone: str
    fill: str


STATE_STYLES: Final[Mapping[str, StateStyle]] = {
    "planned": StateStyle("planned", "#7A828E", "#F6F7F9"),
    "claimed": StateStyle("claimed", "#56B4E9", "#EAF6FD"),
    "in_progress": StateStyle("in progress", "#0072B2", "#E3F0F8"),
    "for_review": StateStyle("for review", "#E69F00", "#FDF3DC"),
    "in_review": StateStyle("in review", "#8A63B0", "#F2ECF8"),
    "approved": StateStyle("approved", "#009E73", "#E2F5EF"),
    "done": StateStyle("done", "#00694D", "#CFEBE1"),
    "blocked": StateStyle("blocked", "#D55E00", "#FBE8DB"),
    "canceled": StateStyle("canceled", "#4A4A4A", "#E6E6E6"),
}


def state_style(state: str) -> StateStyle:
    """The style of a state; an unknown one is drawn neutrally under its own name."""
    return STATE_STYLES.get(state) or StateStyle(clean(state).replace("_", " "), "#7A828E", "#FFFFFF")


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
    """`text` in at most `lines` lines of about `width` columns, cut with an ellipsis; wide characters count double."""
    double = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    narrowed = max(4, width - round(width * double / (2 * max(1, len(text)))))
    return textwrap.wrap(
        clean(text), narrowed, max_lines=lines, placeholder=" …", break_long_words=True, break_on_hyphens=True
    )
