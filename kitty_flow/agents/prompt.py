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
from typing import Any, Final

from kitty_flow.agents.markdown import code, fenced, line
from kitty_flow.errors import RefusedError
from kitty_flow.graph.ownership import EXCLUSION
from kitty_flow.model.mission import WorkPackage

__all__ = [
    "IDENTITY_FIELDS",
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
_CANONICAL: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|refs/[^\s~^:?*\[\\]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """Everything a prompt says. The first eleven fields are its identity; refs are full names or full commit ids."""

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
    head_commit: str | None = None
    feedback: Mapping[str, Any] | None = None

    def identity(self) -> dict[str, str]:
        """The fields that bind the prompt to one invocation."""
        return {name: getattr(self, name) for name in IDENTITY_FIELDS}


def implement_prompt(context: PromptContext) -> str:
    """The prompt of an implementer: where to work, the task, the feedback of the last review, the result to write."""
    result = {
        "outcome": "success",
        "summary": "what was done, in a few sentences",
        "subtasks": {subtask.id: "done" for subtask in context.work_package.subtasks},
        "tokens": {"input": 0, "output": 0},
        "cost_usd": 0.0,
        "reason": None,
    }
    sections = [
        _heading("Implement", context),
        _place(context),
        _task(context),
        _feedback(context.feedback),
        "## Rules\n\n"
        "- Work in the worktree above only, on its branch. Do not switch, rename or push branches.\n"
        "- Change only files that match the owned files.\n"
        "- Commit everything: the worktree must be clean and have at least one new commit when you end.\n",
        _result(
            context,
            result,
            "`outcome` is `success`, `failed` or `blocked`; `failed` and `blocked` need a `reason`. Name every subtask "
            "with `done`, or another word for what is missing. `tokens` and `cost_usd` are optional.",
        ),
    ]
    return _join(context, sections)


def review_prompt(context: PromptContext) -> str:
    """The prompt of a reviewer: the exact commits to compare, the task they should fulfil, the verdict to write.

    Raises:
        RefusedError: PROMPT_REF_NOT_CANONICAL, when the base or the head is not a full ref name or commit id.
    """
    head = context.head_commit or ""
    for name, ref in (("base_ref", context.base_ref), ("head_commit", head)):
        if _CANONICAL.fullmatch(ref) is None:
            raise RefusedError(
                "PROMPT_REF_NOT_CANONICAL",
                f"a review prompt needs a full ref name or commit id as {name}, not {ref[:80]!r}",
                hint=f"kitty-flow wp show {context.work_package_id}",
                details={"field": name, "value": ref, "prompt_path": context.prompt_path},
            )
    result = {
        "verdict": "approved",
        "reviewed_commit": head,
        "summary": "why, in a few sentences",
        "findings": [{"severity": "error", "path": "src/example.py", "line": 1, "message": "what is wrong"}],
    }
    span = shlex.quote(f"{context.base_ref}..{head}")
    sections = [
        _heading("Review", context),
        _place(context),
        f"## Changes to review\n\nThe commit under review is `{head}`.\n\n"
        + fenced(f"git log --oneline {span}\ngit diff --stat {span}\ngit diff {span}", "sh"),
        _task(context),
        _feedback(context.feedback),
        "## Rules\n\n"
        "- Judge whether the commits do the task, completely and well, inside the owned files.\n"
        "- Change nothing: no edits, no commits, no branches.\n",
        _result(
            context,
            result,
            "`verdict` is `approved` or `changes_requested`. `reviewed_commit` must be exactly the commit above. "
            "`changes_requested` needs a `summary` or `findings` that say what to change; an approval may have none.",
        ),
    ]
    return _join(context, sections)


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


def _join(context: PromptContext, sections: list[str]) -> str:
    identity = _OPENING + json.dumps(context.identity(), indent=2) + _CLOSING
    return "\n".join([identity, *(section for section in sections if section)])


def _heading(verb: str, context: PromptContext) -> str:
    title = line(context.work_package.title)
    return f"# {verb} {context.work_package_id}\n\n" + (fenced(title) if title else "")


def _place(context: PromptContext) -> str:
    rows = {
        "Mission": context.mission_slug,
        "Worktree": context.lane_worktree,
        "Branch": context.lane_branch,
        "Mission branch": context.mission_branch,
        "Base": context.base_ref,
        "Attempt": str(context.attempt),
    }
    return "## Where\n\n" + "".join(f"- {name}: {code(value)}\n" for name, value in rows.items())


def _task(context: PromptContext) -> str:
    package = context.work_package
    owned = "".join(f"- {_owned(pattern)}\n" for pattern in package.owned_files) or "- nothing is declared\n"
    parts = ["## Task\n\n", fenced(package.prompt, "markdown"), f"\n## Owned files\n\n{owned}"]
    if package.subtasks:
        lines = "\n".join(f"{subtask.id} {line(subtask.title)}".rstrip() for subtask in package.subtasks)
        parts.append("\n## Subtasks\n\n" + fenced(lines))
    return "".join(parts)


def _owned(pattern: str) -> str:
    bare = pattern.removeprefix(EXCLUSION)
    return code(pattern) if bare == pattern else f"but not {code(bare)}"


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
