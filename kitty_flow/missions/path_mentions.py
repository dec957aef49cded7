"""Finds the file paths that a sentence mentions: ``Create Album in src/models/album.py (depends on T012)``.

A guess by shape, so it errs to the side of silence: a word with a slash counts when it ends in a slash, has a suffix,
or begins with a folder that projects usually have; a word without one when it is in backticks or a usual file name.
"""

from __future__ import annotations

import re
from typing import Final

from kitty_flow.missions.findings import Findings
from kitty_flow.missions.owned_files import check_owned_files

__all__ = ["mentioned_paths", "refused_paths"]

_WORD: Final = re.compile(r"`([^`\s]{1,300})`|([^\s`]{1,300})")
_TRIM: Final = "\"',;:()<>*!?"
_PATH: Final = re.compile(r"[\w.@+~*()\[\]-]+(?:/[\w.@+~*()\[\]-]+)*+/?")
_PLACEHOLDER: Final = re.compile(r"\{[^{}/]{0,80}\}|<[^<>/]{0,80}>")
_BRACKETS: Final = re.compile(r"\[([^\[\]/]{0,80}\])")
_SUFFIX: Final = re.compile(r"[^/]*[\w*-]\.[A-Za-z][A-Za-z0-9]{0,9}")
_LINE_NUMBER: Final = re.compile(r":\d+(?:-\d+)?$")
_NAMES: Final = frozenset(
    {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CLAUDE.md", "AGENTS.md", "package.json", "tsconfig.json"}
    | {"pyproject.toml", "requirements.txt", "Cargo.toml", "go.mod", "Makefile", "Dockerfile", ".gitignore"}
    | {".env.example", "docker-compose.yml", "Containerfile", "Justfile", "justfile", "Procfile", "Gemfile", "Rakefile"}
    | {"Jenkinsfile", "Vagrantfile", "Brewfile", "CODEOWNERS", "LICENSE", ".dockerignore", ".editorconfig"}
)
_FOLDERS: Final = frozenset(
    {"src", "tests", "test", "lib", "app", "apps", "packages", "docs", "backend", "frontend", "api", "ios", "android"}
    | {"cmd", "internal", "pkg", "config", "scripts", "contracts", ".github", "public", "server", "client", "web"}
    | {"infra", "migrations", "db", "assets", "tools", "examples", "crates", "benches"}
)
_ROOTS: Final = frozenset(
    {"etc", "usr", "var", "home", "tmp", "opt", "root", "bin", "sbin", "dev", "proc", "sys", "srv", "mnt", "Users"}
)
_OUTSIDE: Final = re.compile(r"[\w.@+~/\\][\w.@+~*()\[\]:/\\-]*[/\\][\w.@+~*()\[\]:/\\-]*")
_ADDRESS: Final = re.compile(r"[A-Za-z]:(?![/\\])|[A-Za-z][A-Za-z0-9+.-]+:")
_VERBS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def mentioned_paths(text: str) -> tuple[str, ...]:
    """The paths in `text` as owned-file patterns, each once.

    ``{name}`` and ``<name>`` in a path stand for anything; ``[name]`` stands for itself, a usual name of a route.
    """
    found: dict[str, None] = {}
    for quoted, bare in _WORD.findall(text):
        for word in _PLACEHOLDER.sub("*", quoted or bare).split(","):
            path = _path(word, is_quoted=bool(quoted))
            if path:
                found[path] = None
    return check_owned_files(tuple(found)[:200], "", Findings())  # what it refuses is no path of the repository


def refused_paths(text: str) -> tuple[str, ...]:
    """What is wrong with each path in `text` that no work package may own, such as ``/etc/passwd`` and ``../x``.

    A path from the root counts in a usual folder of a system or with a suffix, unless a word such as GET makes it a
    route.
    """
    refused = Findings()
    before = ""
    for quoted, bare in _WORD.findall(text):
        word = _LINE_NUMBER.sub("", (quoted or bare).strip(_TRIM).rstrip("."))
        if _OUTSIDE.fullmatch(word) and not _ADDRESS.match(word) and not (before in _VERBS or _is_route(word)):
            check_owned_files((word,), "", refused)
        before = word
    return tuple(dict.fromkeys(problem.message.removeprefix("owned file ") for problem in refused.problems))[:20]


def _is_route(word: str) -> bool:
    """Whether `word` begins at a root and looks rather like an address of a service than like a file."""
    first, *rest = word[1:].rstrip("/").split("/")
    return word.startswith("/") and not (rest and (first in _ROOTS or _SUFFIX.fullmatch(rest[-1])))


def _path(word: str, *, is_quoted: bool) -> str | None:
    word = _LINE_NUMBER.sub("", word.strip(_TRIM).rstrip(".")).removeprefix("./")
    if not _PATH.fullmatch(word):
        return None
    word = _BRACKETS.sub(r"[[]\1", word)
    first, *rest = word.rstrip("/").split("/")
    if "*" in first or not any(c.isalpha() for c in word):
        return None
    if not rest:
        known = word in _NAMES or (word.endswith("/") and first in _FOLDERS)
        return word if known or (is_quoted and (word.endswith("/") or _SUFFIX.fullmatch(word))) else None
    return (
        word if word.endswith("/") or first in _FOLDERS or rest[-1] in _NAMES or _SUFFIX.fullmatch(rest[-1]) else None
    )
