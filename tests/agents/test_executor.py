"""What every executor has to do, asked of the one of this machine and of one in memory; a distributed one follows."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from memory_executor import MemoryExecutor

from kitty_flow.agents.executor import Executor, Job
from kitty_flow.agents.local_executor import LocalExecutor
from kitty_flow.errors import UsageError

PATIENCE_S = 60.0

# What a job is to do, as a program and as a function.
PROGRAMS = {
    "succeed": "raise SystemExit(0)",
    "fail": "raise SystemExit(3)",
    "hang": "import signal\nprint('here', flush=True)\nwhile True: signal.pause()",
    "stubborn": (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('here', flush=True)\n"
        "while True: signal.pause()"
    ),
}


def behave(job: Job, stop: threading.Event) -> int:
    kind = job.variables["KIND"]
    if kind in ("hang", "stubborn"):
        stop.wait(PATIENCE_S)
        return -15
    return 3 if kind == "fail" else 0


@pytest.fixture(params=["local", "memory"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made: Executor = LocalExecutor() if request.param == "local" else MemoryExecutor(behave)
    yield made
    made.close()


def job(folder: Path, kind: str, name: str = "01J", epoch: int = 1, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "invocation_id": f"{name}-{folder.name}",
        "epoch": epoch,
        "argv": (sys.executable, "-I", "-S", "-c", PROGRAMS[kind]),
        "cwd": str(folder),
        "variables": {"KIND": kind, "KITTY_FLOW_INVOCATION": f"{name}-{folder.name}"},
        "log_path": str(folder / f"{name}.log"),
        "timeout_s": PATIENCE_S,
        "grace_s": 0.2,
    }
    return Job(**{**values, **changes})


def submit(executor: Executor, one: Job) -> str:
    executor.submit(one)
    return one.invocation_id


def wait_until_here(executor: Executor, one: Job) -> None:
    """Until a program has come so far that it ignores signals or not."""
    while isinstance(executor, LocalExecutor) and not (Path(one.log_path).exists() and Path(one.log_path).read_text()):
        assert executor.is_alive(one.invocation_id)


@pytest.mark.parametrize(("kind", "status"), [("succeed", 0), ("fail", 3)])
def test_a_result_comes_back_with_its_epoch(executor: Executor, tmp_path: Path, kind: str, status: int) -> None:
    name = submit(executor, job(tmp_path, kind, epoch=7))
    result = executor.collect(name, PATIENCE_S)
    assert result is not None
    assert (result.invocation_id, result.epoch) == (name, 7)
    assert (result.outcome.reason, result.outcome.exit_code) == ("exited", status)
    assert not executor.is_alive(name)
    assert executor.collect(name, 0.0) == result, "it may be asked for again"


def test_a_job_that_is_handed_over_twice_is_one_job(executor: Executor, tmp_path: Path) -> None:
    name = submit(executor, job(tmp_path, "hang"))
    assert submit(executor, job(tmp_path, "fail", epoch=2)) == name
    assert executor.is_alive(name)
    executor.cancel(name)
    result = executor.collect(name, PATIENCE_S)
    assert result is not None and result.epoch == 1


def test_nobody_waits_longer_than_asked(executor: Executor, tmp_path: Path) -> None:
    name = submit(executor, job(tmp_path, "hang"))
    assert executor.collect(name, 0.01) is None
    assert executor.is_alive(name)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("kind", ["hang", "stubborn"])
def test_a_canceled_job_ends(executor: Executor, tmp_path: Path, kind: str, force: bool) -> None:
    one = job(tmp_path, kind, grace_s=PATIENCE_S if force else 0.2)
    name = submit(executor, one)
    wait_until_here(executor, one)
    executor.cancel(name, force=force)
    result = executor.collect(name, PATIENCE_S / 2)
    assert result is not None and result.outcome.reason == "canceled"
    executor.cancel(name)
    assert executor.collect(name) == result


def test_a_job_that_is_canceled_at_once_ends_too(executor: Executor, tmp_path: Path) -> None:
    names = [submit(executor, job(tmp_path, "hang", f"j{n}")) for n in range(4)]
    for name in names:
        executor.cancel(name, force=True)
    for name in names:
        result = executor.collect(name, PATIENCE_S)
        assert result is not None and result.outcome.reason == "canceled"


def test_the_limit_of_time(executor: Executor, tmp_path: Path) -> None:
    name = submit(executor, job(tmp_path, "hang", timeout_s=0.2))
    result = executor.collect(name, PATIENCE_S)
    assert result is not None and result.outcome.reason == "timeout"


def test_many_at_once_from_many_threads(executor: Executor, tmp_path: Path) -> None:
    found: dict[int, int | None] = {}

    def one(number: int) -> None:
        name = submit(executor, job(tmp_path, "fail" if number % 2 else "succeed", f"j{number}", epoch=number))
        result = executor.collect(name, PATIENCE_S)
        assert result is not None and result.epoch == number
        found[number] = result.outcome.exit_code

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert found == {number: 3 if number % 2 else 0 for number in range(8)}


def test_an_unknown_job(executor: Executor) -> None:
    assert not executor.is_alive("01J-unknown")
    executor.cancel("01J-unknown")
    with pytest.raises(UsageError, match="JOB_UNKNOWN"):
        executor.collect("01J-unknown", 0.0)


def test_closing_ends_what_runs(executor: Executor, tmp_path: Path) -> None:
    name = submit(executor, job(tmp_path, "stubborn", grace_s=PATIENCE_S))
    executor.close()
    assert not executor.is_alive(name)
    executor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the environment of a process that left its group")
def test_what_an_agent_leaves_in_a_session_of_its_own_is_ended(tmp_path: Path) -> None:
    """Also after a success: the work goes on in that worktree, and nobody else may write there."""
    code = (
        "import os, signal\nr, w = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        os.write(w, str(os.getpid()).encode())\n"
        "        while True: signal.pause()\n    os._exit(0)\nprint(os.read(r, 20).decode(), flush=True)"
    )
    with LocalExecutor() as executor:
        name = submit(executor, job(tmp_path, "succeed", argv=(sys.executable, "-I", "-S", "-c", code)))
        result = executor.collect(name, PATIENCE_S)
    assert result is not None
    assert (result.outcome.reason, result.outcome.exit_code, result.outcome.stragglers) == ("exited", 0, True)
    assert not _lives(int(result.outcome.tail))


def test_an_agent_gets_the_machines_environment_under_the_jobs_variables(tmp_path: Path) -> None:
    code = "import os; print(sorted(k for k in os.environ if k in ('A', 'B', 'GIT_DIR', 'KITTY_FLOW_WP')))"
    base = {"A": "1", "GIT_DIR": "/elsewhere", "KITTY_FLOW_WP": "outer", "PATH": os.environ["PATH"]}
    with LocalExecutor(base) as executor:
        one = job(tmp_path, "succeed", argv=(sys.executable, "-I", "-S", "-c", code), variables={"B": "2"})
        result = executor.collect(submit(executor, one), PATIENCE_S)
    assert result is not None and result.outcome.tail.strip() == "['A', 'B']"


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
