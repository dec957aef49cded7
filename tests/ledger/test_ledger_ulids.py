"""Fresh ULIDs are canonical, of the moment they are asked for, and none comes twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from ulid import ULID

from kitty_flow.ledger.ulids import new_ulid
from kitty_flow.model.ids import is_ulid


def test_one_is_of_the_moment_that_was_asked_for() -> None:
    for at in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 1, 30, 16, 5, 0, 123000, UTC)):
        found = new_ulid(at)
        assert is_ulid(found)
        assert ULID.from_str(found).datetime == at


def test_none_comes_twice() -> None:
    at = datetime(2026, 1, 30, tzinfo=UTC)
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda number: new_ulid(at if number % 2 else None), range(2000)))
    assert len(set(many)) == len(many)
