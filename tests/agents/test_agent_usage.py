"""What an agent used: read from what the tools really printed (`printed/`), and never from what is not a figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.agents.presets import preset_names
from kitty_flow.agents.usage import _PARSERS, MAX_LOG_BYTES, Usage, parse_usage, read_usage
from kitty_flow.model.result import ImplementResult, Tokens

PRINTED = Path(__file__).parent / "printed"

# The stand-in server answered each of three (claude, gemini: four) requests with 1,000 tokens read, 300 of them from
# a cache, and 50 written; Anthropic's protocol counts cache reads (300) and writes (20) apart.
SEEN = {
    "claude": Usage(5280, 200, 0.0261),
    "codex": Usage(3000, 150, None),
    "gemini": Usage(4000, 228, None),
    "kilo": Usage(3000, 150, pytest.approx(0.0057)),
    "opencode": Usage(3000, 150, pytest.approx(0.0057)),
    "pi": Usage(3000, 150, pytest.approx(0.0057)),
    "qwen": Usage(3000, 150, None),
    "cline": Usage(3000, 150, None),
    "aider": Usage(617, 3, None),
}


@pytest.mark.parametrize("name", SEEN)
def test_the_figures_that_the_real_tool_printed(name: str) -> None:
    assert read_usage(name, PRINTED / f"{name}.log") == SEEN[name]


def test_a_running_claude_is_counted_by_its_messages() -> None:
    lines = (PRINTED / "claude.log").read_text().splitlines()
    so_far = "\n".join(line for line in lines if '"type":"result"' not in line)
    assert parse_usage("claude", so_far) == Usage(3 * 1320, 3, None)
    assert parse_usage("claude", so_far + "\n" + so_far) == parse_usage("claude", so_far), "a message counts once"


def test_claude_without_models_and_cline_and_a_long_aider() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 6, "cache_creation_input_tokens": 7, "output_tokens": 8}
    final = {"type": "result", "usage": usage, "total_cost_usd": 0.5}
    assert parse_usage("claude", json.dumps(final)) == Usage(18, 8, 0.5)
    total = {"inputTokens": 10, "outputTokens": 4, "cacheReadTokens": 2, "cacheWriteTokens": 1, "totalCost": 0.25}
    assert parse_usage("cline", json.dumps({"type": "run_result", "aggregateUsage": total})) == Usage(10, 4, 0.25)
    text = (
        "Tokens: 4.2k sent, 1.1k cache write, 2k cache hit, 310 received. Cost: $0.02 message, $0.02 session.\n"
        "> Tokens: 9k sent, 9k received. Cost: $9 message, $9 session\n"
        "Tokens: 1,000 sent, 90 received. Cost: $0.01\nmessage, $1,000.03 session.\n"
    )
    assert parse_usage("aider", text) == Usage(8300, 400, 1000.03)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ImplementResult(outcome="success"), Usage(3000, 150, None)),
        (ImplementResult(outcome="success", tokens=Tokens(input=0, output=0), cost_usd=0.0), Usage(3000, 150, 0.0)),
        (ImplementResult(outcome="success", tokens=Tokens(input=7), cost_usd=0.42), Usage(7, 150, 0.42)),
    ],
)
def test_the_result_file_wins_where_it_names_a_figure(result: ImplementResult, expected: Usage) -> None:
    assert read_usage("codex", PRINTED / "codex.log", result) == expected


def test_unknown_tools_and_unreadable_logs_tell_nothing(tmp_path: Path) -> None:
    for name in (None, "", "goose", "no-such-preset"):
        assert read_usage(name, PRINTED / "codex.log") == Usage()
    assert read_usage("codex", tmp_path / "missing.log") == Usage()
    assert read_usage("codex", tmp_path) == Usage()


def test_a_large_log_is_read_from_its_end_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stream:
        stream.write((PRINTED / "codex.log").read_bytes().replace(b"3000", b"9999"))
        stream.truncate(MAX_LOG_BYTES + 100_000_000)
        stream.seek(0, 2)
        stream.write(b"\n" + (PRINTED / "codex.log").read_bytes())
    assert read_usage("codex", log) == SEEN["codex"]


def test_every_parser_belongs_to_a_preset() -> None:
    assert set(_PARSERS) <= set(preset_names())


_KEYS = [
    "usage",
    "stats",
    "message",
    "part",
    "tokens",
    "cost",
    "input_tokens",
    "output",
    "cache",
    "modelUsage",
    "total",
]
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)
_KINDS = ["result", "assistant", "turn.completed", "step_finish", "message_end", "run_result"]


@given(st.sampled_from(sorted(_PARSERS)), st.sampled_from(_KINDS), st.dictionaries(st.sampled_from(_KEYS), _VALUES))
def test_no_output_can_break_a_parser_or_make_a_figure_negative(name: str, kind: str, event: dict[str, object]) -> None:
    usage = parse_usage(name, json.dumps({"type": kind, **event}) + "\n{" + kind + "\nTokens: 9.k sent, 1 received.")
    assert usage.input >= 0
    assert usage.output >= 0
    assert usage.cost_usd is None or usage.cost_usd >= 0
