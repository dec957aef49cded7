"""The skill pack: in the format that agents read, true to the command line, and never over somebody's edits."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitty_flow.agents.result import read_implement_result, read_review_result
from kitty_flow.flow.skill_pack import FOLDERS, agents_snippet, skills
from kitty_flow.missions.source import load_mission

NAMES = ["kitty-flow-advise", "kitty-flow-implement", "kitty-flow-plan", "kitty-flow-review"]


def front_matter(text: str) -> dict[str, Any]:
    assert text.startswith("---\n")
    found: dict[str, Any] = yaml.safe_load(text.split("---\n", 2)[1])
    return found


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def text_of(name: str) -> str:
    return next(skill.text for skill in skills() if skill.name == name)


def test_every_skill_has_the_form_that_agents_read() -> None:
    """agentskills.io/specification, as Claude Code, Codex, Gemini CLI, Copilot and opencode read it."""
    assert [skill.name for skill in skills()] == NAMES
    for skill in skills():
        matter = front_matter(skill.text)
        assert set(matter) == {"name", "description"}
        assert matter["name"] == skill.name
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", skill.name) and len(skill.name) <= 64
        assert matter["description"] == skill.description
        assert 1 <= len(skill.description) <= 1024
        assert "Use it when" in skill.description
        assert len(skill.text.splitlines()) < 500


def test_the_results_and_the_mission_that_skills_show_are_valid(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    result.write_text(blocks(text_of("kitty-flow-implement"), "json")[0])
    assert read_implement_result(result).outcome == "success"
    for outcome in re.findall(r"`(\{\"outcome\".*?\})`", text_of("kitty-flow-implement")):
        result.write_text(outcome)
        assert read_implement_result(result).reason == "..."
    verdict = json.loads(blocks(text_of("kitty-flow-review"), "json")[0])
    result.write_text(json.dumps(verdict | {"reviewed_commit": "1" * 40}))
    assert read_review_result(result).verdict == "changes_requested"
    mission = tmp_path / ".kitty-flow" / "missions" / "weather-report.toml"
    mission.parent.mkdir(parents=True)
    mission.write_text(blocks(text_of("kitty-flow-plan"), "toml")[0])
    assert [w.id for w in load_mission(mission).definition.work_packages] == ["WP01", "WP02"]


def test_they_are_installed_where_agents_look_from_anywhere(kitty: Any, repo: Path) -> None:
    below = repo / "deep"
    below.mkdir()
    done = kitty("skills", "install", "--json", cwd=below).json["data"]["skills"]
    expected = [str(repo / folder / name / "SKILL.md") for folder in FOLDERS for name in NAMES]
    assert [each["path"] for each in done] == expected
    assert all(each["written"] for each in done)
    for path in expected:
        matter = front_matter(Path(path).read_text())
        assert set(matter) == {"name", "description", "metadata"}
        assert all(isinstance(value, str) for value in matter["metadata"].values())
    assert sorted(path.name for path in repo.iterdir()) == [".agents", ".claude", ".git", "README.md", "deep"]
    again = kitty("skills", "install", "--json", cwd=repo).json["data"]["skills"]
    assert [(each["state"], each["written"]) for each in again] == [("current", False)] * 8


def test_edited_files_are_kept_and_named_and_others_renewed(kitty: Any, repo: Path) -> None:
    words = ("skills", "install", "--dir", "mine", "--json")
    kitty(*words, cwd=repo)
    _, edited, outdated, crlf = (repo / "mine" / name / "SKILL.md" for name in NAMES)
    edited.write_text(edited.read_text() + "Our own rule.\n")
    mine = edited.read_bytes()
    crlf.write_bytes(crlf.read_bytes().replace(b"\n", b"\r\n"))
    # As another version would have left it: another text with the digest of that text.
    text = text_of(NAMES[2]).replace("Plan a mission", "Plan it")
    digest = hashlib.sha256(text.encode()).hexdigest()
    stamp = f'metadata:\n  kitty-flow-version: "0.0.9"\n  kitty-flow-digest: "{digest}"\n---\n'
    head, _, body = text.removeprefix("---\n").partition("---\n")
    outdated.write_text(f"---\n{head}{stamp}{body}")
    listed = kitty("skills", "list", "--dir", "mine", "--json", cwd=repo).json["data"]["skills"]
    assert [each["installed"][0]["state"] for each in listed] == ["current", "edited", "other version", "current"]

    done = kitty(*words, cwd=repo)
    assert done.exit == 0
    assert [(d["state"], d["written"]) for d in done.json["data"]["skills"]] == [
        ("current", False),
        ("edited", False),
        ("current", True),
        ("current", False),
    ]
    (diagnostic,) = done.json["diagnostics"]
    assert diagnostic["diagnostic_code"] == "SKILL_EDITED"
    assert str(edited) in diagnostic["message"] and "--force" in diagnostic["message"]
    assert edited.read_bytes() == mine
    assert kitty(*words, "--force", cwd=repo).json["diagnostics"] == []
    assert b"Our own rule" not in edited.read_bytes()


@pytest.mark.parametrize("theirs", ["somebody's own", "a folder", "a link to nowhere"])
def test_what_is_not_ours_is_kept(kitty: Any, repo: Path, theirs: str) -> None:
    path = repo / "mine" / NAMES[0] / "SKILL.md"
    path.parent.mkdir(parents=True)
    if theirs == "a folder":
        path.mkdir()
    elif theirs == "a link to nowhere":
        path.symlink_to("nowhere")
    else:
        path.write_text("---\nname: x\n---\n")
    done = kitty("skills", "install", "--dir", "mine", "--json", cwd=repo)
    assert [each["state"] for each in done.json["data"]["skills"]] == ["edited", "current", "current", "current"]


def test_agents_md_is_printed_and_never_edited(kitty: Any, repo: Path) -> None:
    (repo / "AGENTS.md").write_text("ours\n")
    done = kitty("skills", "install", "--agents-md", cwd=repo)
    assert done.stdout.strip() == agents_snippet().strip()
    assert (repo / "AGENTS.md").read_text() == "ours\n"
    assert not (repo / ".agents").exists()


def test_a_folder_that_cannot_be_written_is_said_to_be(kitty: Any, repo: Path) -> None:
    (repo / "file").write_text("")
    error = kitty("skills", "install", "--dir", "file", "--json", cwd=repo).json["error"]
    assert error["code"] == "SKILLS_NOT_WRITABLE"
