"""Versions in files, their order, and entries of changelogs: pure functions, by table and by property."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import ExternalToolError
from kitty_flow.release.ship.artifacts import built_metadata
from kitty_flow.release.ship.changelog import entries, heading_like
from kitty_flow.release.ship.order import Scheme, canonical, greatest, is_greater, versions_of_tags
from kitty_flow.release.ship.places import UnstatedError, dynamic_source, stated_version

PLACES: dict[str, tuple[str, str | None, str, tuple[str, int]]] = {
    "pyproject": (
        "pyproject.toml",
        None,
        '[tool.x]\nversion = "9"\n[project]\nname = "a"\nversion = "1.2"\n',
        ("1.2", 5),
    ),
    "Python": ("a/__init__.py", None, '"""Doc."""\n\n__version__: str = "1.2"\n', ("1.2", 3)),
    "Python, another name": ("a.py", "VERSION", '__version__ = "3"\nVERSION = "1.2"\n', ("1.2", 2)),
    "package.json": ("package.json", None, '{\n  "name": "a",\n  "version": "1.2.3"\n}\n', ("1.2.3", 3)),
    "Cargo": ("Cargo.toml", None, '[package]\nname = "a"\nversion = "0.3.0"\n', ("0.3.0", 3)),
    "Cargo workspace": (
        "Cargo.toml",
        None,
        '[workspace.package]\nversion = "0.3.0"\n[package]\nversion.workspace = true\n',
        ("0.3.0", 2),
    ),
    "YAML keeps text": ("m.yaml", "spec.version", "other: 1\nspec:\n  version: 1.10\n", ("1.10", 3)),
    "TOML key": ("m.toml", "a.b.version", 'version = "0"\n[a.b]\n# version = "7"\nversion="2"\n', ("2", 4)),
    "JSON key": ("m.json", "a.v", '{"a":\n {"v": "2"}}', ("2", 2)),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_version_is_read_with_its_line(name: str) -> None:
    path, key, text, expected = PLACES[name]
    assert stated_version(path, text, key) == expected


@pytest.mark.parametrize(
    ("path", "key", "text", "why"),
    [
        ("a.py", None, "__version__ = version('a')\n", "computes __version__ in line 1"),
        ("a.py", None, "x = 1\n", "does not set"),
        ("a.py", None, "def f(:\n", "is no Python"),
        ("pyproject.toml", None, "[project]\nname = 'a'\n", "no text at project.version"),
        ("pyproject.toml", None, "[project\n", "cannot be read"),
        ("package.json", None, '{"version": 3}', "no text at version"),
        ("m.yaml", "a.b", "a: 1\n", "nothing at a.b"),
        ("m.yaml", "a", "a: &x 1\nb: *x\n", "cannot be read"),
    ],
)
def test_a_version_that_cannot_be_read_says_why(path: str, key: str | None, text: str, why: str) -> None:
    with pytest.raises(UnstatedError, match=why):
        stated_version(path, text, key)


def test_a_module_is_never_executed(capsys: pytest.CaptureFixture[str]) -> None:
    assert stated_version("a.py", 'print("ran")\nraise SystemExit\n__version__ = "1"\n').version == "1"
    assert capsys.readouterr().out == ""


def test_where_a_dynamic_version_comes_from() -> None:
    text = '[project]\ndynamic = ["version"]\n[tool.hatch.version]\npath = "a/__init__.py"\n'
    assert dynamic_source(text) == "a/__init__.py"
    assert dynamic_source(text.replace('["version"]', "[]")) is None


@pytest.mark.parametrize(
    ("scheme", "rising"),
    [
        ("pep440", ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.9", "1.10", "2!0.1"]),
        ("semver", ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.10.0"]),
    ],
)
def test_versions_rise(scheme: Scheme, rising: list[str]) -> None:
    for at, version in enumerate(rising):
        assert canonical(version, scheme) == version
        assert [is_greater(version, other, scheme) for other in rising] == [n < at for n in range(len(rising))]
    assert greatest(reversed(rising), scheme) == rising[-1]


def test_only_tags_of_the_pattern_count() -> None:
    tags = ["v1.0", "v1.1rc1", "vnext", "1.2", "pkg-v3.0", "v1.0-final"]
    assert versions_of_tags(tags, "v{version}", "pep440") == {"v1.0": "1.0", "v1.1rc1": "1.1rc1"}
    assert versions_of_tags(tags, "pkg-v{version}", "pep440") == {"pkg-v3.0": "3.0"}
    assert canonical("1.0", "semver") is None and canonical("1.0-rc1", "pep440") == "1.0rc1"


HEADINGS = {
    "## [1.2.0] - 2026-01-02": "## [9.9] - 2030-01-01",
    "## 1.2.0": "## 9.9",
    "## v1.2.0 (2026-01-02)": "## v9.9 (2030-01-01)",
    "# Release 1.2.0": "# Release 9.9",
    "### [1.2.0](https://example.invalid/v1) - 2026-01-02": "### [9.9](https://example.invalid/v1) - 2030-01-01",
    "1.2.0 (2026-01-02)\n==================": "9.9 (2030-01-01)\n================",
}


@pytest.mark.parametrize("heading", HEADINGS)
def test_entries_in_common_forms(heading: str) -> None:
    is_underlined = heading.endswith("=")
    older = heading.replace("1.2.0", "1.1.0")
    inside = "" if is_underlined else "#### Python 3.11\n\n"
    text = f"## Unreleased\n\n- later\n\n{heading}\n\n{inside}- one\n\n```\n## 7.7.7\n```\n\n{older}\n"
    found = entries(text)
    assert [(e.version, e.has_text) for e in found] == [("1.2.0", True), ("1.1.0", False)]
    assert text.splitlines()[found[0].line - 1] == heading.splitlines()[0]
    assert heading_like(found[0], "9.9", "2030-01-01") == HEADINGS[heading]


def test_comments_hide_entries() -> None:
    assert entries("<!--\n## 1.0.0\n-->\n## 0.9.0\nx\n")[0][:2] == ("0.9.0", 4)
    assert entries("<!-- a --><!-- b\n-->\n## 0.9.0 <!-- never closed\n## 0.8.0\n")[0][:2] == ("0.9.0", 3)


def test_comments_that_never_end_take_no_time() -> None:
    # Two hundred thousand of them took a regular expression minutes: it looked for the end again at each.
    assert entries("<!--\n" * 200_000 + "## 1.0.0\nx\n")[0].version == "1.0.0"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "[project]\ndynamic = 5\n"),
        ("pyproject.toml", "x = " + "[" * 20_000),
        ("pyproject.toml", "x = " + "{a = " * 20_000),
        ("a.py", "-" * 100_000 + "1"),
        ("package.json", "[" * 100_000),
    ],
    ids=["dynamic", "arrays", "tables", "Python", "JSON"],
)
def test_what_no_parser_can_take_states_no_version(path: str, text: str) -> None:
    with pytest.raises(UnstatedError):
        stated_version(path, text)
    assert dynamic_source(text) is None


def a_wheel() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("a-1.dist-info/METADATA", "Name: a\nVersion: 1\n" + "Keywords: all of them\n" * 50)
    return made.getvalue()


def an_sdist() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as sdist:
        for name, content in (("a-1/z", bytes(range(256)) * 99), ("a-1/PKG-INFO", b"Name: a\nVersion: 1\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            sdist.addfile(entry, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize(("name", "content"), [("a.whl", a_wheel()), ("a.tar.gz", an_sdist())])
def test_a_damaged_artifact_is_an_error_of_ours(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert built_metadata(path) == ("a", "1")
    for at in range(len(content)):
        for damaged in (content[:at], content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]):
            path.write_bytes(damaged)
            with suppress(ExternalToolError):  # or it happens to be readable still
                built_metadata(path)


def test_metadata_that_unpacks_without_end_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("a-1.dist-info/METADATA", "Name: a\n" + "x" * 5_000_000)
    with pytest.raises(ExternalToolError, match="larger than 4 MiB"):
        built_metadata(path)


@given(st.text(alphabet="#=-[]v1.0 \n`<!>aZ~", max_size=200), st.text(max_size=40))
def test_no_text_breaks_the_readers(changelog: str, text: str) -> None:
    for entry in entries(changelog):
        assert entry.version in changelog.splitlines()[entry.line - 1]
    for path in ("pyproject.toml", "a.py", "package.json", "m.yaml"):
        try:
            stated_version(path, text, "version" if path == "m.yaml" else None)
        except UnstatedError as error:
            assert str(error)


@given(st.text(alphabet="0123456789.abrc", min_size=1, max_size=8))
def test_a_stated_version_is_found_again(version: str) -> None:
    quoted = json.dumps(version)
    assert stated_version("a.py", f"\n__version__ = {quoted}\n") == (version, 2)
    assert stated_version("pyproject.toml", f"[project]\nversion = {quoted}\n") == (version, 2)
    assert stated_version("package.json", f'{{\n"version": {quoted}}}') == (version, 2)
