"""One visit to the doctor: which parts are looked at, in which order, and what the visit came to.

Everything that needs a library is imported only when the installation has been found whole.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from kitty_flow.errors import KittyFlowError, RefusedError, UsageError
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, by_urgency, ok
from kitty_flow.flow.doctor.installation import examine_installation
from kitty_flow.git.repository import Repository

__all__ = ["ALL_PARTS", "Examination", "Part", "examine", "examine_all"]

Part = Literal["settings", "ledger", "worktrees", "locks"]

ALL_PARTS: Final[tuple[Part, ...]] = ("settings", "ledger", "worktrees", "locks")


@dataclass(frozen=True)
class Examination:
    """What was found, problems first."""

    findings: tuple[DoctorFinding, ...]

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
        return RefusedError(
            "DOCTOR_FOUND_PROBLEMS",
            f"{number} problem{'s were' if number > 1 else ' was'} found; nothing was changed",
            hint=self.problems[0].remedy,
            details={"findings": [finding.as_data() for finding in self.problems]},
        )

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = Counter(finding.status for finding in self.findings)
        return {
            "findings": [finding.as_data() for finding in self.findings],
            "counts": {status: counts[status] for status in ("problem", "warning", "ok")},
        }


def examine_all(start: Path | None = None) -> Examination:
    """Everything that can be looked at from `start`: without a repository, only the installation."""
    found = list(examine_installation())
    if any(finding.status == "problem" for finding in found):
        return Examination(by_urgency(found))  # nothing else can be relied on
    try:
        repository = Repository.discover(start)
    except UsageError as error:
        if error.code != "NO_REPOSITORY":
            found.append(broken("installation", "repository", error))
        else:
            found.append(ok("installation", "repository", "there is none here; only the installation was looked at"))
    except KittyFlowError as error:
        found.append(broken("installation", "repository", error, "git status"))
    else:
        found += _look(repository, ALL_PARTS)
    return Examination(by_urgency(found))


def examine(part: Part, start: Path | None = None) -> Examination:
    """One part of the repository around `start`.

    Raises:
        UsageError: NO_REPOSITORY.
        ExternalToolError: git is missing, too old, or refuses the repository.
    """
    return Examination(by_urgency(_look(Repository.discover(start), (part,))))


def _look(repository: Repository, parts: Sequence[Part]) -> Iterator[DoctorFinding]:
    from kitty_flow.flow.doctor.branches import examine_branches
    from kitty_flow.flow.doctor.configuration import examine_settings
    from kitty_flow.flow.doctor.ledgers import examine_ledgers, read_ledgers
    from kitty_flow.flow.doctor.locks import examine_locks
    from kitty_flow.flow.doctor.worktrees import examine_worktrees
    from kitty_flow.flow.project import Project

    project = Project(repository)
    with ExitStack() as stack:
        ledgers = read_ledgers(project, stack)
        if "settings" in parts:
            yield from examine_settings(project.root)
        if "ledger" in parts:
            yield from examine_ledgers(ledgers)
            yield from examine_branches(ledgers)
        if "worktrees" in parts:
            yield from examine_worktrees(ledgers)
        if "locks" in parts:
            yield from examine_locks(repository, ledgers.slugs, now=time.time())
