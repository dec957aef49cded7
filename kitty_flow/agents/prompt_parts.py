"""The parts of a prompt: sections with a heading, or empty where they do not apply."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

from kitty_flow.agents.markdown import code, fenced, line
from kitty_flow.agents.prompt_context import PromptContext
from kitty_flow.graph.ownership import EXCLUSION
from kitty_flow.model.mission import WorkPackage

__all__ = ["changes", "delta", "earlier_work", "feedback", "owned_files", "place", "result", "rules", "subtasks"]

_PLACE_NOTES: Final[Mapping[str, str]] = {
    "worktree": "",
    "checkout": "\nThis is the main checkout of the repository, with the target branch checked out: the person whose "
    "it is sees every change at once.\n",
    "scratch": "\nThis work package changes no files: the folder is empty and outside of every worktree",
}
_SCRATCH_ENDS: Final[Mapping[str, str]] = {
    "implement": ", and what you find out goes into the `summary` of the result.\n",
    "review": ".\n",
}
_COMMIT_RULES: Final = (
    "- Change only files that match the owned files.\n"
    "- Commit everything: the worktree must be clean and have at least one new commit when you end.\n"
)
_REVIEW_RULES: Final = (
    "## Rules\n\n"
    "- Judge whether the commits do the task, completely and well, inside the owned files.\n"
    "- Change nothing: no edits, no commits, no branches. A verdict does not count if the worktree has another "
    "commit checked out when you end.\n"
)
_IMPLEMENT_RULES: Final[Mapping[str, str]] = {
    "worktree": "## Rules\n\n"
    "- Work in the worktree above only, on its branch. Do not switch, rename or push branches.\n" + _COMMIT_RULES,
    "checkout": "## Rules\n\n"
    "- Work in the checkout above, on the branch that it is on. Do not switch, rename, rewrite or push branches, and "
    "leave the stash alone.\n" + _COMMIT_RULES,
    "scratch": "## Rules\n\n"
    "- Change nothing in the repository: no files, no commits, no branches. Read whatever you need.\n",
}

_SCRATCH_REVIEW_RULES: Final = (
    "## Rules\n\n"
    "- Judge whether the summary does the task, completely and well. Check what it says; read whatever you need.\n"
    "- Change nothing in the repository: no files, no commits, no branches.\n"
)


def rules(context: PromptContext, action: str) -> str:
    """What the agent must not do."""
    if action == "review":
        return _SCRATCH_REVIEW_RULES if context.place == "scratch" else _REVIEW_RULES
    return _IMPLEMENT_RULES[context.place]


def place(context: PromptContext, action: str) -> str:
    """Where to work, and which attempt it is."""
    is_scratch = context.place == "scratch"
    rows = {
        "Mission": context.mission_slug,
        "Folder" if is_scratch else "Worktree": context.lane_worktree,
        **({"Repository, to read": context.repo_root} if is_scratch else {"Branch": context.lane_branch}),
        "Mission branch": context.mission_branch,
        "Base": context.base_ref,
        "Attempt": str(context.attempt),
    }
    if context.cycles_left is not None:
        rows["Reviews that may still send it back"] = str(context.cycles_left)
    note = _PLACE_NOTES[context.place] + (_SCRATCH_ENDS[action] if is_scratch else "")
    return "## Where\n\n" + "".join(f"- {name}: {code(value)}\n" for name, value in rows.items()) + note


def owned_files(context: PromptContext) -> str:
    """The files that may be changed."""
    if context.place == "scratch":
        return ""
    rows = "".join(f"- {_owned(pattern)}\n" for pattern in context.work_package.owned_files)
    return "## Owned files\n\n" + (rows or "- nothing is declared\n")


def _owned(pattern: str) -> str:
    bare = pattern.removeprefix(EXCLUSION)
    return code(pattern) if bare == pattern else f"but not {code(bare)}"


def subtasks(package: WorkPackage) -> str:
    """The subtasks."""
    lines = "\n".join(f"{subtask.id} {line(subtask.title)}".rstrip() for subtask in package.subtasks)
    return "## Subtasks\n\n" + fenced(lines) if lines else ""


def changes(context: PromptContext) -> str:
    """What is to be reviewed, as commands with full commit ids (RPM-003)."""
    if context.place == "scratch":
        return (
            "## What to review\n\nThis work package changes no files: judge the summary of its implementer below. "
            f"The commit that the verdict is bound to is `{context.head_commit}`.\n\n"
            + fenced(context.summary or "no summary was given")
        )
    span = shlex.quote(f"{context.base_ref}..{context.head_commit}")
    commands = f"git log --oneline {span}\ngit diff --stat {span}\ngit diff {span}"
    return f"## Changes to review\n\nThe commit under review is `{context.head_commit}`.\n\n" + fenced(commands, "sh")


def delta(context: PromptContext) -> str:
    """What is new for a review that follows another one (PEERS, complaint 24: a review repeats everything)."""
    seen = context.earlier
    if seen is None or context.place == "scratch":
        return ""
    old, new = f"{seen.base}..{seen.head}", f"{context.base_ref}..{context.head_commit}"
    verdict = "approved" if seen.verdict == "approved" else "sent back with the findings below"
    return (
        f"## Only what is new\n\nAn earlier review has seen `{seen.head}` and {verdict}. Do not repeat it: review the "
        "changes since then, and whether each finding was dealt with.\n\n"
        + fenced(f"git range-diff {old} {new}\ngit diff {seen.head} {context.head_commit}", "sh")
    )


def earlier_work(context: PromptContext) -> str:
    """What the next attempt can build on: unsaved work that was kept, and work that did not merge any more."""
    parts = []
    if context.salvage_ref:
        ref = shlex.quote(context.salvage_ref)
        parts.append(
            f"What the last attempt left behind is kept under {code(context.salvage_ref)}. Look at it, and take over "
            "what is good:\n\n"
            + fenced(f"git log --oneline {context.base_ref}..{ref}\ngit diff {context.base_ref} {ref}", "sh")
        )
    if context.earlier is not None:
        span = f"{context.earlier.base}..{context.earlier.head}"
        parts.append(
            f"Work that was handed in before, `{context.earlier.head}`, is not in this worktree, because other work "
            "came first. Put it on top of what is here where that can be done, and mend what conflicts; what is "
            "unchanged need not be reviewed again:\n\n"
            + fenced(f"git log --oneline {span}\ngit cherry-pick {span}", "sh")
        )
    return "## Earlier work\n\n" + "\n".join(parts) if parts else ""


def feedback(told: Mapping[str, Any] | None) -> str:
    """What the last review and the last attempt came to."""
    if not told:
        return ""
    text = json.dumps(dict(told), indent=2, ensure_ascii=False)
    return "## Feedback on the last attempt\n\nEvery point must be dealt with.\n\n" + fenced(text, "json")


def result(context: PromptContext, example: Mapping[str, Any], meaning: str) -> str:
    """The result file to write."""
    return (
        "## Result\n\n"
        f"Before you end, write this JSON (strict, at most 1 MiB) to {code(context.result_path)}, "
        "the path in `KITTY_FLOW_RESULT`:\n\n" + fenced(json.dumps(example, indent=2), "json") + f"\n{meaning}\n"
        "Without a valid result file the attempt has failed, whatever the exit status.\n"
    )
