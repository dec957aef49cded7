"""Offering a mission as a pull request: the focused branch is pushed, and the host's own tool opens the request.

The tool (``gh`` or ``glab``) knows the host and holds the credentials; it gets an argument list. Without it the user is
told what to type.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any, Final

from kitty_flow.errors import ConflictError, ExternalToolError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.process import OWN_GROUP
from kitty_flow.git.refs import ABSENT
from kitty_flow.git.remote import Remote, Update, open_remote
from kitty_flow.ledger.ledger import Batch, new_ulid
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.text import printable
from kitty_flow.release.focused_branch import FocusedBranch, make_focused_branch
from kitty_flow.release.gates import check_gates
from kitty_flow.release.landing import Landing, MergeOptions, heads

__all__ = ["PullRequest", "offer_pull_request"]

_GATES: Final = (
    "config_unchanged",
    "ledger_descends",
    "approved_heads_integrated",
    "mission_accepted",
    "verdicts_consistent",
    "approved_heads_reviewed",
    "reviewers_are_not_implementers",
    "owned_files_respected",
    "no_secrets",
)
"""Those of a landing that are about the work; the local target and its checkouts are not concerned."""

_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True)
class PullRequest:
    """A branch at the remote, and the request for it: its address where a tool opened it, else what to type."""

    branch: str
    commit: str
    base: str
    remote: str
    tool: str | None
    url: str | None
    command: str
    was_there: bool

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


def offer_pull_request(mission: OpenMission, options: MergeOptions) -> PullRequest:
    """Push the mission alone, on top of what the remote has, and open a pull request for it where a tool is installed.

    Repeating it with nothing changed pushes and opens nothing again.

    Raises:
        As `make_focused_branch`, and
        RefusedError: a gate about the work is closed.
        ConflictError: REMOTE_MOVED, the branch is there with other commits.
        ExternalToolError: REMOTE_UNREACHABLE or REMOTE_REFUSES; PULL_REQUEST_FAILED, the branch is pushed.
    """
    made = make_focused_branch(mission)
    _check(mission, options, made)
    name, base = made.remote, made.base
    remote = open_remote(mission.project.repository, name, start=mission.project.root)
    was_there = _push(mission, remote, made)
    tool, words = _command(mission, name, made.branch, base)
    shown = shlex.join(words)
    url = _opened(mission, tool, words, made) if tool is not None else None
    found = PullRequest(made.branch, made.commit, base, remote.location.shown, tool, url, shown, was_there)
    _record(mission, found)
    return found


def _check(mission: OpenMission, options: MergeOptions, made: FocusedBranch) -> None:
    repository = mission.project.repository
    landing = Landing(
        mission,
        options,
        new_ulid(),
        None,
        made.upstream_commit,
        repository.refs.commit(mission.branch),
        heads(mission, mission.view(), "approved"),
        made.commit,
        mission.project.history.tree(made.commit),
    )
    check_gates(landing, _GATES)


def _push(mission: OpenMission, remote: Remote, made: FocusedBranch) -> bool:
    """Push the branch; says whether the remote had it already."""
    ref = f"refs/heads/{made.branch}"
    before = remote.fetch([ref])[ref] if ref in remote.refs(ref) else None
    if before == made.commit:
        return True
    pushed = remote.push([Update(ref, made.commit, before or ABSENT)])[0]
    if pushed.outcome == "refused":
        raise ExternalToolError(
            "REMOTE_REFUSES",
            f"{remote.location.shown} does not take {ref}: {pushed.words}",
            hint=f"change the rule there, then kitty-flow merge {mission.slug} --pull-request",
        )
    if pushed.outcome == "stale" or remote.unconfirmed({ref: made.commit}):
        raise ConflictError(
            "REMOTE_MOVED",
            f"{made.branch} at {remote.location.shown} has commits of its own, or moved meanwhile",
            hint=f"git push {shlex.quote(remote.location.shown)} --delete {made.branch} if nobody needs it, "
            f"then kitty-flow merge {mission.slug} --pull-request",
        )
    return False


def _command(mission: OpenMission, remote: str, branch: str, base: str) -> tuple[str | None, list[str]]:
    """The installed tool that fits the remote's host, if there is one, and the words that open the request."""
    address = mission.project.repository.git.text("remote", "get-url", "--", remote)
    tools = ("glab", "gh") if "gitlab" in address else ("gh", "glab")
    fitting = tools[:1] if "gitlab" in address or "github" in address else tools
    tool = next((name for name in fitting if shutil.which(name)), None)
    title = printable(mission.definition.title).strip() or mission.slug
    names = ", ".join(w.id for w in mission.definition.work_packages)
    body = f"Mission {mission.slug}: {printable(names)}"
    if (tool or fitting[0]) == "glab":
        words = [f"--source-branch={branch}", f"--target-branch={base}", f"--title={title}", f"--description={body}"]
        return tool, ["glab", "mr", "create", *words, "--yes"]
    return tool, ["gh", "pr", "create", f"--head={branch}", f"--base={base}", f"--title={title}", f"--body={body}"]


def _opened(mission: OpenMission, tool: str, words: list[str], made: FocusedBranch) -> str:
    """Open the request, or find the one that is open; returns what the tool says about where it is."""
    done = _run(mission, words)
    if done.returncode == 0:
        return _last_line(done.stdout)
    view = ["glab", "mr", "view", made.branch] if tool == "glab" else ["gh", "pr", "view", made.branch]
    view += [] if tool == "glab" else ["--json=url", "--jq=.url"]
    found = _run(mission, view)
    addresses = [word for word in found.stdout.split() if "://" in word]
    if found.returncode == 0 and addresses:
        return printable(addresses[0])[:500]
    why = _last_line(done.stderr) or "it gives no reason"
    raise ExternalToolError(
        "PULL_REQUEST_FAILED",
        f"{made.branch} is pushed, but {tool} could not open the pull request: {why}",
        hint=f"{tool} auth status, then kitty-flow merge {mission.slug} --pull-request",
        details={"command": words, "status": done.returncode, "stderr": printable(done.stderr)[-4000:]},
    )


def _run(mission: OpenMission, words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GH_PROMPT_DISABLED": "1", "NO_COLOR": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(
            words,
            cwd=mission.project.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
            **OWN_GROUP,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExternalToolError(
            "PULL_REQUEST_FAILED",
            f"the branch is pushed, but {words[0]} did not end: {error}",
            hint=f"kitty-flow merge {mission.slug} --pull-request",
        ) from error


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[-1])[:500] if lines else ""


def _record(mission: OpenMission, found: PullRequest) -> None:
    evidence = {
        "pull_request_branch": found.branch,
        "pull_request_commit": found.commit,
        "pull_request_remote": found.remote,
        "pull_request_tool": found.tool,
        "pull_request_url": found.url,
    }

    def build(view: LedgerView) -> Batch:
        entity = view.entity("mission", mission.id)
        if entity is not None and all(entity.facts.get(name) == value for name, value in evidence.items()):
            return Batch(())
        builder = BatchBuilder(view, actor=current_user())
        builder.annotate("mission", mission.id, "offer", evidence=evidence)
        return builder.build()

    mission.ledger.record(build)
