"""A request as words: normalised so that case, punctuation, width, spelling and simple inflection do not matter."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

__all__ = ["Word", "phrase", "stem", "words"]

_WORD: Final = re.compile(r"\w+[+#]*")
_VOWEL: Final = re.compile(r"[aeiouy]")
_IRREGULAR: Final = {"built": "build", "wrote": "write", "written": "write", "broke": "break", "drew": "draw"}
_DOUBLED: Final = re.compile(r"([bcdfgkmnprtv])\1$")


class Word(NamedTuple):
    """One word of a request: folded as it was written, and without its inflection."""

    text: str
    stem: str


def words(text: str) -> tuple[Word, ...]:
    """The words of `text`. Hyphens separate, underscores do not; the ends of C++ and C# belong to the word."""
    return tuple(Word(word, stem(word)) for word in _WORD.findall(_folded(text)))


def phrase(text: str) -> tuple[str, ...]:
    """The stems of a keyword of one word or several, as they have to follow each other in a request."""
    return tuple(word.stem for word in words(text))


def stem(word: str) -> str:
    """A folded word without the endings of English verbs and plurals: plans, planned and planning are ``plan``.

    Two words that are the same after this mean the same to the router; the result itself need not be a word.
    """
    word = _IRREGULAR.get(word, word)
    if len(word) < 4 or not word.isascii():
        return word
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    word = _without(word, "ing") or _without(word, "ed") or word
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    return f"{word[:-1]}z" if word.endswith(("is", "ys")) else word


def _without(word: str, ending: str) -> str | None:
    """The word before an ending; None where that is too little to be one (``bring``, ``speed``)."""
    before = word.removesuffix(ending)
    if before == word or len(before) < 3 or before.endswith("e") or _VOWEL.search(before) is None:
        return None
    return before[:-1] if len(before) > 3 and _DOUBLED.search(before) else before


def _folded(text: str) -> str:
    """Unicode's compatibility form without case; characters that only steer how text is shown are taken out."""
    if text.isascii():
        return text.lower()
    shown = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", shown.casefold())
