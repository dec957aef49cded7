"""One remote as a place where clones meet: what it has of ours, under which names, and how it takes what we send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kitty_flow.errors import ExternalToolError, UsageError
from kitty_flow.flow.project import Project
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.git.remote import Remote, Update, open_remote
from kitty_flow.ledger.sharing import FALLBACK, KEPT, LOGS, MISSIONS, fallback_name, is_log, local_name
from kitty_flow.model.ids import is_ulid

__all__ = ["Peer", "open_peer"]

_TIMEOUT_S: Final = 60.0


@dataclass
class Peer:
    """A remote, with what it had when it was asked last: our names to its names, and to commits."""

    remote: Remote
    names: dict[str, str] = field(default_factory=dict)
    tips: dict[str, str] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """How the remote is called in messages."""
        return self.remote.location.shown

    def ask(self, only: Iterable[str] = ()) -> None:
        """Learn what the remote has, or has of the refs `only`, and fetch what is not here yet.

        Raises:
            ExternalToolError: REMOTE_UNREACHABLE.
            ConflictError: REMOTE_REF_GONE.
        """
        wanted = tuple(only)
        places = [name for ref in wanted for name in (ref, fallback_name(ref))] or [*LOGS, *KEPT, FALLBACK]
        found: dict[str, str] = {}
        for name in sorted(self.remote.refs(*places)):
            own = local_name(name)
            # The name proper wins over the branch that stands for it: it sorts behind.
            if own is not None and _is_sound(own):
                found[own] = name
        self.names.update(found)
        values = self.remote.fetch(found.values())
        self.tips.update({own: values[name] for own, name in found.items()})

    def send(self, tips: Mapping[str, str]) -> dict[str, str]:
        """Push refs, never by force; returns those that the remote did not take because somebody else was faster.

        Raises:
            ExternalToolError: REMOTE_UNREACHABLE; REMOTE_REFUSES, under either name.
        """
        refused = self._push({ref: self.names.get(ref, ref) for ref in tips}, tips)
        if refused:
            # The host has rules about names: the same commits as branches.
            words = self._push({ref: fallback_name(ref) for ref in refused}, tips)
            if words:
                ref, why = next(iter(words.items()))
                raise ExternalToolError(
                    "REMOTE_REFUSES",
                    f"{self.shown} takes {ref} neither by this name nor as a branch: {why}",
                    hint=f"allow pushes to refs/kitty/* or to {FALLBACK}* there, or kitty-flow sync OTHER-REMOTE",
                    details={"remote": self.shown, "refs": sorted(words)},
                )
        return {ref: tip for ref, tip in tips.items() if self.sent.get(ref) != tip}

    def _push(self, names: Mapping[str, str], tips: Mapping[str, str]) -> dict[str, str]:
        """Push under these names; returns the refs that the host declines, with its words."""
        by_name = {name: ref for ref, name in names.items()}
        updates = [
            Update(name, tips[ref], self.tips.get(ref, ABSENT) if self.names.get(ref) == name else ABSENT)
            for ref, name in names.items()
        ]
        refused: dict[str, str] = {}
        for pushed in self.remote.push(updates):
            ref = by_name[pushed.update.ref]
            if pushed.outcome in ("pushed", "up_to_date"):
                self.sent[ref] = self.tips[ref] = tips[ref]
                self._remember(pushed.update.ref, tips[ref])
                self.names[ref] = pushed.update.ref
            elif pushed.outcome == "refused":
                refused[ref] = pushed.words
        return refused

    def _remember(self, name: str, tip: str) -> None:
        """Note what the remote has now; whoever is faster notes something as new."""
        own = self.remote.own
        tracking = self.remote.tracking(name)
        with suppress(RefMovedError):
            own.swap(tracking, tip, own.read(tracking) or ABSENT)


def open_peer(project: Project, name: str | None) -> Peer:
    """The remote to meet at: the one named, else the one of the settings, else ``origin``, else the only one.

    Raises:
        UsageError: REMOTE_UNKNOWN or REMOTE_NEEDED.
    """
    chosen = name or project.settings.sync.remote or _default(project)
    return Peer(open_remote(project.repository, chosen, start=Path.cwd(), timeout_s=_TIMEOUT_S))


def _default(project: Project) -> str:
    known = project.repository.git.text("remote").splitlines()
    if "origin" in known or len(known) == 1:
        return "origin" if "origin" in known else known[0]
    raise UsageError(
        "REMOTE_NEEDED",
        f"which remote? this repository has {', '.join(known) or 'none'}",
        hint="kitty-flow sync REMOTE, or git remote add origin URL",
        details={"remotes": known},
    )


def _is_sound(ref: str) -> bool:
    """A ledger is named by a ULID; whatever else a remote calls so is not for us."""
    return not ref.startswith(MISSIONS) or is_ulid(ref.removeprefix(MISSIONS)) or not is_log(ref)
