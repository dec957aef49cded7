"""How git is called: argument lists only, our own guard rails, never the user's hooks or a foreign environment."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any, Final

from kitty_flow.effects import reach
from kitty_flow.errors import ExternalToolError

__all__ = ["MINIMUM_VERSION", "OWN_GROUP", "Git", "GitFailedError", "check_version", "failed", "not_started"]

MINIMUM_VERSION: Final = (2, 38)
"""`git merge-tree --write-tree` appeared in 2.38."""

_GUARD_RAILS: Final = (
    "core.hooksPath=" + os.devnull,
    "core.fsmonitor=false",
    "core.fsync=all",
    "core.quotePath=false",
    "core.safecrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "branch.autoSetupMerge=false",
    "protocol.ext.allow=never",
    "log.showSignature=false",
)
"""No hook, fsmonitor or signature program of a repository runs inside us; git's default does not fsync a loose object
or ref."""

_BEING_MADE: Final = b"/commondir: Success\n"
"""What git says, before it does anything, when another process is just making a worktree: the file is there, empty."""

_TRIES: Final = 40
_PAUSE_S: Final = 0.05

OWN_GROUP: Final[Mapping[str, Any]] = {"process_group": 0} if os.name == "posix" else {}
"""Ctrl-C in a terminal reaches the whole foreground group: git must not die of it in the middle of a record."""

_KEPT_GIT_VARIABLES: Final = frozenset(
    {
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_EXEC_PATH",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_ASKPASS",
    }
)


class GitFailedError(ExternalToolError):
    """A git command ended with an unexpected status; `details` carry the command, status and standard error."""


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of every git process: the caller's GIT_DIR, index and the like must never redirect us."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in _KEPT_GIT_VARIABLES}
    env.update(LC_ALL="C", GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0", GIT_PAGER="cat")
    env.update(extra)
    return env


@dataclass(frozen=True)
class Git:
    """Runs git in one place. `cwd` is where; `env` overrides, for example GIT_DIR or GIT_INDEX_FILE.

    `settings` come after the guard rails and may relax them, such as ``core.fsync=none`` for what nobody keeps.
    """

    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()

    def argv(self, args: Sequence[str]) -> list[str]:
        """The full argument list, guard rails included."""
        rails = [word for setting in (*_GUARD_RAILS, *self.settings) for word in ("-c", setting)]
        return ["git", *rails, *args]

    def environment(self) -> dict[str, str]:
        """The full environment of the process."""
        return _environment(self.env)

    def call(
        self, *args: str, stdin: bytes | None = None, ok: Collection[int] = (0,), timeout: float = 300
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command to its end.

        Raises:
            GitFailedError: GIT_FAILED, the status is not in `ok`; GIT_TIMEOUT.
            ExternalToolError: GIT_MISSING or DIRECTORY_MISSING.
        """
        try:
            done = self._run(args, stdin, timeout)
            for _ in range(_TRIES):
                if done.returncode in ok or not done.stderr.endswith(_BEING_MADE):
                    break
                sleep(_PAUSE_S)
                done = self._run(args, stdin, timeout)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise not_started(self.cwd) from error
        except subprocess.TimeoutExpired as error:
            raise GitFailedError(
                "GIT_TIMEOUT", f"git {args[0]} did not end within {timeout:.0f} s", hint="kitty-flow doctor locks"
            ) from error
        if done.returncode not in ok:
            raise failed(args, done.returncode, done.stderr)
        return done

    def _run(self, args: Sequence[str], stdin: bytes | None, timeout: float) -> subprocess.CompletedProcess[bytes]:
        doomed = reach(f"git.{args[0]}") is not None
        with subprocess.Popen(
            self.argv(args),
            cwd=self.cwd,
            env=self.environment(),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **OWN_GROUP,
        ) as process:
            if doomed:
                process.kill()
            try:
                stdout, stderr = process.communicate(stdin, timeout=timeout)
            except BaseException:
                process.kill()
                raise
            return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def output(self, *args: str, stdin: bytes | None = None) -> bytes:
        """Standard output of a command that must succeed."""
        return self.call(*args, stdin=stdin).stdout

    def text(self, *args: str, stdin: bytes | None = None) -> str:
        """Standard output, decoded, without the final newline."""
        return self.output(*args, stdin=stdin).decode("utf-8", "surrogateescape").rstrip("\n")

    def status(self, *args: str, ok: Collection[int] = (0, 1)) -> int:
        """Exit status of a command that answers by it."""
        return self.call(*args, ok=ok).returncode


def failed(args: Sequence[str], status: int, stderr: bytes) -> GitFailedError:
    """The error for a git command that ended with `status`."""
    reason = stderr.decode("utf-8", "replace").strip()
    first = reason.splitlines()[-1] if reason else f"status {status}"
    return GitFailedError(
        "GIT_FAILED",
        f"git {next(iter(args[2:] if args[:1] == ('-c',) else args), '')} failed: {first}",
        hint="kitty-flow doctor",
        details={"command": ["git", *args], "status": status, "stderr": reason[-4000:]},
    )


def not_started(cwd: Path) -> ExternalToolError:
    """The error for a git command that could not even start in `cwd`."""
    if not cwd.is_dir():
        return ExternalToolError("DIRECTORY_MISSING", f"there is no directory {cwd}")
    return ExternalToolError("GIT_MISSING", "git was not found on PATH", hint="install git 2.38 or newer")


def check_version(git: Git) -> tuple[int, int]:
    """The version of the installed git.

    Raises:
        ExternalToolError: GIT_TOO_OLD, below `MINIMUM_VERSION`.
    """
    text = git.text("version")
    found = re.search(r"(\d+)\.(\d+)", text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise ExternalToolError(
            "GIT_TOO_OLD",
            f"{text} is too old: kitty-flow merges without a checkout, which needs git {wanted} or newer",
            hint=f"install git {wanted} or newer",
            details={"found": text, "minimum": wanted},
        )
    return version
