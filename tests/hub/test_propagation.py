"""What a hub is told, and what its faults cost: never the success of what is recorded."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_bench import Hub, configure

from kitty_flow.flow.project import Project
from kitty_flow.hub import delivery
from kitty_flow.hub.credentials import CredentialStore
from kitty_flow.invocation import diagnostics, propagator
from kitty_flow.invocation.runtime import Opening, begin, complete
from kitty_flow.ledger.error_log import read_errors

EVENTS = "/v1/events"
SECRET = "a request that is nobody's business"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one process remembers does not reach the next test."""
    monkeypatch.setattr(diagnostics, "_told", [])
    monkeypatch.setattr(diagnostics, "_waiting", [])
    monkeypatch.setattr(propagator, "_active", {})
    monkeypatch.setattr(delivery, "_FIRST_WAIT_S", 0.01)


def ask(repo: Path, profile: str = "reviewer", mode: str = "advisory") -> str:
    opening = Opening(
        profile_id=profile, action="review", request_text=SECRET, governance_context_hash="0" * 64,
        governance_context_available=False, router_confidence=None, mode_of_work=mode, actor="ann",
    )  # fmt: skip
    return begin(Project.discover(repo), opening).invocation_id


def codes() -> list[str]:
    propagator.settle()
    return [each.diagnostic_code for each in diagnostics.taken()]


def sync(repo: Path) -> dict[str, int]:
    report = propagator.flush(Project.discover(repo))
    assert report is not None
    return {name: count for name, count in vars(report).items() if count}


@pytest.mark.usefixtures("client", "logged_in")
def test_started_and_completed_arrive_in_order_once_and_without_text(hub: Hub, repo: Path) -> None:
    before = ask(repo, "planner")  # before there was a hub
    configure(repo, hub)
    invocation = ask(repo)
    assert codes() == []
    complete(Project.discover(repo), invocation, "done", summary=SECRET)
    assert codes() == []
    assert hub.told == [("started", "planner"), ("started", "reviewer"), ("completed", "done")]
    sent = json.dumps(hub.requests)
    assert SECRET not in sent and before in sent
    assert sync(repo) == {}
    (next((repo / ".git/kitty-flow/hub").iterdir())).unlink()  # no second truth: everything is offered again
    assert sync(repo) == {"duplicate": 3}
    configure(repo, hub, send_text=True, events=["completed"])
    assert sync(repo) == {"duplicate": 1}
    assert SECRET in json.dumps(hub.requests[-1])


@pytest.mark.usefixtures("client", "logged_in")
def test_settings_decide_by_mode_and_event(hub: Hub, repo: Path) -> None:
    configure(repo, hub, modes=["task_execution"], events=["completed"])
    for mode in ("advisory", "query", "task_execution"):
        complete(Project.discover(repo), ask(repo, mode, mode), "done", artifacts=["a.md"])
    codes()
    assert hub.told == [("completed", "done")]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("missing", ["table", "consent", "login", "own address"])
def test_without_settings_or_login_nothing_is_started(
    missing: str, hub: Hub, repo: Path, store: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub_bench import keep

    if missing != "login":
        keep(store)
    if missing == "own address":  # a repository that names another hub gets nothing of the user's token
        configure(repo, hub, url=hub.address.url + "/other")
    elif missing != "table":
        configure(repo, hub, consent=missing != "consent")
    monkeypatch.setattr(propagator._Propagator, "wake", lambda self: pytest.fail("a thread was started"))
    ask(repo)
    assert propagator._active == {} and codes() == [] and hub.requests == []


def test_without_a_table_no_library_is_imported(repo: Path, store: CredentialStore) -> None:
    script = (
        "import sys, threading; from kitty_flow.cli.main import main\n"
        f"status = main(['profile-invocation', 'complete', '--invocation-id', {ask(repo)!r}, '--outcome', 'done'])\n"
        "assert status == 0 and threading.active_count() == 1\n"
        "assert not {'httpx', 'ssl', 'kitty_flow.hub.client'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", script], cwd=repo, check=True, timeout=60)


FAULTS = {
    "hang": "HUB_SLOW",
    "401": "SESSION_ENDED",
    "403": "HUB_FORBIDDEN",
    "404": "HUB_NOT_FOUND",
    "429 for long": "HUB_BUSY",
    "500": "HUB_BROKEN",
    "malformed": "HUB_ANSWER_INVALID",
    "wrong shape": "HUB_ANSWER_INVALID",
    "reset": "HUB_UNREACHABLE",
    "elsewhere": "HUB_REDIRECTS",
}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(("fault", "code"), FAULTS.items())
def test_a_fault_of_the_hub_is_a_remark_and_the_event_waits(
    fault: str, code: str, hub: Hub, repo: Path, logged_in: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "hang":
        monkeypatch.setattr(propagator, "DRAIN_S", 0.3)
    configure(repo, hub)
    hub.behave(EVENTS, fault)
    hub.behave("/v1/auth/refresh", "401")
    invocation = ask(repo)
    assert codes() == [code]
    asked = len(hub.requests)
    complete(Project.discover(repo), invocation, "done")  # durable in any case; the hub is left alone for now
    assert codes() == []
    assert len(hub.requests) == asked
    entries, _ = read_errors(Project.discover(repo).repository)
    if code != "HUB_SLOW":
        assert [entry.context["code"] for entry in entries] == [code]
    if code == "SESSION_ENDED":
        assert logged_in.read() is None
        return
    if fault == "hang":
        hub.process.kill()  # the thread still holds the queue, as in a process that ends; it must not outlive the test
        for thread in threading.enumerate():
            if thread.name == "hub":
                thread.join()
        return
    hub.behave(EVENTS, "ok")
    assert sync(repo) == {"accepted": 2}
    assert hub.told[-2:] == [("started", "reviewer"), ("completed", "done")]


@pytest.mark.usefixtures("client", "logged_in")
@pytest.mark.parametrize("fault", ["ok", "whole refused", "broken at poison"])
def test_an_event_that_the_hub_does_not_take_holds_up_nobody(fault: str, hub: Hub, repo: Path) -> None:
    for profile in ("planner", "poison", "reviewer", "designer"):
        ask(repo, profile)
    configure(repo, hub)
    hub.behave(EVENTS, fault)
    assert sync(repo) == {"accepted": 3, "rejected": 1}
    assert codes() == ["HUB_REJECTED"]
    (entry,), _ = read_errors(Project.discover(repo).repository)
    assert (entry.error_type, entry.context["code"]) == ("PropagationError", "HUB_REJECTED")
    asked = len(hub.requests)
    assert sync(repo) == {} and len(hub.requests) == asked  # never again


@pytest.mark.usefixtures("client", "logged_in")
def test_a_hub_that_is_down_takes_nothing_out_of_the_queue(hub: Hub, repo: Path) -> None:
    for profile in ("planner", "reviewer", "designer"):
        ask(repo, profile)
    configure(repo, hub)
    hub.behave(EVENTS, "500")
    assert sync(repo) == {"waiting": 3}
    hub.behave(EVENTS, "429", "503", "ok")
    assert sync(repo) == {"accepted": 3}


@pytest.mark.slow
@pytest.mark.usefixtures("logged_in")
def test_the_command_line_keeps_its_success(hub: Hub, repo: Path, kitty: Callable[..., Any]) -> None:
    first, second = ask(repo), ask(repo)
    configure(repo, hub)
    hub.behave(EVENTS, "403")
    words = ("profile-invocation", "complete", "--outcome", "done", "--invocation-id")
    done = kitty(*words, first, "--json", cwd=repo)
    assert (done.exit, done.json["ok"], done.stderr) == (0, True, "")
    (remark,) = done.json["diagnostics"]
    assert (remark["diagnostic_code"], remark["fatal"], remark["sync_phase"]) == ("HUB_FORBIDDEN", False, "deliver")
    hub.behave(EVENTS, "hang")
    (next((repo / ".git/kitty-flow/hub").iterdir())).unlink()
    hung = kitty(*words, second, cwd=repo)
    assert hung.exit == 0 and hung.stdout.count(second) >= 1
    assert hung.stderr.startswith("note: the hub ") and hung.stderr.count("\n") == 1
    hub.behave(EVENTS, "ok")
    subprocess.run(["git", "init", "-q", "--bare", repo.parent / "remote"], check=True)
    synced = kitty("sync", str(repo.parent / "remote"), "--json", cwd=repo)
    assert (synced.exit, synced.json["data"]["hub"]["accepted"], synced.json["diagnostics"]) == (0, 4, [])
    for each in (done, hung, synced):
        assert "access-0" not in each.stdout + each.stderr
    everything = ["git", "cat-file", "--batch", "--batch-all-objects"]
    kept = [subprocess.run(everything, cwd=repo, check=True, capture_output=True).stdout]
    kept += [path.read_bytes() for path in (repo / ".git/kitty-flow").rglob("*") if path.is_file()]
    assert b"HUB_FORBIDDEN" in kept[0]
    assert not any(b"access-0" in content or b"refresh-0" in content for content in kept)


@pytest.mark.usefixtures("client", "logged_in")
def test_a_killed_process_loses_nothing(hub: Hub, repo: Path) -> None:
    configure(repo, hub)
    hub.behave(EVENTS, "hang", "ok")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_propagation import ask; from pathlib import Path\n"
        "ask(Path.cwd()); print('recorded', flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", script, str(Path(__file__).parent)]
    with subprocess.Popen(words, cwd=repo, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "recorded\n"
        while not hub.asked(EVENTS):
            time.sleep(0.01)
        process.kill()
    assert sync(repo) == {"accepted": 1}
