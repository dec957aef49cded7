"""`kitty-flow graph` from outside: every format, and what a missing library or a missing file name is told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

Kitty = Callable[..., Any]

MISSION = """\
[mission]
title = "Two steps"

[[work_package]]
id = "WP01"
title = "First <b>"
owned_files = ["a.txt"]

[[work_package]]
id = "WP02"
title = "Second"
dependencies = ["WP01"]
owned_files = ["b.txt"]
"""


@pytest.fixture
def mission(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(MISSION, encoding="utf-8")
    return path


@pytest.mark.parametrize(("form", "start"), [("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg")])
def test_a_picture_of_a_file_needs_no_repository(kitty: Kitty, mission: Path, form: str, start: str) -> None:
    drawn = kitty("graph", mission, "--format", form, cwd=mission.parent)
    assert drawn.exit == 0
    assert start in drawn.stdout
    assert "WP02" in drawn.stdout


def test_a_picture_goes_into_a_file(kitty: Kitty, mission: Path, tmp_path: Path) -> None:
    target = tmp_path / "dag.svg"
    data = kitty("graph", mission, "--format", "svg", "-o", target, "--json", cwd=tmp_path).json["data"]
    assert data["output"] == str(target)
    assert ElementTree.parse(target).getroot().tag.endswith("svg")


def test_a_folder_that_is_missing_is_made_and_a_dash_is_stdout(kitty: Kitty, mission: Path, tmp_path: Path) -> None:
    assert kitty("graph", mission, "-o", "no/such/dag.mmd", cwd=tmp_path).exit == 0
    assert kitty("graph", mission, "-o", "-", cwd=tmp_path).stdout == (tmp_path / "no/such/dag.mmd").read_text()
    assert not (tmp_path / "-").exists()
    refused = kitty("graph", mission, "--format", "png", "-o", "-", "--json", cwd=tmp_path)
    assert (refused.exit, refused.json["error"]["code"]) == (2, "OUTPUT_FILE_NEEDED")


def test_a_file_where_the_folder_should_be_is_said(kitty: Kitty, mission: Path, tmp_path: Path) -> None:
    refused = kitty("graph", mission, "-o", mission / "dag.mmd", "--json", cwd=tmp_path)
    assert (refused.exit, refused.json["error"]["code"]) == (7, "OUTPUT_NOT_WRITTEN")


def test_a_png_needs_a_file_name(kitty: Kitty, mission: Path) -> None:
    refused = kitty("graph", mission, "--format", "png", "--json", cwd=mission.parent)
    assert (refused.exit, refused.json["error"]["code"]) == (2, "OUTPUT_FILE_NEEDED")


def test_a_missing_library_is_named(kitty: Kitty, mission: Path, tmp_path: Path) -> None:
    (tmp_path / "resvg_py.py").write_text("raise ImportError('not installed here')\n", encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    words = ("graph", mission, "--format", "png", "-o", tmp_path / "dag.png", "--json")
    refused = kitty(*words, cwd=tmp_path, env={"PYTHONPATH": path})
    assert (refused.exit, refused.json["error"]["code"]) == (7, "PNG_MISSING")
    assert "--format svg" in refused.json["error"]["hint"]
    assert not (tmp_path / "dag.png").exists()


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG\r\n"), ("html", b"<!doctype html>")])
def test_png_and_html_are_written(kitty: Kitty, mission: Path, tmp_path: Path, form: str, start: bytes) -> None:
    target = tmp_path / f"dag.{form}"
    assert kitty("graph", mission, "--format", form, "-o", target, cwd=tmp_path).exit == 0
    assert target.read_bytes().startswith(start)


def test_a_page_of_a_mission_in_the_ledger_has_its_history(kitty: Kitty, repo: Path) -> None:
    (repo / ".kitty-flow" / "missions").mkdir(parents=True)
    (repo / ".kitty-flow" / "missions" / "two.toml").write_text(MISSION, encoding="utf-8")
    assert kitty("plan", "two", cwd=repo).exit == 0
    page = kitty("graph", "two", "--format", "html", cwd=repo).stdout
    text = page.partition('id="data">')[2].partition("</script>")[0]
    data = json.loads(text)
    assert [(m["wp"], m["from"], m["to"]) for m in data["moments"]] == [
        ("WP01", None, "planned"),
        ("WP02", None, "planned"),
    ]
    assert data["workPackages"][1]["waitsFor"] == ["WP02 depends on WP01, which is planned"]


def test_what_mermaid_would_not_draw_is_said(kitty: Kitty, tmp_path: Path) -> None:
    tables = [f'[[work_package]]\nid = "WP{n}"\ndependencies = {["WP0"] if n else []}\n' for n in range(502)]
    (tmp_path / "wide.toml").write_text('[mission]\ntitle = "Wide"\n' + "\n".join(tables).replace("'", '"'))
    drawn = kitty("graph", "wide.toml", "--json", cwd=tmp_path).json
    assert [d["diagnostic_code"] for d in drawn["diagnostics"] if d["phase"] == "draw"] == ["MERMAID_TOO_LARGE"]
    assert "501 arrows" in drawn["diagnostics"][-1]["message"]
    small = kitty("graph", "wide.toml", "--format", "dot", "--json", cwd=tmp_path).json
    assert [d for d in small["diagnostics"] if d["phase"] == "draw"] == []


def test_json_of_a_mission_in_the_ledger_has_its_states(kitty: Kitty, repo: Path, mission: Path) -> None:
    kitty("mission", "import", mission, cwd=repo)
    drawn = json.loads(kitty("graph", "two", "--format", "json", cwd=repo).stdout)
    assert [w["state"] for w in drawn["work_packages"]] == ["planned", "planned"]
