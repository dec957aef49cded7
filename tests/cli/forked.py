"""A process that has imported all of kitty-flow and forks itself for every command line: none pays for start-up.

It is a program of its own, so that it has one thread and nothing of the test runner in it. An errand is one line of
JSON on standard input; the answer is the exit status of the child. Its standard streams are as bad as the errand wants
them, and are flushed at the end as the interpreter does; the rest of the interpreter's end takes longer than a command.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Any

import kitty_flow
from kitty_flow import effects
from kitty_flow.cli.main import main as kitty

_LIMIT_S = 30
_IMPORTED_LATE = ("filelock", "psutil", "rich.console", "rich.live", "sqlite_utils", "ulid", "jsonschema", "networkx")


def _point(number: int, kind: str) -> None:
    """Make descriptor 1 or 2 a file, a closed descriptor, a pipe whose reader has gone, or a full disk."""
    if kind == "closed":
        os.close(number)
        return
    if kind == "gone":
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, number)
        os.close(writer)
        return
    flags = os.O_WRONLY if kind == "/dev/full" else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    opened = os.open(kind, flags, 0o600)
    os.dup2(opened, number)
    os.close(opened)


def _interrupt_at_the_first_process() -> None:
    """Ctrl-C, while the command starts its first other process."""
    start = subprocess.Popen.__init__

    def interrupted(self: Any, *arguments: Any, **options: Any) -> None:
        subprocess.Popen.__init__ = start  # type: ignore[method-assign]
        os.kill(os.getpid(), signal.SIGINT)
        start(self, *arguments, **options)

    subprocess.Popen.__init__ = interrupted  # type: ignore[method-assign]


def _perform(errand: dict[str, Any]) -> int:
    os.setsid()
    signal.alarm(_LIMIT_S)
    os.chdir(errand["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _point(1, errand["stdout"])
    _point(2, errand["stderr"])
    encoding = errand["encoding"]
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = None
        if errand[name] != "closed":
            errors = "backslashreplace" if number == 2 else "strict"
            stream = open(number, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.update(errand["env"])
    warnings.simplefilter("error")
    effects.inject(errand["failpoint"])
    if errand["interrupt"]:
        _interrupt_at_the_first_process()
    return kitty(
        [word.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") for word in errand["words"]]
    )


def _ended(status: int) -> int:
    """What becomes of an exit status when the interpreter ends (`flush_std_files` in Python/pylifecycle.c)."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception as error:
            with suppress(Exception):
                os.write(2, f"Exception ignored while flushing {stream}: {error!r}\n".encode())
            status = 120
    return status


def main() -> None:
    """Serve until standard input ends."""
    for module in pkgutil.walk_packages(kitty_flow.__path__, "kitty_flow."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in _IMPORTED_LATE:
        with suppress(ImportError):
            import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_ended(_perform(json.loads(line))))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
