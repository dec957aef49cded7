"""Playing the demo: the same use cases as the command line, one after another."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kitty_flow.agents.settings import check_executable, resolve_agent
from kitty_flow.demo.place import DemoPlace, make_place, not_writable
from kitty_flow.demo.repository import make_repository, own_git_configuration
from kitty_flow.demo.story import Story, tell_story
from kitty_flow.errors import ExternalToolError, KittyFlowError
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.mission_record import record_of
from kitty_flow.flow.project import Project
from kitty_flow.flow.run import RunOptions, run_mission
from kitty_flow.release.landing import MergeOptions
from kitty_flow.release.merge import merge_mission
from kitty_flow.release.verify import verify_mission
from kitty_flow.views.dag_html import html
from kitty_flow.views.dag_mermaid import mermaid
from kitty_flow.views.dag_svg import svg
from kitty_flow.views.plan_text import plan_summary
from kitty_flow.views.progress import progress

__all__ = ["play_demo"]

_MISSION: Final = "pantry"

Tell = Callable[[str], None]


def play_demo(directory: Path, *, tell: Tell, show_progress: bool) -> Story:
    """Play the whole mission in the folder `directory`, which must not exist or be empty.

    Args:
        tell: is given one line when something new begins.
        show_progress: whether to show every step of the run on stderr.

    Raises:
        UsageError: DEMO_DIR_NOT_EMPTY or DEMO_DIR_NOT_WRITABLE.
        ExternalToolError: git or Python does not do its part; DEMO_INCOMPLETE.
        InterruptedRunError: stopped by the user; what is there can be looked at.
    """
    started = time.monotonic()
    place = make_place(directory)
    try:
        with own_git_configuration():
            return _play(place, tell, show_progress, started)
    except KittyFlowError as error:
        if error.hint and error.hint.startswith("kitty-flow "):
            error.hint = f"cd {shlex.quote(str(place.project))} && {error.hint}"
        error.details.setdefault("directory", str(place.directory))
        raise


def _play(place: DemoPlace, tell: Tell, show_progress: bool, started: float) -> Story:
    tell(f"1. a fresh repository with a small project: {place.shown(place.project)}")
    first_commit = make_repository(place)
    project = Project.discover(place.project)
    settings = project.settings
    with open_mission(project, _MISSION) as mission:
        tell("2. the plan: " + plan_summary(mission.definition, mission.plan)[0])
        _write(place.picture("dag.svg"), svg(mission.definition, mission.plan))
        tell(f"3. the run: real processes in git worktrees, {settings.run.jobs} at once, every commit reviewed")
        with progress(mission, enabled=show_progress):
            _run(mission)
        tell("4. the landing: the tests run on exactly the tree that lands")
        merge = merge_mission(mission, MergeOptions(settings.merge.test_command, settings.merge.test_timeout_s))
        proofs = verify_mission(mission)
        states = {proof.work_package_id: proof.state for proof in proofs}
        _write(place.picture("dag-final.svg"), svg(mission.definition, mission.plan, states))
        _write(place.picture("dag.mmd"), mermaid(mission.definition, mission.plan, states))
        _write(place.picture("mission.html"), html(mission.definition, mission.plan, record_of(mission)))
        return tell_story(place, mission, merge, proofs, first_commit, time.monotonic() - started)


def _run(mission: OpenMission) -> None:
    """Drive the mission with the agents that the sample's settings name.

    Raises:
        ExternalToolError: DEMO_INCOMPLETE, a work package did not get through.
    """
    settings, root = mission.project.settings, mission.project.root
    implementer = check_executable(resolve_agent(settings, str(settings.run.agent)), root)
    reviewer = check_executable(resolve_agent(settings, str(settings.run.reviewer)), root)
    report = run_mission(
        mission, RunOptions(implementer, reviewer, settings.run.jobs, max_attempts=settings.run.max_attempts)
    )
    if report.mission_state != "accepted":
        left = {i: o for i, o in report.outcomes.items() if o.code is not None}
        raise ExternalToolError(
            "DEMO_INCOMPLETE",
            "the sample mission did not get through: "
            + ("; ".join(f"{i} is {o.state} ({o.code}: {o.message})" for i, o in left.items()) or report.mission_state),
            hint=f"kitty-flow why {next(iter(left), 'WP01')} --mission {mission.slug}",
            details=report.as_data(),
        )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise not_writable(path, error) from error
