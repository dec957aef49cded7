"""The issues of beads: what a link orders, what an epic is, which line counts, and names that are valid here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.foreign_names import work_package_ids
from kitty_flow.missions.source import load_mission
from kitty_flow.model.mission import LoadedMission

FIXTURE = Path(__file__).parents[2] / "fixtures" / "missions" / "beads" / ".beads"


def issue(name: str, *links: str, **fields: Any) -> dict[str, Any]:
    """An issue; a link is ``blocks a`` or ``parent-child b``."""
    dependencies = [{"issue_id": name, "depends_on_id": link.split()[1], "type": link.split()[0]} for link in links]
    return {"id": name, "title": name.upper(), "status": "open", "dependencies": dependencies, **fields}


def write(folder: Path, *issues: object) -> Path:
    path = folder / "issues.jsonl"
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in issues))
    return path


def load(folder: Path, *issues: object) -> LoadedMission:
    return load_mission(write(folder, *issues))


def order(loaded: LoadedMission) -> dict[str, str]:
    return {w.id: " ".join(w.dependencies) for w in loaded.definition.work_packages}


def codes(loaded: LoadedMission, loss: str) -> list[tuple[str, str]]:
    return [
        (d.diagnostic_code, str(d.details["where"]).removeprefix("issues.jsonl:"))
        for d in loaded.diagnostics
        if d.details.get("loss") == loss
    ]


def problems(folder: Path, *issues: object) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        load(folder, *issues)
    return [(p["code"], p["where"].removeprefix("issues.jsonl:")) for p in caught.value.details["problems"]]


def test_a_real_looking_file_is_read() -> None:
    loaded = load_mission(FIXTURE)
    assert (loaded.definition.source.kind, loaded.definition.slug) == ("beads", "beads")
    assert order(loaded) == {
        "lib-a3f-1": "",
        "lib-a3f-2": "lib-a3f-1",
        "lib-w2p-1": "lib-a3f-1 lib-a3f-2",
        "lib-w2p-2": "lib-a3f-1 lib-a3f-2 lib-w2p-1",
        "lib-7hq": "",
    }
    assert loaded.definition.work_package("lib-7hq").title == "Long titles are cut on the label and in the list"
    lend = loaded.definition.work_package("lib-a3f-1").prompt
    assert lend.startswith("Issue lib-a3f.1 of beads, part of lib-a3f (Lending desk).\n\nLend a book.\n")
    assert "## Acceptance criteria\n\n- A lent book" in lend
    assert codes(loaded, "dropped") == [
        ("DUPLICATE_ID", "8"),
        ("DELETED_DROPPED", "9"),
        ("FIELD_DROPPED", "1"),
        ("FIELD_DROPPED", "3"),
        ("FIELD_DROPPED", "2"),
        ("CONTAINER_DROPPED", "1"),
        ("CONTAINER_DROPPED", "5"),
        ("LINK_DROPPED", "10"),
        ("LINK_DROPPED", "7"),
        ("DONE_DROPPED", "4"),
    ]
    assert ("STATUS_GUESSED", "3") in codes(loaded, "guessed")


def test_what_an_epic_waits_for_its_children_wait_for(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        issue("top", "blocks first", issue_type="epic"),
        issue("mid", "parent-child top", "blocks second", issue_type="epic"),
        issue("leaf", "parent-child mid"),
        issue("first"),
        issue("second", "blocks done"),
        issue("done", status="closed"),
        issue("last", "blocks top"),
    )
    assert order(loaded) == {"leaf": "first second", "first": "", "second": "", "last": "leaf"}


def test_between_an_epic_and_its_own_children_there_is_no_order(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        issue("top", "blocks one", "blocks two", issue_type="epic"),
        issue("one", "parent-child top", "blocks top"),
        issue("two", "parent-child top"),
    )
    assert order(loaded) == {"one": "", "two": ""}


def test_a_parent_that_is_no_epic_is_work_again_when_its_children_are_closed(tmp_path: Path) -> None:
    parent, child = issue("bug"), issue("step", "parent-child bug")
    loaded = load(tmp_path, parent, child)
    assert (order(loaded), codes(loaded, "guessed")[-1]) == ({"step": ""}, ("CONTAINER_GUESSED", "1"))
    assert order(load(tmp_path, parent, child | {"status": "closed"})) == {"bug": ""}
    assert order(load(tmp_path, issue("e", issue_type="epic"))) == {"e": ""}


def test_a_name_with_a_dot_tells_the_parent_where_no_link_does(tmp_path: Path) -> None:
    loaded = load(tmp_path, issue("bd-1", "blocks bd-2", issue_type="epic"), issue("bd-1.1"), issue("bd-2"))
    assert order(loaded) == {"bd-1-1": "bd-2", "bd-2": ""}
    assert ("PARENT_GUESSED", "2") in codes(loaded, "guessed")


def test_links_of_other_kinds_order_nothing(tmp_path: Path) -> None:
    kinds = ("related", "discovered-from", "conditional-blocks", "duplicates", "made-up")
    loaded = load(tmp_path, issue("a", *(f"{kind} b" for kind in kinds), "waits-for c"), issue("b"), issue("c"))
    assert order(loaded) == {"a": "c", "b": "", "c": ""}
    assert codes(loaded, "dropped").count(("LINK_DROPPED", "1")) == len(kinds)


def test_a_dependency_that_is_not_in_the_file_counts_as_satisfied(tmp_path: Path) -> None:
    loaded = load(tmp_path, issue("a", "blocks gone"), issue("b", "blocks c"), issue("c", status="tombstone"))
    assert order(loaded) == {"a": "", "b": ""}
    assert codes(loaded, "guessed").count(("UNKNOWN_DEPENDENCY", "1")) == 1


@pytest.mark.parametrize(
    ("issues", "expected"),
    [
        ([issue("a"), "{"], [("INVALID_JSON", "2")]),
        ([issue("a"), "[1]", '{"id": 1}'], [("INVALID_JSON", "2"), ("INVALID_ISSUE", "3")]),
        ([issue("a", "blocks a")], [("SELF_DEPENDENCY", "1")]),
        ([issue("a", "parent-child b"), issue("b", "parent-child a"), issue("c")], [("PARENT_CYCLE", "1")]),
        ([issue("a", title=7, notes=[1])], [("WRONG_TYPE", "1")]),
        ([issue("a", dependencies=[{"depends_on_id": 3}])], [("INVALID_DEPENDENCY", "1")]),
        ([issue("a", dependencies=[{"issue_id": "b", "depends_on_id": "c"}])], [("INVALID_DEPENDENCY", "1")]),
        ([issue("a", status="closed")], [("NOTHING_LEFT", "issues.jsonl")]),
        (
            [json.dumps(issue("a", notes="x" * 300_000))],
            [("LINE_TOO_LONG", "1"), ("EMPTY_MISSION", "issues.jsonl")][:1],
        ),
        ([issue(f"p{n}", f"parent-child p{n - 1}") for n in range(40)], [("NESTED_TOO_DEEPLY", "33")]),
        ([issue(f"i{n}") for n in range(10_001)], [("TOO_MANY_WORK_PACKAGES", "issues.jsonl")]),
    ],
)
def test_bad_issues_are_refused_with_their_line(tmp_path: Path, issues: list[object], expected: object) -> None:
    found = problems(tmp_path, *issues)
    assert [(code, where if where.isdigit() else "issues.jsonl") for code, where in found] == expected


def test_records_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"_type": "memory", "key": "x"}, issue("a"), "", issue("a", title="B"))
    assert codes(loaded, "dropped")[:2] == [("DUPLICATE_ID", "2"), ("RECORD_DROPPED", "1")]
    assert loaded.definition.work_package("a").title == "B"


def test_a_folder_without_issues_says_how_to_get_them(tmp_path: Path) -> None:
    folder = tmp_path / ".beads"
    folder.mkdir()
    with pytest.raises(DefinitionError, match="bd export"):
        load_mission(folder)


def test_names_stay_different_when_they_become_ids() -> None:
    names = ["7", "07", "bd-1.2", "bd-1_2", "BD-1-2", "x" * 40, "x" * 41, "..", "-", "é"]
    ids = work_package_ids(names)
    assert list(ids) == names
    assert len({each.casefold() for each in ids.values()}) == len(names)
    assert list(ids.values())[:5] == ["WP07", "WP07-2", "bd-1-2", "bd-1-2-2", "BD-1-2-3"]
    assert all(len(each) <= 32 for each in ids.values())
    assert work_package_ids(names) == ids
