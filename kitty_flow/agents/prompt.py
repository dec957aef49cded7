"""The Markdown prompt of one invocation, with a machine-readable identity that is checked before anything is launched.

The identity is a fenced JSON block at the very top. Text of the mission stands in fences longer than any run of
backticks in it, so no work package can close its block, imitate the identity or add instructions of its own.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from kitty_flow.agents.markdown import code, fenced, line
from kitty_flow.agents.prompt_template import TemplateKind, fill, shipped_template
from kitty_flow.errors import RefusedError
from kitty_flow.graph.ownership import EXCLUSION
from kitty_flow.model.mission import WorkPackage

__all__ = [
    "IDENTITY_FIELDS",
    "Delta",
    "Place",
    "PromptContext",
    "identity_mismatches",
    "implement_prompt",
    "prompt_identity",
    "review_prompt",
]

IDENTITY_FIELDS: Final = (
    "invocation_id",
    "repo_root",
    "mission_id",
    "mission_slug",
    "work_package_id",
    "lane_worktree",
    "mission_branch",
    "lane_branch",
    "base_ref",
    "prompt_path",
    "created_at",
)

_OPENING: Final = "```json kitty-flow-identity\n"
_CLOSING: Final = "\n```\n"
_PLACE_NOTES: Final[Mapping[str, str]] = {
    "worktree": "",
    "checkout": "\nThis is the main checkout of the repository, with the target branch checked out: the person whose "
    "it is sees every change at once.\n",
    "scratch": "\nThis work package changes no files: the folder is empty and outside of every worktree, and what you "
    "find out goes into the `summary` of the result.\n",
}
_COMMIT_RULES: Final = (
    "- Change only files that match the owned files.\n"
    "- Commit everything: the worktree must be clean and have at least one new commit when you end.\n"
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
_CANONICAL: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|refs/[^\s~^:?*\[\\]+")


Place = Literal["worktree", "checkout", "scratch"]
"""Where the work is done: in the lane's worktree, in the user's main checkout, or in an empty folder."""


class Delta(NamedTuple):
    """What an earlier review has seen, as full commit ids: a review that follows it looks at what changed since."""

    base: str
    head: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """Everything a prompt says. The first eleven fields are its identity; refs are full names or full commit ids.

    `salvage_ref` keeps what the last attempt left unsaved; `earlier` is work that was handed in before and does not
    merge any more, or that an earlier review has seen; `cycles_left` says how often a review may still send it back;
    `summary` is the implementer's, for a review of work that changed no files.
    """

    invocation_id: str
    repo_root: str
    mission_id: str
    mission_slug: str
    work_package_id: str
    lane_worktree: str
    mission_branch: str
    lane_branch: str
    base_ref: str
    prompt_path: str
    created_at: str
    work_package: WorkPackage
    result_path: str
    attempt: int = 1
    cycles_left: int | None = None
    head_commit: str | None = None
    feedback: Mapping[str, Any] | None = None
    salvage_ref: str | None = None
    earlier: Delta | None = None
    place: Place = "worktree"
    summary: str | None = None

    def identity(self) -> dict[str, str]:
        """The fields that bind the prompt to one invocation."""
        return {name: getattr(self, name) for name in IDENTITY_FIELDS}


def implement_prompt(context: PromptContext, template: str | None = None) -> str:
    """The prompt of an implementer: where to work, the task, the feedback of the last review, the result to write.

    `template` stands in for the shipped one; the identity is put on top of either.

    Raises:
        RefusedError: PROMPT_REF_NOT_CANONICAL, when the base is not a full ref name or commit id.
    """
    _check_refs(context, "base_ref")
    result = {
        "outcome": "success",
        "summary": "what was done, in a few sentences",
        "subtasks": {subtask.id: "done" for subtask in context.work_package.subtasks},
        "tokens": {"input": 0, "output": 0},
        "cost_usd": 0.0,
        "reason": None,
    }
    parts = {
        "earlier_work": _earlier_work(context),
        "rules": _IMPLEMENT_RULES[context.place],
        "result": _result(
            context,
            result,
            "`outcome` is `success`, `failed` or `blocked`; `failed` and `blocked` need a `reason`. Name every subtask "
            "with `done`, or another word for what is missing. `tokens` and `cost_usd` are optional.",
        ),
    }
    return _filled("implement", context, parts, template)


def review_prompt(context: PromptContext, template: str | None = None) -> str:
    """The prompt of a reviewer: the exact commits to compare, the task they should fulfil, the verdict to write.

    Raises:
        RefusedError: PROMPT_REF_NOT_CANONICAL, when the base or the head is not a full ref name or commit id.
    """
    _check_refs(context, "base_ref", "head_commit")
    result = {
        "verdict": "approved",
        "reviewed_commit": context.head_commit,
        "summary": "why, in a few sentences",
        "findings": [{"severity": "error", "path": "src/example.py", "line": 1, "message": "what is wrong"}],
    }
    parts = {
        "head_commit": code(str(context.head_commit)),
        "changes": _changes(context),
        "delta": _delta(context),
        "rules": "## Rules\n\n"
        "- Judge whether the commits do the task, completely and well, inside the owned files.\n"
        "- Change nothing: no edits, no commits, no branches. A verdict does not count if the worktree has another "
        "commit checked out when you end.\n",
        "result": _result(
            context,
            result,
            "`verdict` is `approved` or `changes_requested`. `reviewed_commit` must be exactly the commit above. "
            "`changes_requested` needs a `summary` or `findings` that say what to change; an approval says in its "
            "`summary` what was looked at.",
        ),
    }
    return _filled("review", context, parts, template)


def _check_refs(context: PromptContext, *names: str) -> None:
    for name in names:
        ref = getattr(context, name) or ""
        if _CANONICAL.fullmatch(ref) is None:
            raise RefusedError(
                "PROMPT_REF_NOT_CANONICAL",
                f"a prompt needs a full ref name or commit id as {name}, not {ref[:80]!r}",
                hint=f"kitty-flow wp show {context.work_package_id}",
                details={"field": name, "value": ref, "prompt_path": context.prompt_path},
            )


def prompt_identity(text: str) -> dict[str, str]:
    """Read back the identity at the top of a prompt.

    Raises:
        RefusedError: PROMPT_IDENTITY_MISSING, when the text does not start with a whole identity block.
    """
    block, closed, _ = text.removeprefix(_OPENING).partition(_CLOSING)
    try:
        found = json.loads(block) if text.startswith(_OPENING) and closed else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise RefusedError(
            "PROMPT_IDENTITY_MISSING",
            "the prompt does not start with a readable kitty-flow identity, so it cannot be trusted",
            hint="kitty-flow run: it writes the prompt anew",
        )
    return found


def identity_mismatches(expected: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """The names of all fields that differ, are missing or are unexpected, in the order of the identity."""
    names = dict.fromkeys((*IDENTITY_FIELDS, *expected, *found))
    return tuple(name for name in names if expected.get(name) != found.get(name))


def _filled(kind: TemplateKind, context: PromptContext, parts: Mapping[str, str], template: str | None) -> str:
    title = line(context.work_package.title)
    values = {
        "work_package_id": line(context.work_package_id),
        "mission_id": code(context.mission_id),
        "mission_slug": code(context.mission_slug),
        "worktree": code(context.lane_worktree),
        "branch": code(context.lane_branch),
        "mission_branch": code(context.mission_branch),
        "base_commit": code(context.base_ref),
        "result_path": code(context.result_path),
        "attempt": str(context.attempt),
        "cycles_left": "" if context.cycles_left is None else str(context.cycles_left),
        "title": fenced(title) if title else "",
        "place": _place(context),
        "task": "## Task\n\n" + fenced(context.work_package.prompt, "markdown"),
        "owned_files": _owned_files(context),
        "subtasks": _subtasks(context.work_package),
        "feedback": _feedback(context.feedback),
        **parts,
    }
    identity = _OPENING + json.dumps(context.identity(), indent=2) + _CLOSING
    return identity + "\n" + fill(shipped_template(kind) if template is None else template, values)


def _place(context: PromptContext) -> str:
    rows = {
        "Mission": context.mission_slug,
        "Folder" if context.place == "scratch" else "Worktree": context.lane_worktree,
        **({} if context.place == "scratch" else {"Branch": context.lane_branch}),
        "Mission branch": context.mission_branch,
        "Base": context.base_ref,
        "Attempt": str(context.attempt),
    }
    if context.cycles_left is not None:
        rows["Reviews that may still send it back"] = str(context.cycles_left)
    note = _PLACE_NOTES[context.place]
    return "## Where\n\n" + "".join(f"- {name}: {code(value)}\n" for name, value in rows.items()) + note


def _owned_files(context: PromptContext) -> str:
    if context.place == "scratch":
        return ""
    rows = "".join(f"- {_owned(pattern)}\n" for pattern in context.work_package.owned_files)
    return "## Owned files\n\n" + (rows or "- nothing is declared\n")


def _owned(pattern: str) -> str:
    bare = pattern.removeprefix(EXCLUSION)
    return code(pattern) if bare == pattern else f"but not {code(bare)}"


def _subtasks(package: WorkPackage) -> str:
    lines = "\n".join(f"{subtask.id} {line(subtask.title)}".rstrip() for subtask in package.subtasks)
    return "## Subtasks\n\n" + fenced(lines) if lines else ""


def _changes(context: PromptContext) -> str:
    if context.place == "scratch":
        return (
            "## What to review\n\nThis work package changes no files: judge the summary of its implementer below. "
            f"The commit that the verdict is bound to is `{context.head_commit}`.\n\n"
            + fenced(context.summary or "no summary was given")
        )
    span = shlex.quote(f"{context.base_ref}..{context.head_commit}")
    commands = f"git log --oneline {span}\ngit diff --stat {span}\ngit diff {span}"
    return f"## Changes to review\n\nThe commit under review is `{context.head_commit}`.\n\n" + fenced(commands, "sh")


def _delta(context: PromptContext) -> str:
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


def _earlier_work(context: PromptContext) -> str:
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


def _feedback(feedback: Mapping[str, Any] | None) -> str:
    if not feedback:
        return ""
    text = json.dumps(dict(feedback), indent=2, ensure_ascii=False)
    return "## Feedback on the last attempt\n\nEvery point must be dealt with.\n\n" + fenced(text, "json")


def _result(context: PromptContext, example: Mapping[str, Any], rules: str) -> str:
    return (
        "## Result\n\n"
        f"Before you end, write this JSON (strict, at most 1 MiB) to {code(context.result_path)}, "
        "the path in `KITTY_FLOW_RESULT`:\n\n" + fenced(json.dumps(example, indent=2), "json") + f"\n{rules}\n"
        "Without a valid result file the attempt has failed, whatever the exit status.\n"
    )
