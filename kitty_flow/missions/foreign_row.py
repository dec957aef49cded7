"""One lane row of a Spec Kitty status log: a work package moved from one lane to another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.machines import machine
from kitty_flow.missions.files import invalid

__all__ = ["LaneRow", "lane_or_none", "lane_row"]

_ALIASES: Final = {"doing": "in_progress"}
_BEFORE_FIRST: Final = ("genesis", "uninitialized")
"""Where a work package is before its first row; rows may come from there, none leads there."""

_ID: Final = re.compile(r"[\x21-\x7e]{1,64}")
_DETAILS: Final = {
    "execution_mode": str,
    "review_ref": str,
    "evidence": dict,
    "review_result": dict,
    "policy_metadata": dict,
}


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A move as its writer saw it.

    `from_lane` is what the writer believed, which nobody checked; it is None where the work package had no row yet.
    `at` is the writer's clock as text. `details` are the row's other fields that say something.
    """

    line: int
    event_id: str
    wp_id: str
    from_lane: str | None
    to_lane: str
    at: str
    actor: str
    force: bool
    reason: str | None
    details: Mapping[str, Any]

    @property
    def order(self) -> tuple[str, bool, str]:
        """The key under which later rows win.

        The origin sorts by (at, event id) and lets a rollback win against a forward row of the same instant.
        """
        return (self.at, self._is_rollback, self.event_id)

    @property
    def _is_rollback(self) -> bool:
        if self.to_lane != "in_progress":
            return False
        return self.from_lane == "in_review" or (self.from_lane == "for_review" and "review_ref" in self.details)


def lane_row(row: Mapping[str, Any], line: int, where: str) -> LaneRow:
    """The row with its types checked.

    Raises:
        DefinitionError: INVALID_HISTORY_ROW or UNKNOWN_LANE.
    """
    force = row.get("force", False)
    if not isinstance(force, bool):
        raise _wrong("force", "true or false", where)
    return LaneRow(
        line=line,
        event_id=_id(row, "event_id", where),
        wp_id=_id(row, "wp_id", where),
        from_lane=lane_or_none(row.get("from_lane", _BEFORE_FIRST[0]), "from_lane", where),
        to_lane=lane(row.get("to_lane"), "to_lane", where),
        at=_time(row, where),
        actor=_actor(row.get("actor"), where),
        force=force,
        reason=_optional(row, "reason", str, where),
        details={
            name: value for name, kind in _DETAILS.items() if (value := _optional(row, name, kind, where)) is not None
        }
        | ({"actor": row["actor"]} if isinstance(row.get("actor"), dict) else {}),
    )


def lane(value: object, name: str, where: str) -> str:
    """The state that a lane stands for.

    Raises:
        DefinitionError: UNKNOWN_LANE.
    """
    known = machine("work_package").state_names
    if isinstance(value, str) and _ALIASES.get(value, value) in known:
        return _ALIASES.get(value, value)
    raise invalid("UNKNOWN_LANE", f"{name} is {str(value)[:80]!r}, not one of {', '.join(known)}", where)


def lane_or_none(value: object, name: str, where: str) -> str | None:
    """As `lane`, but None for a lane before the first row.

    Raises:
        DefinitionError: UNKNOWN_LANE.
    """
    return None if value in _BEFORE_FIRST else lane(value, name, where)


def _id(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise _wrong(name, "an id of at most 64 plain characters", where)


def _time(row: Mapping[str, Any], where: str) -> str:
    value = row.get("at")
    try:
        datetime.fromisoformat(str(value))
    except ValueError as error:
        raise _wrong("at", "a time such as 2026-01-31T12:00:00+00:00", where) from error
    return str(value)


def _actor(value: object, where: str) -> str:
    """A name as it is; of a structured actor, the tool."""
    if isinstance(value, dict):
        value = value.get("tool")
    if value is None or isinstance(value, str):
        return (value or "").strip() or "unknown"
    raise _wrong("actor", "a name, or an object with a tool", where)


def _optional(row: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    value = row.get(name)
    if value is None or value in ("", {}):
        return None
    if isinstance(value, kind):
        return value
    raise _wrong(name, "text" if kind is str else "an object", where)


def _wrong(name: str, wanted: str, where: str) -> DefinitionError:
    return invalid("INVALID_HISTORY_ROW", f"{name} must be {wanted}", where)
