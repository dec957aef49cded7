"""The Markdown prompt of one invocation, with a machine-readable identity that is checked before anything is launched.

The identity is a fenced JSON block at the very top. Text of the mission stands in fences longer than any run of
backticks in it, so no work package can close its block, imitate the identity or add instructions of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from kitty_flow.agents import prompt_parts as parts
from kitty_flow.agents.markdown import code, fenced, line
from kitty_flow.agents.prompt_context import IDENTITY_FIELDS, Delta, Place, PromptContext
from kitty_flow.agents.prompt_template import TemplateKind, fill, shipped_template
from kitty_flow.errors import RefusedError

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

_OPENING: Final = "```json kitty-flow-identity\n"
_CLOSING: Final = "\n```\n"
_CANONICAL: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|refs/[^\s~^:?*\[\\]+")


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
    own = {
        "earlier_work": parts.earlier_work(context),
        "rules": parts.rules(context, "implement"),
        "result": parts.result(
            context,
            result,
            "`outcome` is `success`, `failed` or `blocked`; `failed` and `blocked` need a `reason`. Name every subtask "
            "with `done`, or another word for what is missing. `tokens` and `cost_usd` are optional.",
        ),
    }
    return _filled("implement", context, own, template)


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
    own = {
        "head_commit": code(str(context.head_commit)),
        "changes": parts.changes(context),
        "delta": parts.delta(context),
        "rules": parts.rules(context, "review"),
        "result": parts.result(
            context,
            result,
            "`verdict` is `approved` or `changes_requested`. `reviewed_commit` must be exactly the commit above. "
            "`changes_requested` needs a `summary` or `findings` that say what to change; an approval says in its "
            "`summary` what was looked at.",
        ),
    }
    return _filled("review", context, own, template)


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


def _filled(kind: TemplateKind, context: PromptContext, own: Mapping[str, str], template: str | None) -> str:
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
        "place": parts.place(context, kind),
        "task": "## Task\n\n" + fenced(context.work_package.prompt, "markdown"),
        "owned_files": parts.owned_files(context),
        "subtasks": parts.subtasks(context.work_package),
        "feedback": parts.feedback(context.feedback),
        **own,
    }
    identity = _OPENING + json.dumps(context.identity(), indent=2) + _CLOSING
    return identity + "\n" + fill(shipped_template(kind) if template is None else template, values)
