"""`kitty-flow verify`: prove again that what is called done has landed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.context_options import MissionArgument
from kitty_flow.cli.evidence_bundle import check, write_bundle
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe, table
from kitty_flow.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.release.ship.proof import ReleaseProof
    from kitty_flow.release.verify import Proof

__all__ = ["verify"]


@command(
    examples=[
        "kitty-flow verify checkout",
        "kitty-flow verify checkout --bundle-out checkout.evidence.json",
        "kitty-flow verify --bundle checkout.evidence.json",
    ]
)
def verify(
    mission: MissionArgument = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Check this evidence bundle instead.", show_default=False),
    ] = None,
    bundle_out: Annotated[
        Path | None,
        typer.Option(
            "--bundle-out",
            metavar="FILE",
            help="Also write the evidence bundle, and a page FILE.md.",
            show_default=False,
        ),
    ] = None,
) -> Result:
    """Ask git, not the ledger, whether every finished work package is on the target branch, and still is.

    Also tells which commits of the target since the mission began are trees that were tested. A bundle is checked
    offline in any clone: against itself, against the commits, and against the ledger where the clone has it.

    Raises:
        UsageError: OPTIONS_EXCLUDE.
    """
    if bundle is not None:
        if mission is not None or bundle_out is not None:
            raise UsageError("OPTIONS_EXCLUDE", "--bundle is given alone", hint=f"kitty-flow verify --bundle {bundle}")
        return check(bundle)
    return _verify(mission, bundle_out)


def _verify(mission: str | None, bundle_out: Path | None) -> Result:
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project
    from kitty_flow.release.first_parent import first_parent
    from kitty_flow.release.ship.proof import verify_release
    from kitty_flow.release.verify import verify_mission

    with open_mission(Project.discover(), mission) as opened:
        proofs = verify_mission(opened)
        line = first_parent(opened)
        broken = [p.work_package_id for p in proofs if not p.holds]
        data = {
            "mission": {"id": opened.id, "slug": opened.slug, "state": opened.state()},
            "target_ref": opened.target_ref,
            "work_packages": {p.work_package_id: p.as_data() for p in proofs},
            "first_parent": line.as_data(),
            "holds": not broken and line.holds,
            "bundle": None,
        }
        released = verify_release(opened) if opened.state() == "shipped" else None
        if released is not None:
            data |= {"release": released.as_data(), "holds": not broken and line.holds and released.holds}
        error = _error(opened, proofs) if broken else line.error
        if error is None and released is not None and not released.holds:
            error = _not_released(released)
        sentences = [line.sentence]
        if bundle_out is not None and error is None:
            path, page = write_bundle(opened, bundle_out)
            data["bundle"] = path
            sentences.append(f"wrote {path} and {page}")
        rows = [(p.work_package_id, p.state, p.standing.replace("_", " "), (p.head or "-")[:12]) for p in proofs]
        counted = [p for p in proofs if p.state != "canceled"]
        landed = f"{sum(p.standing == 'on_target' for p in counted)} of {len(counted)} are on {opened.target_branch}"
        if released is not None and released.holds:
            landed += f"; {released.tag} at {released.release_commit[:12]} has them"
        columns = ("WP", "STATE", "STANDING", "HEAD")
        return Result(data, lambda: _text(table(columns, rows), [*sentences, landed]), (), error)


def _error(opened: OpenMission, proofs: Sequence[Proof]) -> RefusedError:
    """What does not hold, by what is wrong with it."""
    broken = [p for p in proofs if not p.holds]
    gone = {p.work_package_id: p.taken_back_by for p in broken if p.standing == "regressed"}
    lost = [p.work_package_id for p in broken if p.head is not None and p.standing != "regressed"]
    bare = [p.work_package_id for p in broken if p.head is None]
    absent = opened.project.repository.refs.commit(opened.target_ref) is None
    where = f"{opened.target_ref}, which this clone does not have" if absent else opened.target_ref
    told = [f"called done, but not on {where}: {', '.join(lost)}"] if lost else []
    told += [f"called done without proof, for no commit is known here: {', '.join(bare)}"] if bare else []
    if gone:
        names = (name + (f" (by {by[:12]})" if by else "") for name, by in gone.items())
        told.append(f"landed, and taken back on {where} since: {', '.join(names)}")
    hint = "git fetch, then make that branch here" if absent else f"kitty-flow wp show {broken[0].work_package_id}"
    if gone and not lost and not bare and (revert := next(filter(None, gone.values()), None)):
        hint = f"git show {revert[:12]}; git revert {revert[:12]}, on {opened.target_branch}, brings it back"
    return RefusedError(
        "LANDING_NOT_PROVED" if lost or bare else "LANDING_REGRESSED",
        "; ".join(told),
        hint=hint,
        details={"work_packages": [p.work_package_id for p in broken]},
    )


def _not_released(released: ReleaseProof) -> RefusedError:
    if released.at is None:
        message, hint = f"there is no tag {released.tag} here", f"git fetch --tags, or git tag --list '{released.tag}'"
    elif released.missing:
        message, hint = f"{released.tag} does not contain {', '.join(released.missing)}", f"git show {released.tag}"
    else:
        message, hint = f"the tag {released.tag} is not the one that was shipped", f"git show {released.tag}"
    return RefusedError("RELEASE_NOT_PROVED", message, hint=hint, details=released.as_data())


def _text(found: Table, sentences: Sequence[str]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    return Group(found, Text("\n" + "\n".join(safe(sentence) for sentence in sentences)))
