"""The tag: made here by one compare-and-swap, pushed last, compared afterwards."""

from __future__ import annotations

from kitty_flow.errors import ConflictError, ExternalToolError, RefusedError
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.git.remote import Update
from kitty_flow.release.ship.sheet import Release, note
from kitty_flow.release.ship.signing import make_tag_object

__all__ = ["is_signed", "make_tag", "push_tag", "remove_tag"]


def make_tag(release: Release) -> None:
    """Make the tag; one that this release has made already is left as it is.

    The object is in the ledger before the ref exists: a release that was killed in between knows its own tag again.

    Raises:
        ConflictError: TAG_EXISTS, somebody made one of that name at this moment.
        ExternalToolError: TAG_NOT_SIGNED.
    """
    refs = release.mission.project.repository.refs
    if not release.tag_object or refs.read(f"{release.tag_object}^{{tag}}") is None:
        release.tag_object = make_tag_object(release)
        note(release, "intend_tag", {"tag": release.tag, "tag_object": release.tag_object})
    if refs.read(release.tag_ref) == release.tag_object:
        return
    try:
        refs.swap(release.tag_ref, release.tag_object, ABSENT, is_ours=True)
    except RefMovedError as error:
        raise ConflictError(
            "TAG_EXISTS",
            f"a tag {release.tag} was made here at this moment",
            hint=f"git show {release.tag}; then {release.command}",
            details=error.details,
        ) from error


def is_signed(release: Release) -> bool:
    """Whether the tag's object carries a signature."""
    git = release.mission.project.repository.store_git
    return b"\n-----BEGIN " in git.output("cat-file", "tag", release.tag_object)


def push_tag(release: Release) -> bool:
    """Push the tag where it is not there yet and a person asked for that; says whether the remote has it now.

    Without a remote there is nothing to push, and nothing is missing.

    Raises:
        RefusedError: TAG_EXISTS_AT_REMOTE, or PUSH_REFUSED by the remote.
        ExternalToolError: REMOTE_UNREACHABLE, or PUSH_NOT_CONFIRMED.
    """
    if release.remote is None or release.remote_tag() == release.tag_object:
        return True
    if not release.options.push:
        return False
    (done,) = release.remote.push([Update(release.tag_ref, release.tag_object, ABSENT)])
    if done.outcome in ("stale", "refused"):
        is_taken = done.outcome == "stale"
        raise RefusedError(
            "TAG_EXISTS_AT_REMOTE" if is_taken else "PUSH_REFUSED",
            f"{release.remote_name} "
            + (f"has another tag {release.tag} by now" if is_taken else f"does not take {release.tag}: {done.words}"),
            hint=f"git ls-remote --tags {release.remote_name}; then {release.command} --push",
        )
    if release.remote_tag() != release.tag_object:
        raise ExternalToolError(
            "PUSH_NOT_CONFIRMED",
            f"{release.remote_name} took {release.tag}, and does not show it",
            hint=f"{release.command} --push",
        )
    return True


def remove_tag(release: Release) -> None:
    """Take our own tag away again, if it is as we made it.

    Raises:
        GitFailedError: git cannot remove it.
    """
    if release.tag_object and release.mission.project.repository.refs.read(release.tag_ref) == release.tag_object:
        git = release.mission.project.repository.git
        git.call("update-ref", "-d", release.tag_ref, release.tag_object)
