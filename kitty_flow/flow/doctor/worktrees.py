"""What state are the worktrees in that kitty-flow made, and where is the unsaved work that it kept?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Final

from kitty_flow.errors import ConflictError, KittyFlowError
from kitty_flow.flow.doctor.finding import DoctorFinding, fixable, ok, problem, warning
from kitty_flow.flow.doctor.ledgers import Ledgers
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.project import Project
from kitty_flow.flow.retention import folder_size, holds_nothing, is_lane_folder, kept_until
from kitty_flow.flow.tree_test import gate_lane, is_being_tested, remove_gate
from kitty_flow.flow.workspace import workspace_path
from kitty_flow.git.worktrees import Checkout
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["examine_worktrees"]

_FINISHED: Final = ("merged", "shipped", "aborted")
_SALVAGE: Final = "refs/kitty/salvage/"


@dataclass(frozen=True)
class _Registered:
    """A worktree as git lists it. `locked` is the reason, which may be empty; None when it is not locked."""

    checkout: Checkout
    locked: str | None


def examine_worktrees(ledgers: Ledgers) -> Iterator[DoctorFinding]:
    """The worktrees of every mission, and the salvage refs."""
    found = number = size = 0
    registered = _registered(ledgers.project)
    for mission in ledgers.missions:
        for finding in _mission(mission, registered):
            found += 1
            number += "bytes" in finding.details
            size += finding.details.get("bytes", 0)
            yield finding
    if number:
        yield ok("worktrees", "worktrees", f"{number} worktree(s) with {size / 1e6:,.1f} MB of files")
    for ref in ledgers.unreadable:
        found += 1
        message = "its worktrees were not looked at: its ledger cannot be read"
        yield warning("worktrees", ref.rpartition("/")[2], message, "kitty-flow doctor ledger")
    for finding in _salvaged(ledgers):
        found += 1
        yield finding
    if not found:
        yield ok("worktrees", "worktrees", "kitty-flow has no worktree here")


def _registered(project: Project) -> dict[Path, _Registered]:
    """All worktrees but the main one, by resolved path, those whose folder is gone included."""
    out = project.repository.git.output("worktree", "list", "--porcelain", "-z").decode("utf-8", "surrogateescape")
    checkouts = {checkout.path: checkout for checkout in project.worktrees.all()}
    found = {}
    for record in out.split("\0\0")[1:]:
        fields = {name: value for name, _, value in (line.partition(" ") for line in record.split("\0") if line)}
        if "worktree" in fields:
            path = Path(fields["worktree"])
            checkout = checkouts.get(path) or Checkout(path, fields.get("HEAD"), fields.get("branch"))
            found[checkout.path.resolve()] = _Registered(checkout, fields.get("locked"))
    return found


def _mission(mission: OpenMission, registered: Mapping[Path, _Registered]) -> Iterator[DoctorFinding]:
    """Where the worktrees are is taken from the ledger: the settings may have changed since they were made."""
    view = mission.view()
    recorded = _recorded(mission, view)
    folders = {path.parent for path in recorded}
    beside = (path for path in registered if path.parent in folders)
    for path in sorted({*recorded, *beside, *_lane_folders(mission, folders)}):
        subject = f"{mission.slug}/{path.name}"
        known = registered.get(path)
        held = [entity.entity_id for entity in recorded.get(path, ()) if entity.state == "in_progress"]
        try:
            if known is not None and path.is_dir():
                yield _present(mission, subject, known, view)
            elif path.is_dir() and any(path.iterdir()):
                yield _unknown(subject, path, mission.state(view), is_in_the_way=path in recorded)
            elif held:
                message = f"missing, although {', '.join(held)} is being worked on there"
                remedy = f"kitty-flow wp release {held[0]} --mission {mission.slug} --reason 'its worktree is gone'"
                yield problem("worktrees", subject, message, remedy)
            elif known is not None:
                yield _missing(subject, known)
        except (KittyFlowError, OSError) as error:
            yield problem("worktrees", subject, str(error), f"git -C {_quoted(path)} status")


def _recorded(mission: OpenMission, view: LedgerView) -> dict[Path, tuple[EntityState, ...]]:
    """The worktrees that the ledger names, with the work packages that were started there last."""
    found: dict[Path, tuple[EntityState, ...]] = {}
    for entity in view.of_type("work_package").values():
        place = entity.facts.get("worktree")
        if isinstance(place, str) and entity.facts.get("place", "worktree") == "worktree":
            path = Path(place).resolve()
            found[path] = (*found.get(path, ()), entity)
    return found


def _lane_folders(mission: OpenMission, folders: set[Path]) -> Iterator[Path]:
    """What lies beside the worktrees and is named like one, whether git knows it or not."""
    for folder in folders:
        if folder.is_dir():
            yield from (path for path in folder.iterdir() if is_lane_folder(mission, path.name))


def _present(mission: OpenMission, subject: str, known: _Registered, view: LedgerView) -> DoctorFinding:
    checkout, state = known.checkout, mission.state(view)
    path = _quoted(checkout.path)
    if _is_gate(mission, checkout.path):
        return _gate(mission, subject, checkout)
    if checkout.is_unfinished:
        return warning("worktrees", subject, "begun and never finished; the next start there makes it anew", "")
    changes = len(checkout.changes())
    looks = f"dirty, {changes} uncommitted path(s)" if changes else "clean"
    look = f"git -C {path} status" if changes else ""
    if known.locked is not None:
        reason = f" ({known.locked})" if known.locked else ""
        found = warning("worktrees", subject, f"{looks}, locked{reason}", f"git worktree unlock -- {path}")
    elif state not in _FINISHED and not _is_retired(mission, checkout):
        found = ok("worktrees", subject, looks, look)
    elif not changes and state in _FINISHED and (end := kept_until(mission)) is not None:
        found = ok("worktrees", subject, f"{looks}, kept {'' if end == 'always' else 'until '}{end} by the settings")
    else:
        why = f"left over: the mission is {state}" if state in _FINISHED else "retired: its lane has a newer one"
        held = changes or holds_nothing(mission, checkout)
        message = f"{looks}, {why}" + ("" if held else "; no branch and no salvage ref has its commit")
        found = warning("worktrees", subject, message, look or f"git worktree remove -- {path}")
        if not changes and held and is_lane_folder(mission, checkout.path.name):
            found = fixable(found, lambda: _remove(mission, checkout))
    return replace(found, details={"path": os.fspath(checkout.path), "bytes": folder_size(checkout.path)})


def _is_gate(mission: OpenMission, path: Path) -> bool:
    return path.name in {gate_lane(work_package.id) for work_package in mission.definition.work_packages}


def _gate(mission: OpenMission, subject: str, checkout: Checkout) -> DoctorFinding:
    """The worktree of a test, which nobody works in."""
    if is_being_tested(mission, checkout.path.name):
        return ok("worktrees", subject, "tests are running there")

    def remove() -> str:
        if not remove_gate(mission, checkout):
            raise ConflictError(
                "WORKTREE_IN_USE", f"{checkout.path} cannot be removed", hint=f"ls -la {_quoted(checkout.path)}"
            )
        return f"{checkout.path} was removed"

    return fixable(warning("worktrees", subject, "left over: the test that used it was killed", ""), remove)


def _is_retired(mission: OpenMission, checkout: Checkout) -> bool:
    """Whether it was a lane's worktree, and the lane has another one now."""
    name = checkout.path.name
    current = {workspace_path(mission, lane.id).name for lane in mission.plan.execution_lanes}
    return is_lane_folder(mission, name) and name not in current


def _remove(mission: OpenMission, checkout: Checkout) -> str:
    """Remove a worktree, if it still is clean and something else still has its commit."""
    now = mission.project.worktrees.at(checkout.path)
    if now is None:
        return f"{checkout.path} was gone already"
    if not holds_nothing(mission, now) or not mission.project.worktrees.remove(now):
        raise ConflictError(
            "WORKTREE_IN_USE",
            f"{checkout.path} has changed meanwhile, or cannot be removed",
            hint=f"git -C {_quoted(checkout.path)} status",
        )
    return f"{checkout.path} was removed"


def _unknown(subject: str, path: Path, state: str, *, is_in_the_way: bool) -> DoctorFinding:
    """A folder in the way of the next attempt, or one that nobody uses any more."""
    report = problem if is_in_the_way and state not in _FINISHED else warning
    remedy = f"mv -- {_quoted(path)} {_quoted(path.with_name(path.name + '.old'))}"
    return report("worktrees", subject, "a folder is there, but git does not know it as a worktree", remedy)


def _missing(subject: str, known: _Registered) -> DoctorFinding:
    if known.locked is None:
        return warning("worktrees", subject, "missing, but git still lists it", "git worktree prune")
    remedy = f"git worktree unlock -- {_quoted(known.checkout.path)}"
    return warning("worktrees", subject, "missing, and git keeps its record: it is locked", remedy)


def _salvaged(ledgers: Ledgers) -> Iterator[DoctorFinding]:
    slugs = ledgers.slugs
    for ref in ledgers.project.repository.refs.under(_SALVAGE):
        mission_id, _, rest = ref.removeprefix(_SALVAGE).partition("/")
        subject = f"{slugs.get(mission_id, mission_id)}/{rest.partition('/')[0]}"
        yield ok("worktrees", subject, "unsaved work of an earlier attempt is kept", f"git show --stat {quote(ref)}")


def _quoted(path: Path) -> str:
    return quote(str(path))
