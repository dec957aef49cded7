"""The gates that look at the mission, the version's order, and the tag, here and at the remote."""

from __future__ import annotations

from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.repository_gates import config_gate
from kitty_flow.release.ship.order import canonical, greatest, is_greater, versions_of_tags
from kitty_flow.release.ship.sheet import Release
from kitty_flow.release.ship.signing import signing_key
from kitty_flow.release.verify import verify_mission

__all__ = [
    "config_unchanged",
    "landing_holds",
    "mission_merged",
    "signing_possible",
    "tag_absent_at_remote",
    "tag_absent_here",
    "tag_at_release_commit",
    "version_follows_last_tag",
    "version_valid",
]

_ONE_TAG = "a tag is made once and never moved"


def config_unchanged(release: Release) -> GateResult:
    """Nothing in the repository's own configuration that can run code is other than when the mission began."""
    return config_gate(release.mission, release.command)


def mission_merged(release: Release) -> GateResult:
    """The mission has landed."""
    slug, state = release.mission.slug, release.mission.state()
    if state in ("merged", "shipped"):
        return open_gate("mission_merged", f"{slug} is {state}; {release.commit[:12]} is shipped")
    return closed_gate(
        "mission_merged",
        "MISSION_NOT_MERGED",
        f"{slug} is {state}; only what has landed is shipped",
        subject=slug,
        invariant="only landed work is shipped",
        remediation=f"kitty-flow merge {slug} --plan",
    )


def landing_holds(release: Release) -> GateResult:
    """The release commit contains the head of everything that is called done; asked of git."""
    lost = [proof.work_package_id for proof in verify_mission(release.mission, release.commit) if not proof.holds]
    if not lost:
        return open_gate("landing_holds", f"{release.commit[:12]} contains everything that is called done")
    return closed_gate(
        "landing_holds",
        "LANDING_NOT_PROVED",
        f"{release.commit[:12]} does not contain {', '.join(lost)}",
        subject=lost[0],
        invariant="only landed work is shipped",
        remediation=f"kitty-flow verify {release.mission.slug}",
    )


def version_valid(release: Release) -> GateResult:
    """The version is one, written as its scheme writes it."""
    scheme, version = release.settings.scheme, release.version
    name = {"pep440": "PEP 440", "semver": "Semantic Versioning"}[scheme]
    plain = canonical(version, scheme)
    if plain == version:
        return open_gate("version_valid", f"{version} is a version by {name}")
    return closed_gate(
        "version_valid",
        "VERSION_INVALID",
        f"{version!r} is no version by {name}" if plain is None else f"{name} writes {version!r} as {plain!r}",
        subject=version,
        invariant="a version has one way to be written",
        remediation=f"kitty-flow ship {release.mission.slug} --version {plain or 'X.Y.Z'}",
    )


def version_follows_last_tag(release: Release) -> GateResult:
    """The version is greater than that of every tag in the release commit's history, and no tag has it anywhere.

    Tags on other branches may be greater: 1.4.2 is released for those who stay on 1.4 while 2.0.0 is out.
    """
    gate, scheme = "version_follows_last_tag", release.settings.scheme
    if canonical(release.version, scheme) is None:
        return closed_gate(gate, "VERSION_INVALID", f"{release.version!r} cannot be compared", outcome="error")
    git = release.mission.project.repository.git
    form = "--format=%(refname:strip=2)"
    everywhere = versions_of_tags(
        git.text("for-each-ref", form, "--", "refs/tags").split(), release.settings.tag, scheme
    )
    merged = git.text("for-each-ref", form, f"--merged={release.commit}", "--", "refs/tags").split()
    taken = [tag for tag, version in everywhere.items() if not is_greater(version, release.version, scheme)
             and not is_greater(release.version, version, scheme) and tag != release.tag]  # fmt: skip
    known = {tag: everywhere[tag] for tag in merged if tag in everywhere and tag != release.tag}
    last = greatest(known.values(), scheme)
    code, message = "", ""
    if taken:
        code, message = "VERSION_TAKEN", f"the tag {taken[0]} is for the same version as {release.version}"
    elif last is not None and not is_greater(release.version, last, scheme):
        code, message = "VERSION_NOT_GREATER", f"{release.version} does not come after {last}, the last one released"
    if not code:
        return open_gate(gate, f"{release.version} comes after {last}" if last else "no version was tagged before")
    return closed_gate(
        gate,
        code,
        message,
        subject=release.version,
        invariant="versions go up",
        remediation=f"kitty-flow ship {release.mission.slug} --version X with X above {last or release.version}",
    )


def tag_absent_here(release: Release) -> GateResult:
    """The tag's name is free in this repository, or it is the tag that this release has made."""
    found = release.mission.project.repository.refs.read(release.tag_ref)
    return _tag_absent(release, "tag_absent_here", "TAG_EXISTS", found, "this repository", f"git show {release.tag}")


def tag_absent_at_remote(release: Release) -> GateResult:
    """The tag's name is free at the remote; a remote that does not answer closes the gate."""
    gate, name = "tag_absent_at_remote", release.remote_name
    if release.remote is None:
        return open_gate(gate, "there is no remote, so there is nothing to ask")
    look = f"git fetch {name} tag {release.tag}"
    return _tag_absent(release, gate, "TAG_EXISTS_AT_REMOTE", release.remote_tag(), str(name), look)


def _tag_absent(release: Release, gate: str, code: str, found: str | None, place: str, look: str) -> GateResult:
    """Whether a place has no such tag, or the one that this release made; `look` is the command that shows another."""
    if found is None:
        return open_gate(gate, f"{place} has no tag {release.tag}")
    if found == release.tag_object:
        return open_gate(gate, f"{place} has the tag {release.tag} that this release made")
    return closed_gate(
        gate,
        code,
        f"{place} has a tag {release.tag} already, at {found[:12]}",
        subject=release.tag_ref,
        invariant=_ONE_TAG,
        remediation=f"{look}; then ship another version",
    )


def tag_at_release_commit(release: Release) -> GateResult:
    """The tag here is the one that was made, at the release commit."""
    gate, refs = "tag_at_release_commit", release.mission.project.repository.refs
    found, commit = refs.read(release.tag_ref), refs.commit(release.tag_ref)
    if found is not None and found == release.tag_object and commit == release.commit:
        return open_gate(gate, f"the tag {release.tag} is at {release.commit[:12]}")
    return closed_gate(
        gate,
        "TAG_DIFFERS",
        f"the tag {release.tag} is " + (f"at {str(commit)[:12]}" if found else "gone") + ", not as it was made",
        subject=release.tag_ref,
        invariant=_ONE_TAG,
        remediation=f"git update-ref {release.tag_ref} {release.tag_object}, then {release.command}",
    )


def signing_possible(release: Release) -> GateResult:
    """Where the settings demand a signature, a key is configured."""
    key = signing_key(release.mission.project.repository.git)
    how = release.settings.sign
    if how == "never" or (how == "auto" and key is None):
        why = "the settings say so" if how == "never" else "no key is configured (user.signingKey)"
        return open_gate("signing_possible", f"the tag is not going to be signed: {why}")
    if key is not None:
        return open_gate("signing_possible", f"the tag is going to be signed ({key.form})")
    return closed_gate(
        "signing_possible",
        "NO_SIGNING_KEY",
        "the settings demand a signed tag, and no key is configured",
        subject=release.tag,
        invariant="what is to be signed is signed",
        remediation="git config --global user.signingKey KEY",
    )
