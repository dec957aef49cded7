"""The gate that compares the target with its remote-tracking branch (seed 004, merge-ship-preflight)."""

from __future__ import annotations

from dataclasses import dataclass

from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.remote import open_remote
from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.landing import Landing

__all__ = ["Divergence", "divergence", "target_in_sync", "upstream_of"]


@dataclass(frozen=True)
class Divergence:
    """How the target stands to the branch `base` of `remote`, which it follows: the commit there, ahead and behind."""

    remote: str
    base: str
    commit: str | None
    ahead: int
    behind: int

    @property
    def upstream(self) -> str:
        """That branch, as it is shown."""
        return f"{self.remote}/{self.base}"

    @property
    def kind(self) -> str:
        """In a word."""
        if self.commit is None:
            return "missing there"
        return {(False, False): "in sync", (True, False): "ahead", (False, True): "behind"}.get(
            (bool(self.ahead), bool(self.behind)), "diverged"
        )


def upstream_of(mission: OpenMission) -> tuple[str, str] | None:
    """The remote and the branch there (full ref) that the target follows; None where it follows none."""
    form = "--format=%(upstream:remotename)%00%(upstream:remoteref)"
    name, _, ref = mission.project.repository.git.text("for-each-ref", form, "--", mission.target_ref).partition("\0")
    return (name, ref) if name and ref and name != "." else None


def divergence(mission: OpenMission) -> Divergence | None:
    """Ask the remote where the upstream of the target is, and count what either side lacks; None without an upstream.

    The user's remote-tracking refs are left alone.

    Raises:
        ExternalToolError: REMOTE_UNREACHABLE.
    """
    repository = mission.project.repository
    followed, target = upstream_of(mission), repository.refs.commit(mission.target_ref)
    if followed is None or target is None:
        return None
    name, ref = followed
    remote = open_remote(repository, name, start=mission.project.root)
    base = ref.removeprefix("refs/heads/")
    if ref not in remote.refs(ref):
        return Divergence(name, base, None, 0, 0)
    commit = remote.fetch([ref])[ref]
    counts = repository.git.text("rev-list", "--left-right", "--count", f"{target}...{commit}", "--")
    ahead, behind = map(int, counts.split())
    return Divergence(name, base, commit, ahead, behind)


def target_in_sync(landing: Landing) -> GateResult:
    """The target has everything that the branch it follows has; asked of the remote."""
    gate, target = "target_in_sync", landing.mission.target_branch
    found = divergence(landing.mission)
    if found is None:
        return open_gate(gate, f"{target} follows no remote branch, so there is nothing to compare")
    if not found.behind:
        words = {"ahead": "ahead of", "missing there": "not there yet:"}.get(found.kind, "in sync with")
        more = f", {found.ahead} commit(s) not pushed yet" if found.ahead else ""
        return open_gate(gate, f"{target} is {words} {found.upstream}{more}")
    slug = landing.mission.slug
    return closed_gate(
        gate,
        "TARGET_BRANCH_NOT_SYNCHRONIZED",
        f"{target} is {found.kind}: {found.ahead} commit(s) ahead of and {found.behind} behind {found.upstream}",
        subject=target,
        invariant="a landing starts from what the remote has",
        remediation=f"git pull --ff-only, then kitty-flow merge {slug}"
        if not found.ahead
        else f"kitty-flow merge {slug} --pr-branch, to offer the mission on top of {found.upstream}; or bring "
        f"{target} and {found.upstream} together yourself",
    )
