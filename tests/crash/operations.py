"""The operations that the crash suite disturbs: one more is a function that prepares it, and a row in the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from failpoints import Do, Operation
from workbench import Workbench

__all__ = ["OPERATIONS"]

_APPENDED: Final = "01J0000000000000000000000A"
_ALONE: Final = {"WP01": {"owned_files": ["one.txt"]}}
_TWO: Final = {**_ALONE, "WP02": {"owned_files": ["two.txt"]}}
_AS_ANN: Final = ("next", "--agent", "ann")
_AS_BOB: Final = ("next", "--agent", "bob", "--role", "review")

Prepare = Callable[[Workbench, Do], Sequence[Any]]


def _append(*batches: tuple[int, int]) -> Prepare:
    """Batches of work packages (first, count): all but the last are there already."""

    def prepare(bench: Workbench, do: Do) -> Sequence[Any]:
        for batch in batches[:-1]:
            do("append", _APPENDED, *batch)
        return (_APPENDED, *batches[-1])

    return prepare


def _mission(bench: Workbench, do: Do, work_packages: Mapping[str, Mapping[str, Any]] = _TWO) -> None:
    do("kitty", "mission", "import", bench.mission(work_packages, target_branch="trunk"))


def _adopt(bench: Workbench, do: Do) -> Sequence[Any]:
    bench.mission(_TWO, target_branch="trunk")
    return ("plan", "sample")


def _tasks(bench: Workbench, do: Do) -> Sequence[Any]:
    """The last planning phase is about to be reported; it makes the work packages."""
    bench.mission({}, template="software-dev", target_branch="trunk")
    do("kitty", "mission", "answer", "request", "more", "-m", "sample")
    folder = bench.root / ".kitty-flow" / "missions" / "sample"
    folder.mkdir()
    (folder / "spec.md").write_text("It does more.\n", encoding="utf-8")
    (folder / "plan.md").write_text("By adding to it.\n", encoding="utf-8")
    step = do("kitty", *_AS_ANN)
    for _ in ("discovery", "specify", "plan"):
        step = do("kitty", *_AS_ANN, "--result", "success")
    bench.mission(_TWO, template="software-dev", target_branch="trunk")
    Path(step["result_path"]).write_text('{"outcome": "success", "summary": "cut"}', encoding="utf-8")
    return (*_AS_ANN, "--role", "review", "--result", step["result_path"])


def _claim(bench: Workbench, do: Do) -> Sequence[Any]:
    _mission(bench, do)
    return _AS_ANN


def _worked(bench: Workbench, do: Do) -> str:
    """Ann takes the next work package, commits a file, and writes her result; returns where that is."""
    step = do("kitty", *_AS_ANN)
    worktree = Path(step["worktree"])
    name = {"WP01": "one.txt", "WP02": "two.txt"}[step["wp_id"]]
    (worktree / name).write_text("made by ann\n", encoding="utf-8")
    bench.git("add", "--", name, cwd=worktree)
    bench.git("commit", "-q", "-m", "Work", cwd=worktree)
    result = {"outcome": "success", "summary": "made"}
    Path(step["result_path"]).write_text(json.dumps(result), encoding="utf-8")
    return str(step["result_path"])


def _submit(bench: Workbench, do: Do) -> Sequence[Any]:
    _mission(bench, do)
    return (*_AS_ANN, "--result", _worked(bench, do))


def _review(bench: Workbench, do: Do) -> Sequence[Any]:
    do("kitty", *_submit(bench, do))
    return _AS_BOB


def _verdict(bench: Workbench, do: Do, verdict: str) -> str:
    """Bob takes the next review and writes his verdict; returns where that is."""
    step = do("kitty", *_AS_BOB)
    head = bench.git("rev-parse", f"refs/heads/{step['branch']}")
    result = {"verdict": verdict, "reviewed_commit": head, "summary": "seen", "findings": []}
    Path(step["result_path"]).write_text(json.dumps(result), encoding="utf-8")
    return str(step["result_path"])


def _approve(bench: Workbench, do: Do) -> Sequence[Any]:
    """The second of two side by side: its integration is a merge, and with it the mission is accepted."""
    _mission(bench, do)
    for _ in range(2):
        do("kitty", *_AS_ANN, "--result", _worked(bench, do))
    do("kitty", *_AS_BOB, "--result", _verdict(bench, do, "approved"))
    return (*_AS_BOB, "--result", _verdict(bench, do, "approved"))


def _reject(bench: Workbench, do: Do) -> Sequence[Any]:
    _review(bench, do)
    return (*_AS_BOB, "--result", _verdict(bench, do, "changes_requested"))


def _by_hand(verb: str, *words: str) -> Prepare:
    """A person's review: begun, or ended without having been begun, in one step with its beginning."""

    def prepare(bench: Workbench, do: Do) -> Sequence[Any]:
        do("kitty", *_submit(bench, do))
        return ("wp", verb, "WP01", "--actor", "bob", *words)

    return prepare


def _move(trigger: str, *earlier: str, unsaved: bool = False) -> Prepare:
    """A person's move of the second work package, after others; `unsaved`: somebody is in the middle of it."""

    def prepare(bench: Workbench, do: Do) -> Sequence[Any]:
        _mission(bench, do, _ALONE)
        if unsaved:
            (Path(do("kitty", *_AS_ANN)["worktree"]) / "one.txt").write_text("half\n", encoding="utf-8")
        for other in earlier:
            do("kitty", "wp", other, "WP01", "--reason", "for a reason")
        return ("wp", trigger, "WP01", "--reason", "for a reason")

    return prepare


def _expire(bench: Workbench, do: Do) -> Sequence[Any]:
    """Ann is in the middle of it, and her lease has run out; bob asks for work and gets hers."""
    bench.settings("[run]\nhand_lease_s = 0.001\n")
    _mission(bench, do, _ALONE)
    (Path(do("kitty", *_AS_ANN)["worktree"]) / "one.txt").write_text("half\n", encoding="utf-8")
    bench.settings("[run]\nhand_lease_s = 3600\n")
    return ("next", "--agent", "bob")


def _force(bench: Workbench, do: Do) -> Sequence[Any]:
    """Ann is in the middle of it."""
    _mission(bench, do, _ALONE)
    (Path(do("kitty", *_AS_ANN)["worktree"]) / "one.txt").write_text("half\n", encoding="utf-8")
    return ("wp", "force", "WP01", "--to", "blocked", "--reason", "for a reason", "--actor", "ada")


def _amend(bench: Workbench, do: Do) -> Sequence[Any]:
    """One work package is being worked on, one is dropped, and one comes in that needs the first."""
    _mission(bench, do)
    do("kitty", *_AS_ANN)
    more = bench.root.parent / "more.toml"
    more.write_text('[[work_package]]\nid = "WP03"\nowned_files = ["three.txt"]\n', encoding="utf-8")
    changes = ("--add-wp", str(more), "--add-dependency", "WP01:WP03", "--drop-wp", "WP02")
    return ("mission", "amend", "sample", *changes, "--reason", "for a reason")


def _reopen(bench: Workbench, do: Do) -> Sequence[Any]:
    _run(bench, do)
    do("kitty", *bench.run_words(jobs=1))
    return ("wp", "reopen", "WP01", "--reason", "for a reason")


def _run(bench: Workbench, do: Do) -> Sequence[Any]:
    _mission(bench, do, _ALONE)
    return bench.run_words(jobs=1)


def _merge(strategy: str) -> Prepare:
    """A landing; the target has moved, so that every strategy makes commits of its own."""

    def prepare(bench: Workbench, do: Do) -> Sequence[Any]:
        do("kitty", *_run(bench, do))
        if strategy != "merge":
            bench.commit("Meanwhile", other__txt="other\n")
        return ("merge", "sample", "--test-command", "test -f one.txt", "--strategy", strategy)

    return prepare


def _ship(bench: Workbench, do: Do) -> Sequence[Any]:
    """A release with a gate of its own and a publish step, which is there already."""
    do("kitty", *_merge("merge")(bench, do))
    bench.commit("Version", pyproject__toml='[project]\nname = "sample"\nversion = "1.0"\n')
    gate = '[[ship.gate]]\nname = "RG-1"\ncommand = ["true"]\n'
    step = '[[ship.publish]]\nname = "page"\ncommand = ["false"]\nprobe = ["echo", "present"]\n'
    bench.settings(f"[run]\nretry_backoff_s = 0\n{gate}{step}")
    return ("ship", "sample", "--version", "1.0")


def _tidy(bench: Workbench, do: Do) -> Sequence[Any]:
    """Two packs that are to be merged, and events that are loose."""
    for first in (1, 11, 21):
        for number in range(first, first + 3):
            do("append", _APPENDED, number, 1)
        if first < 21:
            do("tidy")
    return ()


def _elsewhere(bench: Workbench, *commands: Sequence[str]) -> None:
    """Another clone of the hub, in which commands are typed."""
    other = Workbench(bench.root.parent / "other", bench.command)
    bench.git("clone", "-q", bench.root.parent / "hub.git", other.root)
    for words in commands:
        other.kitty(*words)


def _hub(bench: Workbench) -> None:
    hub = bench.root.parent / "hub.git"
    bench.git("init", "-q", "--bare", "--template=", hub)
    bench.git("remote", "add", "origin", hub)
    bench.git("push", "-q", "origin", "trunk")


def _push(bench: Workbench, do: Do) -> Sequence[Any]:
    """What has landed goes to the remote that the target follows, with the ledger, or not at all."""
    words = _merge("merge")(bench, do)
    _hub(bench)
    bench.git("branch", "-q", "--set-upstream-to=origin/trunk", "trunk")
    do("kitty", *words)
    return (*words, "--push")


def _unite(bench: Workbench, do: Do) -> Sequence[Any]:
    """Both clones have claimed the same work package, and this one has to give way or to be told that it won."""
    _mission(bench, do)
    _hub(bench)
    do("kitty", "sync")
    _elsewhere(bench, ("sync",), ("wp", "block", "WP02", "--reason", "elsewhere"), ("sync",))
    do("kitty", "wp", "block", "WP02", "--reason", "here")
    return ("sync",)


def _send(bench: Workbench, do: Do) -> Sequence[Any]:
    _mission(bench, do)
    _hub(bench)
    return ("sync",)


def _receive(bench: Workbench, do: Do) -> Sequence[Any]:
    _mission(bench, do)
    _hub(bench)
    do("kitty", "sync")
    _elsewhere(bench, ("sync",), ("wp", "block", "WP02", "--reason", "elsewhere"), ("sync",))
    return ("sync",)


OPERATIONS: Final = {
    operation.name: operation
    for operation in (
        Operation("first append", _append((1, 1)), what="append"),
        Operation("append", _append((1, 1), (2, 1)), what="append"),
        Operation("append to two segments", _append((1, 63), (64, 3)), what="append"),
        Operation("adopt", _adopt),
        Operation("finish the planning", _tasks),
        Operation("claim", _claim),
        Operation("submit", _submit),
        Operation("review", _review),
        Operation("approve and integrate", _approve),
        Operation("request changes", _reject),
        Operation("begin a review by hand", _by_hand("review")),
        Operation("approve by hand", _by_hand("approve", "-m", "seen")),
        Operation("reject by hand", _by_hand("reject", "-m", "for a reason")),
        Operation("block", _move("block", unsaved=True)),
        Operation("unblock", _move("unblock", "block")),
        Operation("release", _move("release", unsaved=True)),
        Operation("cancel", _move("cancel")),
        Operation("reopen", _reopen),
        Operation("force", _force),
        Operation("expire", _expire),
        Operation("amend", _amend),
        Operation("run", _run, same_events=False),
        Operation("merge", _merge("merge"), lands=True),
        Operation("merge, squash", _merge("squash"), lands=True),
        Operation("merge, rebase", _merge("rebase"), lands=True),
        Operation("merge, pushing", _push, lands=True),
        Operation("ship", _ship, lands=True),
        Operation("sync, sending", _send),
        Operation("sync, receiving", _receive),
        Operation("sync, both sides", _unite, same_events=False),
        Operation("pack", _tidy, what="tidy"),
    )
}
