"""The environment of an agent process: the protocol's variables, and a git that acts on the agent's worktree only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["INVOCATION_VARIABLE", "PROTOCOL_VARIABLES", "complete_environment", "job_variables", "test_environment"]

INVOCATION_VARIABLE: Final = "KITTY_FLOW_INVOCATION"
"""Carries the invocation id into every process that an agent starts; recovery finds left-over processes by it."""

PROTOCOL_VARIABLES: Final = (
    "KITTY_FLOW_MISSION",
    "KITTY_FLOW_WP",
    "KITTY_FLOW_ACTION",
    INVOCATION_VARIABLE,
    "KITTY_FLOW_EPOCH",
    "KITTY_FLOW_PROMPT",
    "KITTY_FLOW_RESULT",
    "KITTY_FLOW_WORKTREE",
    "KITTY_FLOW_BASE",
)

# Who commits, how git reaches a remote and which user configuration applies. Everything else named GIT_* can point git
# at another repository, index, object store or configuration (a hook's GIT_DIR and GIT_INDEX_FILE above all).
_KEPT_GIT_PREFIXES: Final = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_SSH", "GIT_SSL_")
_KEPT_GIT: Final = frozenset(
    {"GIT_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_TERMINAL_PROMPT"}
)


def job_variables(
    *,
    mission: str,
    wp: str,
    action: str,
    invocation: str,
    epoch: int,
    prompt: Path,
    result: Path,
    worktree: Path,
    base_commit: str,
    extra: Mapping[str, str],
) -> dict[str, str]:
    """What one invocation adds to the environment of the machine that runs it.

    The protocol's variables win over `extra` (the agent's settings). git does not search for a repository above the
    worktree, so that an agent which loses its `.git` file gets an error instead of the user's checkout.
    """
    variables = {name: value for name, value in extra.items() if _is_kept(name)}
    variables["PWD"] = str(worktree)
    variables["GIT_CEILING_DIRECTORIES"] = str(worktree.parent)
    values = (mission, wp, action, invocation, str(epoch), str(prompt), str(result), str(worktree), base_commit)
    variables.update(zip(PROTOCOL_VARIABLES, values, strict=True))
    return variables


def complete_environment(base: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The complete environment of an agent: `base` (usually the runner's own) under the `variables` of the job.

    Inherited `KITTY_FLOW_*` variables belong to an outer invocation and are dropped.
    """
    kept = {k: v for k, v in base.items() if not k.startswith("KITTY_FLOW_") and k != "OLDPWD" and _is_kept(k)}
    return {**kept, **variables}


def test_environment(base: Mapping[str, str], worktree: Path) -> dict[str, str]:
    """The environment of a command that tests a worktree: nothing that points its git at another repository."""
    kept = {k: v for k, v in base.items() if not k.startswith(("GIT_", "KITTY_FLOW_"))}
    kept.update({k: base[k] for k in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM") if k in base})
    return {**kept, "PWD": str(worktree), "GIT_CEILING_DIRECTORIES": str(worktree.parent)}


def _is_kept(name: str) -> bool:
    return not name.startswith("GIT_") or name in _KEPT_GIT or name.startswith(_KEPT_GIT_PREFIXES)
