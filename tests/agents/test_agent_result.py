"""Result files: only a regular, bounded, strict JSON file that says what is asked for is a result."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitty_flow.agents.result import MAX_RESULT_BYTES, read_implement_result, read_review_result
from kitty_flow.errors import RefusedError
from kitty_flow.model.result import Finding, ImplementResult, Tokens

HEAD = "3f786850e387550fdab836ed7e6dc881de23001b"


def write(path: Path, content: Any) -> Path:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(data)
    return path


def invalid(path: Path) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        read_implement_result(path)
    assert caught.value.code == "RESULT_INVALID"
    assert caught.value.exit_status == 4
    assert "agent-protocol.md" in str(caught.value.hint)
    assert caught.value.details["problems"]
    return caught.value


def test_an_implementers_result(tmp_path: Path) -> None:
    content = {"outcome": "success", "summary": "ok", "subtasks": {"T001": "done"}, "tokens": {"input": 5}, "more": [1]}
    result = read_implement_result(write(tmp_path / "r", {**content, "cost_usd": 1}))
    assert result == ImplementResult(
        outcome="success", summary="ok", subtasks={"T001": "done"}, tokens=Tokens(input=5), cost_usd=1.0
    )


def test_a_reviewers_verdict(tmp_path: Path) -> None:
    content = {"verdict": "changes_requested", "reviewed_commit": HEAD, "findings": [{"message": "no", "line": 3}]}
    result = read_review_result(write(tmp_path / "r", content))
    assert result.verdict == "changes_requested"
    assert result.findings == (Finding(message="no", line=3),)


@pytest.mark.parametrize("commit", ["HEAD", HEAD[:12], HEAD.upper(), "", HEAD + "\n"])
def test_a_verdict_names_a_full_commit(tmp_path: Path, commit: str) -> None:
    path = write(tmp_path / "r", {"verdict": "approved", "reviewed_commit": commit})
    with pytest.raises(RefusedError, match="reviewed_commit"):
        read_review_result(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        read_review_result(tmp_path / "none")
    assert caught.value.code == "RESULT_MISSING"
    assert caught.value.hint is not None


def test_a_link_a_folder_and_a_pipe_are_not_results(tmp_path: Path) -> None:
    good = write(tmp_path / "good", {"outcome": "success"})
    (tmp_path / "link").symlink_to(good)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "dangling", "folder", "pipe"):
        assert "regular file" in invalid(tmp_path / name).message
    assert "cannot be opened" in invalid(good / "below").message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Expecting value"),
        (b'{"outcome": "success"', "Expecting"),
        (b'{"outcome": "success"} {}', "Extra data"),
        (b'["success"]', "must be a JSON object"),
        (b'{"outcome": "failed", "outcome": "success"}', "occurs twice"),
        (b'{"outcome": "success", "cost_usd": NaN}', "NaN"),
        (b'{"outcome": "success", "cost_usd": -Infinity}', "Infinity"),
        (b'{"outcome": "success", "cost_usd": 1e999}', "1e999"),
        (b'{"outcome": "success", "x": ' + b"9" * 200_000 + b"}", "999"),
        (b'{"outcome": "success", "x": ' + b"[" * 100_000, "deeper"),
        (b'{"outcome": "success", "summary": "\xff"}', "UTF-8"),
        (b'{"outcome": "success", "summary": "\\ud800"}', "JSON"),
        (b'{"outcome": "success", "summary": "' + b"x" * MAX_RESULT_BYTES + b'"}', "larger"),
        (b'{"outcome": "done"}', "outcome"),
        (b'{"summary": "x"}', "outcome"),
        (b'{"outcome": "success", "cost_usd": "1"}', "cost_usd"),
        (b'{"outcome": "success", "tokens": {"input": -1}}', "tokens.input"),
        (b'{"outcome": "success", "subtasks": {"T001": true}}', "subtasks.T001"),
    ],
)
def test_what_is_not_strict_is_refused_and_explained(tmp_path: Path, content: bytes, says: str) -> None:
    assert says in invalid(write(tmp_path / "r", content)).message


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    error = invalid(write(tmp_path / "r", {"summary": 3, "cost_usd": -1}))
    assert {problem["where"] for problem in error.details["problems"]} == {"outcome", "summary", "cost_usd"}


def test_brackets_and_quotes_inside_strings_are_text(tmp_path: Path) -> None:
    summary = '[{"\\' * 200
    assert read_implement_result(write(tmp_path / "r", {"outcome": "failed", "summary": summary})).summary == summary


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    assert read_implement_result(write(tmp_path / "r", b'\xef\xbb\xbf{"outcome": "blocked"}')).outcome == "blocked"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='{}[]":,\\ aeoutcmsNn019.-', max_size=60).map(str.encode)))
def test_any_bytes_are_a_result_or_a_refusal(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "any", content)
    try:
        result = read_implement_result(path)
    except RefusedError as error:
        assert error.code == "RESULT_INVALID"
    else:
        assert result.outcome in {"success", "failed", "blocked"}
