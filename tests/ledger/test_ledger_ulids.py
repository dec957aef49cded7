"""ULIDs of our own, read by the library that everybody else uses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from ulid import ULID

from kitty_flow.ledger.ulids import new_ulid
from kitty_flow.model.ids import is_ulid


def test_the_library_reads_the_same_moment() -> None:
    for at in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 1, 30, 16, 5, 0, 123456, UTC)):
        found = new_ulid(at)
        assert is_ulid(found)
        assert str(ULID.from_str(found)) == found
        assert ULID.from_str(found).datetime == at.replace(microsecond=at.microsecond // 1000 * 1000)
    before, found, after = datetime.now(UTC), ULID.from_str(new_ulid()).datetime, datetime.now(UTC)
    assert before - timedelta(milliseconds=1) <= found <= after


def test_each_is_larger_than_the_one_before_and_none_comes_twice() -> None:
    at = datetime(2026, 1, 30, tzinfo=UTC)
    found = [new_ulid(at) for _ in range(2000)]
    assert found == sorted(set(found))
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: new_ulid(), range(2000)))
    assert len(set(many)) == len(many)
