"""`profiles`, `advise`, `ask` and `do` as real processes: one record before an answer, and no answer without one."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

ANSWER = {
    "invocation_id",
    "profile_id",
    "action",
    "router_confidence",
    "match_reason",
    "mode_of_work",
    "governance_context_hash",
    "governance_context_available",
    "governance_context_files",
    "governance_context_text",
    "next_step",
}


def diary(repo: Path) -> list[str]:
    """The subjects of the log of requests, newest first."""
    command = ["git", "log", "--format=%s", "--grep=^op(", "refs/kitty/ops"]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.splitlines()


def test_a_request_from_advice_to_its_end(kitty: Any, repo: Path) -> None:
    before = subprocess.run(["git", "status", "--porcelain", "-b"], cwd=repo, capture_output=True, check=True).stdout
    done = kitty("advise", "Please review the parser", "--json", cwd=repo, env={"KITTY_FLOW_ACTOR": "claude-1"})
    assert (done.exit, done.stderr) == (0, "")
    data = done.json["data"]
    assert set(data) == ANSWER
    assert (data["profile_id"], data["action"], data["router_confidence"]) == ("reviewer", "review", "canonical_verb")
    assert (data["mode_of_work"], data["governance_context_available"]) == ("advisory", False)
    assert data["governance_context_hash"] == hashlib.sha256(data["governance_context_text"].encode()).hexdigest()
    assert diary(repo) == [f"op(reviewer): review [{data['invocation_id'][:8]}]"]

    (listed,) = kitty("invocations", "list", "--json", cwd=repo).json["data"]["invocations"]
    for key in (
        "invocation_id",
        "profile_id",
        "action",
        "router_confidence",
        "governance_context_hash",
        "mode_of_work",
    ):
        assert listed[key] == data[key], key
    assert listed["actor"] == "claude-1" and listed["request_text"] == "Please review the parser"
    assert "mission_id" not in listed and "wp_id" not in listed

    words = shlex.split(data["next_step"])
    assert words[0] == "kitty-flow"
    assert kitty(*words[1:], cwd=repo).exit == 0
    assert (
        subprocess.run(["git", "status", "--porcelain", "-b"], cwd=repo, capture_output=True, check=True).stdout
        == before
    )


def test_the_charter_and_a_profile_of_the_project_count_from_every_folder(kitty: Any, repo: Path) -> None:
    profiles = repo / ".kitty-flow" / "profiles"
    profiles.mkdir(parents=True)
    profile = 'id = "db"\nname = "Db"\npurpose = "Judges."\nrole = "reviewer"\ndomain_keywords = ["schema"]\n'
    (profiles / "db.toml").write_text(profile)
    (repo / "RULES.md").write_text("Never on a Friday.\n\x1b[31mred\n")
    (repo / ".kitty-flow" / "config.toml").write_text('[governance]\ncharter = ["RULES.md"]\n')
    below = repo / "deep"
    below.mkdir()
    done = kitty("do", "review the schema", cwd=below)
    assert done.exit == 0
    assert "because     verb 'review' and keyword 'schema' (canonical_verb)" in done.stdout
    assert "mode        task_execution" in done.stdout and "charter     RULES.md" in done.stdout
    assert "Never on a Friday.\n\\x1b[31mred" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("next: kitty-flow profile-invocation complete --invocation-id ")
    asked = kitty("ask", "db", "is it safe?", "--json", cwd=below).json["data"]
    assert (asked["router_confidence"], asked["mode_of_work"]) == ("exact", "task_execution")
    assert (asked["governance_context_available"], asked["governance_context_files"]) == (True, ["RULES.md"])
    listed = kitty("profiles", "list", cwd=below).stdout
    assert "db " in listed and "project" in listed and max(map(len, listed.splitlines())) <= 80


def test_a_request_can_be_about_a_work_package(kitty: Any, repo: Path) -> None:
    mission = repo / ".kitty-flow" / "missions" / "sample.toml"
    mission.parent.mkdir(parents=True)
    mission.write_text(
        '[mission]\ntitle = "Sample"\ntarget_branch = "trunk"\n'
        '[[work_package]]\nid = "WP01"\ntitle = "One"\nowned_files = ["a"]\n'
    )
    agent = {"KITTY_FLOW_MISSION": "sample", "KITTY_FLOW_WP": "WP01"}
    data = kitty("ask", "architect", "which name?", "--json", cwd=repo, env=agent).json["data"]
    assert data["wp_id"] == "WP01" and len(data["mission_id"]) == 26
    refused = kitty("ask", "architect", "which name?", "--wp", "WP09", "--json", cwd=repo)
    assert (refused.exit, refused.json["error"]["code"]) == (2, "UNKNOWN_WORK_PACKAGE")
    assert len(diary(repo)) == 1


@pytest.mark.parametrize("failpoint", ["object.write:ENOSPC", "ref.commit:EIO"])
def test_without_a_record_nothing_is_answered(failpoint: str, kitty: Any, repo: Path) -> None:
    done = kitty("advise", "review the parser", "--json", cwd=repo, env={"KITTY_FLOW_FAILPOINT": failpoint})
    assert done.exit in (6, 7), done
    assert done.json["data"] is None and "governance" not in done.stdout
    assert diary(repo) == []


def test_what_is_refused_is_not_recorded(repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    import json

    from kitty_flow.cli.main import main

    monkeypatch.chdir(repo)
    for words, exit_status, code in [
        (["do", "implement and review it"], 2, "ROUTER_AMBIGUOUS"),
        (["do", "what is the weather"], 2, "ROUTER_NO_MATCH"),
        (["ask", "reviwer", "why"], 2, "PROFILE_NOT_FOUND"),
        (["advise", "why", "--profile", "nobody"], 2, "PROFILE_NOT_FOUND"),
        (["advise", " "], 2, "REQUEST_EMPTY"),
        (["do", "fix \x1b it"], 2, "REQUEST_UNREADABLE"),
        (["do", "fix " + "it " * 10_000], 2, "REQUEST_TOO_LARGE"),
        (["do", "fix it", "--profile", "reviewer"], 2, "INVALID_USAGE"),
        (["do", "fix it", "--actor", " "], 2, "INVALID_ACTOR"),
        (["do", "fix it", "-m", "nothing"], 2, "MISSION_NOT_FOUND"),
    ]:
        assert main([*words, "--json"]) == exit_status, words
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["code"] == code
        assert error["hint"]
    broken = repo / ".kitty-flow" / "profiles" / "broken.toml"
    broken.parent.mkdir(parents=True)
    broken.write_text('id = "broken"\n')
    assert main(["do", "fix it"]) == 3
    told = capsys.readouterr().err
    assert "  - .kitty-flow/profiles/broken.toml: purpose: is required" in told
    assert diary(repo) == []
