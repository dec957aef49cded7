"""Data cannot steer a terminal."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.cli.terminal import fields, safe, safe_block, wrapped

_CONTROL = st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])
_ANY = st.text(st.one_of(st.characters(), _CONTROL))


def _steers(character: str) -> bool:
    """Control, surrogate and separator characters, and the format characters that reorder or hide text."""
    category = unicodedata.category(character)
    return category in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(character) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip


@given(_ANY)
def test_nothing_that_steers_a_terminal_survives(text: str) -> None:
    assert not any(map(_steers, safe(text)))
    assert not any(_steers(character) for character in safe_block(text) if character != "\n")


@given(_ANY)
def test_it_changes_nothing_twice(text: str) -> None:
    assert safe(safe(text)) == safe(text)
    assert safe_block(text).count("\n") == text.count("\n")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_escapes_are_visible() -> None:
    assert safe("a\x1b[2J\n\t\x9b\u202e\u200b\ud800\U000e0041") == (
        "a\\x1b[2J\\n\\t\\x9b\\u202e\\u200b\\ud800\\U000e0041"
    )


def test_fields_stand_in_columns() -> None:
    assert fields([("state", "in_progress"), ("actor", "x\ny"), ("empty", "")]) == (
        "state  in_progress\nactor  x\\ny\nempty"
    )


def test_a_mapping_reads_as_pairs_and_an_empty_one_is_left_out() -> None:
    assert fields([("ports", {"WEB": 4100, "API": "x\ny"}), ("environment", {})]) == "ports  WEB=4100, API=x\\ny"


def test_a_line_is_broken_between_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    path = "a-long/path-that/nobody-can/break.txt"
    assert wrapped(f"  pass  tests: they passed on {path}\x1b", indent=8) == [
        "  pass  tests: they passed on",
        f"        {path}\\x1b",
    ]


def test_a_wrong_value_is_told_in_plain_words(kitty: Any, tmp_path: Path) -> None:
    """How typer puts it differs from version to version; none of them may speak of inputs and of parsing."""
    told = kitty("next", "--agent", "x", "--wait", "abc", cwd=tmp_path).stderr.splitlines()[0]
    assert told.startswith("error: Invalid value for '--wait': ")
    assert "Input" not in told and "parse" not in told
