"""`kitty-flow guard`: whether changes are inside the owned files, asked by hand or by a hook before every commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command

if TYPE_CHECKING:
    from kitty_flow.flow.guard import Checked
    from kitty_flow.flow.guard_install import Installation

__all__ = ["app"]

app = command_group("Keep commits inside the files that a work package owns.")


@app.command("check")
@command(examples=["kitty-flow guard check", "kitty-flow guard check --head --json"])
def check(
    staged: Annotated[bool, typer.Option("--staged", help="Judge what is staged; the default.")] = False,
    head: Annotated[bool, typer.Option("--head", help="Judge all that is committed, as a submission will.")] = False,
) -> Result:
    """Check that changes in this worktree are inside the owned files of the work package in progress here.

    Exit status 4: SCOPE_VIOLATION, files outside, each with who owns it; or STALE_OR_AMBIGUOUS_CONTEXT, when it cannot
    be told whose work this is, such as after a later claim. Outside of kitty-flow's worktrees nothing is checked.
    """
    import os

    from kitty_flow.errors import UsageError
    from kitty_flow.flow.guard import check as judge

    if staged and head:
        raise UsageError("ONE_SCOPE", "--staged and --head are two questions", hint="kitty-flow guard check --head")
    checked = judge("head" if head else "staged", os.environ)
    return Result(checked.as_data(), lambda: _told(checked))


def _told(checked: Checked) -> str:
    context = checked.context
    if context is None:
        return f"nothing to check: {checked.reason}"
    what = "staged" if checked.scope == "staged" else "committed"
    return f"{context.active_work_package_id} owns everything that is {what} ({len(context.staged_files)} files)"


@app.command("install")
@command(examples=["kitty-flow guard install"])
def install() -> Result:
    """Check before every commit in kitty-flow's worktrees; a hook that is there already runs first, as it did.

    That hook is renamed in its folder. Refused, with the line to add by hand, where this would change a file of the
    working tree or a folder of hooks for all repositories. `git commit --no-verify` skips hooks; submitting does not.
    """
    from kitty_flow.flow.guard_install import install as put
    from kitty_flow.flow.project import Project

    return _installation(put(Project.discover()), "the check is in place: {hook}", "the check was in place: {hook}")


@app.command("uninstall")
@command(examples=["kitty-flow guard uninstall"])
def uninstall() -> Result:
    """Take the check away; the hook that was there before is back, byte for byte."""
    from kitty_flow.flow.guard_install import uninstall as take
    from kitty_flow.flow.project import Project

    return _installation(take(Project.discover()), "the check is gone from {hook}", "there was no check in {hook}")


def _installation(done: Installation, changed: str, unchanged: str) -> Result:
    text = (changed if done.changed else unchanged).format(hook=done.hook)
    text += f"\n{done.chained} runs before it" if done.chained else ""
    return Result(done._asdict(), text)
