"""Exchange of refs with one remote: list, fetch into our own tracking refs, push without force, confirm.

Nothing of the user's is touched by a fetch: neither FETCH_HEAD, tags, remote-tracking refs nor configuration. Every
call is bounded in time and never asks for a password on the terminal. What the host refuses comes back as data.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kitty_flow.errors import ConflictError, ExternalToolError, UsageError
from kitty_flow.git.process import Git, GitFailedError
from kitty_flow.git.refs import ABSENT, Refs
from kitty_flow.git.remote_location import RemoteLocation, locate, without_secrets
from kitty_flow.git.repository import Repository
from kitty_flow.git.stale_lock import clear_stale_lock
from kitty_flow.model.text import printable

__all__ = ["Pushed", "Remote", "Update", "open_remote"]

TIMEOUT_S: Final = 60.0

_FETCH: Final = (
    "fetch",
    "--quiet",
    "--stdin",
    "--no-write-fetch-head",
    "--no-tags",
    "--no-prune",
    "--no-auto-maintenance",
    "--no-write-commit-graph",
    "--no-recurse-submodules",
    "--refmap=",
)
_PUSH: Final = (
    "push",
    "--porcelain",
    "--no-verify",
    "--no-follow-tags",
    "--no-signed",
    "--no-force-if-includes",
    "--recurse-submodules=no",
)
_UNFIT_REF: Final = re.compile(r"[\s\x00-\x1f\x7f:^~?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|[/.]$")


@dataclass(frozen=True)
class Update:
    """One ref to push: `new` takes the place of `expected`, or creates the ref where that is `ABSENT`."""

    ref: str
    new: str
    expected: str


@dataclass(frozen=True)
class Pushed:
    """What became of one update, with the host's words where there are any.

    ``pushed`` and ``up_to_date``: the remote's ref has the new value. ``stale``: somebody else was faster, or the
    update is not a fast-forward; fetch and try again. ``refused``: the host declines this ref (hidden, a hook, a
    protected branch), and trying again does not help.
    """

    update: Update
    outcome: Literal["pushed", "up_to_date", "stale", "refused"]
    words: str = ""


@dataclass(frozen=True)
class Remote:
    """One remote of one repository, whose refs are `own`. No call takes longer than `timeout_s` seconds."""

    git: Git
    own: Refs
    location: RemoteLocation
    timeout_s: float = TIMEOUT_S

    def tracking(self, ref: str) -> str:
        """The ref of ours that remembers what `ref` was at the remote."""
        return f"refs/kitty/remotes/{self.location.key}/{ref.removeprefix('refs/')}"

    def refs(self, *names: str) -> dict[str, str]:
        """What the remote has: refs by full name, or all below a name that ends with ``/``. Absent ones are left out.

        Raises:
            ExternalToolError: REMOTE_UNREACHABLE.
        """
        patterns = [name + "*" if name.endswith("/") else name for name in names]
        try:
            done = self._call("ls-remote", "--quiet", "--refs", "--", self.location.text, *patterns)
        except GitFailedError as error:
            raise self._unreachable(_reason(error.details["stderr"])) from None
        lines = (line.partition("\t") for line in done.stdout.decode("utf-8", "surrogateescape").splitlines())
        # git compares the end of a name only, and a hostile remote may send any name.
        return {ref: oid for oid, _, ref in lines if _is_among(ref, names) and not _UNFIT_REF.search(ref)}

    def fetch(self, refs: Iterable[str]) -> dict[str, str]:
        """Bring refs of the remote, by full name, into their tracking refs; returns the values that they now have.

        Raises:
            ExternalToolError: REMOTE_UNREACHABLE.
            ConflictError: REMOTE_REF_GONE, a ref was deleted there in the meantime.
            GitFailedError: what came cannot be stored here.
        """
        wanted = {ref: self.tracking(_fit(ref)) for ref in refs}
        if not wanted:
            return {}
        try:
            self._fetch(wanted)
        except GitFailedError as error:
            if not self._clear_locks(wanted.values()):
                raise self._explained(error, wanted) from None
            self._fetch(wanted)
        found = self.own.under(self.tracking(""))
        return {ref: found[own] for ref, own in wanted.items()}

    def push(self, updates: Sequence[Update], *, atomic: bool = False) -> tuple[Pushed, ...]:
        """Push refs, each only from the value that is expected there, and never by force; `atomic`: all or none.

        `expected` must have been fetched before: what does not provably contain it is not sent, and is ``stale``.

        Raises:
            ExternalToolError: REMOTE_UNREACHABLE; then nobody knows what arrived, and asking `refs` tells.
            GitFailedError: git failed before the remote decided.
        """
        # git takes a lease that holds as leave to overwrite, so the fast-forward is ours to prove.
        sent = [update for update in updates if self._is_fast_forward(update)]
        if atomic and len(sent) < len(updates):
            sent = []
        answers = self._push(sent, atomic=atomic) if sent else {}
        rejected = [update.ref for update in sent if answers[update.ref][0] == "!"]
        # The words for a lost race and for a refusal differ from host to host; the value that is there does not.
        actual = self.refs(*rejected) if rejected else {}
        return tuple(_judge(update, answers.get(update.ref), actual.get(update.ref, ABSENT)) for update in updates)

    def unconfirmed(self, pushed: Mapping[str, str]) -> dict[str, str]:
        """Of refs and the values they were pushed with, those that have another value at the remote, and which.

        Raises:
            ExternalToolError: REMOTE_UNREACHABLE.
        """
        actual = self.refs(*pushed) if pushed else {}
        return {ref: actual.get(ref, ABSENT) for ref, oid in pushed.items() if actual.get(ref, ABSENT) != oid}

    def _call(
        self, *args: str, stdin: bytes | None = None, ok: Sequence[int] = (0,)
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return self.git.call(*args, stdin=stdin, ok=ok, timeout=self.timeout_s)
        except GitFailedError as error:
            if error.code == "GIT_TIMEOUT":
                raise self._unreachable(f"no answer within {self.timeout_s:.0f} s") from None
            # The chain is cut: the original names the whole command line, with the URL as it was typed.
            raise _clean(args, error.details["status"], error.details["stderr"]) from None

    def _fetch(self, wanted: Mapping[str, str]) -> None:
        specs = "".join(f"+{ref}:{own}\n" for ref, own in wanted.items())
        self._call(*_FETCH, "--", self.location.text, stdin=specs.encode("utf-8", "surrogateescape"))

    def _clear_locks(self, own: Iterable[str]) -> bool:
        """Remove locks of tracking refs that a killed fetch left; says whether there were any and all are gone."""
        common = self.own.common_dir
        locks = [lock for ref in own if os.path.lexists(lock := common / f"{ref}.lock")]
        return bool(locks) and all(clear_stale_lock(lock, older_than_s=2.0, places=(common,)) for lock in locks)

    def _explained(self, error: GitFailedError, wanted: Iterable[str]) -> Exception:
        gone = set(wanted).difference(self.refs(*wanted))
        if not gone:
            return error
        return ConflictError(
            "REMOTE_REF_GONE",
            f"{min(gone)} was deleted at {self.location.shown} in the meantime",
            hint="run the command again",
            details={"remote": self.location.shown, "refs": sorted(gone)},
        )

    def _is_fast_forward(self, update: Update) -> bool:
        if update.expected == ABSENT:
            return True
        # 128: a commit is not here, so nothing can be proved.
        return self.git.status("merge-base", "--is-ancestor", update.expected, update.new, ok=(0, 1, 128)) == 0

    def _push(self, updates: Sequence[Update], *, atomic: bool) -> dict[str, tuple[str, str]]:
        """git's flag and words for each ref; of several push URLs the least favourable answer counts."""
        leases = [f"--force-with-lease={_fit(update.ref)}:{update.expected}" for update in updates]
        specs = [f"{update.new}:{update.ref}" for update in updates]
        args = (*_PUSH, *(("--atomic",) if atomic else ()), *leases, "--", self.location.text, *specs)
        done = self._call(*args, ok=(0, 1, 128))
        stderr = done.stderr.decode("utf-8", "replace")
        said = [line.removeprefix("remote:").strip() for line in stderr.splitlines() if line.startswith("remote:")]
        answers: dict[str, tuple[str, str]] = {}
        for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
            flag, tab, rest = line.partition("\t")
            pair, _, summary = rest.partition("\t")
            ref = pair.rpartition(":")[2]
            if tab and answers.get(ref, ("", ""))[0] != "!":
                answers[ref] = (flag, _words(summary, said) if flag == "!" else "")
        if any(update.ref not in answers for update in updates):
            self.refs(*(update.ref for update in updates))
            raise _clean(args, done.returncode, stderr)
        return answers

    def _unreachable(self, why: str) -> ExternalToolError:
        return ExternalToolError(
            "REMOTE_UNREACHABLE",
            f"the remote {self.location.shown} cannot be reached: {why}",
            hint=self.location.command,
            details={"remote": self.location.shown},
        )


def open_remote(repository: Repository, text: str, *, start: Path, timeout_s: float = TIMEOUT_S) -> Remote:
    """The remote that a person named; nothing is asked of it yet. A relative path counts from the directory `start`.

    Raises:
        UsageError: REMOTE_UNKNOWN.
    """
    git = repository.git
    location = locate(git, text, start)
    env = dict(git.env)
    if location.is_configured:
        # A push mirror takes no single refs; the last value that git reads counts.
        env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"remote.{text}.mirror", "GIT_CONFIG_VALUE_0": "false"}
    own_ssh = "GIT_SSH" in os.environ or "GIT_SSH_COMMAND" in os.environ
    if not own_ssh and git.status("config", "--get", "core.sshCommand") == 1:
        # ssh asks on the terminal itself; in a process group of its own it would be stopped there and hang.
        env["GIT_SSH_COMMAND"] = f"ssh -oBatchMode=yes -oConnectTimeout={max(1, int(timeout_s))}"
    return Remote(Git(git.cwd, env), repository.refs, location, timeout_s)


def _is_among(ref: str, names: Sequence[str]) -> bool:
    return any(ref.startswith(name) if name.endswith("/") else ref == name for name in names)


def _fit(ref: str) -> str:
    """A full ref name that can stand in a refspec and mean just itself.

    Raises:
        UsageError: REF_INVALID.
    """
    if not ref.startswith("refs/") or _UNFIT_REF.search(ref):
        raise UsageError("REF_INVALID", f"{ref!r} cannot be exchanged with a remote: it is not the full name of a ref")
    return ref


def _judge(update: Update, answer: tuple[str, str] | None, actual: str) -> Pushed:
    if answer is None:
        return Pushed(update, "stale", f"not a fast-forward of {update.expected[:12]}")
    flag, words = answer
    if flag != "!":
        return Pushed(update, "up_to_date" if flag == "=" else "pushed")
    if actual == update.new:  # unions are the same everywhere, so somebody else may have pushed this very one
        return Pushed(update, "up_to_date")
    return Pushed(update, "refused" if actual == update.expected else "stale", words)


def _words(summary: str, said: Sequence[str]) -> str:
    """git's reason in brackets, then what the host printed, on one line."""
    reason = summary.partition("(")[2].removesuffix(")") or summary
    return printable(without_secrets(": ".join(filter(None, (reason, " / ".join(filter(None, said)))))))[:500]


def _reason(stderr: str) -> str:
    """The line that says most: git's own last lines are advice, and ssh greets with warnings."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.lower().startswith("warning")]
    return lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else "git says nothing"


def _clean(args: Sequence[str], status: int, stderr: str) -> GitFailedError:
    said = without_secrets(stderr)
    return GitFailedError(
        "GIT_FAILED",
        f"git {args[0]} failed: {_reason(said)}",
        hint="kitty-flow doctor",
        details={"command": ["git", *map(without_secrets, args)], "status": status, "stderr": said[-4000:]},
    )
