"""Prompts: they say what to do, prove whom they are for, and mission text cannot change either."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.agents.prompt import (
    IDENTITY_FIELDS,
    PromptContext,
    identity_mismatches,
    implement_prompt,
    prompt_identity,
    review_prompt,
)
from kitty_flow.errors import RefusedError
from kitty_flow.model.mission import Subtask, WorkPackage

BASE, HEAD = "a" * 40, "b" * 40
PACKAGE = WorkPackage(
    id="WP02",
    title="Parse `names`",
    owned_files=("src/parser/**",),
    subtasks=(Subtask(id="T001", title="read"), Subtask(id="T002")),
    prompt="# Do it\n\n```python\nx = 1\n```\n",
)
CONTEXT = PromptContext(
    invocation_id="01JINV",
    repo_root="/repo",
    mission_id="01JMISSION",
    mission_slug="names",
    work_package_id="WP02",
    lane_worktree="/repo-work/lane-a",
    mission_branch="refs/heads/kitty/names",
    lane_branch="refs/heads/kitty/names-lane-a",
    base_ref=BASE,
    prompt_path="/i/prompt.md",
    created_at="2026-01-01T00:00:00Z",
    work_package=PACKAGE,
    result_path="/i/result.json",
    attempt=2,
    head_commit=HEAD,
    feedback={"summary": "no empty names", "findings": [{"message": "```\nbreak out", "path": "src/parser/a.py"}]},
)


def fences(text: str) -> list[tuple[str, str]]:
    """The (info, body) of each fenced block, read as CommonMark does."""
    blocks: list[tuple[str, str]] = []
    opened: tuple[int, str, list[str]] | None = None
    for line in re.split(r"\r\n|\n|\r", text):
        match = re.fullmatch(r" {0,3}(`{3,})([^`]*)", line)
        if opened is None:
            opened = (len(match[1]), match[2], []) if match else None
        elif match and len(match[1]) >= opened[0] and not match[2].strip():
            blocks.append((opened[1], "\n".join(opened[2])))
            opened = None
        else:
            opened[2].append(line)
    assert opened is None
    return blocks


def test_an_implement_prompt_says_what_to_do_and_what_to_write() -> None:
    text = implement_prompt(CONTEXT)
    for expected in (
        "/repo-work/lane-a",
        "src/parser/**",
        "T001 read",
        "no empty names",
        "/i/result.json",
        "KITTY_FLOW_RESULT",
    ):
        assert expected in text
    blocks = fences(text)
    result = json.loads(blocks[-1][1])
    assert result["outcome"] == "success"
    assert result["subtasks"] == {"T001": "done", "T002": "done"}
    assert ("markdown", PACKAGE.prompt.rstrip()) in blocks
    assert "Feedback" not in implement_prompt(replace(CONTEXT, feedback=None))


def test_a_review_prompt_names_the_commits_and_the_verdict() -> None:
    text = review_prompt(CONTEXT)
    assert f"git diff {BASE}..{HEAD}\n" in text
    assert json.loads(fences(text)[-1][1])["reviewed_commit"] == HEAD


@pytest.mark.parametrize(
    "changes",
    [
        {"base_ref": "main"},
        {"base_ref": "--output=x"},
        {"base_ref": "HEAD~1"},
        {"head_commit": None},
        {"head_commit": "b"},
    ],
)
def test_a_review_prompt_needs_canonical_refs(changes: dict[str, str | None]) -> None:
    with pytest.raises(RefusedError) as caught:
        review_prompt(replace(CONTEXT, **changes))  # type: ignore[arg-type]
    assert caught.value.code == "PROMPT_REF_NOT_CANONICAL"


def test_the_identity_is_read_back_and_compared() -> None:
    expected = CONTEXT.identity()
    assert tuple(expected) == IDENTITY_FIELDS
    for text in (implement_prompt(CONTEXT), review_prompt(CONTEXT)):
        assert prompt_identity(text) == expected
        assert identity_mismatches(expected, prompt_identity(text)) == ()
    other = replace(CONTEXT, repo_root="/other", work_package_id="WP03")
    assert identity_mismatches(expected, prompt_identity(review_prompt(other))) == ("repo_root", "work_package_id")
    assert identity_mismatches(expected, {}) == IDENTITY_FIELDS
    assert identity_mismatches({}, {"extra": "x"}) == ("extra",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# hello",
        "x" + implement_prompt(CONTEXT),
        implement_prompt(CONTEXT)[:200],
        "```json kitty-flow-identity\n[]\n```\n",
    ],
)
def test_a_prompt_without_a_whole_identity_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        prompt_identity(text)
    assert caught.value.code == "PROMPT_IDENTITY_MISSING"


HOSTILE = st.text(alphabet=st.sampled_from("`~\n\r #-ab\u2028\x1b{}\"'"), max_size=60)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_text_of_a_mission_changes_the_structure(title: str, prompt: str, owned: str, sub: str, note: str) -> None:
    package = replace(
        PACKAGE,
        title="t" + title,
        prompt=prompt,
        owned_files=("o" + owned,),
        subtasks=(Subtask(id="T001", title=sub), Subtask(id="T002")),
    )
    context = replace(CONTEXT, work_package=package, feedback={"summary": note}, lane_worktree="/w" + owned)
    for make in (implement_prompt, review_prompt):
        plain, text = make(CONTEXT), make(context)
        assert [info for info, _ in fences(text)] == [info for info, _ in fences(plain)]
        assert prompt_identity(text) == context.identity()
        outside = [line for line in text.split("\n") if line.startswith("## ")]
        assert fences(text)[-1] == fences(plain)[-1]
        assert [line for line in plain.split("\n") if line.startswith("## ")] == [
            line for line in outside if line in plain.split("\n")
        ]


def test_the_same_context_makes_the_same_prompt() -> None:
    assert implement_prompt(CONTEXT) == implement_prompt(replace(CONTEXT))
