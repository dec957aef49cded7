"""Where a remote is, from the text that a person typed: a configured name, a path or a URL."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kitty_flow.errors import UsageError
from kitty_flow.git.process import Git

__all__ = ["RemoteLocation", "locate", "without_secrets"]

_KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_USER_INFO: Final = re.compile(r"://(?:[^\s'\"]*:[^\s'\"]*|[^\s'\"/@]*)@")
"""What stands between the scheme and the last ``@``. git and curl end it at the first slash, but a password with a
slash that nobody escaped is a secret all the same."""
_QUERY: Final = re.compile(r"(://[^\s'\"?]*)\?[^\s'\"]*")


@dataclass(frozen=True)
class RemoteLocation:
    """What git is given (`text`), what people are shown (`shown`, without credentials), and `key`, one component of a
    ref name that stands for the remote and holds no secret."""

    text: str = field(repr=False)
    shown: str
    key: str
    is_configured: bool

    @property
    def command(self) -> str:
        """The command with which a person sees what git says about this remote."""
        return f"git ls-remote {shlex.quote(self.shown)}"


def without_secrets(text: str) -> str:
    """`text` with the credentials and queries of all URLs in it replaced by ``***``."""
    return _QUERY.sub(r"\1?***", _USER_INFO.sub("://***@", text))


def locate(git: Git, text: str, start: Path) -> RemoteLocation:
    """Check what a person typed; a relative path counts from `start`.

    Raises:
        UsageError: REMOTE_UNKNOWN, it can be neither a configured remote nor a path nor a URL, or asks for ``ext::``.
    """
    shown = without_secrets(text)
    if not text.isprintable() or text.startswith("-") or not text.strip():
        raise _unknown(shown, "cannot name a remote")
    if text.startswith("ext::"):
        raise _unknown(shown, "would run a command as a remote, which kitty-flow never does")
    if text in git.text("remote").splitlines():
        # A name with capitals could meet another one on a file system that does not tell them apart.
        return RemoteLocation(text, shown, text if _KEY.fullmatch(text) else _digest(text), True)
    if os.path.lexists(start / text) or ("/" in text and ":" not in text):
        place = os.path.realpath(start / text)
        return RemoteLocation(place, place, _digest(place), False)
    if ":" in text:
        # A token that is renewed must not make another remote of the same one.
        return RemoteLocation(text, shown, _digest(re.sub(r"://[^/@]*@", "://", text)), False)
    raise _unknown(shown, "is neither a configured remote nor a path nor a URL")


def _digest(text: str) -> str:
    """A key that no name can be: those have no underscore."""
    return "_" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _unknown(shown: str, why: str) -> UsageError:
    return UsageError("REMOTE_UNKNOWN", f"{shown!r} {why}", hint="git remote -v", details={"remote": shown})
