"""Putting the ownership check in front of every commit, behind the hook that is there, and taking it away again.

The user's hook is renamed in its own folder, as the pre-commit framework does with `pre-commit.legacy`: a relative link
and the folder of `$0` stay right. What cannot be done that way is refused, with the words to add by hand. All worktrees
share the hook; in the user's own checkouts it ends after a test of the shell, without any Python.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from kitty_flow.errors import ExternalToolError, RefusedError
from kitty_flow.flow.project import Project
from kitty_flow.git.process import Git

__all__ = ["Installation", "install", "line_by_hand", "uninstall"]

_NAME: Final = "pre-commit"
_KEPT: Final = "pre-commit.before-kitty-flow"
_RESERVED: Final = "planning-checkout.json"
"""In the state directory while planning work uses the main checkout; one that was left behind costs time only."""

_MARK: Final = b"#!/bin/sh\n# Made by `kitty-flow guard install`"

_BY_ITS_NAME: Final = re.compile(
    rb"basename\b[^\n]*\$(?:\{?0|BASH_SOURCE)|\$\{0##|sys\.argv\[0\]|\bhusky\b|\bovercommit\b", re.IGNORECASE
)
"""A hook that asks what it is called, or of a manager whose hooks do: under another name it does something else."""

_WHERE: Final = (
    'case "${KITTY_FLOW_WP:+agent}:$PWD" in agent:*|*:*/worktrees/*/lane-*) ;; '
    f'*) [ -e "${{GIT_DIR:-.git}}/kitty-flow/{_RESERVED}" ] ;; esac'
)
"""The places in which the script below checks, as one condition of the shell."""

_SCRIPT: Final = """\
{mark}; `kitty-flow guard uninstall` puts everything back.
# The hook that was here before runs first, with its arguments, its input and its exit status.
before="${{0%/*}}/{kept}"
if [ "${{0##*/}}" = {name} ] && [ -x "$before" ]; then
    "$before" "$@" || exit $?
fi
# That was all, unless an agent commits, or this is a worktree of kitty-flow or a checkout that planning work uses.
case "${{KITTY_FLOW_WP:+agent}}:$PWD" in
agent:* | *:*/worktrees/*/lane-*) ;;
*) [ -e "${{GIT_DIR:-.git}}/kitty-flow/{reserved}" ] || exit 0 ;;
esac
python={python}
if [ -x "$python" ]; then
    exec "$python" -P -m kitty_flow guard check --staged >/dev/null
elif command -v kitty-flow >/dev/null 2>&1; then
    exec kitty-flow guard check --staged >/dev/null
fi
echo "error: whose files these are cannot be checked: kitty-flow is not installed any more" >&2
echo "hint: install it, or remove this hook: $0" >&2
exit 1
"""


class Installation(NamedTuple):
    """What is there afterwards: the hook's path, the user's hook that runs before it (None without one), and whether
    anything was changed."""

    hook: Path
    chained: Path | None
    changed: bool


def install(project: Project) -> Installation:
    """Have every commit checked from now on. Doing it again changes nothing, or renews an older hook of ours.

    Killed at any moment, the user's hook is still in force: it gets its second name before ours takes the first one.

    Raises:
        RefusedError: GUARD_NOT_INSTALLABLE, with what to add by hand; GUARD_DISPLACED.
        ExternalToolError: HOOK_NOT_WRITTEN.
    """
    folder = _hooks_folder(project)
    hook, kept = folder / _NAME, folder / _KEPT
    script = _script()
    try:
        folder.mkdir(exist_ok=True)
        if _is_ours(hook):
            changed = hook.read_bytes() != script
        else:
            changed = True
            if os.path.lexists(hook):
                _keep(project, hook, kept)
        if changed:
            _write(hook, script)
    except OSError as error:
        raise _not_written(hook, error) from error
    return Installation(hook, kept if os.path.lexists(kept) else None, changed)


def uninstall(project: Project) -> Installation:
    """Take the check away; the user's hook gets its name back, the same file as before.

    Raises:
        RefusedError: GUARD_DISPLACED, another hook took the place of ours.
        ExternalToolError: HOOK_NOT_WRITTEN.
    """
    hook, kept = _installed(project)
    try:
        if not _is_ours(hook):
            if not os.path.lexists(kept):
                return Installation(hook, None, False)
            if not _is_same(hook, kept):
                raise _displaced(hook, kept)
            kept.unlink()  # an installation that was killed
        elif os.path.lexists(kept):
            kept.replace(hook)
        else:
            hook.unlink()
    except OSError as error:
        raise _not_written(hook, error) from error
    return Installation(hook, None, True)


def line_by_hand(root: Path) -> str:
    """What to add by hand, in the form of the hook manager that the repository uses."""
    line = f"if {_WHERE}; then kitty-flow guard check --staged || exit 1; fi"
    if (root / ".pre-commit-config.yaml").exists():
        return (
            "add to .pre-commit-config.yaml, below repos:\n"
            "  - repo: local\n"
            "    hooks:\n"
            "      - id: kitty-flow-guard\n"
            "        name: kitty-flow ownership\n"
            f"        entry: sh -c 'if {_WHERE}; then exec kitty-flow guard check --staged; fi'\n"
            "        language: system\n"
            "        always_run: true\n"
            "        pass_filenames: false"
        )
    if (root / ".husky").is_dir():
        return f"add to .husky/pre-commit: {line}"
    return f"add to your pre-commit hook: {line}"


def _hooks_folder(project: Project) -> Path:
    """Where git looks for this repository's hooks, if it is a folder that is only this repository's and not tracked."""
    found = _configured(project)
    if found is None:
        folder = project.repository.common_dir / "hooks"
    else:
        scope, value = found
        if scope in ("global", "system"):
            raise _by_hand(project, value, f"core.hooksPath is set in the {scope} configuration, for all repositories")
        if not os.path.isabs(value):  # noqa: PTH117 - the text as git reads it, Path("") is a folder
            raise _by_hand(project, value, "core.hooksPath names a folder inside the working tree")
        folder = Path(value)
    real = folder.resolve()
    inside = real.is_relative_to(project.root.resolve()) and not real.is_relative_to(
        project.repository.common_dir.resolve()
    )
    if inside and not project.repository.is_bare:
        raise _by_hand(project, str(folder), "the hooks are files of the working tree")
    return folder


def _installed(project: Project) -> tuple[Path, Path]:
    """The paths of the hook and of the user's, where there is something of ours; core.hooksPath may have changed."""
    found = _configured(project)
    folders = [project.repository.common_dir / "hooks"]
    if found is not None and os.path.isabs(found[1]):  # noqa: PTH117 - as above
        folders.insert(0, Path(found[1]))
    places = [(folder / _NAME, folder / _KEPT) for folder in folders]
    return next((p for p in places if _is_ours(p[0]) or os.path.lexists(p[1])), places[0])


def _configured(project: Project) -> tuple[str, str] | None:
    """(scope, value) of core.hooksPath as git itself would see it; ours, on the command line, does not count."""
    words = ("config", "-z", "--show-scope", "--type=path", "--get-all", "core.hooksPath")
    parts = os.fsdecode(Git(project.root).call(*words, ok=(0, 1)).stdout).split("\0")
    found = [pair for pair in zip(parts[::2], parts[1::2], strict=False) if pair[0] != "command"]
    return found[-1] if found else None


def _script() -> bytes:
    python = shlex.quote(sys.executable)
    text = _SCRIPT.format(mark=_MARK.decode(), kept=_KEPT, name=_NAME, python=python, reserved=_RESERVED)
    return text.encode("utf-8", "surrogateescape")


def _is_ours(hook: Path) -> bool:
    if not hook.is_file() or hook.is_symlink():
        return False
    with hook.open("rb") as file:
        return file.read(len(_MARK)) == _MARK


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names stand for one hook: two names of a file, equal links, or a copy where there are no links."""
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def _keep(project: Project, hook: Path, kept: Path) -> None:
    """Give the user's hook its second name, under which it stays the same file."""
    if os.path.lexists(kept):
        if _is_same(hook, kept):
            return  # an installation that was killed
        raise _displaced(hook, kept)
    if hook.is_dir():
        raise _by_hand(project, str(hook), "a folder has the hook's name")
    if _goes_by_its_name(hook):
        raise _by_hand(project, str(hook), "the hook that is there goes by its own name, so it cannot be renamed")
    if hook.is_symlink():
        kept.symlink_to(hook.readlink())
        return
    try:
        os.link(hook, kept)
    except OSError:  # no such links on this file system
        temporary = kept.with_name(f"{kept.name}.{secrets.token_hex(4)}")
        shutil.copy2(hook, temporary)
        temporary.replace(kept)


def _goes_by_its_name(hook: Path) -> bool:
    with suppress(OSError), hook.open("rb") as file:
        return _BY_ITS_NAME.search(file.read(1 << 16)) is not None
    return False  # a link to nowhere


def _write(hook: Path, script: bytes) -> None:
    """Put the script in place in one step."""
    temporary = hook.with_name(f"{hook.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(script)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o755)
        temporary.replace(hook)
    finally:
        temporary.unlink(missing_ok=True)


def _by_hand(project: Project, where: str, why: str) -> RefusedError:
    line = line_by_hand(project.root)
    return RefusedError(
        "GUARD_NOT_INSTALLABLE",
        f"the hook was not touched: {why} ({where})",
        hint=line,
        details={"hooks": where, "reason": why, "add_by_hand": line},
    )


def _displaced(hook: Path, kept: Path) -> RefusedError:
    return RefusedError(
        "GUARD_DISPLACED",
        f"another hook took the place of ours: {hook} is new, and {kept} is what was there before `guard install`",
        hint=f"keep one of them: rm {shlex.quote(str(kept))}, then kitty-flow guard install",
        details={"hook": str(hook), "kept": str(kept)},
    )


def _not_written(hook: Path, error: OSError) -> ExternalToolError:
    return ExternalToolError(
        "HOOK_NOT_WRITTEN",
        f"{hook} cannot be changed: {error.strerror or error}",
        hint=f"ls -ld {shlex.quote(str(hook.parent))}, mend it, then type the command again",
    )
