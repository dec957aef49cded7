"""What a merge would test, and which of it the ledger knows to have passed; nothing is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from kitty_flow.agents.environment import test_environment
from kitty_flow.errors import KittyFlowError
from kitty_flow.release.candidate import check_test_command
from kitty_flow.release.landing import Landing
from kitty_flow.release.stack import build_stack
from kitty_flow.release.test_results import environment_digest, known_pass, result_name

__all__ = ["ToTest", "test_outlook"]


class ToTest(NamedTuple):
    """One tree that would be tested; `passed_at` and `log_sha256` are of a pass that would be taken for the answer."""

    what: str
    commit: str
    tree: str
    passed_at: str | None
    log_sha256: str | None

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return self._asdict()

    def sentence(self) -> str:
        """For a person."""
        known = f"passed at {self.passed_at}" if self.passed_at else "to be tested"
        return f"{self.what}: tree {self.tree[:12]}, {known}"


def test_outlook(landing: Landing) -> tuple[ToTest, ...]:
    """The trees of this candidate in the order of their tests; none when there is no candidate or no usable command."""
    if not landing.candidate_commit:
        return ()
    try:
        program = check_test_command(landing).argv[0]
    except KittyFlowError:
        return ()  # a gate's business: the plan says so elsewhere
    mission, command = landing.mission, landing.options.test_command or ()
    commits = [("what would land", landing.candidate_commit, landing.candidate_tree)]
    if landing.options.every_commit:
        layers = build_stack(mission, str(landing.target_commit), landing.heads).layers
        commits = [(f"up to {layer.work_package_id}", layer.commit, layer.tree) for layer in layers]
    environment = environment_digest(program, test_environment(os.environ, Path("/")))
    found = []
    for what, commit, tree in commits:
        name = result_name(tree, command, environment)
        known = None if landing.options.retest else known_pass(mission, name, command)
        found.append(ToTest(what, commit, tree, known.at if known else None, known.log_digest if known else None))
    return tuple(found)
