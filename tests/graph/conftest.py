"""Small mission definitions for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage


def _mission(
    dependencies: Mapping[str, Sequence[str]],
    *,
    owned: Mapping[str, Sequence[str]] | None = None,
    planning: Sequence[str] = (),
) -> MissionDefinition:
    return MissionDefinition(
        id=None,
        slug="sample",
        title="Sample",
        target_branch="main",
        source=MissionSource(kind="native", path="missions/sample.toml"),
        work_packages=tuple(
            WorkPackage(
                id=work_package,
                title=f"Title of {work_package}",
                dependencies=tuple(prerequisites),
                owned_files=tuple((owned or {}).get(work_package, ())),
                execution_mode="planning_artifact" if work_package in planning else "code_change",
            )
            for work_package, prerequisites in dependencies.items()
        ),
    )


@pytest.fixture(scope="session")
def mission() -> Callable[..., MissionDefinition]:
    """Build a mission from ``{"WP02": ["WP01"], …}``."""
    return _mission
