"""Tokens and cost of an invocation: what the agent says in its result file, else what its tool printed.

Each parser is a pure function on the end of the log. The shapes are those that the tools themselves printed on
2026-11-24 against a stand-in model server (claude 2.1.197, codex 0.169.0, gemini 0.61.0, qwen 0.15.10, kilo 7.7.9,
opencode 1.18.33, pi 0.73.1, cline 3.0.65, aider 0.86.2); amp documents that its stream has the shape of Claude Code
(`amp --help`, `--stream-json`). Input tokens count everything that the model read, cached or not; output tokens include
reasoning. The other tools were not seen to print any tokens.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

__all__ = ["MAX_LOG_BYTES", "Usage", "parse_usage", "read_usage"]

MAX_LOG_BYTES: Final = 8 * 1024 * 1024
"""How much of a log is read, from its end. Where a tool only prints figures to be added up, a longer log has more."""

_MAX_TOKENS: Final = 10**15
_AMOUNT: Final = r"[\d.,]+[km]?"
_AIDER_TOKENS: Final = re.compile(
    rf"^Tokens:\s+(?P<parts>{_AMOUNT}\s+sent,(?:\s+{_AMOUNT}\s+cache\s+(?:write|hit),)*\s+{_AMOUNT}\s+received)\.",
    re.MULTILINE,
)
_AIDER_PART: Final = re.compile(rf"({_AMOUNT})\s+(sent|cache|received)")
_AIDER_COST: Final = re.compile(r"\$([\d.,]+)\s+session\.")
_SCALE: Final = {"k": 1_000, "m": 1_000_000}

_Json = Mapping[str, Any]


class Usage(NamedTuple):
    """What an invocation used: tokens (0 where nobody says) and US dollars (None where nobody says)."""

    input: int = 0
    output: int = 0
    cost_usd: float | None = None


class _Tokens(Protocol):
    @property
    def input(self) -> int: ...

    @property
    def output(self) -> int: ...


class _Reported(Protocol):
    """The part of a result file that tells the usage: `model.result.ImplementResult` and `ReviewResult` have it."""

    @property
    def tokens(self) -> _Tokens: ...

    @property
    def cost_usd(self) -> float | None: ...


def read_usage(preset: str | None, log_path: Path, result: _Reported | None = None) -> Usage:
    """The usage of one invocation, figure by figure: from its result file where that names one, else from its log.

    A zero in the result file is no figure: models copy it from the example in the prompt. A log that cannot be read
    tells nothing. Also good for an agent that is still running.
    """
    parsed = parse_usage(preset, _end_of(log_path)) if preset in _PARSERS else Usage()
    if result is None:
        return parsed
    cost = result.cost_usd or parsed.cost_usd
    return Usage(
        result.tokens.input or parsed.input,
        result.tokens.output or parsed.output,
        result.cost_usd if cost is None else cost,
    )


def parse_usage(preset: str | None, text: str) -> Usage:
    """What the tool of `preset` says in the end of its log; nothing when it has no parser or `text` no figures."""
    parser = _PARSERS.get(preset or "")
    return parser(text) if parser is not None else Usage()


def _claude(text: str) -> Usage:
    """The final `result` with all models and the cost; before it, the messages so far, each counted once."""
    final = _last(text, "result")
    if final is not None:
        models = [_of(model) for model in _of(final.get("modelUsage")).values()]
        cost = _money(final.get("total_cost_usd"))
        if models:
            names = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
            return Usage(sum(_sum(m, *names) for m in models), sum(_sum(m, "outputTokens") for m in models), cost)
        usage = _of(final.get("usage"))
        return Usage(_sum(usage, *_CLAUDE_INPUT), _sum(usage, "output_tokens"), cost)
    messages = (_of(event.get("message")) for event in _events(text, "assistant"))
    return _total({m.get("id"): _of(m.get("usage")) for m in messages}, _CLAUDE_INPUT, ("output_tokens",))


_CLAUDE_INPUT: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _qwen(text: str) -> Usage:
    """The shape of Claude Code, but `input_tokens` includes what came from the cache, and there is no cost."""
    final = _last(text, "result")
    if final is not None:
        usage = _of(final.get("usage"))
        return Usage(_sum(usage, "input_tokens"), _sum(usage, "output_tokens"))
    messages = (_of(event.get("message")) for event in _events(text, "assistant"))
    return _total({m.get("id"): _of(m.get("usage")) for m in messages}, ("input_tokens",), ("output_tokens",))


def _codex(text: str) -> Usage:
    """The last `turn.completed`, which counts the whole thread; its input includes the cache, its output reasoning."""
    usage = _of((_last(text, "turn.completed") or {}).get("usage"))
    return Usage(_sum(usage, "input_tokens"), _sum(usage, "output_tokens"))


def _gemini(text: str) -> Usage:
    """The final `result`; thoughts are only in its total."""
    stats = _of((_last(text, "result") or {}).get("stats"))
    read = _sum(stats, "input_tokens")
    return Usage(read, max(_sum(stats, "output_tokens"), _sum(stats, "total_tokens") - read))


def _opencode(text: str) -> Usage:
    """One `step_finish` for each request, each with its own tokens and cost."""
    parts = (_of(event.get("part")) for event in _events(text, "step_finish"))
    steps = {part.get("id"): part for part in parts}
    read = written = 0
    for part in steps.values():
        tokens = _of(part.get("tokens"))
        read += _sum(tokens, "input") + _sum(_of(tokens.get("cache")), "read", "write")
        written += _sum(tokens, "output", "reasoning")
    return Usage(read, written, _added(part.get("cost") for part in steps.values()))


def _pi(text: str) -> Usage:
    """One `message_end` for each answer of the model."""
    messages = [_of(event.get("message")) for event in _events(text, "message_end")]
    usages = [_of(message.get("usage")) for message in messages if message.get("role") == "assistant"]
    read = sum(_sum(usage, "input", "cacheRead", "cacheWrite") for usage in usages)
    cost = _added(_of(usage.get("cost")).get("total") for usage in usages)
    return Usage(read, sum(_sum(usage, "output") for usage in usages), cost)


def _cline(text: str) -> Usage:
    """The `run_result`, with the sums of all its agents; its input includes the cache, and a price of 0 is unknown."""
    usage = _of((_last(text, "run_result") or {}).get("aggregateUsage"))
    return Usage(_sum(usage, "inputTokens"), _sum(usage, "outputTokens"), _money(usage.get("totalCost")) or None)


def _aider(text: str) -> Usage:
    """One line a message: ``Tokens: 4.2k sent, 1k cache hit, 310 received. Cost: $0.02 message, $0.05 session.``"""
    read = written = 0
    for line in _AIDER_TOKENS.finditer(text):
        for amount, kind in _AIDER_PART.findall(line["parts"]):
            tokens = _scaled(amount)
            written += tokens if kind == "received" else 0
            read += tokens if kind != "received" else 0
    costs = _AIDER_COST.findall(text)
    return Usage(min(read, _MAX_TOKENS), min(written, _MAX_TOKENS), _money(_number(costs[-1])) if costs else None)


_PARSERS: Final[Mapping[str, Callable[[str], Usage]]] = {
    "aider": _aider,
    "amp": _claude,
    "claude": _claude,
    "cline": _cline,
    "codex": _codex,
    "gemini": _gemini,
    "kilo": _opencode,
    "opencode": _opencode,
    "pi": _pi,
    "qwen": _qwen,
}


def _end_of(log_path: Path) -> str:
    try:
        with log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - MAX_LOG_BYTES))
            return log.read(MAX_LOG_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _events(text: str, kind: str) -> Iterator[_Json]:
    """The events of one type, a JSON object on a line of its own each; everything else is passed over unread."""
    wanted = f'"type":"{kind}"'
    for line in text.splitlines():
        if line.startswith("{") and wanted in line[:2_000].replace(" ", ""):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and event.get("type") == kind:
                yield event


def _last(text: str, kind: str) -> _Json | None:
    found = None
    for event in _events(text, kind):
        found = event
    return found


def _total(usages: Mapping[Any, _Json], read: tuple[str, ...], written: tuple[str, ...]) -> Usage:
    return Usage(sum(_sum(u, *read) for u in usages.values()), sum(_sum(u, *written) for u in usages.values()))


def _of(value: object) -> _Json:
    return value if isinstance(value, dict) else {}


def _sum(figures: _Json, *names: str) -> int:
    """The sum of what are token counts among the named figures; anything else counts as nothing."""
    values = (figures.get(name) for name in names)
    return sum(v for v in values if isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= _MAX_TOKENS)


def _money(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= _MAX_TOKENS and math.isfinite(value) else None


def _added(values: Iterator[object] | Any) -> float | None:
    known = [cost for cost in map(_money, values) if cost is not None]
    return sum(known) if known else None


def _number(digits: str) -> float | None:
    try:
        return float(digits.replace(",", ""))
    except ValueError:
        return None


def _scaled(amount: str) -> int:
    value = _number(amount.rstrip("km"))
    return round(value * _SCALE.get(amount[-1], 1)) if value is not None and value <= _MAX_TOKENS else 0
