"""`kitty-flow demo`: a whole sample mission in a fresh repository."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from kitty_flow.cli.output import Result, command, is_json
from kitty_flow.cli.terminal import console, safe

__all__ = ["demo"]


@command(examples=["kitty-flow demo", "kitty-flow demo --dir /tmp/kitty"])
def demo(
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="A folder that is new or empty; all of it stays in there.")
    ] = Path("kitty-flow-demo"),
) -> Result:
    """Run a whole sample mission: plan, real agent processes, a review that rejects, landing, proof, pictures.

    Nothing outside the folder is read or changed: no home, no git configuration, no other repository. The agents are
    two scripts; everything around them is what your own agents would get.

    Raises:
        UsageError: DEMO_DIR_NOT_EMPTY or DEMO_DIR_NOT_WRITABLE.
    """
    from kitty_flow.demo.play import play_demo
    from kitty_flow.demo.summary_text import summary_text

    story = play_demo(directory, tell=_tell, show_progress=not is_json())
    program = _program()
    return Result(story.as_data(program), lambda: summary_text(story, program))


def _tell(line: str) -> None:
    if not is_json():
        console(stderr=True).print(safe(line), style="bold", soft_wrap=True)


def _program() -> str:
    """How kitty-flow can be called from any folder: by its bare name only where the PATH leads to this very program."""
    script = Path(sys.argv[0])
    if script.name != "kitty-flow":
        return f"{shlex.quote(sys.executable)} -m kitty_flow"
    found = shutil.which("kitty-flow")
    if found and Path(found).is_absolute() and Path(found).resolve() == script.resolve():
        return "kitty-flow"
    return shlex.quote(str(script.absolute()))
