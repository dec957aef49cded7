"""Fresh ULIDs (https://github.com/ulid/spec): 48 bits of milliseconds, 80 random bits, in Crockford's base 32.

Our own twenty lines, because every request waits for them: importing python-ulid takes as long as importing the whole
ledger, for it asks `importlib.metadata` for its own version (ADR 13).
"""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime
from typing import Final

__all__ = ["new_ulid"]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS: Final = 80

_door = threading.Lock()
_last = 0


def new_ulid(at: datetime | None = None) -> str:
    """A fresh ULID in canonical form, of this moment or of `at` (timezone-aware).

    Of those that one process makes in one millisecond each is larger than the one before.
    """
    global _last
    moment = time.time_ns() // 1_000_000 if at is None else int(at.timestamp() * 1000)
    with _door:
        if _last >> _RANDOM_BITS == moment:
            _last += 1 + int.from_bytes(os.urandom(4), "big")  # a random step: a fork of this process takes another
        else:
            _last = moment << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
        number = _last
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
