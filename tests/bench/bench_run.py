"""`tox -e bench`: what a run costs beside the work itself, and what waiting costs.

Everything is a ratio of times that were measured in the same run, on the same disk. (a) No-op work packages that need
no worktree cost at most twice their recorded transitions and their process spawns. (b) With worktrees a run costs at
most twice the git commands that a correct script by hand needs, the same transitions and the same spawns. (c) A run
that waits costs less than a hundredth of a core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project
from kitty_flow.ledger.ledger import Batch, Draft
from kitty_flow.machines import machine
from kitty_flow.model.mission import WorkPackage

LIMIT = 2.0
WORK_PACKAGES = int(os.environ.get("KITTY_FLOW_BENCH_WORK_PACKAGES", "200"))
JOBS = 2
IDLE_S = 4.0
IDLE_SHARE = 0.01

_IMPLEMENTER = """\
#!/bin/sh
echo done > "$KITTY_FLOW_WP.txt"
git add --all && git commit --quiet --message "$KITTY_FLOW_WP"
echo '{"outcome": "success", "summary": "done"}' > "$KITTY_FLOW_RESULT"
"""
_IDLE_IMPLEMENTER = """\
#!/bin/sh
echo '{"outcome": "success", "summary": "done"}' > "$KITTY_FLOW_RESULT"
"""
_REVIEWER = """\
#!/bin/sh
head=$(git -C "$1" rev-parse "${2:-HEAD}")
echo "{\\"verdict\\": \\"approved\\", \\"reviewed_commit\\": \\"$head\\"}" > "$KITTY_FLOW_RESULT"
"""

_STEPS = (
    ("claim", "planned", "claimed"),
    ("start", "claimed", "in_progress"),
    ("submit", "in_progress", "for_review"),
    ("begin_review", "for_review", "in_review"),
    ("approve", "in_review", "approved"),
    ("integrate", None, None),
)


def repository(root: Path, name: str, work_packages: int, *, changes: bool) -> Path:
    """A repository with a mission of independent work packages, and the two agents beside it."""
    place = root / name / "repository"
    place.mkdir(parents=True)
    (place / "README.md").write_text("# Sample\n")
    for words in (["init", "-q", "-b", "trunk"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=place, check=True)
    lines = ["[mission]", 'title = "Nothing much"', ""]
    for number in range(work_packages):
        lines += ["[[work_package]]", f'id = "WP{number:04}"']
        lines += [f'owned_files = ["WP{number:04}.txt"]' if changes else "changes = false", ""]
    source = place / ".kitty-flow" / "missions" / "large.toml"
    source.parent.mkdir(parents=True)
    source.write_text("\n".join(lines))
    for agent, text in (("implement", _IMPLEMENTER if changes else _IDLE_IMPLEMENTER), ("review", _REVIEWER)):
        script = place.parent / agent
        script.write_text(text)
        script.chmod(0o755)
    subprocess.run(
        [*kitty(), "plan", "large"], cwd=place, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return place


def kitty() -> list[str]:
    script = Path(sys.executable).with_name("kitty-flow")
    return [str(script)] if script.exists() else [sys.executable, "-m", "kitty_flow"]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(place: Path, *, changes: bool) -> None:
    beside = place.parent
    review = (
        f"{beside / 'review'} ." if changes else f"{beside / 'review'} {place} kitty/mission-large-{mission_id(place)}"
    )
    command = [*kitty(), "run", "large", "-j", str(JOBS), "--command", str(beside / "implement"), "--json"]
    done = subprocess.run([*command, "--review-command", review], cwd=place, capture_output=True)
    assert done.returncode == 0, done.stdout[-2000:]


def mission_id(place: Path) -> str:
    (found,) = (
        Project.discover(place).repository.git.text("for-each-ref", "--format=%(refname)", "refs/kitty/m").split()
    )
    return found.rpartition("/")[2][:8]


def transitions(place: Path, work_packages: int) -> None:
    """Record what a run records, one commit for each transition, with evidence of the same size."""
    found, evidence = machine("work_package"), {"text": "x" * 600}
    with open_mission(Project.discover(place), "large") as mission:
        for number in range(work_packages):
            for trigger, before, after in _STEPS:
                name = f"WP{number:04}"
                draft = Draft(
                    "work_package",
                    name,
                    found.name,
                    found.digest,
                    trigger,
                    "bench",
                    before,
                    after,
                    epoch=1 if trigger == "claim" else None,
                    evidence=evidence,
                )
                mission.ledger.record(lambda view, draft=draft: Batch([draft]))  # type: ignore[misc]


def spawns(place: Path, work_packages: int) -> None:
    """Start the two agents as often as a run does, as many at once, in the same environment and with a log."""
    environment = {**os.environ, "KITTY_FLOW_RESULT": str(place.parent / "result"), "KITTY_FLOW_WP": "WP0000"}
    review = [str(place.parent / "review"), str(place)]
    idle = place.parent / "idle"
    idle.write_text(_IDLE_IMPLEMENTER)
    idle.chmod(0o755)
    for _ in range(-(-work_packages // JOBS)):
        for command in ([str(idle)], review):
            with (place.parent / "log").open("ab") as log:
                running = [
                    subprocess.Popen(
                        command,
                        cwd=place,
                        env=environment,
                        stdout=log,
                        stderr=log,
                        stdin=subprocess.DEVNULL,
                        start_new_session=True,
                    )
                    for _ in range(JOBS)
                ]
                for process in running:
                    process.wait()


def by_hand(place: Path, work_packages: int) -> None:
    """The git commands of a correct script: a worktree each, a commit, a merge without a checkout, one swap."""

    def git(*words: str, cwd: Path = place) -> str:
        return subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()

    git("branch", "mission")
    for number in range(work_packages):
        name = f"WP{number:04}"
        lane = place.parent / "lanes" / name
        git("worktree", "add", "--quiet", "-b", f"lane-{name}", str(lane), "mission")
        (lane / f"{name}.txt").write_text("done\n")
        git("add", "--all", cwd=lane)
        git("commit", "--quiet", "--message", name, cwd=lane)
        tip, head = git("rev-parse", "mission", f"lane-{name}").split()
        tree = git("merge-tree", "--write-tree", tip, head)
        merge = git("commit-tree", tree, "-p", tip, "-p", head, "-m", f"Merge {name}")
        git("update-ref", "refs/heads/mission", merge, tip)
        git("worktree", "remove", str(lane))


@pytest.mark.parametrize("changes", [False, True], ids=["without worktrees", "with worktrees"])
def test_a_run_costs_twice_its_parts_at_most(tmp_path: Path, changes: bool) -> None:
    if not changes and "changes" not in WorkPackage.__annotations__:
        pytest.skip("work packages that change no files are not there yet")
    count = WORK_PACKAGES // (4 if changes else 1)
    names = ("transitions", "spawns", "hand", "run")
    place, spawned, hand, driven = (repository(tmp_path, name, count, changes=changes) for name in names)
    parts = {
        "transitions": seconds(lambda: transitions(place, count)),
        "spawns": seconds(lambda: spawns(spawned, count)),
        **({"git by hand": seconds(lambda: by_hand(hand, count))} if changes else {}),
    }
    whole = seconds(lambda: run(driven, changes=changes))
    told = ", ".join(f"{name} {value / count * 1e3:.1f}" for name, value in parts.items())
    ratio = whole / sum(parts.values())
    print(f"\n{count} work packages, ms each: run {whole / count * 1e3:.1f}; {told}; ratio {ratio:.2f}")
    assert ratio <= LIMIT


def test_a_run_that_waits_does_next_to_nothing(tmp_path: Path) -> None:
    place = repository(tmp_path, "idle", 2, changes=True)
    subprocess.run([*kitty(), "next", "--agent", "amy"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    beside = place.parent
    command = [*kitty(), "run", "large", "--wait", "--command", str(beside / "implement"), "--review-command"]
    with subprocess.Popen([*command, f"{beside / 'review'} ."], cwd=place, stderr=subprocess.DEVNULL) as waiting:
        try:
            share = idle_share(waiting, lambda: states(place).count("approved") == 1)
        finally:
            waiting.terminate()
    print(f"\na waiting run: {share:.2%} of a core")
    assert share < IDLE_SHARE


def test_next_that_waits_does_next_to_nothing(tmp_path: Path) -> None:
    """Somebody else holds the only work package."""
    place = repository(tmp_path, "wait", 1, changes=True)
    subprocess.run([*kitty(), "next", "--agent", "amy"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    command = [*kitty(), "next", "--agent", "bob", "--wait", "60", "--json"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as waiting:
        try:
            share = idle_share(waiting, lambda: states(place) == ["in_progress"])
        finally:
            waiting.terminate()
    print(f"\nnext --wait: {share:.2%} of a core")
    assert share < IDLE_SHARE


def states(place: Path) -> list[str]:
    done = subprocess.run([*kitty(), "status", "large", "--json"], cwd=place, check=True, capture_output=True)
    return [card["state"] for card in json.loads(done.stdout)["data"]["work_packages"].values()]


def idle_share(process: subprocess.Popen[bytes], settled: Callable[[], bool]) -> float:
    """The share of a core that a process uses for some seconds after it has settled."""
    while not settled():
        assert process.poll() is None
    watched = psutil.Process(process.pid)
    time.sleep(3.0)  # it starts, and the pauses between two looks grow to their full length
    before = sum(watched.cpu_times()[:2])
    time.sleep(IDLE_S)
    return float(sum(watched.cpu_times()[:2]) - before) / IDLE_S
