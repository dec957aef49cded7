"""Text and details of an error, made fit to be kept: bounded, and without the secrets of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

__all__ = ["KeptText"]

_ITEMS: Final = 20
_DEPTH: Final = 4
_DETAIL_CHARACTERS: Final = 300

# What a command line, an environment or a program's output may carry is not ours to keep.
_LEFT_OUT: Final = frozenset({"argv", "command", "env", "environment", "stderr", "stdout", "test_output"})

_TELLING_NAME: Final = re.compile(
    r"TOKEN|SECRET|PASS|CREDENTIAL|KEY|AUTH|COOKIE|SESSION|CERT|DSN|WEBHOOK|PRIVATE|_URL$|_PAT$", re.IGNORECASE
)
_URL_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s@]+@")


class KeptText:
    """Cleans what is kept of a failure.

    A value of an environment variable becomes the variable's name in brackets when it could be a secret: six characters
    under a telling name, or twelve that are no path under any other. The protocol's own variables are no secrets.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        secrets = {value: name for name, value in environment.items() if _could_be_secret(name, value)}
        self._names = {value: f"[{name}]" for value, name in secrets.items()}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._secret = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str, limit: int) -> str:
        """`text` in at most `limit` characters; secrets are hidden before it is cut, so that no part is left."""
        if self._secret is not None:
            text = self._secret.sub(lambda found: self._names[found.group()], text)
        text = _URL_CREDENTIALS.sub("[credentials]@", text)
        text = text.encode("utf-8", "backslashreplace").decode()  # file names may hold lone surrogates
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def details(self, value: Any, depth: int = _DEPTH) -> Any:
        """`value` as plain JSON of bounded depth and width, without command lines and outputs of programs."""
        if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value)):
            return value
        if isinstance(value, Mapping) and depth:
            kept = [(str(name), each) for name, each in value.items() if name not in _LEFT_OUT]
            return {self.text(name, 100): self.details(each, depth - 1) for name, each in kept[:_ITEMS]}
        if isinstance(value, (list, tuple, set, frozenset)) and depth:
            return [self.details(each, depth - 1) for each in list(value)[:_ITEMS]]
        return self.text(str(value), _DETAIL_CHARACTERS)


def _could_be_secret(name: str, value: str) -> bool:
    if name.startswith("KITTY_FLOW_"):
        return False
    return len(value) >= 6 if _TELLING_NAME.search(name) else len(value) >= 12 and "/" not in value
