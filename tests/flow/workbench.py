"""A scratch repository with a mission in it, the scripted agents, and kitty-flow itself as real processes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from forked import run_kitty

__all__ = ["DIAMOND", "STOPPED", "DemandedExit", "Workbench", "agent", "files_of", "is_running", "kept", "until"]

_AGENTS = Path(__file__).parents[2] / "fixtures" / "agents"

DIAMOND: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["core.txt"]},
    "WP02": {"owned_files": ["left.txt"], "dependencies": ["WP01"]},
    "WP03": {"owned_files": ["right.txt"], "dependencies": ["WP01"]},
    "WP04": {"owned_files": ["docs/**"], "dependencies": ["WP02", "WP03"], "execution_mode": "planning_artifact"},
}
"""Three waves, two lanes side by side, and a planning artifact at the end."""


STOPPED: Final = 86
"""Exit status of a kitty-flow that ended at a failpoint."""


def agent(role: str, mode: str = "") -> str:
    """The command line of a scripted agent: ``agent("implementer", "dirty=WP02")``."""
    words = [sys.executable, "-I", "-S", str(_AGENTS / f"{role}.py"), *([mode] if mode else [])]
    return shlex.join(words)


def until(seen: Callable[[], object]) -> None:
    """Look until something is seen, for at most a minute of looks."""
    for _ in range(600):
        if seen():
            return
        time.sleep(0.1)
    raise AssertionError(f"never seen: {seen}")


def is_running(pid: int) -> bool:
    """Whether a process is alive; one that nobody has asked for its status is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class DemandedExit(AssertionError):
    """kitty-flow ended with another status than the test demands."""


@dataclass
class Workbench:
    """One repository, one mission; `env` is added to the environment of every kitty-flow process."""

    root: Path
    command: tuple[str, ...]
    slug: str = "sample"
    env: dict[str, str] = field(default_factory=dict)

    def git(self, *words: str | Path, cwd: Path | None = None, ok: Iterable[int] = (0,)) -> str:
        """Run git as the user would."""
        done = subprocess.run(
            ["git", *map(str, words)], cwd=cwd or self.root, capture_output=True, encoding="utf-8", timeout=60
        )
        assert done.returncode in ok, done.stderr
        return done.stdout.rstrip("\n")

    def commit(self, message: str = "more", **files: str) -> str:
        """Write files (double underscores stand for dots), commit them all, and return the commit."""
        for name, text in files.items():
            (self.root / name.replace("__", ".")).write_text(text, encoding="utf-8")
            self.git("add", "--", name.replace("__", "."))
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def mission(self, work_packages: Mapping[str, Mapping[str, Any]] = DIAMOND, **keys: Any) -> Path:
        """Write the native mission file, and settings that let nobody wait for a retry.

        Strings, numbers and lists of them look alike in JSON and TOML.
        """
        tables = [("[mission]", {"title": "A sample", "id": "01JZ5N3C8RWE5P1YF0K6SHTAVD", **keys})]
        tables += [("[[work_package]]", {"id": name, **values}) for name, values in work_packages.items()]
        text = "\n".join(
            "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])
            for head, values in tables
        )
        path = self.root / ".kitty-flow" / "missions" / f"{self.slug}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if not (self.root / ".kitty-flow" / "config.toml").exists():
            self.settings("[run]\nretry_backoff_s = 0\n")
        return path

    def settings(self, text: str) -> None:
        """Write the settings file."""
        path = self.root / ".kitty-flow" / "config.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def start(self, *words: str | Path, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start kitty-flow in a session of its own, as a terminal would."""
        return subprocess.Popen(
            [*self.command, *map(str, words)],
            cwd=cwd or self.root,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def kitty(self, *words: str | Path, exit: int = 0, cwd: Path | None = None) -> dict[str, Any]:
        """The envelope of a command under ``--json`` that must end with `exit`."""
        done = run_kitty([*map(str, words), "--json"], cwd=cwd or self.root, env=self.env, timeout=120)
        if done.returncode != exit:
            raise DemandedExit(f"{words} ended with {done.returncode}, not {exit}:\n{done.stdout}\n{done.stderr}")
        if exit in (STOPPED, -signal.SIGKILL):
            return {}
        envelope: dict[str, Any] = json.loads(done.stdout)
        assert envelope["ok"] is (exit == 0), envelope
        assert set(envelope) == {"schema", "ok", "data", "error", "diagnostics"}
        assert (envelope["error"] is None) is envelope["ok"]
        return envelope

    def points(self, *words: str | Path) -> list[str]:
        """Run a command to its end; returns the failpoints that it reached, by name (`kitty_flow.effects`)."""
        trace = self.root.parent / "trace"
        trace.unlink(missing_ok=True)
        self.env["KITTY_FLOW_FAILPOINT_TRACE"] = str(trace)
        self.kitty(*words)
        del self.env["KITTY_FLOW_FAILPOINT_TRACE"]
        return [line.partition(" ")[2] for line in trace.read_text().splitlines()]

    def stop(self, points: list[str], at: int, how: str, *words: str | Path) -> None:
        """Run a command that reaches these failpoints, and ends around number `at` of them.

        ``before`` its effect, ``after`` it, or ``group``: before it, and the git process that was to do it dies too.
        """
        number = at + (how == "after")
        name = points[number - 1]
        which = f"{name}#{points[:number].count(name)}"
        self.env["KITTY_FLOW_FAILPOINT"] = f"{which}:{'crash' if how == 'group' else 'exit'}"
        self.kitty(*words, exit=STOPPED)
        del self.env["KITTY_FLOW_FAILPOINT"]

    def refusal(self, *words: str | Path, exit: int, cwd: Path | None = None) -> dict[str, Any]:
        """The error of a command that must end with `exit`; every error says what helps."""
        error: dict[str, Any] = self.kitty(*words, exit=exit, cwd=cwd)["error"]
        assert error["message"] and error["hint"], error
        return error

    def run_words(self, implement: str = "", review: str = "", jobs: int = 2) -> tuple[str, ...]:
        """The words of a run with scripted agents in the given modes."""
        commands = ("--command", agent("implementer", implement), "--review-command", agent("reviewer", review))
        return ("run", self.slug, "-j", str(jobs), *commands)

    def run(self, implement: str = "", review: str = "", *, exit: int = 0, jobs: int = 2) -> dict[str, Any]:
        """The envelope of a run."""
        return self.kitty(*self.run_words(implement, review, jobs), exit=exit)

    def events(self) -> list[dict[str, Any]]:
        """Everything in the ledger."""
        found: list[dict[str, Any]] = self.kitty("log", self.slug)["data"]["events"]
        return found

    def steps(self) -> list[tuple[str, str]]:
        """(entity, trigger) of every transition of a work package, in order."""
        return [(e["entity_id"], e["trigger"]) for e in self.events() if e["entity_type"] == "work_package"]

    def states(self) -> dict[str, str]:
        """The state of every work package."""
        status = self.kitty("status", self.slug)["data"]
        return {name: card["state"] for name, card in status["work_packages"].items()}

    def tree(self, ref: str) -> str:
        """The tree of a commit."""
        return self.git("rev-parse", "--verify", f"{ref}^{{tree}}")

    @property
    def mission_branch(self) -> str:
        """The short name of the branch on which approved work is integrated."""
        return f"kitty/mission-{self.slug}-01JZ5N3C"

    @property
    def tips(self) -> dict[str, str]:
        """Every ref and what it points to, the error log aside, which grows with every refusal."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return {ref: oid for ref, _, oid in (line.partition(" ") for line in lines) if ref != "refs/kitty/errors"}

    @property
    def ledger_tip(self) -> str | None:
        """The commit at the head of the only ledger, if there is one."""
        found = [oid for ref, oid in self.tips.items() if ref.startswith("refs/kitty/m/")]
        assert len(found) <= 1
        return found[0] if found else None

    def expect_sound_ledger(self) -> None:
        """Nothing was approved or landed twice without having been sent back, and no invocation is left open."""
        events = self.events()
        assert len({e["event_id"] for e in events}) == len(events)
        assert [e["lamport"] for e in events] == list(range(1, len(events) + 1))
        twice = Counter((e["entity_id"], e["trigger"]) for e in events if e["trigger"] in ("approve", "land"))
        assert not [key for key, count in twice.items() if count > 1], twice
        last = {e["entity_id"]: e["to_state"] for e in events if e["entity_type"] == "invocation"}
        assert "started" not in last.values(), last

    def agents_alive(self) -> list[int]:
        """Processes that carry an invocation of this repository in their environment."""
        place = str(self.root.parent)
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
            except (psutil.Error, OSError):
                continue
            if environment.get("KITTY_FLOW_RESULT", "").startswith(place) and process.status() != "zombie":
                found.append(process.pid)
        return found


def files_of(folder: Path, *, without: Callable[[str], bool] = lambda name: False) -> dict[str, tuple[int, bytes]]:
    """Every file below `folder`, byte for byte, with its mode; links are not followed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        info = path.lstat()
        if stat.S_ISDIR(info.st_mode) or without(name):
            continue
        content = os.fsencode(path.readlink()) if stat.S_ISLNK(info.st_mode) else path.read_bytes()
        found[name] = (info.st_mode, content)
    return found


def kept(bench: Workbench, copies: Path | None = None) -> Callable[[], None]:
    """Keep a copy of the repository and of the folder beside it; returns what brings both back to where they were.

    The git directory itself stays where it is, so that this clone stays the same writer.
    """
    places = [place for place in (bench.root, Path(f"{bench.root}.kitty")) if place.exists()]
    copies = copies or bench.root.parent / "kept"
    for place in places:
        shutil.copytree(place, copies / place.name, symlinks=True)

    def bring_back() -> None:
        for place in (*places, bench.root / ".git"):
            for path in place.iterdir() if place.exists() else ():
                if path.name != ".git" or path.is_file():
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for place in places:
            shutil.copytree(copies / place.name, place, symlinks=True, dirs_exist_ok=True)

    return bring_back
