"""The Spec Kitty layout as users meet it: folders on disk in, missions, warnings or one complete error out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.missions import spec_kitty
from kitty_flow.missions.source import load_mission
from kitty_flow.model.mission import LoadedMission

FIXTURES = Path(__file__).parents[2] / "fixtures" / "missions"


def write_mission(folder: Path, *, meta: object = None, **files: str) -> Path:
    (folder / "tasks").mkdir(parents=True)
    if meta is not None:
        (folder / "meta.json").write_text(meta if isinstance(meta, str) else json.dumps(meta))
    for name, frontmatter in files.items():
        (folder / "tasks" / f"{name}.md").write_bytes(f"---\n{frontmatter}\n---\nDo it.\n".encode())
    return folder


def problems(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        load_mission(folder)
    assert caught.value.code == "INVALID_MISSION"
    assert caught.value.hint is not None and "kitty-flow plan" in caught.value.hint
    return [(p["code"], p["where"]) for p in caught.value.details["problems"]]


def warnings(loaded: LoadedMission) -> list[str]:
    return [d.diagnostic_code for d in loaded.diagnostics]


def test_a_complete_mission_is_read_field_by_field() -> None:
    loaded = load_mission(FIXTURES / "kitty-specs/newsletter-signup", relative_to=FIXTURES)
    mission = loaded.definition
    assert (mission.id, mission.slug) == ("01JZ5N0QK7M4T9V2XBWC3DGEHF", "newsletter-signup")
    assert (mission.title, mission.target_branch, mission.template) == ("Newsletter sign-up", "main", "software-dev")
    assert (mission.source.kind, mission.source.path) == ("spec-kitty", "kitty-specs/newsletter-signup")
    assert [w.id for w in mission.work_packages] == ["WP01", "WP02", "WP03", "WP04"]
    form = mission.work_package("WP02")
    assert form.title == "Form: address and consent"
    assert form.dependencies == ("WP01",)
    assert form.owned_files == ("src/signup/form.py", "templates/signup/**")
    assert [(s.id, s.title) for s in form.subtasks] == [
        ("T003", "Show the form"),
        ("T004", "Refuse an address without consent"),
    ]
    assert form.requirement_refs == ("FR-002",)
    assert form.prompt == "# Form\n\nAsk for an address and for consent.\n"
    assert [s.id for s in mission.work_package("WP03").subtasks] == ["T005", "T006"]
    assert mission.work_package("WP03").execution_mode == "code_change"
    assert mission.work_package("WP04").execution_mode == "planning_artifact"
    assert loaded.diagnostics == ()


def test_wps_yaml_wins_for_dependencies_and_owned_files_only() -> None:
    loaded = load_mission(FIXTURES / "kitty-specs/receipt-archive")
    mission = loaded.definition
    assert (mission.id, mission.target_branch) == (None, None)
    assert mission.work_package("WP01").title == "Archive format, version 1"
    assert mission.work_package("WP01").owned_files == ("archive/format.py",)
    assert [s.title for s in mission.work_package("WP01").subtasks] == ["Describe a record"]
    assert mission.work_package("WP02").dependencies == ("WP01",)
    assert mission.work_package("WP03").prompt == ""
    assert warnings(loaded) == ["DEPENDENCIES_DISAGREE", "NO_PROMPT_FILE"]


def test_scalars_stay_text_and_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "m", meta={})
    text = "---\r\ntitle: NO\r\ndependencies: []\r\nrequirement_refs: [017, 2026-01-01, yes]\r\n---\r\nOne\r\nTwo\r\n"
    (folder / "tasks" / "WP01-a.md").write_bytes(b"\xef\xbb\xbf" + text.encode())
    work_package = load_mission(folder).definition.work_package("WP01")
    assert work_package.title == "NO"
    assert work_package.requirement_refs == ("017", "2026-01-01", "yes")
    assert work_package.prompt == "One\nTwo\n"


@pytest.mark.parametrize("value", ["[]", "", "~", "null", "none"])
def test_an_explicit_empty_dependency_list_is_no_warning(tmp_path: Path, value: str) -> None:
    loaded = load_mission(write_mission(tmp_path / "m", meta={}, WP01=f"dependencies: {value}\nowned_files: [a]"))
    assert loaded.definition.work_packages[0].dependencies == ()
    assert warnings(loaded) == []


def test_an_absent_dependency_key_means_none_with_a_warning(tmp_path: Path) -> None:
    loaded = load_mission(write_mission(tmp_path / "m", meta={}, WP01="title: A", WP02="dependencies: WP01"))
    assert loaded.definition.work_package("WP01").dependencies == ()
    assert loaded.definition.work_package("WP02").dependencies == ("WP01",)
    assert warnings(loaded) == ["DEPENDENCIES_NOT_DECLARED", "NO_OWNED_FILES", "NO_OWNED_FILES"]


def test_ids_and_titles_fall_back_to_the_file_name(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "m", meta={}, **{"WP10-late": "dependencies: [WP2]", "WP2": "dependencies: []"})
    (folder / "tasks" / "README.md").write_text("not a work package")
    mission = load_mission(folder).definition
    assert [(w.id, w.title) for w in mission.work_packages] == [("WP2", "WP2"), ("WP10", "WP10")]


def test_subtasks_in_any_spelling(tmp_path: Path) -> None:
    subtasks = "[T001, 'T002 Two', {T003: Three}, 'Write tests', T001]"
    loaded = load_mission(write_mission(tmp_path / "m", meta={}, WP01=f"dependencies: []\nsubtasks: {subtasks}"))
    found = loaded.definition.work_packages[0].subtasks
    assert [(s.id, s.title) for s in found] == [
        ("T001", ""),
        ("T002", "Two"),
        ("T003", "Three"),
        ("S04", "Write tests"),
    ]
    assert "DUPLICATE_SUBTASK_ID" in warnings(loaded)


def test_unusable_meta_fields_count_as_absent_with_a_warning(tmp_path: Path) -> None:
    meta = {"mission_id": "not-a-ulid", "target_branch": 5, "mission_type": "../x", "friendly_name": 7}
    loaded = load_mission(write_mission(tmp_path / "m", meta=meta, WP01="dependencies: []\nowned_files: [a]"))
    mission = loaded.definition
    assert (mission.id, mission.target_branch, mission.template) == (None, None, "software-dev")
    assert mission.title == "m"
    assert warnings(loaded) == ["META_FIELD_IGNORED"] * 4


@pytest.mark.parametrize("branch", ["--upload-pack=x", "a b", "a..b", "a/", "x.lock", "@{-1}", "a\nb", "^main", ".a"])
def test_a_target_branch_that_git_could_misread_is_refused(tmp_path: Path, branch: str) -> None:
    folder = write_mission(tmp_path / "m", meta={"target_branch": branch}, WP01="dependencies: []")
    assert problems(folder) == [("INVALID_TARGET_BRANCH", "meta.json")]


def test_the_slug_comes_from_meta_when_the_folder_name_cannot_be_one(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "my mission!", meta={"mission_slug": "my-mission"}, WP01="dependencies: []")
    assert load_mission(folder).definition.slug == "my-mission"


def test_all_problems_are_reported_at_once_with_their_places(tmp_path: Path) -> None:
    folder = write_mission(
        tmp_path / "m",
        meta="{",
        WP01="dependencies: [WP01, WP99]\nowned_files: [../x]",
        WP02="title: a: b",
        WP03="dependencies: [WP02]\nexecution_mode: turbo",
        WP04="work_package_id: wp03\ndependencies: []",
    )
    (folder / "tasks" / "WP05.md").write_text("no frontmatter")
    (folder / "tasks" / "WP06.md").write_bytes(b"---\ntitle: \xff\n---\n")
    assert problems(folder) == [
        ("INVALID_JSON", "meta.json:1"),
        ("INVALID_YAML", "tasks/WP02.md:2"),
        ("FRONTMATTER_MISSING", "tasks/WP05.md:1"),
        ("NOT_UTF8", "tasks/WP06.md:2"),
        ("DUPLICATE_WORK_PACKAGE_ID", "tasks/WP04.md"),
        ("SELF_DEPENDENCY", "tasks/WP01.md:2"),
        ("UNKNOWN_DEPENDENCY", "tasks/WP01.md:2"),
        ("INVALID_OWNED_FILES", "tasks/WP01.md:3"),
        ("INVALID_EXECUTION_MODE", "tasks/WP03.md:3"),
    ]


def test_an_unknown_dependency_names_the_likely_one(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "m", meta={}, WP01="dependencies: []", WP02="dependencies: [wp01]")
    with pytest.raises(DefinitionError, match="did you mean WP01"):
        load_mission(folder)


def test_a_mission_without_work_packages_is_refused(tmp_path: Path) -> None:
    assert problems(write_mission(tmp_path / "m", meta={})) == [("EMPTY_MISSION", "meta.json")]


@pytest.mark.parametrize("identifier", ["../../etc", "-x", "a/b", "WP 1", "é", "x" * 33, "a.lock"])
def test_hostile_work_package_ids_are_refused(tmp_path: Path, identifier: str) -> None:
    folder = write_mission(tmp_path / "m", meta={}, WP01=f"work_package_id: '{identifier}'\ndependencies: []")
    assert problems(folder) == [("INVALID_WORK_PACKAGE_ID", "tasks/WP01.md")]


@pytest.mark.parametrize(
    ("frontmatter", "line"),
    [
        ("a: &x 1", 2),
        ("a: *x", 2),
        ("a: !!python/object:os.system x", 2),
        ("title: A\ntitle: B", 3),
        ("title: A\n? [a]\n: b", 3),
        ("title: A\nx: " + "[" * 40 + "]" * 40, 3),
        ("title: A\nb: [", 4),
        ('title: "\\UFFFFFFFF"', 0),
        ('title: "\\uD800"', 2),
    ],
)
def test_yaml_that_is_more_than_plain_data_is_refused(tmp_path: Path, frontmatter: str, line: int) -> None:
    found = problems(write_mission(tmp_path / "m", meta={}, WP01=frontmatter + "\ndependencies: []"))
    assert found == [("INVALID_YAML", f"tasks/WP01.md:{line}" if line else "tasks/WP01.md")]


def test_very_deep_yaml_is_refused_without_recursion(tmp_path: Path) -> None:
    deep = "x: " + "[" * 60_000
    assert problems(write_mission(tmp_path / "m", meta={}, WP01=deep)) == [("INVALID_YAML", "tasks/WP01.md:2")]


@pytest.mark.parametrize(
    "meta",
    [
        "[]",
        '{"a": NaN}',
        '{"mission_id": 1, "mission_id": 2}',
        '{"x": "\\ud800"}',
        "[" * 200_000,
        '{"n": 1' + "0" * 9999,
    ],
)
def test_meta_json_is_read_strictly(tmp_path: Path, meta: str) -> None:
    found = problems(write_mission(tmp_path / "m", meta=meta, WP01="dependencies: []"))
    assert [code for code, _ in found] == ["INVALID_JSON"]


def test_a_frontmatter_that_never_ends_is_refused(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "m", meta={})
    (folder / "tasks" / "WP01.md").write_text("---\ntitle: A\n")
    assert problems(folder) == [("FRONTMATTER_UNTERMINATED", "tasks/WP01.md:1")]


@pytest.mark.parametrize("wps", ["[]", "work_packages: 3", "work_packages: [x]", "work_packages: [{id: A}, {id: A}]"])
def test_a_broken_wps_yaml_is_refused(tmp_path: Path, wps: str) -> None:
    folder = write_mission(tmp_path / "m", meta={}, WP01="dependencies: []")
    (folder / "wps.yaml").write_text(wps)
    assert {code for code, _ in problems(folder)} <= {"INVALID_WPS_YAML", "DUPLICATE_WORK_PACKAGE_ID"}


def test_links_that_lead_out_of_the_mission_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("---\ndependencies: []\n---\nsecret\n")
    folder = write_mission(tmp_path / "m")
    (folder / "tasks" / "WP01.md").symlink_to(secret)
    (folder / "meta.json").symlink_to(tmp_path / "missing.json")
    assert problems(folder) == [("UNSAFE_PATH", "meta.json"), ("UNSAFE_PATH", "tasks/WP01.md")]


def test_links_inside_the_mission_and_loops_are_told_apart(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "m", meta={}, WP01="dependencies: []")
    (folder / "tasks" / "WP02.md").symlink_to("WP02.md")
    assert [where for _, where in problems(folder)] == ["tasks/WP02.md"]


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "m", meta={})
    os.mkfifo(folder / "tasks" / "WP01.md")
    assert problems(folder) == [("UNREADABLE_FILE", "tasks/WP01.md")]


def test_a_file_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "m", meta={}, WP01="dependencies: []")
    try:
        (folder / "tasks" / os.fsdecode(b"WP02-\xff.md")).write_text("---\n---\n")
    except OSError:
        assert load_mission(folder).definition.slug == "m"  # this file system takes UTF-8 names only
        return
    assert [code for code, _ in problems(folder)] == ["UNUSABLE_PATH"]


def test_sizes_are_bounded(tmp_path: Path) -> None:
    folder = write_mission(tmp_path / "m", meta={}, WP01="dependencies: []\ntitle: " + "x" * 501)
    (folder / "tasks" / "WP02.md").write_bytes(b"---\n---\n" + b"x" * 1024 * 1024)
    (folder / "tasks" / "WP03.md").write_bytes(b"---\nx:\n" + b"- a\n" * 20_000 + b"---\n")
    assert problems(folder) == [
        ("FILE_TOO_LARGE", "tasks/WP02.md"),
        ("FILE_TOO_LARGE", "tasks/WP03.md"),
        ("INVALID_TITLE", "tasks/WP01.md:3"),
    ]


def test_too_many_work_packages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec_kitty, "MAX_WORK_PACKAGES", 3)
    names = {f"WP{n:02d}": "dependencies: []\nowned_files: [a]" for n in range(1, 5)}
    assert problems(write_mission(tmp_path / "m", meta={}, **names)) == [("TOO_MANY_WORK_PACKAGES", "tasks")]
