"""How an agent gets its prompt and its paths: as arguments or on its standard input, and never interpreted."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.placeholders import MAX_ARGUMENT_BYTES, PLACEHOLDERS, fill, instruction, misspelt
from kitty_flow.agents.process import ProcessSpec, run_process

_TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60)


@given(st.lists(st.one_of(_TEXT, st.sampled_from([f"{{{name}}}" for name in PLACEHOLDERS])), max_size=6), _TEXT)
def test_words_stay_words_and_what_is_inserted_is_not_looked_at_again(words: list[str], inserted: str) -> None:
    value = inserted + "{worktree}{prompt} $HOME `id`"
    filled = fill(words, dict.fromkeys(PLACEHOLDERS, lambda: value))
    assert len(filled) == len(words)
    for before, after in zip(words, filled, strict=True):
        expected = before
        for name in PLACEHOLDERS:
            expected = expected.replace(f"{{{name}}}", "\0")
        assert after == expected.replace("\0", value)


def test_a_value_is_only_asked_for_where_its_name_stands() -> None:
    assert fill(["a", "{x}", '{"b": 1}'], {}) == ("a", "{x}", '{"b": 1}')


def test_misspelt_names_are_found_and_json_is_not() -> None:
    assert misspelt(["{promt}", "--in={Worktree}", "{prompt}"]) == {"promt": "prompt", "Worktree": "worktree"}
    assert misspelt(['{"prompt": 1}', "{}", "{0}", "{name}", "${HOME}"]) == {}


def agent(tmp_path: Path, *words: str, stdin: bool = False) -> dict[str, object]:
    """What a real process gets, as it is started for an invocation."""
    folder, worktree = tmp_path / "in 'voc'ation", tmp_path / "tree"
    worktree.mkdir()
    seen = tmp_path / "seen.json"
    code = f"import sys, json; json.dump([sys.argv[1:], sys.stdin.read()], open({str(seen)!r}, 'w'))"
    spec = AgentSpec("a", (sys.executable, "-c", code, *words), prompt_on_stdin=stdin)
    argv = spec.argv_for(prompt_path=folder / "prompt.md", result_path=folder / "result.json", worktree=worktree)
    process = ProcessSpec(
        argv, worktree, dict(os.environ), tmp_path / "log", 60.0, stdin_path=spec.stdin_for(folder / "prompt.md")
    )
    outcome = asyncio.run(run_process(process))
    assert outcome.exit_code == 0, outcome.tail
    arguments, text = json.loads(seen.read_text())
    return {"arguments": arguments, "stdin": text, "folder": folder, "worktree": worktree}


def prompt(tmp_path: Path, data: bytes) -> Path:
    folder = tmp_path / "in 'voc'ation"
    folder.mkdir()
    (folder / "prompt.md").write_bytes(data)
    return folder / "prompt.md"


def test_the_prompt_as_one_argument_with_everything_in_it(tmp_path: Path) -> None:
    text = '# Do; `rm -rf` $(x) {worktree}\n\t"quoted" \u00fc'
    prompt(tmp_path, text.encode())
    got = agent(tmp_path, "--say={prompt}", "{folder}", "{result_path}", "{worktree}")
    folder = got["folder"]
    assert got["arguments"] == [f"--say={text}", str(folder), f"{folder}/result.json", str(got["worktree"])]
    assert got["stdin"] == ""


@pytest.mark.parametrize("data", [b"x" * (MAX_ARGUMENT_BYTES + 1), b"nul \0 inside"])
def test_a_prompt_that_cannot_be_an_argument_is_named_instead(tmp_path: Path, data: bytes) -> None:
    path = prompt(tmp_path, data)
    assert agent(tmp_path, "{prompt}")["arguments"] == [instruction(path)]


def test_the_longest_argument_is_still_started(tmp_path: Path) -> None:
    prompt(tmp_path, b"x" * MAX_ARGUMENT_BYTES)
    assert agent(tmp_path, "--message={prompt}")["arguments"] == ["--message=" + "x" * MAX_ARGUMENT_BYTES]


def test_the_prompt_on_standard_input_may_be_long(tmp_path: Path) -> None:
    prompt(tmp_path, b"y" * 300_000)
    got = agent(tmp_path, "-", stdin=True)
    assert (got["arguments"], got["stdin"]) == (["-"], "y" * 300_000)
