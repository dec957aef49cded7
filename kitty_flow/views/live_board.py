"""One frame of the live board: the lines that a terminal of some size shows of a snapshot. Pure: no terminal, no clock.

Where more work packages are than lines, those that matter now are shown, and the others counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from rich.cells import cell_len, set_cell_size

from kitty_flow.flow.live import Row, Snapshot
from kitty_flow.model.text import printable
from kitty_flow.views.event_line import event_line
from kitty_flow.views.figures import clock, dollars, large, many, size, span
from kitty_flow.views.state_style import STATE_STYLE, symbol

__all__ = ["Line", "Span", "frame", "plain_width"]

Span: TypeAlias = tuple[str, str]
Line: TypeAlias = tuple[Span, ...]

_BAR: Final = (("\u28ff", "\u28c0"), ("#", "-"))

_URGENCY: Final = {"in_progress": 0, "in_review": 0, "claimed": 0, "blocked": 1, "for_review": 2}
_QUIET_S: Final = 60.0
_NARROW: Final = 60
_LOW: Final = 14
_STEP: Final = 8
_NO_TIME: Final = 9
"""Columns that a row without a time has for what is to be said."""


def frame(seen: Snapshot, *, width: int, height: int, ascii_only: bool = False) -> list[Line]:
    """The lines, each at most `width` columns, together at most `height` of them."""
    head = _head(seen, width, ascii_only)
    foot = _foot(seen, width, height)
    room = height - len(head) - len(foot)
    if room < 3:  # a terminal of a few lines: what is going on matters more than what it costs
        foot, room = [], height - len(head)
    body = _body(seen, width, room, ascii_only)
    return [_cut(line, width) for line in (*head, *body, *foot)][:height]


def plain_width(text: str) -> str:
    """Text of others as one line whose width all terminals agree on: what joins or varies characters is left out."""
    if not text.isascii():
        text = "".join(c for c in text if not _is_joining(ord(c)))
    return " ".join(printable(text).split())


def _is_joining(code: int) -> bool:
    return (
        code in (0x00AD, 0x061C, 0x180E, 0xFEFF)
        or 0x200B <= code <= 0x200F
        or 0x202A <= code <= 0x202E
        or 0x2060 <= code <= 0x206F
        or 0xFE00 <= code <= 0xFE0F
        or 0x1F3FB <= code <= 0x1F3FF
        or 0xE0000 <= code <= 0xE01EF
    )


def _head(seen: Snapshot, width: int, ascii_only: bool) -> list[Line]:
    board = seen.board
    name, state = plain_width(str(board.mission["slug"])), str(board.mission["state"])
    age = "" if seen.began_at is None else "  " + clock((seen.now - seen.began_at).total_seconds())
    room = max(0, width - cell_len(name) - len(state) - len(age) - 4)
    title = _shortened(plain_width(str(board.mission["title"])), room)
    first: Line = ((title, "bold"), ("  " if title else "", ""), (f"{name}  {state}{age}", ""))
    counts = board.counts
    finished = sum(counts.get(state, 0) for state in ("approved", "done"))
    words = [f"{finished} of {len(board.work_packages) - counts.get('canceled', 0)} approved"]
    working = sum(row.work is not None for row in seen.rows)
    words += [f"{working} at work"] if working else []
    words += [f"{counts['blocked']} blocked"] if counts.get("blocked") else []
    filled, empty = _BAR[ascii_only]
    cells = 10 if width < _NARROW else 24
    full = int(board.progress * cells)
    bar: Line = (
        (filled * full, "green"),
        (empty * (cells - full), "dim"),
        (f" {board.progress_words:>4}  {', '.join(words)}", ""),
    )
    waves = _waves(seen.rows, width, ascii_only)
    return [first, bar, *([waves] if waves else []), ()]


def _waves(rows: Sequence[Row], width: int, ascii_only: bool) -> Line | None:
    """Every work package as a symbol, wave by wave; where there is no room for that, each wave as a count."""
    waves: dict[int, list[Row]] = {}
    for row in rows:
        waves.setdefault(row.card.wave, []).append(row)
    if len(rows) + 4 * len(waves) + 6 <= width:
        line: list[Span] = [("waves ", "dim")]
        for number, members in waves.items():
            line.append((f" {number} ", "dim"))
            line += [(symbol(r.card.state, ascii_only=ascii_only), STATE_STYLE.get(r.card.state, "")) for r in members]
        return tuple(line)
    for number, members in waves.items():
        finished = sum(row.card.state in ("approved", "done", "canceled") for row in members)
        if finished < len(members) or number == max(waves):
            return ((f"wave {number} of {max(waves)}: {finished} of {len(members)} finished", "dim"),)
    return None


def _body(seen: Snapshot, width: int, room: int, ascii_only: bool) -> list[Line]:
    rows = list(seen.rows)
    if not rows:
        return [((f"no work packages yet: kitty-flow mission show {seen.board.mission['slug']}", "dim"),)]
    shown = rows if len(rows) <= room else _window(rows, max(0, room - 1))
    ids = max((cell_len(row.card.id) for row in shown), default=4)
    lines = _table([_cells(row, seen.now, ascii_only) for row in shown], min(ids, 12), width) if shown else []
    if len(shown) < len(rows):
        kept = {row.card.id for row in shown}
        rest = Counter(row.card.state for row in rows if row.card.id not in kept)
        lines.append((("   and " + ", ".join(f"{n} {state}" for state, n in rest.items()), "dim"),))
    return lines


def _window(rows: Sequence[Row], room: int) -> list[Row]:
    """Those that matter now, in the board's order: at work, blocked, waiting; then the next to come, the last to go."""

    def urgency(place: int) -> tuple[int, int]:
        row = rows[place]
        if row.card.state in _URGENCY or row.retry:
            return (_URGENCY.get(row.card.state, 2), place)
        if row.card.state == "planned":
            return (3 if row.is_ready else 4, place)
        return (5, -place)

    chosen = sorted(range(len(rows)), key=urgency)[:room]
    return [rows[place] for place in sorted(chosen)]


def _cells(row: Row, now: datetime, ascii_only: bool) -> tuple[str, str, str, str, str, str, str]:
    """Wave, symbol, id, title, state, time and what is to be said about it."""
    card = row.card
    state = "ready" if row.is_ready else card.state
    is_timed = row.work is not None or (row.worked_s >= 0.5 and card.state not in ("planned", "blocked"))
    took = clock(row.worked_s) if is_timed else ""
    sign = symbol(card.state, ascii_only=ascii_only)
    return (
        str(card.wave),
        sign,
        plain_width(card.id),
        plain_width(card.title),
        state,
        took,
        plain_width(_detail(row, now)),
    )


def _detail(row: Row, now: datetime) -> str:
    card, work = row.card, row.work
    if row.retry is not None:
        return f"again {_when(row.retry.not_before)}: {row.retry.code}"
    if work is not None:
        words = [work.agent, *([f"try {card.attempt}"] if card.attempt > 1 else [])]
        words += [f"epoch {work.epoch}"] if work.epoch > card.attempt else []
        words += ["lease ran out"] if _is_past(card.lease_expires_at, now) else []
        if row.output is not None:
            is_quiet = row.output.age_s >= _QUIET_S
            words.insert(0, f"quiet {span(row.output.age_s)}" if is_quiet else size(row.output.size))
        return ", ".join(words)
    if card.state in ("claimed", "in_progress", "in_review"):
        return str(card.actor or "")
    if card.state in ("blocked", "canceled"):
        return card.reason or ""
    if card.state == "for_review":
        return "waits for a reviewer"
    tried = f"after {many(card.attempt, 'try', 'tries')}" if card.attempt > 1 else ""
    return f"{tried} (forced {card.force_count}x)".strip() if card.force_count else tried


def _is_past(moment: str | None, now: datetime) -> bool:
    """Whether a lease seems to have run out, by this machine's clock; who decides about it asks a better one."""
    try:
        return moment is not None and datetime.fromisoformat(moment) < now
    except (ValueError, TypeError):
        return False


def _when(moment: datetime | None) -> str:
    return "later" if moment is None else f"{moment.astimezone():%H:%M:%S}"


def _table(rows: Sequence[tuple[str, ...]], ids: int, width: int) -> list[Line]:
    """The cells in columns that stay where they are from frame to frame; a narrow terminal has no title."""
    states = max(len(state) for state in STATE_STYLE)
    is_narrow = width < _NARROW
    left = width - (0 if is_narrow else 3) - 2 - ids - 2 - states - 2 - 7 - 2
    title = 0 if is_narrow else min(max(cell_len(cells[3]) for cells in rows), left - 2 - _told_room(rows, left))
    lines = []
    wave = ""
    for number, sign, name, text, state, took, told in rows:
        style = STATE_STYLE.get("planned" if state == "ready" else state, "")
        style = "" if state == "ready" else style
        spans = [] if is_narrow else [(f"{number if number != wave else '':>2} ", "dim")]
        wave = number
        spans += [(f"{sign} ", style), (_filled(name, ids) + "  ", "")]
        spans += [] if is_narrow else [(_filled(text, title) + "  ", "dim" if style == "dim" else "")]
        room = left - (title + 2 if title else 0)
        spans += [(f"{state:<{states}}  ", style)]
        spans += (
            [(f"{took:>7}  ", ""), (_shortened(told, room), "")] if took else [(_shortened(told, room + _NO_TIME), "")]
        )
        if state == "blocked":
            spans[-1] = (spans[-1][0], "red")
        lines.append(tuple(spans))
    return lines


def _told_room(rows: Sequence[tuple[str, ...]], left: int) -> int:
    """Columns for what is to be said, at most half of those that are `left`; in steps, so that columns rarely move."""
    longest = max(cell_len(told) - (0 if took else _NO_TIME) for *_, took, told in rows)
    return min(left - left // 2 - 2, max(_STEP, -(-longest // _STEP) * _STEP))


def _foot(seen: Snapshot, width: int, height: int) -> list[Line]:
    used = []
    if seen.usage.tokens:
        used.append(f"{large(seen.usage.tokens)} tokens")
    if seen.usage.cost_usd:
        used.append(dollars(seen.usage.cost_usd))
    words = [f"used {', '.join(used)}"] if used else []
    if seen.eta is not None:
        most = _about(seen.eta.p90)
        words.append(f"left {_about(seen.eta.median)} (p90 {most})" if seen.eta.p90 >= 10 else f"left {most}")
    lines: list[Line] = [((part, ""),) for part in _packed(words, width)]
    for pool in seen.pools:
        until = "" if pool.until is None else f" until {pool.until.astimezone():%H:%M:%S}"
        lines.append(((plain_width(f"pool {pool.pool} is parked{until}: {pool.reason}"), "yellow"),))
    if seen.budget:
        lines.append(((plain_width(seen.budget), "bold red"),))
    if seen.board.mission["state"] == "paused":
        lines.append((("paused: nothing new is started", "yellow"),))
    told = [line for event in seen.events if (line := event_line(event))]
    lines += [((plain_width(line), "dim"),) for line in told[-2:] if height >= _LOW]
    return [(), *lines] if lines else []


def _about(seconds: float) -> str:
    """A time that is not known to the second."""
    return span(seconds) if seconds >= 10 else "a few seconds"


def _packed(parts: Iterable[str], width: int) -> list[str]:
    """The parts in as few lines as hold them."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 4 + len(part) <= width:
            lines[-1] += "    " + part
        else:
            lines.append(part)
    return lines


def _cut(line: Line, width: int) -> Line:
    kept: list[Span] = []
    room = width
    for text, style in line:
        text = text if cell_len(text) <= room else _shortened(text, room)
        room -= cell_len(text)
        if text:
            kept.append((text, style))
    return tuple(kept)


def _shortened(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 2).rstrip() + ".." if width > 6 else set_cell_size(text, max(0, width)).rstrip()


def _filled(text: str, width: int) -> str:
    text = _shortened(text, width)
    return text + " " * (width - cell_len(text))
