"""Telling the user's hooks what happened: after the commit, beside the command, and never in its way.

Every hook has one queue. A thread that lives only while there is something to tell takes all that waits, gives it to
the command as one document, and looks again: so events come in order, one command per hook runs at a time, and a slow
one gets longer documents instead of a longer queue.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow.agents.hook_process import HOOK_VARIABLE, HookProcess
from kitty_flow.errors import KittyFlowError
from kitty_flow.ledger.ledger import Receipt
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import machine
from kitty_flow.model.text import printable

if TYPE_CHECKING:
    from kitty_flow.agents.settings_hooks import HookSettings
    from kitty_flow.flow.project import Project
    from kitty_flow.model.diagnostic import Diagnostic
    from kitty_flow.model.event import Event

__all__ = ["LOG_NAME", "Hooks", "document", "event_name", "settle", "tell"]

LOG_NAME: Final = "hooks.log"
_QUEUE: Final = 1000
_AT_ONCE: Final = 100
_LOG_BYTES: Final = 1024 * 1024
_SHOWN_FACTS: Final = ("holder", "implementer", "reviewer", "head_commit", "failure_code", "not_before")

_HEARING: dict[Path, Hooks | None] = {}
"""The hooks of each project that this process recorded something in; None where they could not be read."""

_REMARKS: list[tuple[str, str]] = []


class _Told(NamedTuple):
    """What waits for a hook: an event with its name, and the view right after it."""

    name: str
    event: Event
    view: LedgerView


def tell(project: Project, receipt: Receipt) -> None:
    """Queue the events of a receipt for the hooks that want them; returns at once."""
    if os.environ.get(HOOK_VARIABLE):
        return
    if project.root not in _HEARING:
        _HEARING[project.root] = _hooks_of(project)
    hooks = _HEARING[project.root]
    if hooks is not None:
        hooks.tell(receipt)


def settle() -> tuple[Diagnostic, ...]:
    """Wait for what is queued, for each hook at most its time limit; returns what went wrong as warnings."""
    found = list(_REMARKS)
    _REMARKS.clear()
    while _HEARING:
        hooks = _HEARING.popitem()[1]
        found += hooks.settle() if hooks is not None else []
    if not found:
        return ()
    from kitty_flow.model.diagnostic import Diagnostic

    return tuple(Diagnostic(severity="warning", diagnostic_code=c, message=m, phase="hooks") for c, m in found)


def _hooks_of(project: Project) -> Hooks | None:
    try:
        return Hooks(project.root, project.settings.hooks, project.repository.state_dir / LOG_NAME)
    except KittyFlowError as error:
        _REMARKS.append(("HOOKS_NOT_TOLD", f"no hook was told: {error.message}"))
        return None


class Hooks:
    """The hooks of one project, as one process tells them."""

    def __init__(self, root: Path, settings: tuple[HookSettings, ...], log_path: Path) -> None:
        self._lines = tuple(_Line(root, hook, log_path) for hook in settings)

    def tell(self, receipt: Receipt) -> None:
        """Queue what each hook wants to hear of; returns at once."""
        told = [_Told(event_name(event), event, receipt.view) for event in receipt.events]
        for line in self._lines:
            line.add([t for t in told if line.hook.wants(t.name)])

    def settle(self) -> list[tuple[str, str]]:
        """Wait for every hook, at most its time limit; returns codes and messages of what went wrong."""
        begun = time.monotonic()
        return [remark for line in self._lines for remark in line.settle(begun)]


class _Line:
    """The queue of one hook and the thread that empties it."""

    def __init__(self, root: Path, hook: HookSettings, log_path: Path) -> None:
        self.hook = hook
        self._root = root
        self._log_path = log_path
        self._lock = threading.Lock()
        self._queue: deque[_Told] = deque()
        self._thread: threading.Thread | None = None
        self._process = HookProcess()
        self._failures: Counter[str] = Counter()
        self._dropped = 0

    def add(self, told: list[_Told]) -> None:
        """Queue events, and start the thread when there is none."""
        if not told:
            return
        with self._lock:
            room = _QUEUE - len(self._queue)
            self._queue.extend(told[:room])
            self._dropped += len(told[room:])
            if self._thread is None:
                self._thread = threading.Thread(target=self._empty, name="hook", daemon=True)
                self._thread.start()

    def settle(self, begun: float) -> list[tuple[str, str]]:
        """Wait for the thread until the time limit after `begun` (monotonic seconds), then stop it."""
        thread = self._thread
        try:
            if thread is not None:
                thread.join(max(0.0, begun + self.hook.timeout_s - time.monotonic()))
        finally:
            with self._lock:
                self._dropped += len(self._queue)
                self._queue.clear()
            if thread is not None and thread.is_alive():
                self._process.stop()
                thread.join(1.0)
        name = self.hook.command[0]
        found = [
            ("HOOK_FAILED", f"the hook {name} {why}{f' ({n} times)' if n > 1 else ''}; {self._log_path} has its output")
            for why, n in self._failures.items()
        ]
        if self._dropped:
            found.append(
                ("HOOK_EVENTS_DROPPED", f"the hook {name} was too slow: it was not told of {self._dropped} events")
            )
        return found

    def _empty(self) -> None:
        while True:
            with self._lock:
                first = self._queue[0].view.ref if self._queue else None
                batch: list[_Told] = []
                while self._queue and len(batch) < _AT_ONCE and self._queue[0].view.ref == first:
                    batch.append(self._queue.popleft())
                if not batch:
                    self._thread = None
                    return
            self._deliver(batch)

    def _deliver(self, batch: list[_Told]) -> None:
        content = json.dumps(document(self._root, batch), ensure_ascii=True).encode("ascii") + b"\n"
        outcome = self._process.run(self.hook.command, content, self._root, self.hook.timeout_s)
        if outcome.failure is not None:
            self._failures[outcome.failure] += 1
            names = ", ".join(dict.fromkeys(told.name for told in batch))
            with suppress(OSError):
                _log(self._log_path, f"{self.hook.command[0]} {outcome.failure}, told of {names}", outcome.tail)


def _log(path: Path, what: str, tail: str) -> None:
    """One entry; a log that has become large makes way, once."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
    at = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [f"{at} {printable(what)}", *(f"  {printable(line)}" for line in tail.splitlines())]
    with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write("\n".join(lines) + "\n")


def event_name(event: Event) -> str:
    """What an event is called in `events` of the settings: ``work_package.blocked``, ``run.ended``, ``pool_parked``."""
    if event.kind == "annotation":
        from kitty_flow.agents.settings_hooks import ANNOTATIONS

        return ANNOTATIONS.get(event.trigger, event.trigger)
    if event.force:
        return f"{event.entity_type}.forced"
    known = machine(event.entity_type).transition(event.from_state, event.trigger)
    return f"{event.entity_type}.{known.event if known is not None else event.trigger}"


def document(root: Path, told: list[_Told]) -> dict[str, Any]:
    """What a hook reads from its standard input; the states are those right after the last of the events."""
    view = told[-1].view
    last = told[-1].event
    mission = view.entity("mission", last.mission_id)
    ids = dict.fromkeys(i for t in told if (i := _work_package(t)) is not None)
    return {
        "schema": "kitty-flow/hook/1",
        "repository": str(root),
        "mission": {"id": last.mission_id, "slug": last.mission_slug, "state": mission.state if mission else None},
        "events": [_event_data(t) for t in told],
        "work_packages": {i: _state_data(view, i) for i in ids},
    }


def _work_package(told: _Told) -> str | None:
    if told.event.entity_type == "work_package":
        return told.event.entity_id
    entity = told.view.entity(told.event.entity_type, told.event.entity_id)
    name = entity.facts.get("work_package_id") if entity is not None else None
    return name if isinstance(name, str) else None


def _event_data(told: _Told) -> dict[str, Any]:
    event = told.event
    return {
        "name": told.name,
        "event_id": event.event_id,
        "at": event.at,
        "entity_type": event.entity_type,
        "entity_id": event.entity_id,
        "work_package_id": _work_package(told),
        "trigger": event.trigger,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "actor": event.actor,
        "reason": event.reason,
        "evidence": event.evidence,
    }


def _state_data(view: LedgerView, work_package_id: str) -> dict[str, Any]:
    entity = view.entity("work_package", work_package_id)
    if entity is None:
        return {"state": None}
    known = {name: entity.facts.get(name) for name in _SHOWN_FACTS}
    return {"state": entity.state, "epoch": entity.epoch, "attempt": entity.counts.get("start", 0), **known}
