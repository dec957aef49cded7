"""The lock between processes: only where the kernel keeps it, in turn, and left by those who gave up waiting."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from kitty_flow.errors import ConflictError, LedgerError
from kitty_flow.ledger.lock import exclusive


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_flock_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    entered = []
    with pytest.raises(LedgerError) as refused, exclusive(tmp_path / "x.lock", timeout_s=5, what="the ledger"):
        entered.append("inside")
    assert refused.value.code == "LOCK_UNAVAILABLE"
    assert "flock" in str(refused.value.hint)
    assert not entered
    assert not (tmp_path / "x.lock").exists(), "a file that would outlive its owner"


def test_who_gives_up_leaves_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    release, is_held = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(path, timeout_s=5, what="the ledger"):
            is_held.set()
            release.wait(60)

    first = threading.Thread(target=hold)
    first.start()
    assert is_held.wait(60)
    outcomes: list[str] = []

    def ask(timeout_s: float) -> None:
        try:
            with exclusive(path, timeout_s=timeout_s, what="the ledger"):
                outcomes.append("held")
        except ConflictError as error:
            outcomes.append(error.code)

    # One is first in line and polls, the others stand behind it.
    impatient = [threading.Thread(target=ask, args=(0.05,)) for _ in range(3)]
    for thread in impatient:
        thread.start()
    for thread in impatient:
        thread.join(60)
    assert outcomes == ["LOCK_TIMEOUT"] * 3
    release.set()
    first.join(60)
    ask(5)
    assert outcomes[-1] == "held"


@pytest.mark.parametrize("is_first", [True, False])
def test_who_waits_uses_the_time_and_may_give_up_at_once(tmp_path: Path, is_first: bool) -> None:
    path = tmp_path / "x.lock"
    done: list[str] = []
    with exclusive(path, timeout_s=5, what="the ledger", meanwhile=lambda: done.append("for nothing")):
        assert not done, "the lock was free"

    def refuse() -> None:
        done.append("waited")
        raise ConflictError("REFUSED", "it is over")

    line = os.open(tmp_path / "x.lock.line", os.O_RDWR)
    try:
        with exclusive(path, timeout_s=5, what="the ledger"):
            if not is_first:
                fcntl.flock(line, fcntl.LOCK_EX)
            with (
                pytest.raises(ConflictError, match="it is over"),
                exclusive(path, timeout_s=60, what="the ledger", meanwhile=refuse),
            ):
                done.append("held")
    finally:
        os.close(line)
    assert done == ["waited"]
    with exclusive(path, timeout_s=5, what="the ledger"):
        done.append("held after all")


def test_what_fails_while_waiting_is_no_failure_of_the_lock(tmp_path: Path) -> None:
    def read() -> None:
        raise FileNotFoundError(errno.ENOENT, "gone", "notes.md")

    path = tmp_path / "x.lock"
    with (
        exclusive(path, timeout_s=5, what="the ledger"),
        pytest.raises(FileNotFoundError),
        exclusive(path, timeout_s=5, what="the ledger", meanwhile=read),
    ):
        pass
