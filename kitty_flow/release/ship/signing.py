"""Making the tag's object: annotated, with the same content each time, signed with the user's own key.

How to sign is taken from the user's and the system's git configuration only. The repository's is shared with every
agent's worktree, and the program that signs would be run by us. The tag is made in a private git directory that has no
other configuration, with the user's object store; no ref of the user moves here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from kitty_flow.errors import ExternalToolError
from kitty_flow.git.identity import OWN_IDENTITY
from kitty_flow.git.process import Git, GitFailedError
from kitty_flow.model.text import printable
from kitty_flow.release.ship.sheet import Release

__all__ = ["SigningKey", "make_tag_object", "signing_key"]

_NAMES: Final = (
    "user.signingkey",
    "gpg.format",
    "gpg.program",
    "gpg.openpgp.program",
    "gpg.ssh.program",
    "gpg.ssh.defaultkeycommand",
    "gpg.x509.program",
)
_TIMEOUT_S: Final = 120.0


class SigningKey(NamedTuple):
    """How to sign: ``openpgp``, ``ssh`` or ``x509``, with the settings of git that say so."""

    form: str
    settings: Mapping[str, str]


def signing_key(git: Git) -> SigningKey | None:
    """The key of the user or of the system; None when none is configured there."""
    found: dict[str, str] = {}
    out = git.call(
        "config", "--null", "--show-scope", "--get-regexp", r"^(user\.signingkey|gpg\..*)$", ok=(0, 1)
    ).stdout
    words = out.decode("utf-8", "surrogateescape").split("\0")
    for scope, entry in zip(words[::2], words[1::2], strict=False):
        name, _, value = entry.partition("\n")
        if scope in ("system", "global") and name in _NAMES:
            found[name] = value
    if "user.signingkey" not in found and "gpg.ssh.defaultkeycommand" not in found:
        return None
    return SigningKey(found.get("gpg.format", "openpgp"), found)


def make_tag_object(release: Release) -> str:
    """Write the annotated tag and return its object; the same release gives the same content.

    Raises:
        ExternalToolError: TAG_NOT_SIGNED.
        GitFailedError: git cannot write it.
    """
    repository = release.mission.project.repository
    key = None if release.settings.sign == "never" else signing_key(repository.git)
    at = int(release.mission.project.history.committed_at(release.commit).timestamp())
    name, _, mail = (repository.identity or OWN_IDENTITY).rpartition(" <")
    with tempfile.TemporaryDirectory(prefix="kitty-flow-tag-") as folder:
        private = Path(folder)
        repository.git.call("init", "--quiet", "--bare", f"--object-format={repository.object_format}", "--", folder)
        environment = {
            "GIT_DIR": folder,
            "GIT_OBJECT_DIRECTORY": os.fspath(repository.common_dir / "objects"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": mail.rstrip(">"),
            "GIT_COMMITTER_DATE": f"{at} +0000",
        }
        git = Git(private, environment)
        options = [word for item in (key.settings if key else {}).items() for word in ("-c", "=".join(item))]
        sign = "--sign" if key else "--no-sign"
        words = (
            *options,
            "tag",
            "--annotate",
            sign,
            "--cleanup=verbatim",
            "--file=-",
            "--",
            release.tag,
            release.commit,
        )
        try:
            git.call(*words, stdin=_message(release).encode(), timeout=_TIMEOUT_S)
        except GitFailedError as error:
            if key is None:
                raise
            raise ExternalToolError(
                "TAG_NOT_SIGNED",
                f"the tag {release.tag} could not be signed ({key.form}); nothing was published",
                hint=f'unlock the key, or set sign = "never" under [ship]; then {release.command}',
                details={"stderr": str(error.details.get("stderr", error.message))},
            ) from error
        return git.text("rev-parse", "--verify", release.tag_ref)


def _message(release: Release) -> str:
    mission = release.mission
    title = printable(mission.definition.title).strip()
    lines = [f"{release.tag}: {title}", "", f"Mission: {mission.slug}"]
    lines += [f"Artifact: sha256:{digest} {name}" for name, digest in sorted((release.artifacts or {}).items())]
    return "\n".join(lines) + "\n"
