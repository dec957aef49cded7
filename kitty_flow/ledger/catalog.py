"""Which missions have a ledger here; answered from the refs and the last commit of each, without a replay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kitty_flow.errors import LedgerError
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.sharing import MISSIONS

__all__ = ["UNREADABLE", "CatalogEntry", "catalog", "refuse_unreadable"]

UNREADABLE: Final = "unreadable"
"""In place of a mission's state, where its ledger does not tell."""


@dataclass(frozen=True)
class CatalogEntry:
    """A mission with a ledger: id, slug and the mission's state at the last commit."""

    mission_id: str
    slug: str
    state: str
    tip: str

    @property
    def is_open(self) -> bool:
        """Whether there is still something to do."""
        return self.state not in ("merged", "shipped", "aborted", UNREADABLE)


def catalog(repository: Repository) -> tuple[CatalogEntry, ...]:
    """All missions with a ledger, oldest id first. One whose ref or commit is damaged is called by its id and is
    `UNREADABLE`; it hides no other."""
    try:
        lines = _listed(repository, MISSIONS)
    except GitFailedError:  # git stops at the first ref whose commit is missing
        names = repository.git.text("for-each-ref", "--format=%(refname)", "--", MISSIONS).splitlines()
        lines = [line for name in names for line in _read_alone(repository, name)]
    rows = [line.split() for line in lines if line.startswith(MISSIONS)]
    return tuple(CatalogEntry(row[0].removeprefix(MISSIONS), row[2], row[3], row[1]) for row in rows if len(row) == 4)


def refuse_unreadable(entries: Iterable[CatalogEntry]) -> None:
    """What a damaged ledger is about is not known, so nothing can be said not to be there, and nothing be made anew.

    Raises:
        LedgerError: LEDGER_UNREADABLE.
    """
    refs = [f"{MISSIONS}{entry.mission_id}" for entry in entries if entry.state == UNREADABLE]
    if refs:
        raise LedgerError(
            "LEDGER_UNREADABLE",
            f"{refs[0]} cannot be read, and it may be the ledger of this mission",
            hint="kitty-flow doctor ledger --fix",
            details={"refs": refs},
        )


def _listed(repository: Repository, pattern: str) -> list[str]:
    form = "--format=%(refname) %(objectname) %(trailers:key=Kitty-Mission,valueonly)"
    return repository.git.text("for-each-ref", form, "--", pattern).splitlines()


def _read_alone(repository: Repository, ref: str) -> list[str]:
    try:
        return _listed(repository, ref)
    except GitFailedError:
        return [f"{ref} - {ref.removeprefix(MISSIONS)} {UNREADABLE}"]
