"""Agents that work by `next --result` until nothing is left, and some of them are killed; a program of its own.

``agents.py SETTINGS``: one JSON object with `root`, `slug`, `agents`, `victims`, `seed` and `command`, the words that
start kitty-flow; without them each command is a fork of this process, which has imported everything. The first
`victims` agents are killed with SIGKILL, with all they started: a third of them with something unsaved, a third in a
review, the others anywhere in their first steps.

Standard output has one JSON line for all that an agent is about to do or has done; what an agent says it says before
anything follows from it. Ends with 1 when an agent that was not killed failed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

TRY_AGAIN = ("CLAIM_LOST", "LEDGER_BUSY", "LOCK_TIMEOUT", "REF_MOVED", "STATE_CHANGED")
"""Conflicts after which the very same command is typed again."""


class Agent:
    """One agent: it takes what there is, implements or reviews it, and reports.

    When it has said `stops_at` it waits for its end.
    """

    def __init__(self, name: str, settings: dict[str, Any], saying: int, *, stops_at: str) -> None:
        self.name = name
        self._stops_at = stops_at
        self._settings = settings
        self._saying = saying
        self._chance = random.Random(f"{name} {settings['seed']}")

    def say(self, what: str, **more: Any) -> None:
        """Tell the world; one write, so that lines of several agents do not mix."""
        os.write(self._saying, (json.dumps({"agent": self.name, "what": what, **more}) + "\n").encode())
        while what == self._stops_at:
            signal.pause()

    def work(self) -> int:
        """Loop until nothing is left."""
        report: list[str] = []
        while True:
            self.say("asks", reports=report[1:])
            answer = self._kitty("next", "--agent", self.name, "--role", "any", "--wait", "30", *report)
            error = answer["error"]
            if error is not None:
                self.say("refused", code=error["code"], details=error["details"], message=error["message"])
                if error["code"] in TRY_AGAIN:
                    continue
                if error["code"] != "CLAIM_EXPIRED":
                    return 1
                report = []
                continue
            report, data = [], answer["data"]
            if data.get("reported"):
                self.say("acknowledged", wp=data["reported"])
            if data["kind"] == "terminal":
                return 0
            if data["kind"] == "step":
                self.say("takes", **{k: data[k] for k in ("action", "wp_id", "epoch", "invocation_id", "worktree")})
                report = ["--result", self._do(data)]

    def _do(self, step: dict[str, Any]) -> str:
        result = Path(step["result_path"])
        if step["action"] == "review":
            self.say("reviews", wp=step["wp_id"])
            self._pause()
            head = self._git(step, "rev-parse", "HEAD")
            told: dict[str, Any] = {"verdict": "approved", "reviewed_commit": head, "summary": "seen"}
        else:
            self._implement(step)
            told = {"outcome": "success", "summary": "made"}
        result.write_text(json.dumps(told), encoding="utf-8")
        return str(result)

    def _implement(self, step: dict[str, Any]) -> None:
        folder = Path(step["worktree"], step["wp_id"].lower())
        marker = folder / f"unsaved-{step['invocation_id']}.txt"
        folder.mkdir(exist_ok=True)
        marker.write_text(step["invocation_id"], encoding="utf-8")
        self.say("marked", wp=step["wp_id"], path=str(marker.relative_to(step["worktree"])), text=step["invocation_id"])
        self._pause()
        self.say("commits", wp=step["wp_id"])
        marker.unlink()
        (folder / "made.txt").write_text(f"{step['wp_id']} by {step['invocation_id']}\n", encoding="utf-8")
        self._git(step, "add", "--all")
        self._git(step, "commit", "--quiet", "--message", step["wp_id"])
        self.say("committed", wp=step["wp_id"], epoch=step["epoch"], head=self._git(step, "rev-parse", "HEAD"))

    def _pause(self) -> None:
        time.sleep(self._chance.random() * 0.1)

    def _git(self, step: dict[str, Any], *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=step["worktree"], capture_output=True, encoding="utf-8", check=True, timeout=60
        )
        return done.stdout.strip()

    def _kitty(self, *words: str) -> dict[str, Any]:
        words = (*words, "-m", self._settings["slug"], "--json")
        command, root = self._settings["command"], self._settings["root"]
        if command:
            done = subprocess.run([*command, *words], cwd=root, stdout=subprocess.PIPE, timeout=300)
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer
        with tempfile.TemporaryFile() as out:
            child = os.fork()
            if child == 0:
                status = 70
                try:
                    os.dup2(out.fileno(), 1)
                    from kitty_flow.cli.main import main

                    status = main(words)
                finally:
                    os._exit(status)
            os.waitpid(child, 0)
            out.seek(0)
            answer = json.loads(out.read())
            return answer


class Fate(NamedTuple):
    """When a victim is killed: `later_s` after the line number `number` that it says, of those that begin `what`."""

    what: str
    number: int
    later_s: float


def fate(number: int, chance: random.Random) -> Fate:
    """What becomes of a victim."""
    if number % 3 == 2:
        return Fate("", chance.randint(2, 6), chance.random() * 0.4)
    return Fate(("marked", "reviews")[number % 3], 1, 0)


def main(settings: dict[str, Any]) -> int:
    """Start the agents, kill the victims, pass on what is said, and wait for all."""
    chance = random.Random(settings["seed"])
    os.chdir(settings["root"])
    hearing, saying = os.pipe()
    agents = {}
    fates = [fate(number, chance) for number in range(settings["victims"])]
    for number in range(settings["agents"]):
        name = f"agent-{number:02d}"
        agents[name] = os.fork()
        if agents[name] == 0:
            os.close(hearing)
            os.setsid()
            status = 1
            try:
                stops_at = fates[number].what if number < len(fates) else ""
                status = Agent(name, settings, saying, stops_at=stops_at or "the end").work()
            finally:
                sys.excepthook(*sys.exc_info()) if sys.exc_info()[0] else None  # type: ignore[arg-type]
                os._exit(status)
    os.close(saying)
    victims = dict(zip(agents, fates, strict=False))
    seen: Counter[str] = Counter()
    for line in os.fdopen(hearing, encoding="utf-8"):
        print(line, end="", flush=True)
        said = json.loads(line)
        victim = victims.get(said["agent"])
        if victim is not None and victim.what in ("", said["what"]):
            seen[said["agent"]] += 1
            if seen[said["agent"]] == victim.number:
                # Somewhere between what it said and what it says next; in the middle of kitty-flow, or of its work.
                time.sleep(victim.later_s)
                os.killpg(agents[said["agent"]], signal.SIGKILL)
    ended = {name: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for name, pid in agents.items()}
    print(json.dumps({"agent": "", "what": "ended", "killed": [n for n, s in ended.items() if s == -9]}))
    return int(any(status not in (0, -9) for status in ended.values()))


def prepare() -> None:
    """Import what a command needs, so that its forks need not."""
    import pkgutil
    from contextlib import suppress
    from importlib import import_module

    import kitty_flow

    for module in pkgutil.walk_packages(kitty_flow.__path__, "kitty_flow."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in ("filelock", "psutil", "sqlite_utils", "ulid", "transitions"):
        with suppress(ImportError):
            import_module(name)


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    if not told["command"]:
        prepare()
    sys.exit(main(told))
