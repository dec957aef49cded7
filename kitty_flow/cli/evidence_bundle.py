"""Writing and checking evidence bundles, for the commands that end with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kitty_flow.cli.output import Result
from kitty_flow.cli.terminal import safe, wrapped
from kitty_flow.errors import KittyFlowError, RefusedError

if TYPE_CHECKING:
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.release.evidence.checking import CheckedBundle

__all__ = ["check", "leave_bundle", "write_bundle"]


def write_bundle(opened: OpenMission, path: Path) -> tuple[Path, Path]:
    """Write the bundle of a mission that landed, and beside it the same as a Markdown page; returns both paths.

    Raises:
        RefusedError: NOTHING_LANDED.
        ExternalToolError: OUTPUT_NOT_WRITTEN.
    """
    from kitty_flow.release.evidence.canonical import canonical
    from kitty_flow.release.evidence.gather import gather, write_file
    from kitty_flow.views.evidence_markdown import evidence_markdown

    statement = gather(opened)
    view = opened.view()
    states = {name: opened.work_package(name, view).state for name in opened.plan.merge_order}
    page = path.with_suffix(".md")
    write_file(page, evidence_markdown(statement, opened.definition, opened.plan, states, path.name).encode())
    write_file(path, canonical(statement))
    return path, page


def leave_bundle(opened: OpenMission) -> tuple[Path | None, str]:
    """The bundle beside the logs of the tests, and the line that names it; a landing is none the worse without."""
    from kitty_flow.release.evidence.gather import bundle_path

    again = f"kitty-flow verify {opened.slug} --bundle-out FILE"
    try:
        path, _ = write_bundle(opened, bundle_path(opened))
    except KittyFlowError as error:
        return None, f"no evidence bundle was written ({error.message}); {again} writes one"
    return path, f"evidence {path}\n         ({again} writes it elsewhere)"


def check(path: Path) -> Result:
    """What a bundle is worth in this clone.

    Raises:
        UsageError: NO_REPOSITORY or BUNDLE_UNREADABLE.
        DefinitionError: BUNDLE_DAMAGED.
    """
    from kitty_flow.git.repository import Repository
    from kitty_flow.release.evidence.checking import check_bundle, read_bundle

    content = read_bundle(path)
    checked = check_bundle(Repository.discover(), content)
    error = None
    if not checked.holds:
        wrong = [finding for finding in checked.findings if finding.outcome == "fail"]
        error = RefusedError(
            "BUNDLE_NOT_PROVED",
            "; ".join(finding.message for finding in wrong),
            hint="git fetch, if this clone is behind; else do not trust the bundle",
            details={"findings": [finding._asdict() for finding in checked.findings]},
        )
    return Result(checked.as_data(), lambda: _text(checked), (), error)


def _text(checked: CheckedBundle) -> str:
    words = {"pass": "ok", "fail": "FAIL", "unknown": "?"}
    lines = []
    for finding in checked.findings:
        lines += wrapped(f"  {words[finding.outcome]:<5} {finding.check}: {finding.message}", indent=8)
    open_ones = sum(finding.outcome == "unknown" for finding in checked.findings)
    if checked.holds:
        rest = f"; {open_ones} thing(s) could not be compared with anything here" if open_ones else ""
        lines.append(f"the bundle holds{rest}")
    return "\n".join(safe(line) for line in lines)
