"""What in a repository's own configuration can run a program, change a merge or redirect a push, as digests.

Whoever works in a worktree shares `.git/config` and `.git/info` with everybody else (in a trial, planted settings ran
code inside a release). Values are never kept, only their digests: some hold credentials. What the user configured for
the whole machine is not the repository's and does not count.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from kitty_flow.git.remote_location import without_secrets
from kitty_flow.git.repository import Repository

__all__ = ["ConfigDrift", "config_state", "drift"]

_MATTERS: Final = re.compile(
    r"""
      core\.(?:hookspath|fsmonitor|attributesfile|sshcommand|askpass|gitproxy|worktree|autocrlf|eol|symlinks|safecrlf
          |alternaterefscommand|alternaterefsprefixes|pager|editor|bigfilethreshold)
    | include\.path | includeif\..*\.path | extensions\..*
    | filter\..* | merge\..* | diff\.external | diff\..*\.(?:command|textconv|cachetextconv|binary)
    | url\..* | credential(?:\..*)?\..* | protocol\..* | http(?:\..*)?\.(?:proxy|sslverify|sslcainfo|cookiefile)
    | remote\..*\.(?:uploadpack|receivepack|vcs|proxy|mirror) | uploadpack\.packobjectshook | ssh\..*
    | gpg(?:\..*)?\.(?:program|defaultkeycommand) | log\.showsignature | trailer\..*\.(?:command|cmd)
    | submodule\..*\.(?:update|url) | difftool\..*\.cmd | mergetool\..*\.cmd | sequence\.editor | hook\..*
    """,
    re.VERBOSE | re.DOTALL,
)
"""Settings (git-config(1), lower case as git lists them) that name a program, or that decide how files are merged, read
or written."""

_SCOPES: Final = ("local", "worktree")
_FILES: Final = ("info/attributes", "info/grafts", "objects/info/alternates", "objects/info/http-alternates")
_SHOWN: Final = 200
_REST: Final = "(more settings)"


class ConfigDrift(NamedTuple):
    """Names of settings and files that came, changed and went between two states, each sorted."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.added, self.changed, self.gone))

    @property
    def words(self) -> str:
        """For people: at most five names of each kind."""
        kinds = {"new": self.added, "changed": self.changed, "gone": self.gone}
        return "; ".join(
            f"{kind}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
            for kind, names in kinds.items()
            if names
        )


def config_state(repository: Repository) -> dict[str, str]:
    """Digest by name of every setting, included ones too, and every file below the git directory that matters.

    Raises:
        GitFailedError: the configuration cannot be read.
    """
    values: dict[str, list[str]] = defaultdict(list)
    fields = iter(repository.git.text("config", "--list", "--includes", "--show-scope", "-z").split("\0"))
    for scope, entry in zip(fields, fields, strict=False):
        name, _, value = entry.partition("\n")
        if scope in _SCOPES and _MATTERS.fullmatch(_folded(name)):
            values[without_secrets(name)[:200]].append(value)
    found = {name: _digest("\0".join(each).encode("utf-8", "surrogateescape")) for name, each in values.items()}
    found |= _files(repository.common_dir)
    replaced = repository.refs.under("refs/replace")
    if replaced:
        found["refs/replace"] = _digest(repr(sorted(replaced.items())).encode())
    return _bounded(found)


def drift(before: Mapping[str, str], now: Mapping[str, str]) -> ConfigDrift:
    """What differs between two states."""
    return ConfigDrift(
        tuple(sorted(now.keys() - before.keys())),
        tuple(sorted(name for name in now.keys() & before.keys() if now[name] != before[name])),
        tuple(sorted(before.keys() - now.keys())),
    )


def _folded(name: str) -> str:
    """Section and variable in lower case, as git compares them; a subsection keeps its case."""
    section, dot, rest = name.partition(".")
    subsection, last_dot, variable = rest.rpartition(".")
    return f"{section.lower()}{dot}{subsection}{last_dot}{variable.lower()}"


def _files(common_dir: Path) -> dict[str, str]:
    found = {}
    for name in _FILES:
        try:
            content = (common_dir / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if content.strip():
            found[f".git/{name}"] = _digest(content)
    return found


def _bounded(found: Mapping[str, str]) -> dict[str, str]:
    """At most so many names as an event holds; the others count together."""
    names = sorted(found)
    kept = {name: found[name] for name in names[:_SHOWN]}
    if names[_SHOWN:]:
        kept[_REST] = _digest(repr([(name, found[name]) for name in names[_SHOWN:]]).encode())
    return kept


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
