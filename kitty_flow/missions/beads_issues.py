"""Reads the lines of a beads file: one issue a line, the last line of an id counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.files import parse_json_object
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.foreign_fields import UnusedFields, counted, section, string

__all__ = ["Issue", "read_issues"]

_MAX_LINE: Final = 256 * 1024
_MAX_NAME: Final = 120
_MAX_PROBLEMS: Final = 200
_GONE: Final = ("tombstone", "deleted")  # a status may be anything, also what no set can be asked for
_KNOWN: Final = frozenset(
    {"_type", "id", "title", "description", "design", "acceptance_criteria", "notes", "status", "issue_type"}
    | {"dependencies", "external_ref", "created_at", "created_by", "updated_at", "closed_at", "close_reason"}
    | {"content_hash", "source_repo", "owner", "deleted_at", "deleted_by", "delete_reason", "original_type"}
    | {"compaction_level", "compacted_at", "compacted_at_commit", "original_size", "dependency_count"}
    | {"dependent_count", "comment_count"}
)


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue; `links` are (type, id) of what its `dependencies` point at."""

    line: int
    name: str
    title: str
    kind: str
    status: str
    text: str
    links: tuple[tuple[str, str], ...]

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing left to do."""
        return self.status == "closed"


def read_issues(text: str, file: str, findings: Findings) -> dict[str, Issue]:
    """The issues of a file by id; deleted ones and records of other kinds are reported and left out."""
    records: dict[str, tuple[int, dict[str, Any]]] = {}
    earlier: list[int] = []
    others: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            with findings.gathering(f"{file}:{number}"):
                record = _record(line, number, file)
                if record.get("_type", "issue") != "issue":
                    others.append(number)
                    continue
                name = _name(record, f"{file}:{number}")
                if name in records:
                    earlier.append(records.pop(name)[0])
                records[name] = (number, record)
            if len(findings.problems) >= _MAX_PROBLEMS:
                break
    gone = [number for number, record in records.values() if record.get("status") in _GONE]
    _report_lines("DUPLICATE_ID", "older versions of an issue, whose last line counts", earlier, file, findings)
    _report_lines("DELETED_DROPPED", "deleted issues", gone, file, findings)
    _report_lines("RECORD_DROPPED", "records that are no issues", others, file, findings)
    unused = UnusedFields(_KNOWN)
    issues: dict[str, Issue] = {}
    for name, (number, record) in records.items():
        if record.get("status") not in _GONE:
            issues[name] = _issue(record, name, number, file, findings)
            if not issues[name].is_closed:
                unused.look_at(record, number)
    unused.report(file, findings)
    return issues


def _report_lines(code: str, message: str, lines: list[int], file: str, findings: Findings) -> None:
    if lines:
        findings.dropped(code, counted(message, lines), f"{file}:{min(lines)}")


def _record(line: str, number: int, file: str) -> dict[str, Any]:
    if len(line) > _MAX_LINE:
        message = f"is longer than {_MAX_LINE} characters"
        raise DefinitionError("LINE_TOO_LONG", message, details={"where": f"{file}:{number}"})
    return parse_json_object(line, file, line=number)


def _name(record: Mapping[str, Any], where: str) -> str:
    name = record.get("id")
    if isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable():
        return name
    message = f"is no issue: it needs an id, a text of at most {_MAX_NAME} characters"
    raise DefinitionError("INVALID_ISSUE", message, details={"where": where})


def _issue(record: Mapping[str, Any], name: str, number: int, file: str, findings: Findings) -> Issue:
    where = f"{file}:{number}"
    reference = string(record, "external_ref", where, findings)
    parts = (
        string(record, "description", where, findings),
        section("## Design", string(record, "design", where, findings)),
        section("## Acceptance criteria", string(record, "acceptance_criteria", where, findings)),
        section("## Notes", string(record, "notes", where, findings)),
        f"Reference: {reference}" if reference else "",
    )
    return Issue(
        line=number,
        name=name,
        title=string(record, "title", where, findings) or name,
        kind=string(record, "issue_type", where, findings) or "task",
        status=string(record, "status", where, findings) or "open",
        text="\n\n".join(part for part in parts if part),
        links=_links(record, name, where, findings),
    )


def _links(record: Mapping[str, Any], name: str, where: str, findings: Findings) -> tuple[tuple[str, str], ...]:
    listed = record.get("dependencies") or []
    links: dict[tuple[str, str], None] = {}
    for each in listed if isinstance(listed, list) else [None]:
        target = each.get("depends_on_id") if isinstance(each, dict) else None
        kind = each.get("type") or "blocks" if isinstance(each, dict) else None
        if not isinstance(target, str) or not isinstance(kind, str) or not isinstance(each, dict):
            findings.problem("INVALID_DEPENDENCY", "a dependency is an object with 'depends_on_id' and 'type'", where)
        elif each.get("issue_id", name) != name:
            findings.problem("INVALID_DEPENDENCY", "a dependency names another issue as its 'issue_id'", where)
        else:
            links[kind, target] = None
    return tuple(links)
