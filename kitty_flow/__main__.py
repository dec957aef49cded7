"""The entry of the console script and of `python -m kitty_flow`: what can be interrupted before there is a command.

Ctrl-C while Python imports is no traceback, and one that comes after the last word changes no exit status any more.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

_STATUS = 130
_DOCUMENT = (
    '{"schema": "kitty-flow/usage/1", "ok": false, "data": null, "error": {"code": "INTERRUPTED", '
    '"message": "stopped before the command began", "hint": "kitty-flow status", "details": {}}, "diagnostics": []}\n'
)


def main() -> int:
    """Run one command and return its exit status."""
    try:
        from kitty_flow.cli.main import main as run
    except KeyboardInterrupt:
        return _stopped()
    try:
        status = run()
    except KeyboardInterrupt:  # in the few steps around what the command line itself catches
        status = _STATUS
    _ignore_interrupts()
    return status


def _stopped() -> int:
    _ignore_interrupts()
    if "--json" in sys.argv[1:] and sys.stdout is not None:
        sys.stdout.write(_DOCUMENT)
    return _STATUS


def _ignore_interrupts() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
