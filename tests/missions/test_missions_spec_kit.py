"""spec-kit's task list: phases, what they wait for, the files that tasks name, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.missions import spec_kit
from kitty_flow.missions.path_mentions import mentioned_paths, refused_paths
from kitty_flow.missions.source import load_mission
from kitty_flow.model.mission import LoadedMission

FIXTURE = Path(__file__).parents[2] / "fixtures" / "missions" / "spec-kit" / "001-seed-swap"

HEAD = """# Tasks: Sample

## Phase 1: Setup
- [ ] T001 Start in src/a.py

## Phase 2: Foundational
- [ ] T002 Base in src/b.py

## Phase 3: User Story 1 - One (Priority: P1)
- [ ] T003 [US1] First in src/c.py

## Phase 4: User Story 2 - Two (Priority: P2)
- [ ] T004 [P] [US2] Second in src/d.py
- [ ] T005 [US2] Third in src/e.py

## Phase 5: Polish & Cross-Cutting Concerns
- [ ] T006 Clean up docs/

"""


def load(folder: Path, text: str) -> LoadedMission:
    (folder / "tasks.md").write_bytes(text.encode())
    return load_mission(folder)


def order(loaded: LoadedMission) -> dict[str, str]:
    return {w.id: " ".join(w.dependencies) for w in loaded.definition.work_packages}


def rows(loaded: LoadedMission) -> list[tuple[str, str, str]]:
    return [
        (d.diagnostic_code, str(d.details.get("loss", "")), str(d.details["where"]))
        for d in loaded.diagnostics
        if d.diagnostic_code != "OWNED_FILES_GUESSED"
    ]


def test_a_real_looking_list_is_read_phase_by_phase() -> None:
    loaded = load_mission(FIXTURE)
    mission = loaded.definition
    assert (mission.slug, mission.title, mission.source.kind) == (
        "001-seed-swap",
        "Seed swap for allotment gardeners",
        "spec-kit",
    )
    assert order(loaded) == {
        "WP02": "",
        "WP03": "WP02",
        "WP04": "WP02",
        "WP05": "WP02 WP03",
        "WP06": "WP05",
        "WP07": "WP03 WP04 WP05",
    }
    offer = mission.work_package("WP03")
    assert offer.title == "User Story 1 - Offer seeds"
    assert [s.id for s in offer.subtasks] == ["T007", "T008", "T009", "T010", "T011"]
    assert offer.subtasks[1].title == "Create the Offer model in backend/src/models/offer.py (FR-002)"
    assert offer.owned_files == (
        "backend/tests/contract/test_offers.py",
        "backend/src/models/offer.py",
        "backend/src/services/offers.py",
        "frontend/src/pages/[[]member]/Offer.tsx",
    )
    assert offer.requirement_refs == ("FR-002",)
    assert offer.prompt.startswith("**Input**: Design documents from `/specs/001-seed-swap/`\n")
    assert "**Independent Test**: List three sorts" in offer.prompt and not offer.prompt.endswith("---\n")
    assert [s.id for s in mission.work_package("WP04").subtasks] == ["T012", "T013", "S03"]


def test_what_was_guessed_and_dropped_names_its_line() -> None:
    assert rows(load_mission(FIXTURE)) == [
        ("ORDER_DROPPED", "dropped", "tasks.md:115"),
        ("DONE_DROPPED", "dropped", "tasks.md:28"),
        ("TASK_ID_GUESSED", "guessed", "tasks.md:82"),
        ("ORDER_GUESSED", "guessed", "tasks.md:95"),
        ("DONE_DROPPED", "dropped", "tasks.md:32"),
        ("MARK_DROPPED", "dropped", "tasks.md:34"),
        ("SECTION_DROPPED", "dropped", "tasks.md:13"),
        ("SECTION_DROPPED", "dropped", "tasks.md:18"),
        ("SECTION_DROPPED", "dropped", "tasks.md:133"),
        ("REQUIREMENT_NOT_COVERED", "", "spec.md:7"),
    ]


def test_without_a_word_on_the_order_the_rule_of_the_template_holds(tmp_path: Path) -> None:
    loaded = load(tmp_path, HEAD)
    assert order(loaded) == {
        "WP01": "",
        "WP02": "WP01",
        "WP03": "WP02",
        "WP04": "WP02",
        "WP05": "WP01 WP02 WP03 WP04",
    }
    assert [code for code, loss, _ in rows(loaded) if loss == "guessed"] == ["ORDER_GUESSED"] * 5


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("- **User Story 2 (P2)**: Depends on US1 (adds to it)", "WP03"),
        ("- **User Story 2 (Phase 4)**: Depends on Phase 2 + Phase 3 complete", "WP02 WP03"),
        ("- **User Story 2 (P2)**: Can start after Foundational (Phase 2) - No dependencies on other stories", "WP02"),
        ("- **User Story 2 (P2)**: No dependencies on US1, after Setup", "WP02"),
        ("- **User Story 2 (P2)** - Two: Depends on Setup — can run in parallel with US1.", "WP01"),
        ("- **User Story 2**: No dependencies - can start immediately", ""),
        ("- **User Stories (Phase 3+)**: All depend on Setup\n  - US2 depends on US1 completion", "WP01 WP03"),
        ("- US2 depends on T002, T003", "WP02 WP03"),
        ("- **Note**: US2 and US3 can be done in parallel after US1 is complete", "WP02"),
        ("- **Phase 4**: requires Phases 1-3", "WP01 WP02 WP03"),
        ("- **Phase 9**: Depends on Phase 4", "WP02"),
        ("### Within Each User Story\n- US2 needs US1", "WP02"),
        ("- T002 blocks T003, T005", "WP02"),
        ("- Tests (T001, T003) before the code (T004-T005)", "WP01 WP02 WP03"),
        ("- Phase 3 blocks Phase 4", "WP02 WP03"),
        ("- **Setup (Phase 1)**: No dependencies - BLOCKS US2", "WP01 WP02"),
        ("- US2 after Setup and before Phase 5", "WP01"),
        ("- US2 depends on T001-T003", "WP01 WP02 WP03"),
        ("- **Phase 4**: requires Phases 1 and 2-9", "WP01 WP02 WP03 WP05"),
        ("- Phase 4 must not start before Phase 3", "WP03"),
        ("- T005 cannot begin until T003 is done", "WP03"),
        ("- T003 may be done before T004", "WP02"),
        ("- US2 depends on T001\u2013T003", "WP01 WP02 WP03"),
        ("```\n- **User Story 2**: Depends on US1\n```", "WP02"),
    ],
)
def test_what_is_said_about_the_order(tmp_path: Path, said: str, expected: str) -> None:
    loaded = load(tmp_path, HEAD + "## Dependencies & Execution Order\n\n### Phase Dependencies\n\n" + said + "\n")
    assert order(loaded)["WP04"] == expected


def test_the_order_is_also_read_where_phases_and_tasks_state_it(tmp_path: Path) -> None:
    text = HEAD.replace("Priority: P2)\n", "Priority: P2)\n**Duration**: 2 days | **Dependencies**: Phase 1 complete\n")
    assert order(load(tmp_path, text))["WP04"] == "WP01"
    text = HEAD.replace("Third in src/e.py", "Third after the merge in src/e.py (depends on T003, T004)")
    assert order(load(tmp_path, text))["WP04"] == "WP02 WP03"


def test_a_list_that_is_done_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path, HEAD.replace("[ ]", "[X]"))
    assert [p["code"] for p in caught.value.details["problems"]] == ["NOTHING_LEFT"]


def test_phases_without_clear_numbers_get_numbers_of_their_own(tmp_path: Path) -> None:
    text = HEAD.replace("Phase 5: Polish", "Phase N: Polish").replace("Phase 4: User", "Phase 2: User")
    assert list(order(load(tmp_path, text))) == ["WP01", "WP02", "WP03", "WP04", "WP05"]
    text = HEAD.replace("Phase 5: Polish", "Phase N: Polish").replace("Phase 1: Setup", "Setup")
    assert sorted(order(load(tmp_path, text))) == ["WP02", "WP03", "WP04", "WP05", "WP06"]


def test_requirements_count_only_where_tasks_refer_to_them(tmp_path: Path) -> None:
    (tmp_path / "spec.md").write_text("- **FR-001**: The system MUST answer.\n- **NFR-02**: Fast.\n")
    assert ("REQUIREMENTS_DROPPED", "dropped", "spec.md:1") in rows(load(tmp_path, HEAD))
    loaded = load(tmp_path, HEAD.replace("First in", "First (FR-001) in"))
    assert loaded.definition.work_package("WP03").requirement_refs == ("FR-001",)


@pytest.mark.parametrize(
    "heading", ["## Work Package WP01: One", "## WP01 - One", "# Work Package Prompt: WP01 - One", "### WP1"]
)
def test_sections_of_work_packages_are_no_task_list_of_spec_kit(heading: str, tmp_path: Path) -> None:
    file = tmp_path / "tasks.md"
    file.write_text(HEAD)
    assert spec_kit.recognises(file) and spec_kit.recognises(tmp_path)
    file.write_text(f"{HEAD}\n{heading}\n")
    assert not spec_kit.recognises(file)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text(HEAD)
    folder = tmp_path / "001-x"
    folder.mkdir()
    (folder / "tasks.md").symlink_to(tmp_path / "outside.md")
    with pytest.raises(DefinitionError) as caught:
        load_mission(folder)
    assert [p["code"] for p in caught.value.details["problems"]] == ["UNSAFE_PATH"]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("Create Album in src/models/album.py (depends on T012)", ["src/models/album.py"]),
        ("Add `App.tsx`, `package.json` and README.md.", ["App.tsx", "package.json", "README.md"]),
        ("Make src/ui/ and tests/ with unit/ inside", ["src/ui/", "tests/"]),
        ("Route app/(auth)/[id]/page.tsx:12", ["app/(auth)/[[]id]/page.tsx"]),
        ("Generate src/{name}/model.py, src/<x>.py", ["src/*/model.py", "src/*.py"]),
        ("Use Node.js, TCP/IP and/or GET /users from https://a.b/c.html", []),
        ("Not ../x/y.py, /etc/passwd, C:/x/y.py, .git/config or ~/.x/y.py", []),
    ],
)
def test_paths_that_a_task_mentions(text: str, paths: list[str]) -> None:
    assert list(mentioned_paths(text)) == paths


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (
            "Edit /etc/passwd, ../../x, `C:\\foo` and .git/config",
            ["'/etc/passwd'", "'../../x'", "'C:\\\\foo'", "'.git/config'"],
        ),
        ("Answer GET /api/x.json and /users/list as TCP/IP does; see https://a.b/../c or a:b/c", []),
    ],
)
def test_paths_that_nobody_may_own(text: str, paths: list[str]) -> None:
    assert [message.split(" ")[0] for message in refused_paths(text)] == paths


def test_a_path_that_nobody_may_own_is_reported_with_its_line(tmp_path: Path) -> None:
    loaded = load(tmp_path, HEAD.replace("Third in src/e.py", "Third in ../e.py and /etc/e.conf"))
    assert [where for code, _, where in rows(loaded) if code == "PATH_DROPPED"] == ["tasks.md:14", "tasks.md:14"]


def test_tasks_are_read_in_every_form_of_a_list(tmp_path: Path) -> None:
    more = "- T007 [P] Plain in Dockerfile\n1. [ ] T008 Numbered in docker/Dockerfile\n* [ ] T009 Star in Makefile\n"
    polish = load(tmp_path, HEAD + more).definition.work_package("WP05")
    assert [(s.id, s.title) for s in polish.subtasks[1:]] == [
        ("T007", "Plain in Dockerfile"),
        ("T008", "Numbered in docker/Dockerfile"),
        ("T009", "Star in Makefile"),
    ]
    assert polish.owned_files == ("docs/", "Dockerfile", "docker/Dockerfile", "Makefile")


def test_what_looks_like_a_task_and_is_not_read_is_reported(tmp_path: Path) -> None:
    text = (
        HEAD + "- [-] T007 Cancelled\n- ~~T008~~ Struck out\n- T006 is a remark on a task\n\n## Notes\n- T003 is hard\n"
    )
    loaded = load(tmp_path, text.replace("# Tasks: Sample\n", "# Tasks: Sample\n- [ ] T000 Too early\n"))
    assert [where for code, _, where in rows(loaded) if code == "TASK_DROPPED"] == [
        "tasks.md:2",
        "tasks.md:20",
        "tasks.md:21",
    ]
    assert [len(w.subtasks) for w in loaded.definition.work_packages] == [1, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("heading", "title"),
    [("Phase 3.1: Setup", "Setup"), ("Phase 3a: Setup", "Setup"), ("Phase 3.2.1 - Setup", "Setup"), ("Setup", "Setup")],
)
def test_the_title_of_a_phase_is_its_heading_without_its_number(tmp_path: Path, heading: str, title: str) -> None:
    loaded = load(tmp_path, HEAD.replace("Phase 1: Setup", heading))
    assert loaded.definition.work_packages[0].title == title


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("- **User Story 2**: Depends on US1 and User Story 9", "story 9"),
        ("- **User Story 2**: Depends on US1, T003-T077", "T077"),
        ("- US2 depends on Phase 3, Phase 9", "phase 9"),
        ("- US2 depends on US1\n- Phase 8 blocks T005", "phase 8"),
    ],
)
def test_an_order_that_names_what_does_not_exist_is_reported(tmp_path: Path, said: str, name: str) -> None:
    loaded = load(tmp_path, HEAD + "## Dependencies\n\n" + said + "\n")
    (found,) = (d for d in loaded.diagnostics if d.diagnostic_code == "UNKNOWN_REFERENCE")
    assert found.severity == "warning" and name in found.message
    assert found.details["where"] == f"tasks.md:{21 + said.count(chr(10))}"
    assert "WP03" in order(loaded)["WP04"]


def test_a_phase_and_a_task_that_name_what_does_not_exist_are_reported(tmp_path: Path) -> None:
    text = HEAD.replace("Priority: P2)\n", "Priority: P2)\n**Dependencies**: Phase 1, Phase 9\n")
    loaded = load(tmp_path, text.replace("src/e.py", "src/e.py (depends on T001, T777)"))
    assert [where for code, _, where in rows(loaded) if code == "UNKNOWN_REFERENCE"] == ["tasks.md:13", "tasks.md:15"]
    assert order(loaded)["WP04"] == "WP01"


def test_a_task_says_in_brackets_whom_it_blocks(tmp_path: Path) -> None:
    assert order(load(tmp_path, HEAD.replace("src/c.py", "src/c.py (blocks T005)")))["WP04"] == "WP02 WP03"


def test_an_order_that_is_not_kept_is_dropped_with_its_reason(tmp_path: Path) -> None:
    said = "- T004 before T005\n- T003 blocks T004\n- Code before the feast\n"
    loaded = load(tmp_path, HEAD + "## Dependencies\n\n" + said)
    told = [(d.message, d.details["where"]) for d in loaded.diagnostics if d.diagnostic_code == "ORDER_DROPPED"]
    assert told == [
        (
            "remarks that could not be read as a phase, story or task that waits for another: 1 (line 23)",
            "tasks.md:23",
        ),
        ("remarks on the order of tasks of which both are in one work package: 1 (line 21)", "tasks.md:21"),
    ]


def test_what_is_said_goes_before_the_rule_of_the_template(tmp_path: Path) -> None:
    text = (
        "# Tasks: X\n## Phase 3.1: One\n- [ ] T001 a\n## Phase 3.2: Two\n- [ ] T002 b\n## Phase 3a: Z\n- [ ] T003 c\n"
    )
    assert order(load(tmp_path, text)) == {"WP01": "", "WP02": "WP01", "WP03": "WP02"}
    said = "## Dependencies\n- Phase 3.2 blocks Phase 3.1\n- Phase 3a depends on Phases 3.1-3.2\n"
    assert order(load(tmp_path, text + said)) == {"WP01": "WP02", "WP02": "", "WP03": "WP01 WP02"}
