"""The commented settings file that `kitty-flow init` writes."""

from __future__ import annotations

from typing import Final

__all__ = ["settings_text"]

_TEXT: Final = """\
# Settings of kitty-flow for this repository. Every value below is the default or an example.
# All keys: docs/reference/config.md. What an agent is given and must write: docs/reference/agent-protocol.md.

# An agent is any program: a list of words, run without a shell in its own worktree.
# [agents.builder]
# command = ["my-agent", "--non-interactive", "{prompt}"]
# stdin = "empty"
# env = { MY_AGENT_MODE = "build" }
# timeout_s = 3600
# stall_s = 900
# retries = 2
# concurrency = 4

# Or a coding CLI that is known already: kitty-flow agents list.
# [agents.critic]
# preset = "claude"
# args = ["--model", "opus"]
# role = "review"
# fallbacks = ["second"]
# pool = "subscription"

# [agents.second]
# preset = "codex"
# role = "review"

# Agents that draw on the same credentials.
# [pools.subscription]
# concurrency = 2
# quota_pause_s = 900

[run]
# agent = "builder"
# reviewer = "critic"
jobs = 2
max_attempts = 3
# The delay before a failed attempt is tried again: doubled each time, up to the second value.
retry_backoff_s = 5
retry_backoff_max_s = 300
lease_s = 900
hand_lease_s = 14400
schedule = "waves"
# What must pass on the mission branch after each wave, before the next one begins.
# wave_gate = ["python", "-m", "pytest", "-q"]
wave_gate_timeout_s = 1800

[budget]
# Hard limits, of the mission and of each work package: nothing new is started when one is reached.
# max_tokens = 20000000
# max_cost_usd = 50
# max_wall_s = 28800
# work_package_max_tokens = 4000000
# work_package_max_cost_usd = 10
# work_package_max_wall_s = 7200

[review]
# So often work may be sent back with findings, then it is blocked for a person.
max_cycles = 3
allow_self_review = false

[prompts]
# Templates in place of the shipped prompts, relative to the repository root.
# implement = ".kitty-flow/prompts/implement.md"
# review = ".kitty-flow/prompts/review.md"

[merge]
# The command that must pass on the exact tree that will land.
# test_command = ["python", "-m", "pytest", "-q"]
test_timeout_s = 1800
strategy = "merge"
# Push each landing, with the mission's ledger, to the branch that the target follows.
push = false

[workspace]
# Where worktrees and invocation files go, relative to the repository root.
# root = "../my-project-work"
# What makes a fresh worktree usable: a command that runs in it once, files of the main checkout that git ignores, and
# ports of its own for each worktree. sparse limits worktrees to some folders.
# setup = ["npm", "ci"]
# copy_files = [".env"]
# sparse = ["services/api"]
setup_timeout_s = 600
# Days for which a worktree is kept after its mission has landed; 0 removes it with the merge, "always" never.
keep = 0
# Where planning artifacts are made: in the main checkout where that is safe, or in a worktree like everything else.
planning_lane = "checkout"

# [workspace.ports]
# first = 20000
# count = 10

[sync]
# Where clones exchange their ledgers; and whether a claim has to be recorded there before it counts.
# remote = "origin"
confirm_claims = false

[governance]
# The project's charter, in this order, told to whoever is asked with advise, ask and do; relative to the root.
# charter = [".kitty-flow/charter.md", ".kitty-flow/charter/*.md"]

# A hosted hub that is told of invocations, once you have logged in to it (kitty-flow auth login).
# Requests, summaries and reasons stay here unless send_text is true.
# [hub]
# url = "https://hub.example.com"
# consent = true
# events = ["started", "completed"]
# modes = ["advisory", "task_execution", "mission_step", "query"]
# send_text = false

# A hook is a command that gets a JSON document about what happened on its standard input.
# [[hooks]]
# events = ["work_package.blocked", "pool_parked", "run.ended"]
# command = ["./tools/notify.sh"]
# timeout_s = 10
"""


def settings_text() -> str:
    """A settings file with every key shown; it loads cleanly and means the same as no file at all."""
    return _TEXT
