"""How far a hub has been told: one small file for each hub, which may be deleted at any time.

It is no second truth. Without it everything is offered again, and the hub knows what it has; what it says is only up to
which commit of the log everything is settled, which events are beyond, and when to try again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from kitty_flow.effects import replace_file
from kitty_flow.hub.address import HubAddress
from kitty_flow.hub.failure import HubFailure

__all__ = ["Standing", "StandingFile"]

_SCHEMA: Final = "kitty-flow/hub-standing/1"
_FIRST_REST_S: Final = 30.0
_LONGEST_REST_S: Final = 900.0
_REST_OF_REFUSED_S: Final = 3600.0


@dataclass(frozen=True)
class Standing:
    """Everything up to `commit` is settled, and the events `beyond`. `not_before` is wall-clock time in seconds."""

    commit: str | None = None
    beyond: frozenset[str] = frozenset()
    not_before: float = 0.0
    failures: int = 0
    failure_code: str | None = None
    policy: str = ""

    def after(self, failure: HubFailure | None, now: float) -> Standing:
        """After a delivery that ended so. A hub that does not work is left alone for longer each time."""
        if failure is None:
            return replace(self, not_before=0.0, failures=0, failure_code=None)
        rest = min(_LONGEST_REST_S, _FIRST_REST_S * 2.0 ** min(self.failures, 10))
        if not failure.is_passing:
            rest = _REST_OF_REFUSED_S
        rest = max(rest, failure.retry_after_s or 0.0)
        return replace(self, not_before=now + rest, failures=self.failures + 1, failure_code=failure.code)


class StandingFile:
    """The file of one hub in a repository's `state_dir`."""

    def __init__(self, state_dir: Path, hub: HubAddress) -> None:
        self._hub = hub
        self.path = state_dir / "hub" / f"{hub.key}.json"

    def read(self, policy: str) -> Standing:
        """What is known; nothing when the file is missing or damaged, or was made under another policy."""
        with suppress(OSError, ValueError, TypeError, RecursionError):
            found = json.loads(self.path.read_bytes())
            if found.pop("schema") == _SCHEMA and found.pop("hub") == self._hub.url and found["policy"] == policy:
                rest, failures = float(found["not_before"]), int(found["failures"])
                beyond = frozenset(map(str, found["beyond"]))
                return Standing(**{**found, "beyond": beyond, "not_before": rest, "failures": failures})
        return Standing(policy=policy)

    def write(self, standing: Standing) -> None:
        """Keep it; where that fails, more is offered again."""
        data = {"schema": _SCHEMA, "hub": self._hub.url, **asdict(standing), "beyond": sorted(standing.beyond)}
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, json.dumps(data).encode() + b"\n", "hub.standing")
