"""``python together.py COUNT FOLDER WORDS...``: the same command in COUNT processes that begin at the same moment.

Each leaves its exit status and its stdout in ``FOLDER/<number>``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Fork, let everybody wait for one pipe, and close it."""
    import httpx  # noqa: F401 - once for all
    import pydantic  # noqa: F401

    from kitty_flow.cli.main import main as kitty

    count, folder, words = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    gate, opener = os.pipe()
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            os.close(opener)
            with (folder / f"{number}").open("wb") as file:
                os.dup2(file.fileno(), 1)
            os.read(gate, 1)  # returns when the pipe is closed
            os._exit(kitty(words))
        children.append(child)
    os.close(opener)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


main()
