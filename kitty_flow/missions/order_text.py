"""Finds what prose claims about the order: ``Wave 2: WP02, WP05``, ``WP03-WP08 can run in parallel``, ``WP02 ∥ WP05``.

Nothing here decides anything: the claims are compared with the declared graph later. So only plain claims are taken,
and a sentence that denies one or speaks of subtasks is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from kitty_flow.missions.section_fields import parts
from kitty_flow.missions.task_lines import Line
from kitty_flow.missions.task_tables import Row
from kitty_flow.missions.work_package_names import Mention, Roster

__all__ = ["Claim", "claims"]

_WAVE: Final = re.compile(
    r"(?:(?:parallel |execution )?(?:wave|batch|tier|round)|parallel (?:group|stage|track|phase))s?"
    r"\s+(?:[0-9]{1,4}|[A-Z])\b[^:—\u2013\w]{0,5}"
    r"(?:\([^()]{0,200}\))?[^:—\u2013\w]{0,5}(?:[:—\u2013]|\Z)",
    re.IGNORECASE,
)
_PARALLEL: Final = re.compile(
    r"∥|\|\||\b(?:in parallel|alongside|parallel\w{0,7}|concurrent(?:ly)?|simultaneous(?:ly)?|at the same time"
    r"|side by side|independent of (?:each other|one another))",
    re.IGNORECASE,
)
_DENIED: Final = re.compile(
    r"\b(?:no (?:wps?|work packages?|two|other)|none|not|never|cannot|sequential(?:ly)?|serial(?:ly)?)\b|n't\b",
    re.IGNORECASE,
)
_WITH: Final = re.compile(r"\W{0,3}(?:\w{1,12} )?(?:with|to)\b", re.IGNORECASE)
_NONE_FIRST: Final = re.compile(r"\s*(?:none|nothing|n/?a)\s{0,3}[(,:—\u2013-]", re.IGNORECASE)
_SUBTASK: Final = re.compile(r"\bT[0-9]{2,6}\b")
_AFTER: Final = re.compile(r"\b(?:after|depends|once|needs|requires|following|blocked)\b", re.IGNORECASE)
_ARROW: Final = re.compile(r"→|->|►")
_SENTENCE: Final = re.compile(r"[.;](?=\s|\Z)")
_BRACKETS: Final = re.compile(r"\([^()]{0,200}\)")
_JOINED: Final = re.compile(r"[\s,&+/∥|\"'()_]*(?:(?:and|or|plus)\s*)?")
_SLASHED: Final = re.compile(r"\s?/\s?")
_SIGN: Final = re.compile(r"∥|\|\|")
_LIST: Final = re.compile(r"[\s)\]_]*:\s*_*")
_GAP: Final = 240
_MAX_CLAIMS: Final = 1000
_MAX_CUES: Final = 8


class Claim(NamedTuple):
    """The work packages of `mask` (see `Roster`) can run at the same time, says line `line`."""

    line: int
    mask: int


class _Run(NamedTuple):
    """Names that stand next to each other, joined by commas, "and", slashes or parallel signs."""

    start: int
    end: int
    mask: int
    joints: str


def claims(
    lines: Sequence[Line], rows: Sequence[Row], owners: Mapping[int, str], roster: Roster
) -> tuple[list[Claim], bool]:
    """The claims of a document in order, without repeats, and whether there are more than are kept.

    `owners` are the work packages in whose sections lines stand, by line number.
    """
    found: dict[Claim, None] = {}
    for claim in _all_claims(lines, rows, owners, roster):
        if claim.mask.bit_count() > 1:
            found.setdefault(claim)
        if len(found) > _MAX_CLAIMS:
            return list(found)[:_MAX_CLAIMS], True
    return sorted(found), False


def _all_claims(
    lines: Sequence[Line], rows: Sequence[Row], owners: Mapping[int, str], roster: Roster
) -> Iterator[Claim]:
    yield from _from_tables(rows, roster)
    for index, line in enumerate(lines):
        if not line.text or line.text.startswith("|"):
            continue
        if not line.hidden and (wave := _WAVE.match(line.text)) is not None:
            yield Claim(line.number, _members(line.text[wave.end() :], lines, index, roster))
        elif _PARALLEL.search(line.text) is not None:
            owner = owners.get(line.number)
            texts = _statements(line.text) if owner else [line.text]
            for sentence in (each for text in texts for each in _SENTENCE.split(text)):
                for mask in _from_sentence(sentence, owner, roster):
                    yield Claim(line.number, mask)


def _statements(text: str) -> Iterator[str]:
    """What a line of a section says, label by label; what stands in brackets behind dependencies is about its owner."""
    for name, value in parts(text):
        if name == "dependencies":
            yield from (aside[0].strip("()") for aside in _BRACKETS.finditer(value))
            value = _BRACKETS.sub("", value)
        none = _NONE_FIRST.match(value)
        yield value[none.end() :] if none else value


def _from_tables(rows: Sequence[Row], roster: Roster) -> Iterator[Claim]:
    waves: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        wave, names = row.cells.get("wave"), row.cells.get("work_package", "")
        if wave:
            known = waves.setdefault((row.table, wave), [row.line.number, 0])
            known[1] |= _union(roster.mentions(_BRACKETS.sub("", names)))
    for number, mask in waves.values():
        yield Claim(number, mask)


def _members(text: str, lines: Sequence[Line], index: int, roster: Roster) -> int:
    """The members of a wave: named behind its label, or else first in each bullet below; none for a chain of arrows."""
    if _ARROW.search(text):
        return 0
    outside = _BRACKETS.sub("", text)
    after = _AFTER.search(outside)
    mask = _union(roster.mentions(_SENTENCE.split(outside[: after.start()] if after else outside)[0]))
    if mask:
        return mask
    begun = False
    for line in lines[index + 1 : index + 1 + len(roster.ids) * 2]:
        if line.bullet and _WAVE.match(line.text) is None:
            mask |= next(roster.mentions(line.text), Mention(0, 0, 0)).mask
            begun = True
        elif line.text or begun:
            break
    return mask


def _from_sentence(text: str, owner: str | None, roster: Roster) -> Iterator[int]:
    if _PARALLEL.search(text) is None or _DENIED.search(text) or _SUBTASK.search(text):
        return
    runs = _runs(text, roster)
    signed = [run.mask for run in runs if _SIGN.search(run.joints)]
    if signed:
        yield from signed
        return
    for cue in islice(_PARALLEL.finditer(text), _MAX_CUES):
        before = next((run for run in reversed(runs) if run.end <= cue.start()), None)
        behind = next((run for run in runs if run.start >= cue.end()), None)
        joined = _WITH.match(text, cue.end()) or cue[0].lower() == "alongside"
        if behind and joined:
            subject = before.mask if before else roster.bit(owner) if owner else 0
            yield from (one | other for one in _bits(subject) for other in _bits(behind.mask) if one != other)
        elif before and before.mask.bit_count() > 1:
            yield before.mask
        elif behind and _LIST.fullmatch(text[cue.end() : behind.start][:_GAP]):
            yield behind.mask
        elif any("/" in run.joints for run in runs):
            yield from (run.mask for run in _runs(text, roster, _SLASHED) if run.start >= cue.end())
        else:
            continue
        return


def _runs(text: str, roster: Roster, joint: re.Pattern[str] = _JOINED) -> list[_Run]:
    runs: list[_Run] = []
    for mention in roster.mentions(text):
        gap = text[runs[-1].end : mention.start] if runs else ""
        if runs and len(gap) <= _GAP and joint.fullmatch(_BRACKETS.sub("", gap)):
            last = runs[-1]
            runs[-1] = _Run(last.start, mention.end, last.mask | mention.mask, last.joints[-40:] + gap.strip()[:8])
        else:
            runs.append(_Run(mention.start, mention.end, mention.mask, ""))
    return runs


def _union(mentions: Iterator[Mention]) -> int:
    mask = 0
    for mention in mentions:
        mask |= mention.mask
    return mask


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask & -mask
        mask &= mask - 1
