"""Arbitrary bytes and near-valid text in every kind of mission file: a mission or a KittyFlowError, nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kitty_flow.errors import KittyFlowError
from kitty_flow.missions.source import discover, find_mission, load_mission

YAML_PIECES = (
    *("dependencies", "title", "owned_files", "subtasks", "work_package_id", "WP01", ": ", "- ", "\n", "  ", "\t"),
    *("[", "]", "{", "}", "..", "&a", "*a", "!!int", "|", ">", '"', "'", "\\U110000", "\\x00", "\\uD800", "%YAML 9"),
    *("?", ",", "#", "\x85", "\u2028", "é", "---", "<<", "~", "@", "`"),
)
TOML_PIECES = (
    *("[mission]", "[[work_package]]", "work_package", "id", "title", "subtasks", "owned_files", " = ", '"WP01"', "\n"),
    *("[", "]", "{", "}", "1979-05-27", "nan", "1e400", "true", '"""', "'''", ".", ",", "\\ud800", "#", "9" * 5000),
)
YAMLISH = st.lists(st.sampled_from(YAML_PIECES), max_size=30).map(lambda pieces: "".join(pieces).encode())
TOMLISH = st.lists(st.sampled_from(TOML_PIECES), max_size=30).map(lambda pieces: "".join(pieces).encode())
CONTENT = st.binary(max_size=200)


def survives(folder: Path) -> None:
    for path in (folder, folder / "m.toml"):
        try:
            definition = load_mission(path).definition
        except KittyFlowError as error:
            assert error.code.isupper() and error.message
        else:
            assert definition.digest and definition.work_packages
    assert find_mission(folder, "no-such-mission") is None


@settings(deadline=None)
@given(frontmatter=CONTENT | YAMLISH, meta=CONTENT | st.just(b"{}"), wps=CONTENT | YAMLISH)
def test_any_bytes_in_a_spec_kitty_mission(frontmatter: bytes, meta: bytes, wps: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "kitty-specs" / "m"
        (folder / "tasks").mkdir(parents=True)
        (folder / "tasks" / "WP01.md").write_bytes(b"---\n" + frontmatter + b"\n---\nbody")
        (folder / "meta.json").write_bytes(meta)
        if len(wps) % 2:
            (folder / "wps.yaml").write_bytes(wps)
        survives(folder)
        assert len(discover(Path(name))) == 1


@settings(deadline=None)
@given(content=CONTENT | TOMLISH)
def test_any_bytes_in_a_native_mission(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / ".kitty-flow" / "missions"
        folder.mkdir(parents=True)
        (folder / "m.toml").write_bytes(content)
        survives(folder)
        assert len(discover(Path(name))) == 1
