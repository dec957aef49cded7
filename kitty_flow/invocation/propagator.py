"""Telling a hub of invocations: after they are durable, beside the command, and never in its way.

`offer` returns at once. A thread, which lives only while there is something to tell, reads from the log what the hub
does not know yet; the log is the queue, so nothing is lost with the process. At its end a command waits for the thread
for a bounded time. Without a `[hub]` table, with no consent or no credentials of this user nothing of this is started.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from kitty_flow.agents.settings_file import read_settings
from kitty_flow.errors import ConflictError, KittyFlowError, RefusedError
from kitty_flow.flow.project import Project

if TYPE_CHECKING:
    from kitty_flow.agents.settings_hub import HubSettings
    from kitty_flow.hub.address import HubAddress
    from kitty_flow.hub.delivery import Parcel
    from kitty_flow.hub.failure import HubFailure
    from kitty_flow.hub.protocol import Verdict
    from kitty_flow.hub.standing import Standing, StandingFile

__all__ = ["DRAIN_S", "Report", "flush", "offer", "settle"]

DRAIN_S: Final = 2.0
"""So long does a command wait at its end for what the hub has not answered yet."""

FLUSH_S: Final = 60.0
"""So long does `sync` try at most."""

_Severity: TypeAlias = Literal["info", "warning", "error"]

_active: dict[Path, _Propagator] = {}
_door = threading.Lock()


@dataclass
class Report:
    """What a delivery came to: events that the hub took, had already, or refused, and those that still wait."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    waiting: int = 0


def offer(project: Project) -> None:
    """Have the hub told of what was recorded, if the settings and this user want that; returns at once, raises nothing.

    In a repository without a `[hub]` table this reads the settings file and does nothing else.
    """
    try:
        if "hub" not in read_settings(project.root):
            return
        with _door:
            propagator = _active.get(project.root)
            if propagator is None:
                settings = project.settings.hub
                address = _allowed(settings)
                if address is None:
                    return
                propagator = _active[project.root] = _Propagator(project, settings, address)
                atexit.register(settle)
        propagator.wake()
    except KittyFlowError as error:
        _remark(error.code, f"the hub was not told: {error.message}")
    except RuntimeError:  # the interpreter ends and starts no thread any more: the next command tells the hub
        return


def settle() -> None:
    """Wait for what is under way, all in all at most `DRAIN_S` seconds. Safe to call twice."""
    end = time.monotonic() + DRAIN_S
    while True:
        with _door:
            if not _active:
                return
            propagator = _active.pop(next(iter(_active)))
        propagator.settle(end)


def flush(project: Project) -> Report | None:
    """Tell the hub everything that waits, now, whatever failed before; None where nothing may be sent to any hub.

    What goes wrong is a remark and never an error: what is to be told was recorded long ago.
    """
    try:
        if "hub" not in read_settings(project.root):
            return None
        settings = project.settings.hub
        address = settings.address if settings.consent else None
        if address is None:
            return None
        propagator = _Propagator(project, settings, address)
        propagator.stop_at(time.monotonic() + FLUSH_S)
        return propagator.deliver(urgent=True)
    except KittyFlowError as error:
        _remark(error.code, f"the hub was not told: {error.message}")
        return None


def _allowed(settings: HubSettings) -> HubAddress | None:
    """The hub, when the settings agree and this user has logged in to it: a repository alone sends nothing."""
    from kitty_flow.hub.credentials import CredentialStore

    address = settings.address
    return address if settings.consent and address and CredentialStore(address).path.exists() else None


class _Propagator:
    """The delivery of one repository to its hub, in one process."""

    def __init__(self, project: Project, settings: HubSettings, address: HubAddress) -> None:
        self._project = project
        self._settings = settings
        self._address = address
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_wanted = False
        self._stop = threading.Event()
        self._end: float | None = None
        self._answers = 0

    def wake(self) -> None:
        """Have the thread look once more, and start it when there is none."""
        with self._lock:
            self._is_wanted = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hub", daemon=True)
                self._thread.start()

    def stop_at(self, end: float) -> None:
        """Begin nothing more after `end`, monotonic seconds, and wait for nothing that lasts longer."""
        self._end = end

    def settle(self, end: float) -> None:
        """Wait for the thread until `end`. What is not acknowledged by then waits in the log for the next command."""
        self.stop_at(end)
        self._stop.set()
        thread, answers = self._thread, self._answers
        if thread is None:
            return
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            told = f"the hub {self._address.url} has not taken everything within {DRAIN_S:g} s"
            if self._answers == answers:
                self._rest_after_no_answer()
                told = f"the hub {self._address.url} did not answer within {DRAIN_S:g} s"
            _remark("HUB_SLOW", f"{told}; what was recorded waits, and kitty-flow sync sends it", severity="info")

    def _rest_after_no_answer(self) -> None:
        from kitty_flow.hub.failure import HubFailure

        policy, file = self._files()
        failure = HubFailure("HUB_SLOW", "no answer", hint="kitty-flow sync", is_passing=True)
        file.write(file.read(policy).after(failure, time.time()))

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._is_wanted:
                    self._thread = None
                    return
                self._is_wanted = False
            try:
                self.deliver(urgent=False)
            except Exception as error:  # a daemon's traceback would be in the way of the command's output
                _remark("HUB_NOT_TOLD", f"the hub was not told: unexpected {type(error).__name__}")

    def deliver(self, *, urgent: bool) -> Report:
        """Send what waits. Not `urgent`: leave alone a hub that asked for it or did not work a moment ago."""
        from kitty_flow.ledger.lock import exclusive

        report = Report()
        lock = self._project.repository.state_dir / "locks" / f"hub-{self._address.key}.lock"
        try:
            with exclusive(lock, timeout_s=FLUSH_S if urgent else 2 * DRAIN_S, what="the queue of the hub"):
                self._deliver(report, urgent=urgent)
        except ConflictError as error:  # another process sends what waits, ours too or the next command does
            if urgent:
                _remark(error.code, f"the hub was not told: {error.message}")
        except (KittyFlowError, OSError) as error:
            message = error.message if isinstance(error, KittyFlowError) else f"{error.strerror or error}"
            code = error.code if isinstance(error, KittyFlowError) else "HUB_NOT_TOLD"
            severity: _Severity = "info" if code == "NOT_LOGGED_IN" else "warning"
            _remark(code, f"the hub was not told: {message}", severity=severity)
            if isinstance(error, RefusedError) and code == "SESSION_ENDED":
                self._keep_error(code, message, "repository", {})
        return report

    def _deliver(self, report: Report, *, urgent: bool) -> None:
        from kitty_flow.hub.client import HubClient
        from kitty_flow.hub.credentials import CredentialStore
        from kitty_flow.hub.delivery import deliver
        from kitty_flow.hub.session import Session
        from kitty_flow.invocation.pending import pending
        from kitty_flow.ledger.op_log import OpLog

        policy, file = self._files()
        standing = file.read(policy)
        if not urgent and standing.not_before > time.time():
            return
        with OpLog(self._project.repository) as log:
            tip = log.tip()
            if tip is None or tip == standing.commit:
                return
            parcels = pending(log, standing.commit, tip, standing.beyond, self._settings)
        report.waiting = len(parcels)
        failure: HubFailure | None = None
        if parcels:

            def settled(told: Sequence[tuple[Parcel, Verdict]]) -> None:
                nonlocal standing
                for parcel, verdict in told:
                    setattr(report, verdict.status, getattr(report, verdict.status) + 1)
                    if verdict.status == "rejected":
                        self._drop(parcel, verdict)
                report.waiting -= len(told)
                standing = replace(standing, beyond=standing.beyond | {parcel.event_id for parcel, _ in told})
                file.write(standing)
                self._answers += 1

            with HubClient(self._address) as client:
                failure = deliver(Session(CredentialStore(self._address), client), parcels, settled, self._wait)
        if failure is not None:
            self._failed(standing, failure)
        elif not report.waiting:
            standing = replace(standing, commit=tip, beyond=frozenset())
        file.write(standing.after(failure, time.time()))

    def _wait(self, seconds: float) -> bool:
        """Wait; False when there is no time for it, also when that turns out only while waiting."""
        end = self._end
        if end is not None:
            if time.monotonic() + seconds > end:
                return False
            time.sleep(seconds)
            return True
        if seconds > DRAIN_S:
            return False
        begun = time.monotonic()
        if self._stop.wait(seconds):
            return self._wait(max(0.0, begun + seconds - time.monotonic()))
        return True

    def _files(self) -> tuple[str, StandingFile]:
        from kitty_flow.hub.standing import StandingFile
        from kitty_flow.invocation.pending import policy_of

        return policy_of(self._settings), StandingFile(self._project.repository.state_dir, self._address)

    def _failed(self, standing: Standing, failure: HubFailure) -> None:
        _remark(failure.code, f"the hub was not told: {failure.message}; what was recorded is safe, and waits")
        if standing.failure_code != failure.code:
            self._keep_error(failure.code, failure.message, "repository", {"status": failure.status})

    def _drop(self, parcel: Parcel, verdict: Verdict) -> None:
        message = f"the hub {self._address.url} refuses event {parcel.event_id} ({verdict.reason or 'no reason given'})"
        _remark("HUB_REJECTED", f"{message}; it is not offered again: kitty-flow errors list")
        facts = {"event_id": parcel.event_id, "event": parcel.data["event"], "reason": verdict.reason}
        self._keep_error("HUB_REJECTED", message, parcel.invocation_id, facts)

    def _keep_error(self, code: str, message: str, entity: str, facts: dict[str, object]) -> None:
        """One entry in the error log; best effort, as every entry there."""
        from kitty_flow.ledger.error_log import append_errors
        from kitty_flow.ledger.ulids import new_ulid
        from kitty_flow.model.error_entry import ErrorEntry

        at = datetime.now(UTC)
        entry = ErrorEntry(
            error_id=new_ulid(at),
            error_type="PropagationError",
            entity_id=entity,
            attempted_operation="tell the hub",
            reason=message,
            timestamp=at.isoformat(timespec="milliseconds"),
            context={"code": code, "hub": self._address.url, **facts},
        )
        with suppress(KittyFlowError, OSError):
            append_errors(self._project.repository, [entry], at)


def _remark(code: str, message: str, severity: _Severity = "warning") -> None:
    from kitty_flow.invocation.diagnostics import remark  # late: most have nothing to remark

    remark(code, message, sync_phase="deliver", severity=severity)
