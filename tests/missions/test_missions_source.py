"""Finding missions in a repository, by slug, ULID and prefix, and telling what is no mission."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kitty_flow.errors import DefinitionError, UsageError
from kitty_flow.missions.source import discover, find_mission, load_mission, native_path
from kitty_flow.missions.starter import starter_text

FIXTURES = Path(__file__).parents[2] / "fixtures" / "missions"
SIGNUP_ID = "01JZ5N0QK7M4T9V2XBWC3DGEHF"
SHORTENER_ID = "01JZ5N3C8RWE5P1YF0K6SHTAVD"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    repository = tmp_path / "repository"
    shutil.copytree(FIXTURES / "kitty-specs", repository / "kitty-specs")
    shutil.copytree(FIXTURES / "native", repository / ".kitty-flow" / "missions")
    return repository


def test_all_missions_are_listed_with_their_problems(root: Path) -> None:
    (root / "kitty-specs" / "README.md").write_text("no mission")
    (root / "kitty-specs" / "notes").mkdir()
    (root / "kitty-specs" / "young").mkdir()
    (root / "kitty-specs" / "young" / "meta.json").write_text('{"friendly_name": "Young"}')
    (root / "kitty-specs" / "broken").mkdir()
    (root / "kitty-specs" / "broken" / "meta.json").write_text("{")
    native_path(root, "typo").write_text("[mision]\n")
    native_path(root, "torn").write_text("[mission")
    found = {m.slug: m for m in discover(root)}
    assert list(found) == sorted(found)
    assert {m.slug: m.kind for m in found.values() if m.problem is None} == {
        "link-shortener": "native",
        "newsletter-signup": "spec-kitty",
        "receipt-archive": "spec-kitty",
    }
    assert (found["newsletter-signup"].id, found["newsletter-signup"].title) == (SIGNUP_ID, "Newsletter sign-up")
    assert found["link-shortener"].id == SHORTENER_ID
    assert found["receipt-archive"].id is None
    assert found["young"].problem == "has no work packages yet"
    assert "JSON" in (found["broken"].problem or "")
    assert found["typo"].problem == "has no [mission] table"
    assert "TOML" in (found["torn"].problem or "")


def test_a_repository_without_missions_has_none(tmp_path: Path) -> None:
    assert discover(tmp_path) == ()
    assert find_mission(tmp_path, "x") is None


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("newsletter-signup", "newsletter-signup"),
        ("news", "newsletter-signup"),
        ("NEWS", "newsletter-signup"),
        (SIGNUP_ID, "newsletter-signup"),
        (SIGNUP_ID.lower(), "newsletter-signup"),
        (SHORTENER_ID[:9], "link-shortener"),
        ("l", "link-shortener"),
        ("", None),
        ("unknown", None),
        ("../kitty-specs/newsletter-signup", None),
    ],
)
def test_a_mission_is_found_by_slug_ulid_or_prefix(root: Path, name: str, slug: str | None) -> None:
    path = find_mission(root, name)
    assert (None if path is None else load_mission(path).definition.slug) == slug


def test_an_exact_slug_beats_a_longer_one(root: Path) -> None:
    native_path(root, "news").write_text(starter_text("news", "News"))
    assert find_mission(root, "news") == native_path(root, "news")


def test_an_ambiguous_name_lists_the_candidates(root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_mission(root, "01JZ5N")
    assert caught.value.code == "AMBIGUOUS_MISSION"
    assert [c["slug"] for c in caught.value.details["candidates"]] == ["link-shortener", "newsletter-signup"]
    assert "kitty-flow mission list" in (caught.value.hint or "")


def test_one_slug_in_two_places_is_ambiguous(root: Path) -> None:
    native_path(root, "receipt-archive").write_text(starter_text("receipt-archive", "Receipts"))
    with pytest.raises(UsageError, match="AMBIGUOUS_MISSION"):
        find_mission(root, "receipt-archive")


@pytest.mark.parametrize("name", ["nowhere", "empty", "data.csv", "x" * 300, "a\0b", "data.csv/below"])
def test_what_is_no_mission_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.csv").write_text("x")
    with pytest.raises(UsageError) as caught:
        load_mission(tmp_path / name)
    assert (caught.value.code, caught.value.hint) == ("MISSION_NOT_FOUND", "kitty-flow mission list")


def test_a_folder_with_exactly_one_native_file_is_that_mission(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(starter_text("a", "A"))
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert load_mission(tmp_path).definition.slug == "a"
    (tmp_path / "b.toml").write_text(starter_text("b", "B"))
    with pytest.raises(UsageError, match="holds 2 mission files"):
        load_mission(tmp_path)


def test_the_folder_name_counts_however_it_is_reached(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "kitty-specs" / "receipt-archive")
    loaded = load_mission(Path(), relative_to=root)
    assert loaded.definition.slug == "receipt-archive"
    assert loaded.definition.source.path == "kitty-specs/receipt-archive"


def test_a_mission_outside_the_repository_keeps_its_absolute_path(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.toml"
    outside.write_text(starter_text("outside", "Outside"))
    assert load_mission(outside, relative_to=root).definition.source.path == outside.as_posix()


def test_links_that_lead_out_of_the_repository_are_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.toml").write_text(starter_text("outside", "Outside"))
    link = native_path(root, "linked")
    link.symlink_to(tmp_path / "outside.toml")
    assert "leads out" in ({m.slug: m for m in discover(root)}["linked"].problem or "")
    with pytest.raises(DefinitionError, match="UNSAFE_PATH"):
        load_mission(link, relative_to=root)


def test_nothing_is_written_while_reading(root: Path) -> None:
    def state() -> list[tuple[str, int, int]]:
        return sorted(
            (os.path.join(d, f), (s := os.stat(os.path.join(d, f))).st_mtime_ns, s.st_size)  # noqa: PTH116, PTH118
            for d, _, files in os.walk(root)
            for f in files
        )

    before = state()
    discover(root)
    load_mission(root / "kitty-specs" / "newsletter-signup")
    assert state() == before
