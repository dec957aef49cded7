"""The process runner against real processes that misbehave in every way an agent can.

Synchronisation is by FIFO: whoever holds the write end is alive, so the end of the stream proves that a whole process
group is gone.
"""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from kitty_flow.agents.group import kill_invocation, signal_group
from kitty_flow.agents.process import ProcessOutcome, ProcessSpec, run_process
from kitty_flow.errors import ExternalToolError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and FIFOs are POSIX")

PATIENCE_S = 60.0
HOLD = "import os, signal, sys\nw = os.open(os.environ['WITNESS'], os.O_WRONLY)\nos.set_inheritable(w, True)\n"
READY = "os.write(w, b'ready\\n')\n"
IGNORE_TERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
PAUSE = "while True: signal.pause()\n"
CHILD_THAT_STAYS = (
    HOLD + "r, s = os.pipe()\nif os.fork() == 0:\n    "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(s, b'x')\n    while True: signal.pause()\nos.read(r, 1)\n"
)


class Witness:
    """Reads the FIFO in the background: its lines, and whether everyone who held it has gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: queue.Queue[str] = queue.Queue()
        self._gone = threading.Event()
        os.mkfifo(path)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self.path.open(encoding="utf-8") as stream:
            for line in stream:
                self._lines.put(line.strip())
        self._gone.set()

    def line(self) -> str:
        return self._lines.get(timeout=PATIENCE_S)

    def gone(self) -> bool:
        return self._gone.wait(PATIENCE_S)

    def still_there(self) -> bool:
        return not self._gone.is_set()


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "witness")


def spec(folder: Path, code: str, **changes: object) -> ProcessSpec:
    env = {**os.environ, "WITNESS": str(folder / "witness")}
    values: dict[str, object] = {
        "argv": (sys.executable, "-c", code),
        "cwd": folder,
        "env": env,
        "log_path": folder / "logs" / "agent.log",
        "timeout_s": PATIENCE_S,
        "grace_s": 0.2,
    }
    return ProcessSpec(**{**values, **changes})  # type: ignore[arg-type]


def run(spec: ProcessSpec, on_started: Callable[[int], None] | None = None) -> ProcessOutcome:
    return asyncio.run(asyncio.wait_for(run_process(spec, on_started=on_started), PATIENCE_S * 2))


def test_exit_status_output_environment_and_place(tmp_path: Path) -> None:
    code = (
        "import os, sys\nprint(repr(sys.stdin.read()), os.getcwd(), sorted(os.environ), flush=True)\n"
        "print('oops', file=sys.stderr)\nsys.exit(3)"
    )
    outcome = run(spec(tmp_path, code, env={"ONLY": "this", "LC_ALL": "C.UTF-8"}))
    assert (outcome.exit_code, outcome.reason, outcome.stragglers) == (3, "exited", False)
    assert f"'' {tmp_path.resolve()} ['LC_ALL', 'ONLY']" in outcome.tail
    assert outcome.tail.endswith("oops\n")
    assert outcome.log_path.read_text(encoding="utf-8") == outcome.tail
    assert outcome.duration_s > 0


def test_a_flood_of_output_goes_to_the_log(tmp_path: Path) -> None:
    code = "import sys\nfor _ in range(50): sys.stdout.write('x' * 1_000_000)\nsys.stdout.write('the end')"
    outcome = run(spec(tmp_path, code))
    assert outcome.exit_code == 0
    assert outcome.log_path.stat().st_size == 50_000_007
    assert len(outcome.tail) == 4096
    assert outcome.tail.endswith("xthe end")


def test_a_tail_that_is_not_text_is_still_shown(tmp_path: Path) -> None:
    outcome = run(spec(tmp_path, "import os; os.write(1, b'a\\xff\\x00b')"))
    assert outcome.tail == "a\ufffd\0b"


def test_a_second_run_appends_to_the_log(tmp_path: Path) -> None:
    run(spec(tmp_path, "print('one')"))
    assert run(spec(tmp_path, "print('two')")).tail == "one\ntwo\n"


def test_started_is_reported_with_the_identity(tmp_path: Path) -> None:
    seen: list[int] = []
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def started(pid: int) -> None:
        seen.append(pid)
        gate.open("w").close()  # lets the agent end only now, so that its identity can be read

    code = f"import os; open({str(gate)!r}).read(); print(os.getpid(), os.getpgrp(), os.getsid(0))"
    outcome = run(spec(tmp_path, code), started)
    [pid] = seen
    assert outcome.tail.split() == [str(pid)] * 3


def test_a_timeout_kills_an_agent_that_ignores_sigterm(tmp_path: Path, witness: Witness) -> None:
    code = HOLD + IGNORE_TERM + READY + PAUSE
    outcome = run(spec(tmp_path, code, timeout_s=0.01), lambda *_: ready(witness))
    assert (outcome.reason, outcome.exit_code) == ("timeout", -signal.SIGKILL)
    assert witness.gone()


def test_an_agent_may_clean_up_before_it_ends(tmp_path: Path, witness: Witness) -> None:
    code = (
        HOLD + "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(0)))\n" + READY + PAUSE
    )
    outcome = run(spec(tmp_path, code, timeout_s=0.01, grace_s=PATIENCE_S), lambda *_: ready(witness))
    assert (outcome.reason, outcome.exit_code, outcome.tail) == ("timeout", 0, "saved\n")


def test_grandchildren_go_with_a_timeout(tmp_path: Path, witness: Witness) -> None:
    outcome = run(spec(tmp_path, CHILD_THAT_STAYS + READY + PAUSE, timeout_s=0.01), lambda *_: ready(witness))
    assert (outcome.reason, outcome.stragglers) == ("timeout", False)
    assert witness.gone()


def test_grandchildren_that_outlive_their_leader_are_killed(tmp_path: Path, witness: Witness) -> None:
    outcome = run(spec(tmp_path, CHILD_THAT_STAYS + "sys.exit(0)\n"))
    assert (outcome.reason, outcome.exit_code, outcome.stragglers) == ("exited", 0, True)
    assert witness.gone()


def test_a_silent_agent_is_stalled(tmp_path: Path, witness: Witness) -> None:
    code = HOLD + "print('working', flush=True)\n" + READY + PAUSE
    outcome = run(spec(tmp_path, code, stall_s=0.2), lambda *_: ready(witness))
    assert (outcome.reason, outcome.tail) == ("stalled", "working\n")
    assert witness.gone()


@pytest.mark.slow
def test_an_agent_that_keeps_printing_is_not_stalled(tmp_path: Path) -> None:
    code = "import select\nfor n in range(60):\n    print(n, flush=True); select.select([], [], [], 0.05)"
    outcome = run(spec(tmp_path, code, stall_s=2.0))
    assert (outcome.reason, outcome.exit_code) == ("exited", 0)


def test_closed_output_hides_neither_the_exit_nor_the_timeout(tmp_path: Path, witness: Witness) -> None:
    assert run(spec(tmp_path, "import os; os.close(1); os.close(2); os._exit(7)")).exit_code == 7
    code = HOLD + "os.close(1); os.close(2)\n" + READY + PAUSE
    assert run(spec(tmp_path, code, timeout_s=0.01), lambda *_: ready(witness)).reason == "timeout"
    assert witness.gone()


def test_a_foreign_signal_is_told_apart(tmp_path: Path) -> None:
    outcome = run(spec(tmp_path, "import os; os.kill(os.getpid(), 9)"))
    assert (outcome.reason, outcome.exit_code) == ("killed", -9)


def test_a_command_that_cannot_be_executed(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("text", encoding="utf-8")
    cases: list[dict[str, object]] = [
        {"argv": ("no-such-agent",)},
        {"argv": (str(tmp_path / "none"),)},
        {"argv": (str(plain),)},
        {"argv": (str(tmp_path),)},
        {"cwd": tmp_path / "none"},
    ]
    for case in cases:
        outcome = run(spec(tmp_path, "", **case))
        assert (outcome.exit_code, outcome.reason) == (None, "not_found")
        assert outcome.tail


def test_what_no_system_can_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExternalToolError) as caught:
        run(spec(tmp_path, "", argv=(sys.executable, "a\0b")))
    assert caught.value.code == "AGENT_NOT_STARTED"
    with pytest.raises(ExternalToolError):
        run(spec(tmp_path, "", log_path=tmp_path))


def test_a_failing_callback_leaves_no_process(tmp_path: Path, witness: Witness) -> None:
    def fail(pid: int) -> None:
        ready(witness)
        raise RuntimeError("not recorded")

    with pytest.raises(RuntimeError, match="not recorded"):
        run(spec(tmp_path, CHILD_THAT_STAYS + READY + PAUSE), fail)
    assert witness.gone()


def test_cancellation_kills_the_group_and_is_raised_again(tmp_path: Path, witness: Witness) -> None:
    async def scenario() -> None:
        task = asyncio.ensure_future(run_process(spec(tmp_path, CHILD_THAT_STAYS + READY + PAUSE)))
        await asyncio.to_thread(witness.line)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert witness.gone()


def test_a_second_cancellation_does_not_wait_for_the_grace_period(tmp_path: Path, witness: Witness) -> None:
    code = HOLD + "signal.signal(signal.SIGTERM, lambda *_: os.write(w, b'term\\n'))\n" + READY + PAUSE

    async def scenario() -> None:
        task = asyncio.ensure_future(run_process(spec(tmp_path, code, grace_s=3600.0)))
        assert await asyncio.to_thread(witness.line) == "ready"
        task.cancel()
        assert await asyncio.to_thread(witness.line) == "term"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_S)

    asyncio.run(scenario())
    assert witness.gone()


def test_cancellation_before_the_start_starts_or_leaves_nothing(tmp_path: Path, witness: Witness) -> None:
    started: list[int] = []
    before = psutil.Process().children()

    async def scenario() -> None:
        task = asyncio.ensure_future(run_process(spec(tmp_path, HOLD + PAUSE), on_started=started.append))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert not [pid for pid in started if psutil.pid_exists(pid)]
    assert psutil.Process().children() == before


def test_many_at_once_stay_apart(tmp_path: Path) -> None:
    async def scenario() -> list[ProcessOutcome]:
        specs = [spec(tmp_path, f"print({n}); raise SystemExit({n})", log_path=tmp_path / f"{n}.log") for n in range(6)]
        return await asyncio.gather(*(run_process(one) for one in specs))

    assert [(o.exit_code, o.tail) for o in asyncio.run(scenario())] == [(n, f"{n}\n") for n in range(6)]


def ready(witness: Witness) -> None:
    assert witness.line() == "ready"


def leave_behind(folder: Path, code: str, **env: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "WITNESS": str(folder / "witness"), **env}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)


def test_no_signal_goes_to_everybody() -> None:
    for pid in (0, 1, -1):
        assert signal_group(pid, force=True) is False


def test_an_invocation_is_found_by_its_environment(tmp_path: Path, witness: Witness) -> None:
    """A child in a session of its own, whose leader is gone: no group leads to it any more."""
    code = (
        HOLD + "r, s = os.pipe()\nif os.fork() == 0:\n    os.setsid(); os.write(s, b'x')\n"
        "    while True: signal.pause()\nos.read(r, 1)\n" + READY
    )
    process = leave_behind(tmp_path, code, KITTY_FLOW_INVOCATION=f"01J-{tmp_path.name}")
    ready(witness)
    assert process.wait(PATIENCE_S) == 0
    assert kill_invocation("01J-other") == 0
    assert kill_invocation("") == 0
    assert witness.still_there()
    assert kill_invocation(f"01J-{tmp_path.name}") == 1
    assert witness.gone()


def test_we_are_spared_even_inside_that_invocation(tmp_path: Path) -> None:
    code = "from kitty_flow.agents.group import kill_invocation; print(kill_invocation('01J-nested'))"
    env = {**os.environ, "KITTY_FLOW_INVOCATION": "01J-nested", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    assert run(spec(tmp_path, code, env=env)).tail == "0\n"
