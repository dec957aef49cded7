"""The phases of missions: what `next` hands out, which gates refuse, what the ledger keeps, what is shown of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.errors import ConflictError, KittyFlowError, RefusedError, UsageError
from kitty_flow.flow.creation import create_mission
from kitty_flow.flow.life import begin
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.next_step import next_step, report
from kitty_flow.flow.peek import NextStep, Role, peek
from kitty_flow.flow.phase_gates import mission_folder
from kitty_flow.flow.phase_records import Holding
from kitty_flow.flow.phase_report import answer_input
from kitty_flow.flow.phases import phases_now
from kitty_flow.flow.project import Project
from kitty_flow.release.landing import MergeOptions
from kitty_flow.release.merge import merge_mission

WORK_PACKAGE = '\n[[work_package]]\nid = "WP01"\nowned_files = ["one.txt"]\nprompt = "Write it."\n'


@pytest.fixture
def project(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in a fresh repository, with everybody who types called ann."""
    monkeypatch.setenv("KITTY_FLOW_ACTOR", "ann")
    return Project.discover(repo)


class Planning:
    """A mission of one template, driven through the use cases that the commands call."""

    def __init__(self, mission: OpenMission) -> None:
        self.mission = mission

    def write(self, **files: str) -> None:
        """Write artifacts: ``write(spec__md="text")``."""
        folder = mission_folder(self.mission)
        for name, text in files.items():
            path = folder / name.replace("__", ".").replace("_of_", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def answer(self, name: str, text: str = "as told") -> None:
        """Answer an input."""
        answer_input(self.mission, name, text, actor="ann")

    def next(self, agent: str = "ann", role: Role = "any") -> NextStep:
        """What the agent is to do."""
        return next_step(self.mission, agent, role=role)

    def done(self, agent: str = "ann") -> str:
        """Report success."""
        return report(self.mission, agent, "success")

    def refused(self, agent: str = "ann") -> str:
        """The code with which a report of success is refused; nothing is recorded by it."""
        before = self.mission.view().tip
        with pytest.raises(RefusedError) as caught:
            self.done(agent)
        assert caught.value.hint and caught.value.details["gates"]
        assert self.mission.view().tip == before
        return caught.value.code

    def states(self) -> dict[str, str]:
        """Where every phase stands."""
        return {phase.node.name: phase.state for phase in phases_now(self.mission)}


@pytest.fixture
def planning(project: Project, request: pytest.FixtureRequest) -> Iterator[Planning]:
    """A mission of the template that the test is marked with."""
    create_mission(project, "trip", "A trip", request.param)
    with open_mission(project, "trip") as mission:
        yield Planning(mission)


def of(template: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("planning", [template], indirect=True)


def codes(answer: NextStep) -> list[str]:
    return [reason.code for reason in answer.reasons]


@pytest.mark.slow
def test_software_is_planned_by_phases_and_then_goes_on_with_its_work_packages(bench: Workbench) -> None:
    source = Path(bench.kitty("mission", "create", "sample", "--template", "software-dev")["data"]["path"])
    before = bench.git("rev-parse", "HEAD")
    asked = bench.kitty("next", "--agent", "ann")["data"]
    assert asked["kind"] == "decision_required"
    (reason,) = asked["reasons"]
    assert reason["code"] == "INPUT_REQUIRED" and reason["hint"] == "kitty-flow mission answer request TEXT -m sample"
    bench.kitty("mission", "answer", "request", "A shop; `rm` is no command here", "-m", "sample")
    looked = bench.kitty("next", "--agent", "ann", "--peek")["data"]
    assert (looked["kind"], looked["action"], looked["prompt_path"]) == ("step", "discovery", None)
    step = bench.kitty("next", "--agent", "ann")["data"]
    assert "A shop; `rm` is no command here" in Path(step["prompt_path"]).read_text(encoding="utf-8")
    step = bench.kitty("next", "--agent", "ann", "--result", "success")["data"]
    assert (step["reported"], step["action"], step["wp_id"]) == ("discovery", "specify", None)
    missing = bench.refusal("next", "--agent", "ann", "--result", "success", exit=4)
    assert missing["code"] == "ARTIFACT_MISSING" and "missions/sample/spec.md" in missing["hint"]
    for name in ("spec.md", "plan.md"):
        path = Path(step["artifact"]).with_name(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("# It\n\nIt sells.\n", encoding="utf-8")
    bench.kitty("next", "--agent", "ann", "--result", "success")
    step = bench.kitty("next", "--agent", "ann", "--result", "success")["data"]
    assert step["action"] == "tasks"
    assert bench.refusal("plan", "sample", exit=4)["code"] == "NO_WORK_PACKAGES"
    assert bench.refusal("next", "--agent", "ann", "--result", "success", exit=4)["code"] == "NO_WORK_PACKAGES"
    source.write_text(source.read_text(encoding="utf-8") + WORK_PACKAGE, encoding="utf-8")
    Path(step["result_path"]).write_text('{"outcome": "success", "summary": "cut"}', encoding="utf-8")
    step = bench.kitty("next", "--agent", "ann", "--result", step["result_path"])["data"]
    assert (step["reported"], step["action"], step["wp_id"]) == ("tasks", "implement", "WP01")
    shown = bench.kitty("mission", "show", "sample")["data"]
    assert shown["state"] == "running"
    states = {phase["name"]: phase["state"] for phase in shown["phases"]}
    assert [*states.values()] == ["finished"] * 4 + ["active"] + ["waiting"] * 3
    (gate,) = next(phase["gates"] for phase in shown["phases"] if phase["name"] == "implement")
    assert (gate["before"], gate["outcome"], gate["code"]) == ("review", "fail", "WORK_PACKAGES_OPEN")
    assert bench.git("rev-parse", "HEAD") == before
    finished = [e for e in bench.events() if e["trigger"] == "finish_phase"]
    assert [e["actor"] for e in finished] == ["ann"] * 4
    assert finished[1]["evidence"]["phase:specify"]["artifacts"].keys() == {"spec.md"}


@of("research")
def test_research_needs_three_sources_and_an_approval(planning: Planning) -> None:
    assert codes(planning.next()) == ["INPUT_REQUIRED"]
    planning.answer("question", "Which of them lasts?")
    for phase, name in (("scoping", "scope__md"), ("methodology", "methodology__md")):
        assert planning.next().fields["action"] == phase
        planning.write(**{name: "Something to go by.\n"})
        assert planning.done() == phase
    assert planning.next().fields["action"] == "gathering"
    planning.write(sources__md="# Sources\n\n- one\n- two\n- Two\n- TODO\n")
    assert planning.refused() == "TOO_FEW_SOURCES"
    planning.write(
        sources__md="# Sources\n\n| source | shows |\n|---|---|\n| one | a |\n| two | b |\n\n- <https://x.example>\n"
    )
    assert planning.done() == "gathering"
    for phase, name in (("synthesis", "findings__md"), ("output", "report__md")):
        assert planning.next().fields["action"] == phase
        planning.write(**{name: "It lasts.\n"})
        assert planning.done() == phase
    asked = planning.next()
    assert (asked.kind, codes(asked)) == ("decision_required", ["INPUT_REQUIRED"])
    planning.answer("publication_approved", "not before spring")
    assert planning.next().fields["action"] == "accept"
    assert planning.refused() == "PUBLICATION_NOT_APPROVED"
    planning.answer("publication_approved", "Yes")
    assert planning.done() == "accept"
    assert planning.mission.state() == "accepted"
    assert set(planning.states().values()) == {"finished"}
    assert planning.next().kind == "terminal"


@of("documentation")
def test_documentation_needs_its_artifacts(planning: Planning) -> None:
    planning.answer("audience")
    names = {"audit": "gap-analysis__md", "design": "plan__md", "generate": "docs_of_how_of_start__md"}
    names |= {"validate": "audit-report__md", "publish": "release__md"}
    assert planning.next().fields["action"] == "discover"
    assert planning.done() == "discover"
    for phase, name in names.items():
        assert planning.next().fields["action"] == phase
        assert planning.refused() == "ARTIFACT_MISSING"
        planning.write(**{name: "# Only\n<!-- a comment -->\n\n- [ ]\n- TBD.\n"})
        assert planning.refused() == "ARTIFACT_EMPTY"
        planning.write(**{name: "It works. [NEEDS CLARIFICATION: for whom?]\n"})
        assert planning.refused() == "ARTIFACT_UNFINISHED"
        planning.write(**{name: "It works.\n"})
        assert planning.done() == phase
    assert planning.next().fields["action"] == "accept"
    assert planning.done() == "accept"
    assert planning.next().kind == "terminal"


@of("plan")
def test_a_plan_is_challenged_by_somebody_else(planning: Planning) -> None:
    planning.answer("goal")
    planning.write(spec__md="One.", research__md="Two.", plan__md="Three.")
    for _ in range(3):
        planning.next()
        planning.done()
    assert codes(planning.next("ann")) == ["REVIEWER_IS_AUTHOR"]
    assert codes(planning.next("bob", "implement")) == ["OTHER_ROLE"]
    step = planning.next("bob", "review")
    assert step.fields["action"] == "review"
    (mission_folder(planning.mission) / "plan.md").unlink()
    assert planning.states()["review"] == "closed"
    gone = planning.next("cat", "review")
    assert (gone.kind, codes(gone)) == ("blocked", ["ARTIFACT_MISSING"])
    planning.write(plan__md="Three.")
    assert planning.done("bob") == "review"
    assert planning.mission.state() == "accepted"


@of("plan")
def test_a_phase_is_held_by_one_agent_until_its_lease_runs_out(
    planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning.answer("goal")
    planning.write(spec__md="One.")
    first = planning.next("ann")
    assert planning.states()["specify"] == "active"
    waits = planning.next("bob")
    assert (waits.kind, codes(waits)) == ("wait", ["PHASE_HELD"])
    with pytest.raises(UsageError, match="holds no phase"):
        planning.done("bob")
    with monkeypatch.context() as late:
        late.setattr(Holding, "has_run_out", lambda self: self.epoch == 1)
        second = planning.next("bob")
        assert second.fields["epoch"] == first.fields["epoch"] + 1
        with pytest.raises(UsageError) as caught:
            planning.done("ann")
        assert caught.value.code == "NOTHING_HELD"
    assert planning.done("bob") == "specify"


@of("plan")
def test_a_phase_that_failed_is_open_to_everybody_again(planning: Planning) -> None:
    planning.answer("goal")
    for agent, outcome in (("ann", "failed"), ("bob", "blocked")):
        assert planning.next(agent).fields["action"] == "specify"
        assert report(planning.mission, agent, outcome) == "specify"
        assert planning.states()["specify"] == "ready"


@of("plan")
def test_without_work_packages_nothing_is_begun_or_merged(planning: Planning) -> None:
    for use in (
        lambda: begin(planning.mission, run_id="r"),
        lambda: merge_mission(planning.mission, MergeOptions(None)),
    ):
        with pytest.raises(RefusedError) as caught:
            use()
        assert caught.value.code == "NO_WORK_PACKAGES" and caught.value.hint == "kitty-flow next --agent NAME -m trip"


@of("plan")
def test_the_same_step_is_given_again_to_its_holder(planning: Planning) -> None:
    planning.answer("goal")
    step, tip = planning.next().fields, planning.mission.view().tip
    assert planning.next().fields == step
    assert planning.mission.view().tip == tip


@of("plan")
def test_a_result_file_that_was_reported_is_no_news(planning: Planning, tmp_path: Path) -> None:
    planning.answer("goal")
    planning.write(spec__md="One.")
    result = Path(planning.next().fields["result_path"])
    result.write_text('{"outcome": "success", "summary": "done"}', encoding="utf-8")
    assert report(planning.mission, "ann", str(result)) == "specify"
    tip = planning.mission.view().tip
    assert report(planning.mission, "ann", str(result)) == "specify"
    assert planning.mission.view().tip == tip


@of("software-dev")
def test_the_report_that_made_the_work_packages_is_never_taken_for_the_work_on_one(planning: Planning) -> None:
    planning.answer("request")
    planning.write(spec__md="One.", plan__md="Two.")
    for _ in range(3):
        planning.next()
        planning.done()
    result = Path(planning.next().fields["result_path"])
    source = planning.mission.project.root / planning.mission.definition.source.path
    source.write_text(source.read_text(encoding="utf-8") + WORK_PACKAGE, encoding="utf-8")
    result.write_text('{"outcome": "success"}', encoding="utf-8")
    assert report(planning.mission, "ann", str(result)) == "tasks"
    assert planning.next("ann", "implement").fields["wp_id"] == "WP01"
    again = planning.mission.at(planning.mission.view())
    assert report(again, "ann", str(result)) == "tasks"
    assert again.work_package("WP01").state == "in_progress"


@of("plan")
def test_a_peek_records_nothing(planning: Planning) -> None:
    planning.answer("goal")
    before = planning.mission.view().tip
    assert peek(planning.mission, "ann").fields["action"] == "specify"
    assert planning.mission.view().tip == before


@of("plan")
@pytest.mark.parametrize(
    ("name", "text", "code"),
    [("colour", "red", "UNKNOWN_INPUT"), ("goal", " \n", "INVALID_ANSWER"), ("goal", "x" * 8001, "INVALID_ANSWER")],
)
def test_answers_are_checked(planning: Planning, name: str, text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        planning.answer(name, text)
    assert caught.value.code == code and caught.value.hint


@of("software-dev")
def test_an_artifact_that_is_a_link_out_of_the_folder_opens_no_gate(planning: Planning) -> None:
    planning.answer("request")
    planning.next()
    planning.done()
    planning.next()
    folder = mission_folder(planning.mission)
    folder.mkdir(parents=True)
    (folder / "spec.md").symlink_to(planning.mission.project.root / "README.md")
    assert planning.refused() == "UNSAFE_PATH"
    (folder / "spec.md").unlink()
    (folder / "spec.md").write_bytes(b"\xff\xfe")
    assert planning.refused() == "NOT_UTF8"


@of("software-dev")
def test_work_packages_that_cannot_be_planned_open_no_gate(planning: Planning) -> None:
    planning.answer("request")
    planning.write(spec__md="One.", plan__md="Two.")
    for _ in range(3):
        planning.next()
        planning.done()
    planning.next()
    source = planning.mission.project.root / planning.mission.definition.source.path
    start = source.read_text(encoding="utf-8")
    source.write_text(start + WORK_PACKAGE.replace("prompt", 'dependencies = ["WP09"]\nprompt'), encoding="utf-8")
    assert planning.refused() == "INVALID_MISSION"
    two = WORK_PACKAGE.replace("prompt", 'dependencies = ["WP02"]\nprompt')
    two += WORK_PACKAGE.replace("WP01", "WP02").replace("prompt", 'dependencies = ["WP01"]\nprompt')
    source.write_text(start + two, encoding="utf-8")  # a circle
    assert planning.refused() == "INVALID_MISSION"
    source.unlink()
    assert planning.refused() == "MISSION_NOT_FOUND"


def test_work_packages_in_the_source_end_the_planning_when_somebody_plans(project: Project) -> None:
    source = create_mission(project, "trip", "A trip", "software-dev")
    with open_mission(project, "trip") as mission:
        assert mission.state() == "draft"
    source.write_text(source.read_text(encoding="utf-8") + WORK_PACKAGE, encoding="utf-8")
    with open_mission(project, "trip", refresh_source=True) as mission:
        assert mission.state() == "planned"
        assert [phase.state for phase in phases_now(mission)[:5]] == ["skipped"] * 3 + ["finished", "active"]


def test_a_plan_of_somebody_else_does_not_take_a_phase_away(project: Project) -> None:
    """An agent has written the first of its work packages when somebody looks at the plan."""
    source = create_mission(project, "trip", "A trip", "software-dev")
    with open_mission(project, "trip") as mission:
        answer_input(mission, "request", "A trip.", actor="ann")
        assert next_step(mission, "ann", role="any").fields["action"] == "discovery"
    source.write_text(source.read_text(encoding="utf-8") + WORK_PACKAGE, encoding="utf-8")
    with open_mission(project, "trip", refresh_source=True) as mission:
        assert mission.state() == "draft"
        assert "PHASE_HELD" in [d.diagnostic_code for d in mission.diagnostics]


def test_a_mission_without_work_packages_needs_a_template_that_ships(project: Project) -> None:
    source = create_mission(project, "trip", "A trip", "plan")
    source.write_text(source.read_text(encoding="utf-8").replace('"plan"', '"errand"'), encoding="utf-8")
    with pytest.raises(KittyFlowError) as caught, open_mission(project, "trip"):
        pass
    assert caught.value.code == "UNKNOWN_TEMPLATE" and caught.value.details["known"]
    with pytest.raises(UsageError) as refused:
        create_mission(project, "other", "Other", "errand")
    assert refused.value.code == "UNKNOWN_DAG"


def test_a_spec_kitty_folder_keeps_its_artifacts_itself(project: Project) -> None:
    folder = project.root / "kitty-specs" / "young"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text('{"mission_type": "plan"}', encoding="utf-8")
    with open_mission(project, "young") as mission:
        planning = Planning(mission)
        assert mission_folder(mission) == folder
        planning.answer("goal")
        planning.next()
        (folder / "spec.md").write_text("One.", encoding="utf-8")
        assert planning.done() == "specify"


@pytest.mark.slow
def test_a_whole_mission_passes_the_phases_of_its_work_packages(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["one.txt"]}})

    def states() -> list[Any]:
        shown = bench.kitty("mission", "show", "sample")["data"]["phases"]
        return [phase["state"] for phase in shown]

    assert states() == ["skipped"] * 3 + ["finished", "active"] + ["waiting"] * 3
    bench.run()
    assert states()[4:] == ["finished", "finished", "finished", "active"]
    bench.kitty("merge", "sample", "--test-command", "true")
    assert states()[4:] == ["finished"] * 4
    assert bench.kitty("next", "--agent", "ann")["data"]["kind"] == "terminal"


@of("plan")
def test_a_report_loses_against_a_later_holder(planning: Planning, monkeypatch: pytest.MonkeyPatch) -> None:
    planning.answer("goal")
    planning.write(spec__md="One.")
    planning.next("ann")
    from kitty_flow.flow import phase_report

    told = phase_report._told

    def slow(result: str) -> Any:
        with monkeypatch.context() as late:
            late.setattr(Holding, "has_run_out", lambda self: True)
            planning.next("bob")
        return told(result)

    monkeypatch.setattr(phase_report, "_told", slow)
    with pytest.raises(ConflictError) as caught:
        planning.done("ann")
    assert caught.value.code == "PHASE_TAKEN"
    assert planning.states()["specify"] == "active"
