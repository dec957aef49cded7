"""`mission import --history`: a foreign log becomes events here, all or none, and claim no more than it proves."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.effects import EXIT_STATUS

_CORPUS = os.environ.get("KITTY_FLOW_CORPUS", "")
_MISSIONS = sorted(p.parent for p in Path(_CORPUS).glob("*/meta.json")) if _CORPUS else []

SLUG = "tea-shop"
NOTHING_PROVED = "no commit is known"


def row(number: int, wp: str, before: str, after: str, **fields: Any) -> dict[str, Any]:
    known = {"event_id": f"01TEASH0P{number:017d}", "wp_id": wp, "from_lane": before, "to_lane": after}
    return known | {"at": f"2026-02-01T09:{number:02d}:00+00:00", "actor": "ada", "force": False, **fields}


ROWS: list[dict[str, Any]] = [
    {"event_type": "MissionCreated", "event_id": "01TEASH0PM", "timestamp": "2026-02-01T08:00:00Z"},
    row(1, "WP01", "genesis", "planned"),
    row(2, "WP02", "planned", "planned", force=True, reason="laid out again"),
    row(3, "WP01", "planned", "claimed"),
    row(4, "WP01", "claimed", "in_progress", actor={"tool": "kettle", "role": "implementer"}),
    {"event_id": "01TEASH0PA", "kind": "annotation", "wp_id": "WP01", "at": "2026-02-01T09:04:30+00:00", "delta": {}},
    row(5, "WP01", "in_progress", "for_review"),
    row(6, "WP01", "for_review", "in_review", actor="bo"),
    row(7, "WP01", "in_review", "in_progress", actor="bo", reason="the cup leaks", review_ref="cycle-1"),
    row(8, "WP01", "in_progress", "for_review"),
    row(9, "WP01", "for_review", "done", actor="bo", evidence={"review": {"reviewer": "bo", "verdict": "approved"}}),
    row(4, "WP01", "claimed", "blocked"),
    row(10, "WP02", "planned", "claimed"),
    row(11, "WP09", "planned", "done"),
    {"kind": "weather", "wp_id": "WP01"},
]
LANES = {"WP01": "done", "WP02": "claimed", "WP03": "planned"}


def write_mission(folder: Path, rows: list[dict[str, Any]] = ROWS, lanes: dict[str, str] = LANES) -> Path:
    """A mission of three work packages in a row, its log, and its snapshot."""
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    meta = {"mission_id": "01JZ5N3C8RWE5P1YF0K6SHTAVD", "target_branch": "trunk"}
    (folder / "meta.json").write_text(json.dumps(meta))
    for number in (1, 2, 3):
        needs = f"[WP{number - 1:02d}]" if number > 1 else "[]"
        head = f"work_package_id: WP{number:02d}\ndependencies: {needs}\nowned_files: [{number}.txt]"
        (folder / "tasks" / f"WP{number:02d}.md").write_text(f"---\n{head}\n---\nDo it.\n")
    (folder / "status.events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    cards = {name: {"lane": lane} for name, lane in lanes.items()}
    (folder / "status.json").write_text(json.dumps({"work_packages": cards}))
    return folder


@pytest.fixture
def shop(bench: Workbench, tmp_path: Path) -> Path:
    bench.slug = SLUG
    return write_mission(tmp_path / SLUG)


def test_a_history_with_everything_in_it(bench: Workbench, shop: Path) -> None:
    before = bench.tips
    rehearsal = bench.kitty("mission", "import", shop, "--history", "--dry-run")
    assert bench.tips == before
    envelope = bench.kitty("mission", "import", shop, "--history")
    assert envelope["data"]["history"] == rehearsal["data"]["history"]
    assert envelope["diagnostics"] == rehearsal["diagnostics"]
    history = envelope["data"]["history"]
    assert (envelope["data"]["imported"], history["events"], history["forced"]) == (True, 10, 6)
    assert history["why_forced"] == {"FORCED_AT_SOURCE": 1, "NOT_ESTABLISHED": 4, "NO_SUCH_EDGE": 2}
    assert [(e["wp"], e["from"], e["to"], e["line"], e["event_id"][-2:]) for e in history["illegal"]] == [
        ("WP02", "planned", "planned", 3, "02"),
        ("WP01", "for_review", "done", 11, "09"),
    ]
    assert history["skipped"] == {"unknown_work_packages": {"WP09": 1}, "unknown_kinds": {"weather": 1}}
    assert (history["annotations"], history["lifecycle"]) == (1, 1)
    assert [(d["line"], d["first_line"]) for d in history["duplicate_ids"]] == [(12, 5)]
    assert history["final"] == history["recorded"] == LANES and history["differs"] == []
    codes = [d["diagnostic_code"] for d in envelope["diagnostics"]]
    assert codes == ["OWNED_FILES_ABSENT", "HISTORY_UNKNOWN_WORK_PACKAGE", "HISTORY_UNKNOWN_KIND"]

    assert bench.states() == LANES
    events = bench.events()
    started = next(e for e in events if e["trigger"] == "start" and e["entity_id"] == "WP01")
    assert (started["actor"], started["from_state"], started["to_state"]) == ("kettle", "claimed", "in_progress")
    assert started["force"] and started["payload"]["not_established"] == ["holds_epoch", "workspace_ready"]
    foreign = started["payload"]["foreign"]
    assert (foreign["line"], foreign["from_lane"], foreign["at"]) == (5, "claimed", "2026-02-01T09:04:00+00:00")
    assert foreign["source"] == str(shop / "status.events.jsonl") and foreign["sha256"] == history["sha256"]
    kept = bench.git("show", f"{bench.ledger_tip}:history/{history['sha256']}.jsonl")
    assert kept == (shop / "status.events.jsonl").read_text().rstrip("\n")
    assert [(e["trigger"], e["to_state"], e["force"]) for e in events[-1:]] == [("start", "running", True)]
    assert "imported history" in events[-1]["reason"]
    bench.expect_sound_ledger()


@pytest.mark.slow
def test_every_view_of_an_imported_mission_says_what_it_does_not_know(bench: Workbench, shop: Path) -> None:
    bench.kitty("mission", "import", shop, "--history")
    status = bench.kitty("status", SLUG)["data"]
    assert status["mission"]["state"] == "running" and status["work_packages"]["WP01"]["force_count"] == 5
    assert any("WP01 was forced 5" in warning for warning in status["warnings"])
    assert NOTHING_PROVED in bench.kitty("why", "WP01")["data"]["summary"]
    held = bench.kitty("why", "WP03")["data"]
    assert held["chain"] == ["WP03", "WP02"] and "held by ada since 2026-02-01T09:10" in held["summary"]
    shown = bench.kitty("wp", "show", "WP01")["data"]
    assert (shown["state"], shown["head_commit"], shown["invocations"]) == ("done", None, [])
    refused = bench.kitty("verify", SLUG, exit=4)
    assert refused["data"]["holds"] is False and NOTHING_PROVED in refused["error"]["message"]
    assert refused["data"]["work_packages"]["WP01"] == {
        "state": "done",
        "head": None,
        "on_target": False,
        "standing": "not_on_target",
        "landed_commit": None,
        "taken_back_by": None,
        "holds": False,
    }
    assert bench.kitty("mission", "list")["data"]["missions"][0]["state"] == "running"
    told = [c for c in bench.kitty("doctor")["data"]["findings"] if NOTHING_PROVED in c["message"]]
    assert [c["status"] for c in told] == ["warning"] and "WP01" in told[0]["message"]


@pytest.mark.slow
def test_an_imported_mission_goes_on_here_to_its_landing(bench: Workbench, shop: Path) -> None:
    bench.kitty("mission", "import", shop, "--history")
    assert bench.run(exit=4)["data"]["work_packages"].keys() == {"WP02", "WP03"}
    bench.kitty("wp", "release", "WP02", "--reason", "nobody works on it")
    assert bench.run()["data"]["state"] == "accepted"
    bench.kitty("merge", SLUG, "--test-command", "git --version")
    assert set(bench.states().values()) == {"done"}
    assert bench.kitty("status", SLUG)["data"]["mission"]["state"] == "merged"
    proofs = bench.kitty("verify", SLUG, exit=4)["data"]["work_packages"]
    assert {name: proof["on_target"] for name, proof in proofs.items()} == {"WP01": False, "WP02": True, "WP03": True}
    assert bench.refusal("merge", SLUG, "--test-command", "true", exit=4)["code"] == "LANDING_NOT_PROVED"


@pytest.mark.slow
@pytest.mark.parametrize("state", ["in_review", "approved"])
def test_work_handed_in_elsewhere_is_done_again_after_a_reopen(bench: Workbench, tmp_path: Path, state: str) -> None:
    bench.slug = SLUG
    lanes = {"WP01": state, "WP02": "planned", "WP03": "planned"}
    folder = write_mission(tmp_path / SLUG, [row(1, "WP01", "planned", state)], lanes)
    bench.kitty("mission", "import", folder, "--history")
    assert bench.run(exit=4)["data"]["work_packages"]["WP01"]["code"] == "HEAD_UNKNOWN"
    assert bench.kitty("next", "--agent", "cy", "--role", "review", "-m", SLUG)["data"]["kind"] != "step"
    assert bench.states() == lanes
    bench.kitty("wp", "reopen", "WP01", "--reason", "nothing of it is here")
    assert bench.run()["data"]["state"] == "accepted"


def test_an_agent_of_the_same_name_goes_on_with_its_claim(bench: Workbench, tmp_path: Path) -> None:
    bench.slug = SLUG
    lanes = {"WP01": "claimed", "WP02": "planned", "WP03": "planned"}
    folder = write_mission(tmp_path / SLUG, [row(1, "WP01", "planned", "claimed")], lanes)
    bench.kitty("mission", "import", folder, "--history")
    step = bench.kitty("next", "--agent", "ada", "-m", SLUG)["data"]
    assert (step["kind"], step["wp_id"], step["epoch"]) == ("step", "WP01", 1)


def test_a_finished_history_ends_merged_and_by_force(bench: Workbench, tmp_path: Path) -> None:
    bench.slug = SLUG
    rows = [row(1, "WP01", "approved", "done"), row(2, "WP02", "approved", "done"), row(3, "WP03", "x", "canceled")]
    rows[2]["from_lane"] = "planned"
    lanes = {"WP01": "done", "WP02": "done", "WP03": "canceled"}
    bench.kitty("mission", "import", write_mission(tmp_path / SLUG, rows, lanes), "--history")
    last = bench.events()[-1]
    assert (last["trigger"], last["from_state"], last["to_state"]) == ("force", "planned", "merged")
    assert last["force"] and "nothing proves" in last["reason"]
    assert bench.kitty("next", "--agent", "ada", "-m", SLUG)["data"]["kind"] == "terminal"


def test_a_snapshot_that_disagrees_is_a_warning_and_a_damaged_one_too(bench: Workbench, shop: Path) -> None:
    write_mission(shop, lanes={"WP01": "approved", "WP02": "claimed", "WP08": "done"})
    envelope = bench.kitty("mission", "import", shop, "--history", "--dry-run")
    assert envelope["data"]["history"]["differs"] == [
        {"wp": "WP01", "recorded": "approved", "reduced": "done"},
        {"wp": "WP08", "recorded": "done", "reduced": None},
    ]
    told = [d for d in envelope["diagnostics"] if d["diagnostic_code"] == "HISTORY_DIFFERS"]
    assert [d["details"]["wp"] for d in told] == ["WP01", "WP08"] and all(d["severity"] == "warning" for d in told)
    (shop / "status.json").write_text("{")
    envelope = bench.kitty("mission", "import", shop, "--history", "--dry-run")
    assert "STATUS_UNREADABLE" in [d["diagnostic_code"] for d in envelope["diagnostics"]]
    assert envelope["data"]["history"]["recorded"] is None


def test_refusals_write_nothing(bench: Workbench, shop: Path) -> None:
    log = shop / "status.events.jsonl"
    before, whole = bench.tips, log.read_text()
    log.write_text(whole + '{"event_id": "x", "to_lane": "nowhere"}\nno json\n')
    error = bench.refusal("mission", "import", shop, "--history", exit=3)
    assert error["code"] == "INVALID_HISTORY" and str(log) in error["message"]
    assert [p["where"] for p in error["details"]["problems"]] == [f"status.events.jsonl:{n}" for n in (16, 17)]
    log.unlink()
    assert bench.refusal("mission", "import", shop, "--history", exit=2)["code"] == "HISTORY_MISSING"
    assert bench.tips == before
    bench.kitty("mission", "import", shop)
    log.write_text(whole)
    bench.kitty("next", "--agent", "ada", "-m", SLUG)
    tip = bench.ledger_tip
    assert bench.refusal("mission", "import", shop, "--history", exit=4)["code"] == "HISTORY_TOO_LATE"
    assert bench.ledger_tip == tip


def test_typed_again_it_adds_nothing_and_another_log_is_refused(bench: Workbench, shop: Path) -> None:
    bench.kitty("mission", "import", shop)  # without history first, as a first use of the mission would do
    assert bench.kitty("mission", "import", shop, "--history")["data"]["imported"] is True
    tip = bench.ledger_tip
    assert bench.kitty("mission", "import", shop, "--history")["data"]["imported"] is False
    assert bench.ledger_tip == tip and set(recorded(bench).values()) == {1}
    write_mission(shop, [*ROWS, row(20, "WP02", "claimed", "in_progress")])
    assert bench.refusal("mission", "import", shop, "--history", exit=4)["code"] == "HISTORY_CHANGED"
    assert bench.ledger_tip == tip


def recorded(bench: Workbench) -> Counter[str]:
    """The foreign ids in the ledger, read with git alone."""
    tip = bench.ledger_tip
    paths = bench.git("ls-tree", "-r", "--name-only", tip, "log/").splitlines() if tip else []
    events = [json.loads(line) for path in paths for line in bench.git("show", f"{tip}:{path}").splitlines()]
    return Counter(e["payload"]["foreign"]["event_id"] for e in events if "foreign" in e["payload"])


@pytest.mark.crash
def test_killed_at_any_moment_and_typed_again(bench: Workbench, tmp_path: Path, shop: Path) -> None:
    words = ("mission", "import", shop, "--history")
    trace = tmp_path / "trace"
    bench.env["KITTY_FLOW_FAILPOINT_TRACE"] = str(trace)
    bench.kitty(*words)
    bench.env.clear()
    expected, ref = recorded(bench), next(name for name in bench.tips if name.startswith("refs/kitty"))
    assert set(expected.values()) == {1} and len(expected) == 10
    names = [line.split()[1] for line in trace.read_text().splitlines()]
    names = [name for name in names if name.startswith(("ref.", "index.", "ledger."))]
    assert names.count("ref.commit") == 2, "the mission, then its history"
    for name, number in [(name, names[: at + 1].count(name)) for at, name in enumerate(names)]:
        bench.git("update-ref", "-d", ref)
        shutil.rmtree(bench.root / ".git" / "kitty-flow")  # or the lost ref would be noticed
        bench.env["KITTY_FLOW_FAILPOINT"] = f"{name}#{number}:exit"
        assert bench.start(*words).wait(timeout=120) == EXIT_STATUS
        bench.env.clear()
        assert recorded(bench) in (Counter(), expected), "all of the history or none of it"
        bench.kitty(*words)
        assert recorded(bench) == expected
    assert bench.states() == LANES
    bench.expect_sound_ledger()


@pytest.mark.slow
@pytest.mark.skipif(not _MISSIONS, reason="KITTY_FLOW_CORPUS does not name a folder of missions")
def test_every_real_mission_yields_the_lanes_that_it_records(bench: Workbench) -> None:
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project

    project = Project.discover(bench.root)
    for folder in _MISSIONS:
        rows = [json.loads(line) for line in (folder / "status.events.jsonl").read_text().splitlines()]
        recorded = json.loads((folder / "status.json").read_text())["work_packages"]
        history = bench.kitty("mission", "import", folder, "--history")["data"]["history"]
        assert history["differs"] == [] and history["events"] == sum("to_lane" in each for each in rows)
        assert history["annotations"] == sum(each.get("kind") == "annotation" for each in rows)
        assert history["events"] + history["annotations"] + history["lifecycle"] == len(rows)
        with open_mission(project, folder.name) as opened:
            view = opened.view()
            states = {w.id: opened.work_package(w.id, view).state for w in opened.definition.work_packages}
            forced = sum(opened.work_package(name, view).forced for name in states)
        lanes = {name: card["lane"] for name, card in recorded.items()}
        assert states == dict.fromkeys(states, "planned") | lanes
        assert forced == history["forced"] >= sum(each.get("force", False) for each in rows)
    assert bench.kitty("doctor", "ledger")["ok"]
