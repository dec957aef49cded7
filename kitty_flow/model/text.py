"""Text from missions, agents and people, made fit for one line of a commit message, a prompt, a name or a picture."""

from __future__ import annotations

__all__ = ["clean", "is_same_actor", "printable"]


def is_same_actor(one: str, other: str) -> bool:
    """Whether two names mean one actor: case and surrounding blanks do not make another reviewer."""
    return one.strip().casefold() == other.strip().casefold()


def printable(text: str, stand_in: str = " ") -> str:
    """`text` on one line: line breaks and other control characters, which would forge structure, are replaced."""
    return "".join(c if c.isprintable() else stand_in for c in text)


def clean(text: str) -> str:
    """One printable line: control characters, text direction overrides and surrogates become spaces."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if _is_unprintable(character) else character for character in text)
    return " ".join(text.split())


def _is_unprintable(character: str) -> bool:
    import unicodedata  # late: most text is plain ASCII

    code = ord(character)
    if (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    ):
        return True
    return unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
