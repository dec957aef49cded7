"""The environment of an agent: complete, unmistakable, and free of what would send git elsewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.agents.environment import PROTOCOL_VARIABLES, complete_environment, job_variables

PROTOCOL_REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "agent-protocol.md"


def environment(base: dict[str, str], extra: dict[str, str] | None = None, **changes: Any) -> dict[str, str]:
    values: dict[str, Any] = {
        "mission": "demo",
        "wp": "WP01",
        "action": "implement",
        "invocation": "01J",
        "epoch": 3,
        "prompt": Path("/i/prompt.md"),
        "result": Path("/i/result.json"),
        "worktree": Path("/w/lane-a"),
        "base_commit": "abc",
    }
    return complete_environment(base, job_variables(**{**values, **changes}, extra=extra or {}))


def test_the_protocol_variables() -> None:
    found = environment({"HOME": "/home/x", "OLDPWD": "/", "PWD": "/"})
    assert found == {
        "HOME": "/home/x",
        "PWD": "/w/lane-a",
        "GIT_CEILING_DIRECTORIES": "/w",
        "KITTY_FLOW_MISSION": "demo",
        "KITTY_FLOW_WP": "WP01",
        "KITTY_FLOW_ACTION": "implement",
        "KITTY_FLOW_INVOCATION": "01J",
        "KITTY_FLOW_EPOCH": "3",
        "KITTY_FLOW_PROMPT": "/i/prompt.md",
        "KITTY_FLOW_RESULT": "/i/result.json",
        "KITTY_FLOW_WORKTREE": "/w/lane-a",
        "KITTY_FLOW_BASE": "abc",
    }


def test_git_variables_that_point_elsewhere_are_dropped() -> None:
    dropped = ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE", "GIT_PREFIX"]
    dropped += ["GIT_COMMON_DIR", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_PARAMETERS", "GIT_EXEC_PATH"]
    kept = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_EMAIL", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_SSH_COMMAND"]
    kept += ["GIT_SSH", "GIT_ASKPASS", "GIT_TERMINAL_PROMPT"]
    found = environment(dict.fromkeys([*dropped, *kept], "v"), extra={"GIT_DIR": "/elsewhere"})
    assert not set(dropped) & set(found)
    assert set(kept) <= set(found)


@given(
    st.dictionaries(st.sampled_from([*PROTOCOL_VARIABLES, "KITTY_FLOW_OTHER", "A"]), st.text(max_size=5)),
    st.dictionaries(st.sampled_from([*PROTOCOL_VARIABLES, "A", "B"]), st.text(max_size=5)),
)
def test_nothing_overrides_the_protocol_and_extra_wins_over_base(base: dict[str, str], extra: dict[str, str]) -> None:
    found = environment(base, extra)
    clean = environment({})
    assert {name: found[name] for name in PROTOCOL_VARIABLES} == {name: clean[name] for name in PROTOCOL_VARIABLES}
    assert "KITTY_FLOW_OTHER" not in found
    assert found.get("A") == extra.get("A", base.get("A"))


def test_git_does_not_find_a_repository_above_the_worktree(tmp_path: Path) -> None:
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, env=base)
    worktree = tmp_path / "work" / "lane-a"
    worktree.mkdir(parents=True)
    command = ["git", "rev-parse", "--show-toplevel"]
    assert subprocess.run(command, cwd=worktree, env=base, capture_output=True).returncode == 0
    guarded = environment(base, worktree=worktree)
    assert subprocess.run(command, cwd=worktree, env=guarded, capture_output=True).returncode != 0


def test_every_variable_is_documented() -> None:
    documented = re.findall(r"(?m)^\| `(KITTY_FLOW_\w+)` \|", PROTOCOL_REFERENCE.read_text(encoding="utf-8"))
    assert documented == list(PROTOCOL_VARIABLES)
