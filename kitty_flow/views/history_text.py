"""What an imported history came to, for people."""

from __future__ import annotations

from collections import Counter

from kitty_flow.flow.history_import import ImportedHistory

__all__ = ["history_text"]

_SHOWN = 5


def history_text(imported: ImportedHistory) -> str:
    """A few lines: how much, how it ends, what was forced and illegal, and what was left out."""
    made, history = imported.replay, imported.history
    lanes = Counter(made.final.values())
    lines = [f"history: {len(made.drafts)} events; " + ", ".join(f"{count} {name}" for name, count in lanes.items())]
    if made.forced:
        why = ", ".join(f"{code} {count}" for code, count in made.why_forced.most_common())
        lines.append(f"forced: {made.forced} ({why})")
    if made.illegal:
        edges = [f"{e['wp']} {e['from']} -> {e['to']} (line {e['line']})" for e in made.illegal[:_SHOWN]]
        more = len(made.illegal) - _SHOWN
        lines.append(f"illegal: {len(made.illegal)}: {', '.join(edges)}" + (f" and {more} more" if more > 0 else ""))
    left_out = {
        "annotations": history.annotations,
        "lifecycle rows": history.lifecycle,
        "repeated event ids": len(history.duplicates),
        "rows of unknown work packages": made.unknown.total(),
        "rows of unknown kinds": sum(history.unknown_kinds.values()),
    }
    rest = ", ".join(f"{count} {name}" for name, count in left_out.items() if count)
    if rest:
        lines.append(f"no events of their own: {rest}")
    return "\n".join(lines)
