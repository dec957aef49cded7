"""A git process that stays open and answers one request after another, so that a batch pays for one spawn."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from typing import IO

from kitty_flow.effects import reach
from kitty_flow.git.process import OWN_GROUP, Git, GitFailedError, failed, not_started

__all__ = ["CoProcess"]


class CoProcess:
    """A long-lived git command. Started at the first request, started again after it died.

    The owner must call `close`; a process that is left over ends by itself when its standard input closes.
    """

    def __init__(self, git: Git, args: Sequence[str]) -> None:
        self._git = git
        self._args = tuple(args)
        self._process: subprocess.Popen[bytes] | None = None

    def send(self, data: bytes, effect: str | None = None) -> None:
        """Write one request. One that changes something names its `effect`, which makes it a failpoint.

        Raises:
            GitFailedError: the process ended, or could not be reached; then it is ended.
            ExternalToolError: GIT_MISSING or DIRECTORY_MISSING.
        """
        stdin, _ = self._pipes()
        try:
            if effect is not None:
                reach(effect, self._process)
            stdin.write(data)
            stdin.flush()
        except OSError as error:
            raise self.fail(str(error)) from error

    def line(self) -> bytes:
        """One line of the answer, without its newline.

        Raises:
            GitFailedError: the process ended instead of answering.
        """
        _, stdout = self._pipes()
        answer = stdout.readline()
        if not answer.endswith(b"\n"):
            raise self.fail()
        return answer[:-1]

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes of the answer.

        Raises:
            GitFailedError: the process ended instead of answering.
        """
        _, stdout = self._pipes()
        data = stdout.read(size)
        if len(data) != size:
            raise self.fail()
        return data

    def fail(self, cause: str = "the process has ended") -> GitFailedError:
        """Ends the process and returns the error that it left on standard error, or else the `cause`."""
        process, self._process = self._process, None
        if process is None:
            return failed(self._args, -1, cause.encode())
        with contextlib.suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        stderr = process.stderr.read() if process.stderr else b""
        process.wait(timeout=30)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
        return failed(self._args, process.returncode, stderr or cause.encode())

    def close(self) -> None:
        """End the process. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.communicate(timeout=30)

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    self._git.argv(self._args),
                    cwd=self._git.cwd,
                    env=self._git.environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    **OWN_GROUP,
                )
            except (FileNotFoundError, NotADirectoryError) as error:
                raise not_started(self._git.cwd) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout
