"""Many processes that claim work packages until none is left; run as a program by tests and by the bench.

``claimants.py REPOSITORY MISSION PROCESSES VICTIMS SEED``: the first VICTIMS processes are killed with SIGKILL, each
after a random number of its claims and wherever it is then. Forked from one interpreter, so that claims and not
start-ups compete. Standard output has one JSON line ``[process, "won", work package, epoch, seconds]`` or
``[process, "refused", code, null, seconds]`` for each answer that a process got, and ``[process, "left"]`` when it saw
nothing to claim any more. Ends with 1 when a process that was not killed failed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.claim import claim
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project

LOST = ("ALREADY_CLAIMED", "ILLEGAL_TRANSITION")


def work(number: int, root: Path, slug: str, gate: int, answers: int) -> None:
    """Claim what is left, in an order of one's own, as agents do that do not know of each other."""

    def tell(*answer: Any) -> None:
        os.write(answers, (json.dumps([number, *answer]) + "\n").encode())

    order = random.Random(number)
    project = Project.discover(root)
    with open_mission(project, slug) as mission:
        project.settings  # noqa: B018 - read before the start, as imports are
        mission.view()
        tell("ready")
        os.read(gate, 1)  # returns for all at once, when the writing end is closed
        while left := [key for key, e in mission.view().of_type("work_package").items() if e.state == "planned"]:
            wanted = order.choice(left)
            begun = time.perf_counter()
            try:
                won = claim(mission, wanted, actor=f"agent-{number}", lease_s=600)
                tell("won", wanted, won.epoch, time.perf_counter() - begun)
            except KittyFlowError as error:
                if error.code not in LOST:
                    raise
                tell("refused", error.code, None, time.perf_counter() - begun)
        tell("left")


def main(root: str, slug: str, processes: int, victims: int, seed: int) -> int:
    """Start them, pass on what they say, kill the victims, and wait for all."""
    chance = random.Random(seed)
    gate, opener = os.pipe()
    reader, answers = os.pipe()
    pids = {}
    for number in range(processes):
        pids[number] = os.fork()
        if pids[number] == 0:
            os.close(opener)
            os.close(reader)
            try:
                work(number, Path(root), slug, gate, answers)
                os._exit(0)
            finally:
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
                os._exit(1)
    os.close(gate)
    os.close(answers)
    lives = {number: chance.randint(0, 3) for number in range(victims)}
    ready = 0
    for line in os.fdopen(reader, encoding="ascii"):
        number, kind, *_ = json.loads(line)
        if kind == "ready":
            ready += 1
            if ready == processes:
                os.close(opener)
                for early in [n for n, left in lives.items() if left == 0]:
                    os.kill(pids[early], signal.SIGKILL)
            continue
        print(line, end="", flush=True)
        if kind == "won" and number in lives:
            lives[number] -= 1
            if lives[number] == 0:
                os.kill(pids[number], signal.SIGKILL)
    ended = {number: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for number, pid in pids.items()}
    return int(any(ended[number] for number in range(victims, processes)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])))
