"""One visit to the doctor: which parts are looked at, in which order, and what the visit came to.

Everything that needs a library is imported only when the installation has been found whole.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from kitty_flow.errors import KittyFlowError, RefusedError, UsageError
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, by_urgency, ok
from kitty_flow.flow.doctor.installation import examine_installation
from kitty_flow.flow.project import Project
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository

__all__ = ["ALL_PARTS", "Beside", "Examination", "Part", "Treatment", "examine", "examine_all", "nothing_beside"]

Part = Literal["settings", "ledger", "worktrees", "locks", "conflicts"]

ALL_PARTS: Final[tuple[Part, ...]] = ("settings", "ledger", "worktrees", "locks", "conflicts")

Beside: TypeAlias = Callable[[Project, Part], Iterable[DoctorFinding]]
"""What is found in a part by those above `flow`."""


def nothing_beside(_project: Project, _part: Part) -> Iterable[DoctorFinding]:
    """Nobody else looks."""
    return ()


_ROUNDS: Final = 4
"""What was mended may bring more to light: a ref that leads somewhere again has an index that can be judged."""


@dataclass(frozen=True)
class Treatment:
    """What was done about a finding; `failure` says why nothing was done."""

    finding: DoctorFinding
    done: str | None = None
    failure: KittyFlowError | OSError | None = None

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        known = {name: getattr(self.finding, name) for name in ("check", "subject", "message")}
        return known | {"done": self.done, "failure": str(self.failure) if self.failure is not None else None}


@dataclass(frozen=True)
class Examination:
    """What was found, problems first. With ``--fix`` it is what is left, and `treatments` say what was done before."""

    findings: tuple[DoctorFinding, ...]
    treatments: tuple[Treatment, ...] | None = None

    @property
    def problems(self) -> tuple[DoctorFinding, ...]:
        """What keeps something from working."""
        return tuple(finding for finding in self.findings if finding.status == "problem")

    @property
    def error(self) -> KittyFlowError | None:
        """DOCTOR_FOUND_PROBLEMS, or None when there are none."""
        if not self.problems:
            return None
        number = len(self.problems)
        several = "s" if number > 1 else ""
        said = f"{number} problem{several} {'were' if several else 'was'} found; nothing was changed"
        return RefusedError(
            "DOCTOR_FOUND_PROBLEMS",
            said if self.treatments is None else f"{number} problem{several} could not be mended",
            hint=self.problems[0].remedy,
            details={"findings": [finding.as_data() for finding in self.problems]},
        )

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = Counter(finding.status for finding in self.findings)
        return {
            "findings": [finding.as_data() for finding in self.findings],
            "counts": {status: counts[status] for status in ("problem", "warning", "ok")},
            **({} if self.treatments is None else {"treatments": [t.as_data() for t in self.treatments]}),
        }


def examine_all(start: Path | None = None, *, fix: bool = False, beside: Beside = nothing_beside) -> Examination:
    """Everything that can be looked at from `start`: without a repository, only the installation.

    With `fix`, what is safe to mend is mended, and then looked at again. `beside` looks at what `flow` does not know.
    """
    return _examination(lambda: _everything(start, beside), fix=fix)


def examine(
    part: Part, start: Path | None = None, *, fix: bool = False, beside: Beside = nothing_beside
) -> Examination:
    """One part of the repository around `start`; `fix` and `beside` as in `examine_all`.

    Raises:
        UsageError: NO_REPOSITORY.
        ExternalToolError: git is missing, too old, or refuses the repository.
    """
    repository = Project.discover(start).repository
    return _examination(lambda: _look(repository, (part,), beside), fix=fix)


def _examination(look: Callable[[], Iterable[DoctorFinding]], *, fix: bool) -> Examination:
    found = by_urgency(look())
    if not fix:
        return Examination(found)
    treatments: list[Treatment] = []
    for _ in range(_ROUNDS):
        tried = [treatment.finding for treatment in treatments]
        due = [finding for finding in found if finding.mend is not None and finding not in tried]
        if not due:
            break
        treatments += [_treat(finding) for finding in due]
        found = by_urgency(look())
    return Examination(found, tuple(treatments))


def _treat(finding: DoctorFinding) -> Treatment:
    assert finding.mend is not None
    try:
        return Treatment(finding, finding.mend())
    except (KittyFlowError, OSError) as error:
        return Treatment(finding, failure=error)


def _everything(start: Path | None, beside: Beside) -> list[DoctorFinding]:
    found = list(examine_installation())
    if any(finding.status == "problem" for finding in found):
        return found  # nothing else can be relied on
    try:
        repository = Project.discover(start).repository
    except UsageError as error:
        if error.code != "NO_REPOSITORY":
            found.append(broken("installation", "repository", error))
        else:
            found.append(ok("installation", "repository", "there is none here; only the installation was looked at"))
    except KittyFlowError as error:
        found.append(broken("installation", "repository", error, "git status"))
    else:
        found += _look(repository, ALL_PARTS, beside)
    return found


def _look(repository: Repository, parts: Sequence[Part], beside: Beside) -> Iterator[DoctorFinding]:
    from kitty_flow.flow.doctor.branches import examine_branches
    from kitty_flow.flow.doctor.configuration import examine_settings
    from kitty_flow.flow.doctor.conflicts import examine_conflicts
    from kitty_flow.flow.doctor.ledgers import examine_ledgers, read_ledgers
    from kitty_flow.flow.doctor.locks import examine_locks
    from kitty_flow.flow.doctor.worktrees import examine_worktrees

    project = Project(repository)
    with ExitStack() as stack:
        try:
            ledgers = read_ledgers(project, stack)
        except GitFailedError as error:  # the list of refs itself is damaged, and with it the user's own
            yield broken(
                "ledger", "refs", error, "git for-each-ref; mend what it complains about, or restore packed-refs"
            )
            return
        if "settings" in parts:
            yield from examine_settings(project.root)
        if "ledger" in parts:
            yield from examine_ledgers(ledgers)
            yield from examine_branches(ledgers)
            yield from beside(project, "ledger")
        if "worktrees" in parts:
            yield from examine_worktrees(ledgers)
        if "locks" in parts:
            yield from examine_locks(repository, ledgers.slugs, now=time.time())
        if "conflicts" in parts:
            yield from examine_conflicts(ledgers, beside(project, "conflicts"))
