"""The commented settings file that `kitty-flow init` writes."""

from __future__ import annotations

from typing import Final

__all__ = ["settings_text"]

_TEXT: Final = """\
# Settings of kitty-flow for this repository. Every value below is the default or an example.
# All keys: docs/reference/config.md. What an agent is given and must write: docs/reference/agent-protocol.md.

# An agent is any program: a list of words, run without a shell in its own worktree.
# [agents.builder]
# command = ["my-agent", "--non-interactive"]
# timeout_s = 3600
# stall_s = 900
# env = { MY_AGENT_MODE = "build" }

# [agents.critic]
# command = ["my-reviewer"]

[run]
# agent = "builder"
# reviewer = "critic"
jobs = 2
max_attempts = 3
lease_s = 900
hand_lease_s = 14400
schedule = "waves"
# What must pass on the mission branch after each wave, before the next one begins.
# wave_gate = ["python", "-m", "pytest", "-q"]
wave_gate_timeout_s = 1800

[merge]
# The command that must pass on the exact tree that will land.
# test_command = ["python", "-m", "pytest", "-q"]
test_timeout_s = 1800
strategy = "merge"

[workspace]
# Where worktrees and invocation files go, relative to the repository root.
# root = "../my-project-work"

[sync]
# Where clones exchange their ledgers; and whether a claim has to be recorded there before it counts.
# remote = "origin"
confirm_claims = false
"""


def settings_text() -> str:
    """A settings file with every key shown; it loads cleanly and means the same as no file at all."""
    return _TEXT
