"""The places in an agent's command that kitty-flow fills in: the prompt and the paths of one invocation.

Exactly the names below between braces are replaced, wherever they stand in a word, in one pass: what is inserted is
never looked at again, a word stays one argument, and everything else (braces of JSON, `$`, `~`, `*`) stays as it is.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["MAX_ARGUMENT_BYTES", "PLACEHOLDERS", "argument_text", "fill", "instruction", "misspelt"]

PLACEHOLDERS: Final = ("prompt", "prompt_path", "result_path", "folder", "worktree")
"""`prompt` is the prompt's text, `folder` the folder of the prompt and the result; the others say what they are."""

MAX_ARGUMENT_BYTES: Final = 24_000 if sys.platform == "win32" else 120 * 1024
"""The longest prompt that becomes an argument. Linux ends at 128 KiB for one (MAX_ARG_STRLEN), of which the rest of the
word needs some; Windows has 32,767 characters for the whole command line."""

_PLACE: Final = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_LIKE_A_PLACE: Final = re.compile(r"\{([a-zA-Z_]+)\}")


def fill(words: Sequence[str], values: Mapping[str, Callable[[], str]]) -> tuple[str, ...]:
    """`words` with every placeholder replaced by its value; a value is asked for only when its name occurs."""
    return tuple(_PLACE.sub(lambda place: values[place.group(1)](), word) for word in words)


def argument_text(prompt_path: Path) -> str:
    """The prompt's text where it can be one argument, else the sentence that names the file.

    It cannot when it is longer than the system allows or has a NUL character.
    """
    with prompt_path.open("rb") as stream:
        data = stream.read(MAX_ARGUMENT_BYTES + 1)
    if len(data) > MAX_ARGUMENT_BYTES or b"\0" in data:
        return instruction(prompt_path)
    return data.decode("utf-8", errors="surrogateescape")


def instruction(prompt_path: Path) -> str:
    """The sentence that stands for a prompt that the agent reads itself."""
    return f"Read the whole file {prompt_path} and do exactly what it says."


def misspelt(words: Iterable[str]) -> dict[str, str]:
    """What looks like a wrongly written placeholder in `words`, each with the name that was probably meant."""
    found = {name for word in words for name in _LIKE_A_PLACE.findall(word) if name not in PLACEHOLDERS}
    near = {name: difflib.get_close_matches(name.lower(), PLACEHOLDERS, n=1, cutoff=0.75) for name in sorted(found)}
    return {name: matches[0] for name, matches in near.items() if matches}
