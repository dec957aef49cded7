"""Which missions have a ledger here; answered from the refs and the last commit of each, without a replay."""

from __future__ import annotations

from dataclasses import dataclass

from kitty_flow.git.repository import Repository

__all__ = ["CatalogEntry", "catalog"]

_PREFIX = "refs/kitty/m/"


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
        return self.state not in ("merged", "shipped", "aborted")


def catalog(repository: Repository) -> tuple[CatalogEntry, ...]:
    """All missions with a ledger, oldest id first."""
    form = "--format=%(refname) %(objectname) %(trailers:key=Kitty-Mission,valueonly)"
    lines = repository.git.text("for-each-ref", form, "--", _PREFIX).splitlines()
    rows = [line.split() for line in lines if line.startswith(_PREFIX)]
    return tuple(CatalogEntry(row[0].removeprefix(_PREFIX), row[2], row[3], row[1]) for row in rows if len(row) == 4)
