"""Reads what a sentence says about dependencies: ``WP01 (parser), WP06``, ``none``, ``all prior WPs except WP03``.

The text is walked once, from name to name. A name counts unless the words before it say something else about it: that
it may run in parallel, that it waits for this work package, that it is only useful. What is left out is noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from kitty_flow.missions.work_package_names import NAME, Mention, Roster

__all__ = ["Reading", "read_dependencies"]

_LEAD: Final = re.compile(
    r"\s*(?:(?:dependenc(?:y|ies)|depends? (?:up)?on|requires?|needs?|blocked by|after)\b\s*:?\s*)?", re.IGNORECASE
)
_NONE: Final = re.compile(
    r"\s*(?:none|nothing|n/?a|nil|null|not applicable|independent|standalone|\[\s{0,9}\]|[-—\u2013~]+"
    r"|no (?:[a-z-]{1,20} ){0,2}(?:dependenc(?:y|ies)|deps?|prerequisites?|blockers?))(?![\w-])",
    re.IGNORECASE,
)
_EXCEPT: Final = r"\b(?:except|excluding|other than|apart from|but)\b"
_BUT: Final = re.compile(rf"[\s,]*{_EXCEPT}", re.IGNORECASE)
_WHOLE: Final = r"(?:wps|work[ -]?packages|packages)\b"
_TOKEN: Final = re.compile(
    rf"(?P<name>(?<![\w.-])(?<!tasks/){NAME})"
    r"|(?P<stop>;|\.(?=\s|$)|\s[—\u2013]\s|\s-\s)"
    rf"|(?P<others>\b(?:all|every) (?:of )?(?:the )?(?:other|remaining) {_WHOLE}|\beverything else\b)"
    rf"|(?P<prior>\b(?:all |every )?(?:of )?(?:the )?(?:prior|previous|preceding|earlier|upstream) {_WHOLE}"
    rf"|\b(?:all|every) (?:of )?(?:the )?{_WHOLE}|\beverything (?:above|before|earlier)\b)"
    r"|(?P<last>\b(?:previous|preceding|prior) (?:wp|work package)\b)"
    r"|(?P<aside>(?:\bnot\b|n't\b|\bnever\b)(?: \w{1,20}){0,3}? (?:depend|requir|need|block|wait)\w{0,9}"
    r"(?: on| for| by)?|\b(?:not|without|parallel\w{0,7}|alongside|concurrent(?:ly)?|simultaneous(?:ly)?"
    r"|independent(?:ly)?|overlaps?|unblocks?|blocks|blocking|unlocks?|enables?|before"
    r"|(?:required|needed|used|consumed) by|prerequisite (?:for|of)|followed by|benefits?|optional(?:ly)?"
    r"|ideally|preferably|recommended|coordinates? with|unlike|instead of)\b)"
    rf"|(?P<except>{_EXCEPT})"
    r"|(?P<need>\b(?:depend(?:s|ing|ent)? (?:up)?on|requires?|needs?|after|blocked by|must|waits? (?:for|on)|once)\b)"
    r"|(?P<or>\bor\b)",
    re.IGNORECASE,
)
_BRACKET: Final = re.compile(r"[()]")
_SUBJECT: Final = re.compile(
    r"(?:\s{1,3}(?:can|may|could|will|should|might|is|are|runs?|be|also|then|starts?|in|\w+ly)\b)*\s*"
)


class Reading(NamedTuple):
    """What a text says: the set of known work packages (see `Roster`), unknown names, or plainly that there are none.

    `guessed` and `dropped` say how it was read where it is not plain, and which names do not count.
    """

    mask: int = 0
    unknown: tuple[str, ...] = ()
    none: bool = False
    guessed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether the text declares anything, be it that there are none."""
        return bool(self.mask or self.unknown or self.none)


def read_dependencies(text: str, roster: Roster, of: str) -> Reading:
    """What `text`, the value of a dependency field of the work package `of`, declares."""
    outside, asides = _without_brackets(text)
    start = _end_of_lead(outside)
    none = _NONE.match(outside, start)
    walk = _Walk(roster, of)
    if none is not None and (but := _BUT.match(outside, none.end())) is not None:
        walk.over(outside[but.end() :])
    elif none is not None:
        walk.pass_over(outside[none.end() :])
    else:
        walk.over(outside[start:])
    inside = [mention for aside in asides for mention in roster.mentions(aside)]
    nothing = not (walk.mask or walk.unknown)
    if nothing and none is None and not walk.skipped and inside:
        walk.guessed.append("only names in brackets were found and taken")
        for mention in inside:
            walk.take(mention)
    elif rest := _union(inside) & ~walk.mask & ~roster.bit(of):
        walk.dropped.append(f"{_shown(roster, rest)} in brackets is an aside")
    if walk.skipped & ~walk.mask:
        walk.dropped.append(f"{_shown(roster, walk.skipped & ~walk.mask)} is named, but not as a dependency")
    found = bool(walk.mask or walk.unknown)
    return Reading(
        walk.mask,
        tuple(dict.fromkeys(walk.unknown)),
        none is not None and not found,
        *map(tuple, (walk.guessed, walk.dropped)),
    )


class _Walk:
    """The state of the walk: what counts so far, and whether the next name does."""

    def __init__(self, roster: Roster, of: str) -> None:
        self.mask = 0
        self.unknown: list[str] = []
        self.skipped = 0
        self.guessed: list[str] = []
        self.dropped: list[str] = []
        self._roster, self._of = roster, of
        self._own = roster.bit(of)
        self._without = 0

    def over(self, text: str) -> None:
        """Walk along `text`; the first clause counts as it is, a later one when it says that something is needed."""
        clause, mode, first = _Clause(), "take", True
        for token in _TOKEN.finditer(text):
            kind = str(token.lastgroup)
            if kind == "stop":
                self._close(clause, needed=first)
                clause, mode, first = _Clause(), "take", False
            elif kind == "name":
                mention = self._roster.mention_at(text, token.start())
                if mention is not None and mention.start >= clause.end:
                    clause.names.append((mode, mention))
                    clause.end = mention.end
            elif kind in ("others", "prior", "last"):
                clause.wholes.append((mode, kind, token[0]))
            elif kind == "or":
                clause.choice = clause.choice or bool(clause.names)
            else:
                if kind == "aside" and clause.names and _SUBJECT.fullmatch(text[clause.end : token.start()][:80]):
                    clause.names = [("aside", mention) for _, mention in clause.names]
                clause.needed |= kind == "need"
                mode = "take" if kind == "need" else kind
        self._close(clause, needed=first)

    def pass_over(self, text: str) -> None:
        """Note the names in `text` as skipped."""
        self.skipped |= _union(self._roster.mentions(text))

    def take(self, mention: Mention) -> None:
        """Count a name; a range that runs over the work package itself does not mean it."""
        single = mention.mask.bit_count() <= 1
        self.mask |= mention.mask if single else mention.mask & ~self._own
        self.unknown.extend(mention.unknown)

    def _close(self, clause: _Clause, *, needed: bool) -> None:
        needed = needed or clause.needed
        for mode, mention in clause.names:
            if mode == "except":
                self._without |= mention.mask
            elif mode == "take" and needed:
                self.take(mention)
            else:
                self.skipped |= mention.mask & ~self._own
        for mode, kind, words in clause.wholes:
            if mode == "take" and needed:
                self._take_whole(kind, words)
        if clause.choice and needed:
            self.guessed.append("alternatives ('or') all count")
        self.mask &= ~self._without

    def _take_whole(self, kind: str, words: str) -> None:
        before = self._roster.before(self._of)
        meant = {
            "others": self._roster.others(self._of),
            "prior": before,
            "last": before and 1 << (before.bit_length() - 1),
        }[kind]
        self.mask |= meant
        self.guessed.append(f"'{words[:60]}' was read as {_shown(self._roster, meant) if meant else 'none'}")


class _Clause:
    def __init__(self) -> None:
        self.names: list[tuple[str, Mention]] = []
        self.wholes: list[tuple[str, str, str]] = []
        self.end = 0
        self.needed = False
        self.choice = False


def _end_of_lead(text: str) -> int:
    match = _LEAD.match(text)
    return 0 if match is None else match.end()


def _without_brackets(text: str) -> tuple[str, list[str]]:
    """The text outside of round brackets, and what stands in them; one that is never closed reaches to the end."""
    outside: list[str] = []
    asides: list[str] = []
    depth, begin = 0, 0
    for bracket in _BRACKET.finditer(text):
        if bracket[0] == "(":
            if depth == 0:
                outside.append(text[begin : bracket.start()])
                begin = bracket.end()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                asides.append(text[begin : bracket.start()])
                begin = bracket.end()
    (asides if depth else outside).append(text[begin:])
    return "".join(outside), asides


def _union(mentions: Iterable[Mention]) -> int:
    mask = 0
    for mention in mentions:
        mask |= mention.mask
    return mask


def _shown(roster: Roster, mask: int) -> str:
    names = roster.members(mask)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
