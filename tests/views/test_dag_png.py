"""The PNG: real text without any font of the machine, the same bytes each time, of bounded size."""

from __future__ import annotations

import struct
import sys

import pytest

from kitty_flow.errors import ExternalToolError
from kitty_flow.graph import compute_plan
from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage
from kitty_flow.views import dag_png
from kitty_flow.views.dag_png import png


def _picture(title: str) -> bytes:
    definition = MissionDefinition(
        None, "m", "Mission", "main", MissionSource("native", "m.toml"), (WorkPackage("WP01", title),)
    )
    return png(definition, compute_plan(definition), {"WP01": "done"})


def _size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize(
    ("one", "other"),
    [("Parser", "Planer"), ("Größe", "Grüße"), ("Схема", "Схемы"), ("a → b", "a ← b"), ("שלום", "שלומ")],
)
def test_text_is_drawn_with_our_own_fonts(one: str, other: str) -> None:
    assert _picture(one) != _picture(other)
    assert _picture(one) == _picture(one)


def test_control_characters_and_markup_are_no_trouble() -> None:
    assert _size(_picture("</text><script>\x00\u202e \ud800 👩 計画"))[0] > 1000


def test_a_large_picture_is_drawn_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    width, height = _size(_picture("a"))
    monkeypatch.setattr(dag_png, "_MOST_PIXELS", 100_000)
    small_width, small_height = _size(_picture("a"))
    assert small_width * small_height < 101_000 < width * height
    assert small_width / small_height == pytest.approx(width / height, rel=0.02)


def test_a_platform_without_the_library_is_told_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ExternalToolError) as caught:
        _picture("a")
    assert caught.value.code == "PNG_MISSING"
