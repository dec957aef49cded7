"""A process that has imported kitty-flow and forks itself for every command line, so that no test pays for start-up.

Each command is a process of its own: own session, folder, environment, standard streams, exit status, signals. What
differs from a process that starts anew is that its modules are loaded, so nothing that is about start-up may use it.
It is a program of its own with one thread. One connection to its socket is one command: a line of JSON comes in, the
pid goes out at once, and the exit status (negative for a signal) when the command has ended.
"""

from __future__ import annotations

import atexit
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

import kitty_flow
from kitty_flow import effects

_IMPORTED_LATE = ("filelock", "psutil", "rich.console", "rich.table", "sqlite_utils", "ulid", "networkx", "typer")


def _become(errand: dict[str, Any]) -> None:
    """Be the process that the command would have had."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.chdir(errand["cwd"])
    os.environ.clear()
    os.environ.update(errand["env"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    streams = ((0, "stdin", os.O_RDONLY), (1, "stdout", flags), (2, "stderr", flags))
    for descriptor, name, how in streams:
        opened = os.open(f"{errand['folder']}/{name}", how, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["kitty-flow", *errand["words"]]
    effects.inject(*map(os.environ.get, effects.VARIABLES))


def _perform(errand: dict[str, Any]) -> int:
    """The command's exit status. What follows `main` is what Python does before a process ends."""
    from kitty_flow.__main__ import main

    status = 1
    try:
        _become(errand)
        status = main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return status


def _load() -> None:
    for module in pkgutil.walk_packages(kitty_flow.__path__, "kitty_flow."):
        if not module.name.endswith("__main__") and ".sample." not in module.name:
            with suppress(ImportError):  # of an extra that is not installed
                import_module(module.name)
    for name in _IMPORTED_LATE:
        import_module(name)


class _Server:
    def __init__(self, path: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[int, socket.socket] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._woken, wakes = socket.socketpair()
        self._woken.setblocking(False)
        wakes.setblocking(False)
        self._wakes = wakes
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        for source in (self._listener, self._woken, sys.stdin):
            self._selector.register(source, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until standard input ends."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self._listener:
                    self._begin(self._listener.accept()[0])
                else:
                    with suppress(BlockingIOError):
                        self._woken.recv(4096)
            self._reap()

    def _begin(self, client: socket.socket) -> None:
        with client.makefile("rb") as lines:
            errand = json.loads(lines.readline())
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                for end in (client, self._listener, self._woken, self._wakes, *self._waiting.values()):
                    end.close()
                self._selector.close()
                status = _perform(errand)
            finally:
                os._exit(status)
        self._waiting[pid] = client
        with suppress(OSError):
            client.sendall(f"{pid}\n".encode())

    def _reap(self) -> None:
        for pid in [*self._waiting]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with self._waiting.pop(pid) as client, suppress(OSError):
                    client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    _load()
    _Server(sys.argv[1]).serve()
