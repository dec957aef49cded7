"""What the tests of the invocation runtime share: a project, and requests that begin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))
sys.path.insert(0, str(Path(__file__).parent))

from kitty_flow.flow.project import Project
from kitty_flow.invocation import InvocationRecord, Opening, begin

Begin = Callable[..., InvocationRecord]


@pytest.fixture
def project(repo: Path) -> Project:
    """The project of the repository."""
    return Project.discover(repo)


@pytest.fixture
def opened(project: Project) -> Begin:
    """Begin a request; fields of the opening can be named."""

    def make(**more: Any) -> InvocationRecord:
        fields: dict[str, Any] = {
            "profile_id": "implementer",
            "action": "implement",
            "request_text": "mend the door",
            "governance_context_hash": "0123456789abcdef",
            "governance_context_available": True,
            "router_confidence": "exact",
            "mode_of_work": "task_execution",
            "actor": "ann",
        }
        return begin(project, Opening(**(fields | more)))

    return make
