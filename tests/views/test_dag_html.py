"""The HTML page as text: whole, closed to the outside, and nothing from a mission in it is markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitty_flow.flow.mission_record import MissionRecord, Moment
from kitty_flow.graph import compute_plan
from kitty_flow.model.mission import MissionDefinition, MissionSource, Subtask, WorkPackage
from kitty_flow.model.text import clean
from kitty_flow.views.dag_html import html

_HOSTILE = (
    '"]--></script></title></style><script>alert(1)</script><img src=x onerror=alert(1)> {{picture}} \u2028 & {0}'
)


class _Structure(HTMLParser):
    """The elements of a page with the names of their attributes, and what stands in scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.inline: list[tuple[str, str]] = []
        self.policy = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        if tag in ("script", "style"):
            self.inline.append((dict(attrs).get("type") or tag, ""))
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.inline and self.cdata_elem:  # type: ignore[attr-defined]
            kind, before = self.inline[-1]
            self.inline[-1] = (kind, before + data)


def _page(text: str = "Some words", state: str = "planned") -> str:
    packages = (
        WorkPackage("WP01", text, (), (text or "a",), "code_change", (Subtask("T001", text),), (text,)),
        WorkPackage("WP02", "Second", ("WP01",), ("b",)),
    )
    definition = MissionDefinition(None, "sample", text, "main", MissionSource("native", "m.toml"), packages)
    moment = Moment("2026-01-02T03:04:05Z", "WP01", None, state, "plan", text, text, False)
    record = MissionRecord({"WP01": state, "WP02": "planned"}, (moment,), {"WP02": (text,)})
    return html(definition, compute_plan(definition), record)


def _data(page: str) -> Any:
    return json.loads(dict(_Structure(page).inline)["application/json"])


def test_the_policy_lets_in_our_own_script_and_style_and_nothing_else() -> None:
    page = _Structure(_page())
    inline = dict(page.inline)
    assert sorted(kind for kind, _ in page.inline) == ["application/json", "script", "style"]
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(inline[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in page.policy
    assert page.policy.startswith("default-src 'none';")
    assert "unsafe" not in page.policy and "http" not in page.policy


def test_the_page_names_no_other_file() -> None:
    names = {name for _, attributes in _Structure(_page()).elements for name in attributes}
    assert {"src", "href", "srcset", "action", "style"}.isdisjoint(names)
    assert not [name for name in names if name.startswith("on")]
    script = dict(_Structure(_page()).inline)["script"]
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "import("):
        assert word not in script


@pytest.mark.parametrize("text", [_HOSTILE, "</svg>", "<!--", "]]>", "\u202e \u2029", "{{title}}", "{data}", ""])
def test_hostile_texts_change_nothing_but_words(text: str) -> None:
    page, plain = _Structure(_page(text, text)), _Structure(_page())
    assert set(page.elements) == set(plain.elements)
    scripts = [(kind, content) for kind, content in page.inline if kind != "application/json"]
    assert scripts == [(kind, content) for kind, content in plain.inline if kind != "application/json"]


@settings(max_examples=40)
@given(st.text(max_size=80))
def test_every_text_comes_back_from_the_data_and_never_ends_it(text: str) -> None:
    page = _page(text)
    block = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert block is not None and block[1].isascii() and not set(block[1]) & set("<>&")
    assert json.loads(block[1])["workPackages"][0]["title"] == clean(text)
    assert set(_Structure(page).elements) == set(_Structure(_page()).elements)


def test_the_data_has_what_the_details_show() -> None:
    first, second = _data(_page())["workPackages"]
    assert (first["id"], first["wave"], first["lane"], first["slack"], first["critical"]) == (
        "WP01",
        1,
        "lane-a",
        0,
        True,
    )
    assert first["dependents"] == ["WP02"] and second["dependencies"] == ["WP01"]
    assert first["subtasks"] == ["T001 Some words"] and first["files"] == ["Some words"]
    assert second["waitsFor"] == ["Some words"]


def test_a_mission_that_is_only_planned_has_neither_states_nor_history() -> None:
    definition = MissionDefinition(
        None, "m", "M", "main", MissionSource("native", "m.toml"), (WorkPackage("WP01", "One"),)
    )
    data = _data(html(definition, compute_plan(definition)))
    assert data["moments"] == [] and data["workPackages"][0]["state"] is None
