"""Who waits for whom among the issues of beads, once containers are taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final

from kitty_flow.missions.beads_issues import Issue
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.foreign_fields import counted

__all__ = ["Hierarchy"]

_PARENT: Final = "parent-child"
_BLOCKING: Final = frozenset({"blocks", "waits-for"})
_MAX_DEPTH: Final = 32


class Hierarchy:
    """The issues of a file with their parents, and what each waits for; what is odd goes to `findings`."""

    def __init__(self, issues: Mapping[str, Issue], file: str, findings: Findings) -> None:
        self.issues = issues
        self._file, self._findings = file, findings
        self._parents: dict[str, tuple[str, ...]] = {name: self._stated_parents(issues[name]) for name in issues}
        self._check_depth()
        self._children: dict[str, list[str]] = {}
        for name, parents in self._parents.items():
            for parent in parents:
                self._children.setdefault(parent, []).append(name)
        self._containers = {name for name in self._children if self._holds_work(name)}
        self._above: dict[str, frozenset[str]] = {}
        self._below: dict[str, frozenset[str]] = {}
        self._before: dict[str, frozenset[str]] = {}
        self._needs = {issue.name: self._blockers(issue) for issue in issues.values() if not issue.is_closed}
        self._report_links()

    def is_container(self, name: str) -> bool:
        """Whether an issue only holds others."""
        return name in self._containers

    def parents(self, name: str) -> tuple[str, ...]:
        """The issues that it is a child of."""
        return self._parents[name]

    def prerequisites(self, name: str) -> set[str]:
        """The open issues, none of them a container, that must be done before `name` can start."""
        return set().union(*(self._needed(each) for each in (name, *self._ancestors(name)))) - {name}

    def _needed(self, name: str) -> frozenset[str]:
        """The open work that one issue or container waits for itself."""
        if name not in self._before:
            above = self._ancestors(name)
            # An epic that waits for its own children is done when they are: there is no order between them.
            others = (n for n in self._needs.get(name, ()) if n not in above and name not in self._ancestors(n))
            self._before[name] = frozenset().union(*(self._leaves(each) for each in others))
        return self._before[name]

    def _holds_work(self, name: str) -> bool:
        """An epic with children holds them and nothing else; another issue only while a child is open."""
        issue = self.issues[name]
        if issue.kind != "epic" and all(self.issues[child].is_closed for child in self._children[name]):
            return False
        if not issue.is_closed:
            where = f"{self._file}:{issue.line}"
            if issue.kind == "epic":
                self._findings.dropped("CONTAINER_DROPPED", f"the epic {name} itself: its children are the work", where)
            else:
                message = f"{name} has children, so that it is no work itself, although it is no epic"
                self._findings.guessed("CONTAINER_GUESSED", message, where)
        return True

    def _stated_parents(self, issue: Issue) -> tuple[str, ...]:
        stated = tuple(name for kind, name in issue.links if kind == _PARENT and name in self.issues)
        by_name = issue.name.rpartition(".")[0]
        if not stated and by_name in self.issues and not any(kind == _PARENT for kind, _ in issue.links):
            if not issue.is_closed:
                message = f"{issue.name} is a child of {by_name}, by its name"
                self._findings.guessed("PARENT_GUESSED", message, f"{self._file}:{issue.line}")
            return (by_name,)
        return tuple(name for name in stated if name != issue.name)

    def _blockers(self, issue: Issue) -> tuple[str, ...]:
        found = []
        for kind, name in issue.links:
            if kind in _BLOCKING and name in self.issues:
                found.append(name)
            elif kind in _BLOCKING:
                message = f"{issue.name} waits for {name[:80]!r}, which is not in this file and counts as satisfied"
                self._findings.guessed("UNKNOWN_DEPENDENCY", message, f"{self._file}:{issue.line}")
        if issue.name in found:
            self._findings.problem("SELF_DEPENDENCY", f"{issue.name} depends on itself", f"{self._file}:{issue.line}")
        return tuple(found)

    def _check_depth(self) -> None:
        """Refuse parents in a circle and endless nesting; go on without parents then."""
        try:
            depths: dict[str, int] = {}
            for name in TopologicalSorter(self._parents).static_order():
                depths[name] = 1 + max((depths[parent] for parent in self._parents[name]), default=0)
                if depths[name] > _MAX_DEPTH:
                    self._refuse("NESTED_TOO_DEEPLY", f"is nested deeper than {_MAX_DEPTH} levels", name)
                    break
        except CycleError as error:
            circle = error.args[1]
            self._refuse("PARENT_CYCLE", f"is its own ancestor: {' in '.join(circle[:10])}", circle[0])

    def _refuse(self, code: str, message: str, name: str) -> None:
        self._findings.problem(code, f"{name} {message}", f"{self._file}:{self.issues[name].line}")
        self._parents = dict.fromkeys(self._parents, ())

    def _ancestors(self, name: str) -> frozenset[str]:
        if name not in self._above:
            self._above[name] = _reachable(name, self._parents)
        return self._above[name]

    def _leaves(self, name: str) -> frozenset[str]:
        """The open work that `name` stands for: itself, or what the container holds."""
        if name not in self._below:
            reached = {name}
            if name in self._containers and not self.issues[name].is_closed:
                reached = set(_reachable(name, self._children))
            self._below[name] = frozenset(
                each for each in reached if each not in self._containers and not self.issues[each].is_closed
            )
        return self._below[name]

    def _report_links(self) -> None:
        lines: dict[str, list[int]] = {}
        for issue in self.issues.values():
            for kind, _ in issue.links:
                if kind != _PARENT and kind not in _BLOCKING and not issue.is_closed:
                    lines.setdefault(kind[:40], []).append(issue.line)
        for kind, found in sorted(lines.items()):
            message = counted(f"links of the kind {kind!r}, which order nothing", found)
            self._findings.dropped("LINK_DROPPED", message, f"{self._file}:{min(found)}")


def _reachable(start: str, edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """What can be reached from `start` by at least one step."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for each in edges.get(waiting.pop(), ()):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return frozenset(found)
