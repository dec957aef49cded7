"""What state are the worktrees in that kitty-flow made, and where is the unsaved work that it kept?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.doctor.finding import DoctorFinding, ok, problem, warning
from kitty_flow.flow.doctor.ledgers import Ledgers
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.project import Project
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
    found = 0
    registered = _registered(ledgers.project)
    for mission in ledgers.missions:
        for finding in _mission(mission, registered):
            found += 1
            yield finding
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
    for path in sorted({*recorded, *(path for path in registered if path.parent in folders)}):
        subject = f"{mission.slug}/{path.name}"
        known = registered.get(path)
        held = [entity.entity_id for entity in recorded.get(path, ()) if entity.state == "in_progress"]
        try:
            if known is not None and path.is_dir():
                yield _present(subject, known, mission.state(view))
            elif path.is_dir() and any(path.iterdir()):
                yield _unknown(subject, path, mission.state(view))
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
        if isinstance(place, str) and entity.facts.get("place") != "scratch":
            path = Path(place).resolve()
            found[path] = (*found.get(path, ()), entity)
    return found


def _present(subject: str, known: _Registered, state: str) -> DoctorFinding:
    path = _quoted(known.checkout.path)
    if known.checkout.is_unfinished:
        return warning("worktrees", subject, "begun and never finished; the next start there makes it anew", "")
    changes = len(known.checkout.changes())
    looks = f"dirty, {changes} uncommitted path(s)" if changes else "clean"
    if known.locked is not None:
        reason = f" ({known.locked})" if known.locked else ""
        return warning("worktrees", subject, f"{looks}, locked{reason}", f"git worktree unlock -- {path}")
    if state not in _FINISHED:
        return ok("worktrees", subject, looks, f"git -C {path} status" if changes else "")
    remedy = f"git -C {path} status" if changes else f"git worktree remove -- {path}"
    return warning("worktrees", subject, f"{looks}, left over: the mission is {state}", remedy)


def _unknown(subject: str, path: Path, state: str) -> DoctorFinding:
    """A folder in the way of the next attempt."""
    report = warning if state in _FINISHED else problem
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
