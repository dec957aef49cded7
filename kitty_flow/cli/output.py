"""The one module that prints: what a command returns or raises becomes text for people or exactly one JSON document.

Under ``--json`` the real stdout is kept aside for the document and everything else that writes to stdout, a stray print
in a library or a child process, lands on stderr. The document is complete before its first byte is written.
"""

from __future__ import annotations

import errno
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TextIO, TypeAlias, get_type_hints

import typer

from kitty_flow.cli.descriptors import duplicate, flush_aside, point, silence
from kitty_flow.cli.remark_lines import remark_lines
from kitty_flow.cli.terminal import console, safe, safe_block, wrapped
from kitty_flow.errors import ExternalToolError, InterruptedRunError, KittyFlowError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["Output", "Result", "command", "is_json", "note", "opened"]

_AS_JSON: ContextVar[bool] = ContextVar("as_json", default=False)
_NO_ARGUMENTS: Mapping[str, Any] = {}

_REFUSALS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}
    | {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}
)
"""A disk that is full, read-only or broken, a missing permission, a limit: no fault of ours."""

Printable: TypeAlias = "str | RenderableType"


class Result(NamedTuple):
    """What a command found out.

    Args:
        data: the `data` of the JSON document; pydantic models, tuples, sets, paths and enums may be inside.
        text: the same for people, or a function that builds it. A string is made safe as a whole; the cells of a rich
            table have to be made safe by whoever builds it (`terminal.table` does).
        diagnostics: remarks that change nothing.
        error: why the command did not succeed although it has data to show; decides the exit status.
    """

    data: Mapping[str, Any]
    text: Printable | Callable[[], Printable] = ""
    diagnostics: Sequence[Diagnostic] = ()
    error: KittyFlowError | None = None


class Output:
    """Where the outcome of one command goes. `command` holds the words of the command, as far as they are known yet."""

    def __init__(self, *, document: TextIO | None) -> None:
        self.command: tuple[str, ...] = ("usage",)
        self.written = False
        self._document = document
        self._arguments = _NO_ARGUMENTS
        self._told: tuple[Diagnostic, ...] = ()

    @property
    def as_json(self) -> bool:
        """Whether the outcome is one JSON document."""
        return self._document is not None

    def perform(self, use_case: Callable[[], Result], arguments: Mapping[str, Any] = _NO_ARGUMENTS) -> int:
        """Run a use case, show its result or its failure, and return the exit status.

        `arguments` are what the user typed, by name; the error log takes from them what a failure is about.

        Raises:
            typer.TyperException: the use case found a wrong argument.
        """
        self._arguments = arguments
        try:
            try:
                result = use_case()
            finally:
                self._told = (*_settled_hooks(), *_remarks())
            return self.show(result)
        except (typer.TyperException, typer.Exit):
            raise
        except (Exception, KeyboardInterrupt) as error:
            return self.fail(error)

    def show(self, result: Result) -> int:
        """Print a result and return the exit status."""
        error, diagnostics = result.error, (*result.diagnostics, *self._told)
        if len(diagnostics) > 1:
            from kitty_flow.model.diagnostic import distinct

            diagnostics = distinct(diagnostics)
        if self._document is not None:
            self._print_document(result.data, error, diagnostics)
        else:
            text = _rendered(result.text() if callable(result.text) else result.text)
            if text:
                self._write(sys.stdout, text)
            for line in remark_lines(diagnostics):
                _complain(safe(line))
            if error is not None:
                _explain(error)
        self.written = True
        return self._keep(error, result.data) if error is not None else 0

    def fail(self, cause: BaseException) -> int:
        """Print a failure and return the exit status. What is not a `KittyFlowError` is a bug or an interruption."""
        error = _as_error(cause)
        if self._document is not None and not self.written:
            self._print_document(None, error, self._told)
        else:
            for line in remark_lines(self._told):
                _complain(safe(line))
            _explain(error)
        self.written = True
        return self._keep(error, {})

    def _keep(self, error: KittyFlowError, data: Mapping[str, Any]) -> int:
        """Leave a trace in the error log, after everything is told, and return the exit status whatever happens."""
        with suppress(Exception, KeyboardInterrupt):
            from kitty_flow.cli.error_record import keep

            keep(error, operation=self.command, data=data, arguments=self._arguments)
        return error.exit_status

    def _print_document(
        self, data: Mapping[str, Any] | None, error: KittyFlowError | None, diagnostics: Sequence[Diagnostic]
    ) -> None:
        from kitty_flow.cli.envelope import envelope_text

        assert self._document is not None
        indent = 2 if self._document.isatty() else None
        self._write(self._document, envelope_text(self.command, data, error, diagnostics, indent=indent))

    def _write(self, stream: TextIO | None, text: str) -> None:
        """Write all of `text`; a reader that went away is not our failure, a full disk is."""
        if stream is None:
            return
        self.written = True
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            silence(stream)
        except OSError as error:
            silence(stream)
            raise ExternalToolError(
                "OUTPUT_FAILED", f"the output could not be written: {error.strerror}", hint="free some space and retry"
            ) from error


def _settled_hooks() -> tuple[Diagnostic, ...]:
    """Wait for the hooks of what the command recorded; none were told where the module was never needed."""
    if "kitty_flow.flow.hooks" not in sys.modules:
        return ()
    from kitty_flow.flow.hooks import settle

    return settle()


def _remarks() -> tuple[Diagnostic, ...]:
    """What was said about sending elsewhere, after a bounded wait for it; nothing where the modules were not needed."""
    if "kitty_flow.invocation.propagator" in sys.modules:
        from kitty_flow.invocation.propagator import settle

        settle()
    if "kitty_flow.invocation.diagnostics" not in sys.modules:
        return ()
    from kitty_flow.invocation.diagnostics import taken

    return taken()


@contextmanager
def opened(*, as_json: bool) -> Iterator[Output]:
    """The output of this process. With `as_json`, stdout belongs to the document alone until the block ends."""
    _AS_JSON.set(as_json)
    if not as_json:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        yield Output(document=None)
        return
    stdout = sys.stdout
    try:
        stdout.flush()
        number = stdout.fileno()
        kept = duplicate(number)
    except (AttributeError, OSError, ValueError):
        # Not a real file: stdout is closed, or a test looks at it. There is no descriptor to protect.
        with redirect_stdout(sys.stderr):
            yield Output(document=stdout or open(os.devnull, "w"))  # noqa: PTH123, SIM115 - lives as long as we do
        return
    point(number, 2)
    try:
        with open(kept, "w", encoding="ascii", closefd=False) as document:
            yield Output(document=document)
    finally:
        flush_aside(stdout, number)
        os.dup2(kept, number)
        os.close(kept)


def is_json() -> bool:
    """Whether the outcome of the command that runs now is a JSON document; then nothing else should be told."""
    return _AS_JSON.get()


def command(*, examples: Sequence[str]) -> Callable[[Callable[..., Result]], Callable[..., None]]:
    """Turn a function that returns a `Result` into a typer command with ``--json`` and with examples in its help."""

    def decorate(use_case: Callable[..., Result]) -> Callable[..., None]:
        @functools.wraps(use_case)
        def run(ctx: typer.Context, json_output: bool, **arguments: Any) -> None:
            output = ctx.find_object(Output)
            assert output is not None, "commands are started by kitty_flow.cli.main"
            raise typer.Exit(output.perform(lambda: use_case(**arguments), arguments))

        del run.__wrapped__  # typer would look through it and miss the added parameters
        hints = get_type_hints(use_case, include_extras=True)
        own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(use_case).parameters.values()]
        kind = inspect.Parameter.KEYWORD_ONLY
        added = [
            inspect.Parameter("json_output", kind, default=False, annotation=JsonOption),
            inspect.Parameter("ctx", kind, annotation=typer.Context),
        ]
        parameters = [*(p.replace(kind=kind) for p in own), *added]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__doc__ = _help_text(inspect.getdoc(use_case) or "", examples)
        return run

    return decorate


JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.", show_default=False)]


def _help_text(doc: str, examples: Sequence[str]) -> str:
    """The docstring without its notes for developers, and the examples as they are typed."""
    for heading in ("\nArgs:", "\nRaises:"):
        doc = doc.partition(heading)[0]
    lines = "\n".join(f"  {example}" for example in examples)
    return f"{doc.strip()}\n\n\b\nExamples:\n{lines}"


def _as_error(cause: BaseException) -> KittyFlowError:
    if isinstance(cause, KittyFlowError):
        return cause
    if isinstance(cause, typer.TyperException):
        context = getattr(cause, "ctx", None)
        path = context.command_path if context is not None else "kitty-flow"
        return UsageError("INVALID_USAGE", _without_pydantic(cause.format_message()), hint=f"{path} --help")
    if isinstance(cause, (KeyboardInterrupt, typer.Abort)):
        message = "stopped before the end; what was recorded stays recorded"
        return InterruptedRunError("INTERRUPTED", message, hint="kitty-flow status")
    if os.environ.get("KITTY_FLOW_DEBUG") == "1":
        import traceback

        _complain(safe_block("".join(traceback.format_exception(cause)).rstrip()))
    summary = (str(cause).splitlines() or [""])[0]
    if isinstance(cause, OSError) and cause.errno in _REFUSALS:
        message = f"the operating system refused: {summary}; what was recorded stays recorded"
        return ExternalToolError("SYSTEM_REFUSED", message, hint="mend the cause, then type the command again")
    return KittyFlowError(
        "INTERNAL_ERROR",
        f"unexpected {type(cause).__name__}: {summary}" if summary else f"unexpected {type(cause).__name__}",
        hint="set KITTY_FLOW_DEBUG=1 and type the command again for a traceback, then report it",
    )


def _without_pydantic(message: str) -> str:
    """What typer says of a wrong value, whose converter speaks of inputs and of parsing."""
    for kind, plain in (("integer", "whole number"), ("number", "number")):
        message = message.replace(
            f"Input should be a valid {kind}, unable to parse string as a{'n' * (kind == 'integer')} {kind}",
            f"it should be a {plain}",
        )
    return message.replace("Input should be ", "it should be ").replace("Value error, ", "")


def _explain(error: KittyFlowError) -> None:
    """The error for people, with every single problem that it carries."""
    for line in f"error: {safe_block(error.message)}".splitlines():
        _complain(_fitting(line))
    problems = error.details.get("problems")
    for problem in problems if isinstance(problems, (list, tuple)) else ():
        where = problem.get("where") if isinstance(problem, Mapping) else None
        message = problem.get("message", problem) if isinstance(problem, Mapping) else problem
        _complain("  - " + safe(f"{where}: {message}" if where else f"{message}"))
    if error.hint:
        _complain(f"hint: {safe_block(error.hint)}")


def _fitting(line: str) -> str:
    """A line broken between words where the terminal is narrower; what goes into a file or a pipe is never broken.

    Nor is a hint, whose command is there to be copied.
    """
    with suppress(OSError, ValueError, AttributeError):
        if sys.stderr.isatty():
            known = os.environ.get("COLUMNS", "")
            width = int(known) if known.isdecimal() else os.get_terminal_size(sys.stderr.fileno()).columns
            return "\n".join(wrapped(line, width=width)) if 0 < width < len(line) else line
    return line


def note(text: str) -> None:
    """A remark in the middle of a command, on stderr; never part of its outcome."""
    _complain(safe_block(text))


def _complain(text: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def _rendered(text: Printable) -> str:
    """A string made safe, or a rich renderable as the text that this terminal should get."""
    if isinstance(text, str):
        return safe_block(text.rstrip("\n")) + "\n" if text else ""
    target = console()
    with target.capture() as capture:
        target.print(text, crop=False)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())
