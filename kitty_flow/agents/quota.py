"""Was a failed agent stopped by a quota or a rate limit, and until when?

Only the end of a failed agent's output is looked at, and only what the tool itself says there: error events of tools
that print JSON, and lines of text that begin like an error message. What a model writes, or quotes from a file, stands
inside other events and in the middle of lines. An end that reports success is never a quota message.

The shapes are those that claude 2.1.197, codex 0.169.0, gemini 0.61.0, copilot 1.0.102, opencode 1.18.33, pi 0.73.1 and
aider 0.86.2 printed on 2026-11-24 when a stand-in model server answered 429, and those of public bug reports:
anthropics/claude-code#11429 and #69160, openai/codex#3899 and #21047.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple

from kitty_flow.agents.quota_time import epoch_time, reset_time
from kitty_flow.model.text import printable

__all__ = ["QuotaHit", "quota_hit"]

_TAIL_BYTES: Final = 4096  # the length of `ProcessOutcome.tail`
_LAST_LINES: Final = 30
_JOINED_LINES: Final = 4
_MAX_REASON: Final = 200

_QUOTA: Final = re.compile(
    r"\busage limit\b|\b(?:hit|reached) your\b[^.\n]{0,40}\blimit\b|\b(?:session|weekly|monthly|daily) limit reached\b"
    r"|\brate[ _-]?limit|ratelimit|\btoo many requests\b|\b429\b|\binsufficient_quota\b|\bresource_exhausted\b"
    r"|\bquota\b[^.\n]{0,40}\b(?:exceeded|exhausted|reached)\b|\b(?:exceeded|exhausted)\b[^.\n]{0,40}\bquota\b"
    r"|terminalquotaerror|\bcredit balance is too low\b|\bout of (?:extra usage|credits)\b|\binsufficient credits\b",
    re.IGNORECASE,
)
# How a tool's own message begins, after marks such as "■" and after the time stamp of a log line.
_OWN_WORDS: Final = re.compile(
    r"(?:[^\w\"'`>|*#-]|timestamp=\S+|level=(?:error|warn)\b)*"
    r"(?:[\w.]*(?:error|exception)\s?[:(]|\[api error|api error|failed\b|you(?:['\u2019]ve|r| have)? (?:\w+ )?"
    r"(?:hit|reached|exceeded|exhausted|limit|quota|credit)|claude (?:ai )?usage limit|usage limit|rate limit|quota\b"
    r"|429\b|too many requests|(?:http|request)\b.{0,20}\b429|(?:session|weekly|daily) limit|resource_exhausted"
    r"|run=\S+ message=\"stream error\")",
    re.IGNORECASE,
)
_AIDER_ANSWERED: Final = re.compile(r"Tokens:\s+[\d.,km]+\s+sent", re.IGNORECASE)
_FINE: Final = frozenset({"turn.completed"})


class QuotaHit(NamedTuple):
    """A quota was used up: the tool's words, and when it is there again (None where no usable time is named)."""

    reason: str
    resets_at: datetime | None


def quota_hit(preset: str | None, tail: str, now: datetime, zone: tzinfo | None = None) -> QuotaHit | None:
    """The quota message at the end of what a *failed* agent printed; None when it failed for another reason.

    `now` has to be aware of its zone. A clock time in the message that names no zone is in `zone`, by default the zone
    of this machine, as the tool ran here. A time that has passed already, or lies more than five weeks ahead, is no
    usable one: bug reports show messages with old times, which would mean to try again at once and for ever.
    """
    now = now.astimezone(zone)
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    if len(tail.encode("utf-8", errors="replace")) >= _TAIL_BYTES:
        lines = lines[1:]  # it may begin in the middle of an event, where a model's words look like the tool's
    resets_at = None
    for number in range(len(lines) - 1, max(-1, len(lines) - 1 - _LAST_LINES), -1):
        line = lines[number]
        event = _event(line)
        if event is not None:
            if _is_success(event):
                return None
            resets_at = resets_at or _event_time(event, now)
            words = " ".join(_error_words(event))
        elif preset == "aider" and _AIDER_ANSWERED.match(line):
            return None
        elif line.startswith("{") or not _OWN_WORDS.match(line):
            continue
        else:
            words = " ".join(lines[number : number + _JOINED_LINES])
        if words and (found := _QUOTA.search(words)):
            resets_at = reset_time(words, now) or resets_at or _earlier_time(lines[:number], now)
            reason = words[max(0, found.start() - _MAX_REASON // 2) :]
            return QuotaHit(printable(reason)[:_MAX_REASON].strip(), resets_at)
    return None


def _event(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _is_success(event: Mapping[str, Any]) -> bool:
    """Whether this is the last word of a tool that ended well; what stands before it was overcome."""
    if event.get("type") in _FINE:
        return True
    ended = event.get("type") == "result"
    return ended and (event.get("is_error") is False or event.get("status") == "success" or event.get("exitCode") == 0)


def _error_words(event: Mapping[str, Any]) -> Iterator[str]:
    """The text of an error event, in the shapes of the known tools; nothing of any other event."""
    kind = event.get("type")
    failed = kind == "result" and (event.get("is_error") is True or event.get("status") == "error")
    if failed:
        yield from _texts(event.get("result"), event.get("error"))
    elif kind in ("error", "turn.failed"):
        yield from _texts(event.get("message"), event.get("error"))
    elif kind == "session.error":
        yield from _texts(event.get("data"))
    elif kind == "auto_retry_end" and event.get("success") is False:
        yield from _texts(event.get("finalError"))


def _texts(*values: object) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _texts(*(value.get(key) for key in ("name", "errorType", "message", "data")))


def _event_time(event: Mapping[str, Any], now: datetime) -> datetime | None:
    """Claude Code tells the time of a rejected request in an event of its own."""
    info = event.get("rate_limit_info")
    if event.get("type") != "rate_limit_event" or not isinstance(info, dict) or info.get("status") != "rejected":
        return None
    return epoch_time(info.get("resetsAt"), now)


def _earlier_time(lines: list[str], now: datetime) -> datetime | None:
    events = (_event(line) for line in reversed(lines[-_LAST_LINES:]))
    return next((at for event in events if event and (at := _event_time(event, now))), None)
