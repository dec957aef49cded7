"""The loss report of an import: what was understood, what was guessed, what was left out, and where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.mission import MissionDefinition

__all__ = ["loss_data", "loss_summary", "loss_text"]

_SHOWN: Final = 20
_KINDS: Final = ("guessed", "dropped", "warnings")


def loss_data(definition: MissionDefinition, diagnostics: Iterable[Diagnostic]) -> dict[str, Any]:
    """The report as data: `reader`, `understood` (counts), and the rows of `guessed`, `dropped` and `warnings`."""
    packages = definition.work_packages
    report: dict[str, Any] = {
        "reader": definition.source.kind,
        "understood": {
            "work_packages": len(packages),
            "dependencies": sum(len(each.dependencies) for each in packages),
            "subtasks": sum(len(each.subtasks) for each in packages),
            "owned_files": sum(len(each.owned_files) for each in packages),
            "requirement_refs": sum(len(each.requirement_refs) for each in packages),
            "prompts": sum(bool(each.prompt) for each in packages),
        },
        "guessed": [],
        "dropped": [],
        "warnings": [],
    }
    for each in diagnostics:
        row = {"code": each.diagnostic_code, "message": each.message, "where": each.details.get("where")}
        report[each.details.get("loss", "warnings")].append(row)
    return report


def loss_summary(report: Mapping[str, Any]) -> str:
    """The report in a line or two."""
    counts = ", ".join(f"{len(report[kind])} {kind}" for kind in _KINDS if report[kind])
    more = f"\n{counts}: --dry-run shows them line by line" if counts else ""
    return f"read as {report['reader']}: {_understood(report)}{more}"


def loss_text(report: Mapping[str, Any]) -> str:
    """The report for people: every row with its place, of many rows with one code only the first."""
    lines = [f"read as {report['reader']}", f"understood: {_understood(report)}"]
    for kind in _KINDS:
        lines.append(f"{kind}: {len(report[kind]) or 'nothing'}")
        seen: Counter[str] = Counter()
        for row in report[kind]:
            seen[row["code"]] += 1
            if seen[row["code"]] <= _SHOWN:
                lines.append(f"  {_place(row)}{' '.join(row['message'].split())}")
        lines += [
            f"  and {count - _SHOWN} more {code}; --json has them all" for code, count in seen.items() if count > _SHOWN
        ]
    return "\n".join(lines)


def _understood(report: Mapping[str, Any]) -> str:
    return ", ".join(f"{count} {_noun(name, count)}" for name, count in report["understood"].items() if count)


def _noun(name: str, count: int) -> str:
    words = name.replace("_", " ").replace("requirement refs", "references to requirements")
    if count != 1:
        return words
    return {"dependencies": "dependency", "references to requirements": "reference to a requirement"}.get(
        words, words.removesuffix("s")
    )


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['where']}: " if row["where"] else ""
