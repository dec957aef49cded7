"""Which ledgers there are, damaged ones and those whose ref is gone included, and which of them a name means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kitty_flow.errors import KittyFlowError, UsageError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Ledger, mission_ref
from kitty_flow.ledger.sharing import MISSIONS
from kitty_flow.model.ids import is_ulid

__all__ = ["KnownLedger", "choose_ledgers", "known_refs"]

_BROKEN_REF: Final = re.compile(rf"broken ref ({re.escape(MISSIONS)}\S+)")


@dataclass(frozen=True)
class KnownLedger:
    """A ledger: its ref, and the slug of its mission; the mission's id where the slug cannot be read."""

    ref: str
    slug: str

    @property
    def mission_id(self) -> str:
        """The id that its ref is named by; a ULID unless somebody else made the ref."""
        return self.ref.removeprefix(MISSIONS)


def known_refs(repository: Repository) -> tuple[str, ...]:
    """The refs of all ledgers. git only warns of a ref whose own file is damaged; it is listed all the same, and so is
    one that is gone while an index remembers where it was."""
    done = repository.git.call("for-each-ref", "--format=%(refname)", "--", MISSIONS)
    listed = done.stdout.decode("utf-8", "replace").splitlines()
    damaged = _BROKEN_REF.findall(done.stderr.decode("utf-8", "replace"))
    indexed = [path.stem for path in (repository.state_dir / "index").glob("*.sqlite3")]
    return tuple(sorted({*listed, *damaged, *(mission_ref(name) for name in indexed if is_ulid(name))}))


def choose_ledgers(repository: Repository, name: str | None) -> tuple[tuple[KnownLedger, ...], tuple[KnownLedger, ...]]:
    """All ledgers, and those among them that `name` means (slug, ULID or unambiguous prefix): all of them for None.

    Raises:
        UsageError: MISSION_NOT_FOUND or AMBIGUOUS_MISSION.
    """
    known = tuple(KnownLedger(ref, _slug(repository, ref.removeprefix(MISSIONS))) for ref in known_refs(repository))
    if name is None:
        return known, known
    exact = [k for k in known if name in (k.slug, k.mission_id)]
    found = exact or [k for k in known if k.slug.startswith(name) or k.mission_id.startswith(name.upper())]
    if not found:
        raise UsageError("MISSION_NOT_FOUND", f"no mission {name!r} has a ledger here", hint="kitty-flow mission list")
    if len(found) > 1 and not exact:
        names = [f"{k.slug} ({k.mission_id})" for k in found]
        raise UsageError(
            "AMBIGUOUS_MISSION", f"{name!r} could be {', '.join(names)}", hint="name one of them by its id"
        )
    return known, tuple(found)


def _slug(repository: Repository, mission_id: str) -> str:
    try:
        with Ledger(repository, mission_id, "", only_look=True) as ledger:
            mission = ledger.view().entity("mission", mission_id)
    except KittyFlowError:
        return mission_id
    return mission.last_event.mission_slug if mission else mission_id
