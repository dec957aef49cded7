"""For how long work packages were worked on, whatever the clocks say, and what `plan` foretells from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.flow.durations import Worked, worked_times
from kitty_flow.model.event import Event

MISSION_ID = "01JZ5N3C8RWE5P1YF0K6SHTAVD"


def event(number: int, at: str, state: str, wp: str = "WP01", **fields: Any) -> Event:
    known: dict[str, Any] = {
        "schema": "1",
        "kind": "transition",
        "mission_id": MISSION_ID,
        "mission_slug": "s",
        "machine": "m",
    }
    known |= {"machine_digest": "d", "trigger": "t", "from_state": None, "parent": None, "writer": "w", "actor": "a"}
    own = {"event_id": f"01TEASH0P{number:017d}", "lamport": number, "entity_id": wp, "entity_type": "work_package"}
    return Event.model_validate({**known, **own, "at": at, "to_state": state, **fields})


def worked(*steps: tuple[str, str]) -> Worked:
    found = worked_times(event(n, f"2026-02-{at}+00:00", state) for n, (at, state) in enumerate(steps, 1))
    return found["WP01"]


def test_work_and_review_count_and_waiting_does_not() -> None:
    found = worked(
        ("01T09:00:00", "claimed"),
        ("01T09:05:00", "in_progress"),
        ("01T09:06:00", "for_review"),
        ("03T10:00:00", "in_review"),
        ("03T10:00:30", "planned"),
        ("03T11:00:00", "claimed"),
        ("03T11:00:00", "in_progress"),
        ("03T11:10:00", "blocked"),
        ("04T11:10:00", "in_progress"),
        ("04T11:10:10", "for_review"),
        ("04T11:10:10", "in_review"),
        ("04T11:10:15", "approved"),
        ("04T12:00:00", "done"),
    )
    assert found.sample == 60 + 30 + 600 + 10 + 5


@pytest.mark.parametrize(
    "steps",
    [
        (("02T09:00:00", "in_progress"), ("01T09:00:00", "approved")),  # the clock went back
        (("01T09:00:00", "in_progress"), ("03T09:00:00", "approved")),  # two days without handing in
        (("01T09:00:00", "in_progress"), ("soon", "approved")),
        (("01T09:00:00", "planned"), ("01T09:10:00", "approved")),  # nobody worked
        (("01T09:00:00", "in_progress"), ("01T09:10:00", "for_review")),  # not finished
    ],
)
def test_what_cannot_be_or_is_not_finished_teaches_nothing(steps: tuple[tuple[str, str], ...]) -> None:
    assert worked(*steps).sample is None


def test_what_is_under_way_has_its_time_so_far_unless_that_cannot_be() -> None:
    found = worked(("01T09:00:00", "in_progress"), ("01T09:10:00", "for_review"), ("01T10:00:00", "in_review"))
    assert found.until(datetime(2026, 2, 1, 10, 1, tzinfo=UTC)) == 660
    assert found.until(datetime(2026, 2, 1, 9, 0, tzinfo=UTC)) == 0
    assert found.until(datetime(2026, 5, 1, 9, 0, tzinfo=UTC)) == 0


def test_an_imported_event_counts_when_it_happened_and_an_annotation_not_at_all() -> None:
    found = worked_times(
        [
            event(1, "2026-05-01T00:00:00+00:00", "in_progress", payload={"foreign": {"at": "2026-02-01T09:00:00"}}),
            event(2, "2026-02-01T09:00:30+00:00", "in_progress", kind="annotation"),
            event(3, "2026-05-01T00:00:00+00:00", "done", payload={"foreign": {"at": "2026-02-01T10:00:00+01:00"}}),
            event(4, "2026-05-01T00:00:00+00:00", "done", wp="WP02", payload={"foreign": {"at": 7}}),
        ]
    )
    assert found["WP01"].seconds == 0 and found["WP01"].sample is None
    assert found["WP02"].sample is None


def _imported(bench: Workbench, tmp_path: Path, minutes: list[int]) -> str:
    """A mission of five independent work packages whose history says that the first ones took so many minutes."""
    bench.slug = "tea-shop"
    folder = tmp_path / bench.slug
    (folder / "tasks").mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"mission_id": MISSION_ID, "target_branch": "trunk"}))
    rows: list[dict[str, Any]] = []
    for number in range(1, 6):
        head = f"work_package_id: WP{number:02d}\ndependencies: []\nowned_files: [{number}.txt]"
        (folder / "tasks" / f"WP{number:02d}.md").write_text(f"---\n{head}\n---\nDo it.\n")
    for number, took in enumerate(minutes, 1):
        lanes = [("planned", "claimed", 0), ("claimed", "in_progress", 0), ("in_progress", "for_review", took)]
        for before, after, minute in [*lanes, ("for_review", "done", took)]:
            known = {"event_id": f"01TEASH0P{len(rows):017d}", "wp_id": f"WP{number:02d}", "actor": "ada"}
            at = f"2026-02-01T09:{minute:02d}:00+00:00"
            rows.append({**known, "from_lane": before, "to_lane": after, "at": at, "force": False})
    (folder / "status.events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench.kitty("mission", "import", folder, "--history")
    return bench.slug


@pytest.mark.slow
def test_the_plan_of_a_mission_under_way_is_about_the_rest_in_seconds(bench: Workbench, tmp_path: Path) -> None:
    slug = _imported(bench, tmp_path, [10, 10, 10])
    before = bench.tips
    makespan = bench.kitty("plan", slug, "--agents", "1")["data"]["makespan"]
    assert makespan == {
        "agents": 1,
        "estimate": 1200.0,
        "lower_bound": 1200.0,
        "unit": "seconds",
        "sequential": 1200.0,
        "remaining": 2,
        "finished": 3,
        "median": 1200.0,
        "p90": 1200.0,
        "runs": 1000,
        "samples": 3,
        "learned_from": "mission",
    }
    compared = bench.kitty("plan", slug, "--agents", "1", "--what-if", "agents=2")["data"]["what_if"]
    assert (compared["before"]["makespan"], compared["after"]["makespan"]["estimate"]) == (makespan, 600.0)
    assert bench.tips == before


@pytest.mark.slow
def test_another_mission_learns_from_the_repository(bench: Workbench, tmp_path: Path) -> None:
    _imported(bench, tmp_path, [2, 4])
    bench.slug = "sample"
    path = bench.mission(id="01JZ5N3C8RWE5P1YF0K6SHTAVE")
    for named in ("sample", path):
        makespan = bench.kitty("plan", named)["data"]["makespan"]
        assert (makespan["unit"], makespan["samples"], makespan["learned_from"]) == ("seconds", 2, "repository")
        assert (makespan["estimate"], makespan["finished"], makespan["remaining"]) == (540.0, 0, 4)
        assert 480 <= makespan["median"] <= makespan["p90"] <= 720
