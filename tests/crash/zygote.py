"""A process that has imported all of kitty-flow and forks itself for every errand, so that none pays for start-up.

It is a program of its own, so that it has one thread and nothing of the test runner in it. An errand is one line of
JSON on standard input; the answer is the exit status of the child. The child runs kitty-flow's own `main`, as a real
process would; the crash suite starts real processes too, at sampled points.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pkgutil
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import kitty_flow
from kitty_flow import effects
from kitty_flow.cli.output import _as_error
from kitty_flow.git.history import History
from kitty_flow.git.repository import Repository
from kitty_flow.ledger import housekeeping
from kitty_flow.ledger.draft import Batch, Draft, Receipt
from kitty_flow.ledger.index import Index
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.projection import Projection
from kitty_flow.ledger.view import LedgerView

_LIMIT_S = 60

_IMPORTED_LATE = ("filelock", "psutil", "rich.console", "sqlite_utils", "ulid", "jsonschema", "networkx")


def kitty(*words: str) -> int:
    """A command line."""
    from kitty_flow.cli.main import main

    return main([*words, "--json"])


def append(mission_id: str, first: int, count: int) -> int:
    """Record so many work packages as one batch through `Ledger.record`, unless they are there already."""
    drafts = [
        Draft("work_package", f"WP{n:03d}", "work_package", "sha256:0", "plan", "ann", None, "planned")
        for n in range(first, first + count)
    ]

    def build(view: LedgerView) -> Batch:
        return Batch([] if view.entity("work_package", drafts[0].entity_id) else drafts)

    def work() -> None:
        with Ledger(Repository.discover(), mission_id, "appended") as ledger:
            ledger.record(build)

    return _told(work)


def tidy() -> int:
    """Pack the ledgers' objects."""
    return _told(lambda: housekeeping.tidy(Repository.discover()))


def _told(work: Callable[[], object]) -> int:
    try:
        work()
    except Exception as cause:
        error = _as_error(cause)
        # Housekeeping is nobody's command, so its errors need no hint; nobody reads them.
        told = {"code": error.code, "message": error.message, "hint": error.hint or "-", "details": error.details}
        sys.stdout.write(json.dumps({"ok": False, "error": told}))
        return error.exit_status
    return 0


def look() -> int:
    """Print what a fresh process reads from every ledger: with the index, without one, and event by event.

    The index is looked at in a copy: reading mends an index, and the next command has to find it as it was left.
    """
    repository = Repository.discover()
    index = repository.state_dir / "index"
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        if index.is_dir():
            shutil.copytree(index, Path(scratch, "copy"))
        for ref in repository.refs.under("refs/kitty/m/"):
            name = f"{ref.rpartition('/')[2]}.sqlite3"
            copy, none = (Index(Path(scratch, folder, name), ref, "seen") for folder in ("copy", "none"))
            with Ledger(repository, ref.rpartition("/")[2], "seen") as ledger:
                found[ref] = _seen(ledger, copy, none)
    sys.stdout.write(json.dumps(found))
    return 0


def _seen(ledger: Ledger, copy: Index, none: Index) -> dict[str, Any]:
    tip = ledger.store.objects.resolve(f"{ledger.ref}^{{commit}}")
    left_behind = None
    with suppress(Exception):
        indexed = copy.load()
        left_behind = indexed.tip if indexed else None
    readings = []
    for index in (copy, none):
        empty = LedgerView(ledger.ref, "seen", None)
        projection = Projection(ledger.store, History(ledger.repository.git), index, empty)
        view = projection.view(lambda: tip)
        states = {f"{kind} {name}": entity.state for (kind, name), entity in sorted(view.entities.items())}
        broken = [*view.damage, *([view.rewound_from] if view.rewound_from else [])]
        told = {"clock": view.lamport, "count": view.event_count, "conflicts": view.conflicts}
        readings.append({**told, "broken": broken, "states": states})
        index.close()
    events = sorted((located.event for located in projection.located(str(tip))[0]), key=lambda e: e.order)
    return {
        "tip": tip,
        "is_indexed": left_behind == tip,
        "readings": readings,
        "events": [event.model_dump(by_alias=True) for event in events],
    }


_ERRANDS: dict[str, Callable[..., int]] = {"kitty": kitty, "append": append, "tidy": tidy, "look": look}


def _perform(errand: dict[str, Any]) -> int:
    os.setsid()
    faulthandler.dump_traceback_later(_LIMIT_S - 5)
    signal.alarm(_LIMIT_S)
    os.chdir(errand["cwd"])
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(errand["folder"] + "/" + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    receipts = os.open(errand["folder"] + "/receipts", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    record = Ledger.record

    def noting(self: Ledger, build: Callable[[LedgerView], Batch], **more: Any) -> Receipt:
        receipt = record(self, build, **more)
        os.write(receipts, "".join(f"{event.event_id}\n" for event in receipt.events).encode())
        return receipt

    Ledger.record = noting  # type: ignore[method-assign]
    effects.inject(errand["failpoint"], errand["folder"] + "/trace")
    return _ERRANDS[errand["what"]](*errand["arguments"])


def main() -> None:
    """Serve until standard input ends."""
    for module in pkgutil.walk_packages(kitty_flow.__path__, "kitty_flow."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in _IMPORTED_LATE:
        with suppress(ImportError):
            import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = _perform(json.loads(line))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
