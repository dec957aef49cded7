"""The three text forms of the picture: complete, escaped, deterministic."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.graph import compute_plan
from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage
from kitty_flow.model.plan import Plan
from kitty_flow.model.text import clean
from kitty_flow.views.dag_dot import dot
from kitty_flow.views.dag_mermaid import mermaid
from kitty_flow.views.dag_picture import STATE_STYLES, arrows, columns_of, wrap
from kitty_flow.views.dag_svg import svg

Renderer = Callable[[MissionDefinition, Plan, Mapping[str, str] | None], str]

_RENDERERS = {"mermaid": mermaid, "dot": dot, "svg": svg}
_SVG = "{http://www.w3.org/2000/svg}"
_HOSTILE = "x\"] --> y; <script>alert('&')</script> \\N \\ `**b**` \u202e\x1b[31m\x00 #quot; --- ]]> 1. a\n%% end"

_SVG_ELEMENTS = {"svg", "title", "desc", "style", "defs", "marker", "path", "g", "rect", "text"}


def _mission(titles: Mapping[str, str] | None = None, title: str = "Sample mission") -> MissionDefinition:
    dependencies = {
        "WP01": (),
        "WP02": ("WP01",),
        "WP03": ("WP01",),
        "WP04": ("WP01", "WP02", "WP03"),
        "WP05": (),
    }
    owned = {"WP02": ("src/a/**",), "WP03": ("src/a/x.py",)}
    return MissionDefinition(
        id=None,
        slug="sample",
        title=title,
        target_branch="main",
        source=MissionSource(kind="native", path="m.toml"),
        work_packages=tuple(
            WorkPackage(
                id=work_package,
                title=(titles or {}).get(work_package, f"Title of {work_package}"),
                dependencies=prerequisites,
                owned_files=owned.get(work_package, ()),
                execution_mode="planning_artifact" if work_package == "WP05" else "code_change",
            )
            for work_package, prerequisites in dependencies.items()
        ),
    )


def _unquoted(text: str) -> str:
    """What is left of Mermaid or DOT text without its quoted strings."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


def test_arrows_leave_out_what_others_imply_and_say_so() -> None:
    picture = arrows(compute_plan(_mission()))
    assert [(arrow.source, arrow.target, arrow.kind, arrow.critical) for arrow in picture.drawn] == [
        ("WP01", "WP02", "declared", True),
        ("WP03", "WP04", "declared", True),
        ("WP02", "WP03", "conflict", True),
    ]
    assert picture.implied == 3
    assert picture.remark == "3 implied arrows are not drawn"
    assert picture.drawn[2].tooltip == "WP02 before WP03: both may write src/a/** and src/a/x.py"


def test_mermaid_shows_waves_arrows_and_the_critical_path() -> None:
    text = mermaid(_mission(), compute_plan(_mission()))
    assert text.startswith('---\ntitle: "Sample mission"\n---\nflowchart LR\n')
    assert 'subgraph wave2["Wave 2"]' in text
    assert 'wp1["<b>WP01</b><br/>Title of WP01<br/><i>lane-a</i>"]' in text
    assert "    wp1 ==> wp3\n" in text
    assert 'wp3 -.->|"src#47;a#47;#42;#42; and src#47;a#47;x#46;py"| wp4' in text
    assert "class wp1,wp3,wp4,wp5 critical" in text
    assert "linkStyle 0,1,2 stroke:" in text
    assert "%% 3 implied arrows are not drawn" in text


def test_mermaid_keeps_words_that_people_write() -> None:
    text = mermaid(_mission({"WP01": "Über-cool a_b café, part 2"}), compute_plan(_mission()))
    assert "Über-cool a_b café, part 2" in text


def test_mermaid_labels_contain_nothing_that_mermaid_could_read() -> None:
    definition = _mission(dict.fromkeys(["WP01", "WP02"], _HOSTILE), title=_HOSTILE)
    lines = mermaid(definition, compute_plan(definition)).splitlines()
    (label,) = [line for line in lines if line.strip().startswith("wp1[")]
    assert re.fullmatch(r' +wp1\["(?:<b>|</b>|<br/>|<i>|</i>|#\d+;|[\w ,…-])*"\]', label)
    assert len(lines) == len(mermaid(_mission(), compute_plan(_mission())).splitlines())


_TEXT = r"(?:#\d+;|[A-Za-z0-9_ ,\x80-\U0010ffff-])*"
_MERMAID_LINES = [
    r"---",
    r'title: "(?:[^"\\]|\\.)*"',
    r"flowchart LR",
    r" +%% \d+ implied arrows? (?:is|are) not drawn",
    r' +subgraph wave\d+\["Wave \d+"\]',
    r" +end",
    rf' +wp\d+\["<b>WP\d+</b><br/>(?:{_TEXT}<br/>)?<i>{_TEXT}</i>(?: · {_TEXT})?"\]',
    r" +wp\d+ (?:-->|==>) wp\d+",
    rf' +wp\d+ -\.->\|"{_TEXT}"\| wp\d+',
    r" +classDef [a-z_]+ [a-z0-9:#,-]+",
    r" +class wp\d+(?:,wp\d+)* [a-z_]+",
    r" +linkStyle \d+(?:,\d+)* [a-z0-9:#,-]+",
]
_STATEMENT = re.compile("|".join(_MERMAID_LINES), re.IGNORECASE)

_TITLES = [
    '"]--><script>alert(1)</script>',
    "</svg></text><svg onload=alert(1)>",
    "%%{init: {'securityLevel': 'loose'}}%%",
    "a\nclick wp1 href javascript:alert(1)\nend",
    "end",
    "click",
    "graph; subgraph x; style wp1 fill:#f00;",
    "'\"`\\ \\N \\l &quot; &#34; #35;",
    "$$\\frac{1}{2}$$ [a](b) ![c](d) **e** `f` fa:fa-ban <br>",
    "\u202eevil \u2066iso\u2069 \u2028 \u2029 \x00\x1b]0;t\x07 \ud800",
    "שלום עולם مرحبا 👩\u200d👩\u200d👧 計画",
    "---\ntitle: x\nconfig: {}\n---",
]


@pytest.mark.parametrize("title", _TITLES)
def test_hostile_titles_stay_titles(title: str) -> None:
    definition = _mission(dict.fromkeys(["WP01", "WP02", "WP03", "WP04", "WP05"], title), title=title)
    plan = compute_plan(definition)
    states = dict.fromkeys(plan.merge_order, "blocked")
    assert [x for x in mermaid(definition, plan, states).splitlines() if not _STATEMENT.fullmatch(x)] == []
    assert _unquoted(dot(definition, plan)) == _unquoted(dot(_mission(), plan))
    root = ElementTree.fromstring(svg(definition, plan, states))
    assert {element.tag.removeprefix(_SVG) for element in root.iter()} == _SVG_ELEMENTS


@given(st.text(max_size=60), st.text(max_size=60), st.text(min_size=1, max_size=30))
def test_every_line_of_mermaid_is_one_of_our_statements(title: str, mission_title: str, pattern: str) -> None:
    definition = _mission({"WP01": title, "WP03": title}, title=mission_title)
    plan = compute_plan(definition)
    plan = replace(plan, conflicts=tuple(c._replace(patterns=(pattern, pattern)) for c in plan.conflicts))
    text = mermaid(definition, plan, {"WP01": title, "WP02": "done"})
    assert [line for line in text.split("\n")[:-1] if not _STATEMENT.fullmatch(line)] == []


def test_dot_quotes_everything() -> None:
    definition = _mission(dict.fromkeys(["WP01", "WP02"], _HOSTILE), title=_HOSTILE)
    text = dot(definition, compute_plan(definition))
    plain = dot(_mission(), compute_plan(_mission()))
    assert _unquoted(text) == _unquoted(plain)
    assert "\\\\N" in text and "&amp;" in text


def test_dot_draws_waves_as_ranks_and_conflicts_dashed() -> None:
    text = dot(_mission(), compute_plan(_mission()))
    assert '{ rank=same; "wave 1"; "wp WP01"; "wp WP05"; }' in text
    assert re.search(r'"wp WP02" -> "wp WP03" \[.*style="dashed".*src/a/\*\*', text)
    assert re.search(r'"wp WP01" -> "wp WP02" \[.*penwidth="2.5"', text)


def test_svg_is_well_formed_accessible_and_self_contained() -> None:
    definition = _mission(dict.fromkeys(["WP01", "WP02"], _HOSTILE), title=_HOSTILE)
    root = ElementTree.fromstring(svg(definition, compute_plan(definition), {"WP01": "done"}))
    assert root.get("role") == "img" and root.get("viewBox", "").startswith("0 0 ")
    title, description = root.find(f"{_SVG}title"), root.find(f"{_SVG}desc")
    assert title is not None and title.text == clean(_HOSTILE)
    assert description is not None and "Critical path: WP01, WP02, WP03, WP04" in (description.text or "")
    assert not root.findall(f".//{_SVG}script")
    assert not [element for element in root.iter() if any("href" in name for name in element.attrib)]
    assert {element.tag.removeprefix(_SVG) for element in root.iter()} == _SVG_ELEMENTS
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or name == "style"]


def test_svg_says_in_words_what_it_shows() -> None:
    root = ElementTree.fromstring(svg(_mission(), compute_plan(_mission()), {"WP01": "in_review", "WP02": "odd_state"}))
    words = {text.text for text in root.iter(f"{_SVG}text")}
    assert {"WAVE 1", "2 work packages", "WP01", "Title of WP01", "lane-a", "lane-planning", "in review"} <= words
    assert {"odd state", "critical path", "3 implied arrows are not drawn"} <= words
    tooltips = {element.text for element in root.iter(f"{_SVG}title")}
    assert "WP04 depends on WP03" in tooltips
    assert "WP02 before WP03: both may write src/a/** and src/a/x.py" in tooltips
    assert "WP05 Title of WP05, wave 1, lane-planning, slack 3" in tooltips
    kinds = [path.get("class") for path in root.iter(f"{_SVG}path") if path.find(f"{_SVG}title") is not None]
    assert sorted(map(str, kinds)) == ["arrow conflict critical", "arrow critical", "arrow critical"]


@pytest.mark.parametrize("render", _RENDERERS.values(), ids=_RENDERERS)
def test_every_state_is_shown_in_words_and_colour(render: Renderer) -> None:
    plan = compute_plan(_mission())
    for state, style in STATE_STYLES.items():
        text = render(_mission(), plan, {"WP03": state})
        assert style.label in text and style.fill in text and style.tone in text


def test_each_state_of_the_svg_has_its_symbol_and_class() -> None:
    for state, style in STATE_STYLES.items():
        root = ElementTree.fromstring(svg(_mission(), compute_plan(_mission()), {"WP03": state}))
        (card,) = (g for g in root.iter(f"{_SVG}g") if g.get("data-wp") == "WP03")
        assert card.get("class") == f"card s-{state}"
        assert [p.get("d") for p in card.iter(f"{_SVG}path") if p.get("class") == "symbol"] == [style.symbol]


def test_the_svg_has_colours_for_a_dark_ground() -> None:
    text = svg(_mission(), compute_plan(_mission()), {"WP03": "blocked"})
    light, _, dark = text.partition("@media (prefers-color-scheme: dark)")
    assert STATE_STYLES["blocked"].fill in light and STATE_STYLES["blocked"].dark_fill in dark


def _brightness(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_brightness(one), _brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("state", STATE_STYLES)
def test_words_and_symbols_stand_out_in_light_and_dark(state: str) -> None:
    style = STATE_STYLES[state]
    assert _contrast("#1F2937", style.fill) >= 7 and _contrast("#E6EAF0", style.dark_fill) >= 7
    assert _contrast(style.tone, style.fill) >= 3 and _contrast(style.dark_tone, style.dark_fill) >= 3


def test_states_differ_in_colour_and_label() -> None:
    assert len({style.tone for style in STATE_STYLES.values()}) == 9
    assert len({style.label for style in STATE_STYLES.values()}) == 9
    assert len({style.symbol for style in STATE_STYLES.values()}) == 9


@pytest.mark.parametrize("render", _RENDERERS.values(), ids=_RENDERERS)
def test_an_empty_mission_has_a_picture(render: Renderer) -> None:
    empty = replace(_mission(), work_packages=())
    assert "Sample mission" in render(empty, compute_plan(empty), None)


@pytest.mark.parametrize("render", _RENDERERS.values(), ids=_RENDERERS)
def test_the_same_plan_gives_the_same_text(render: Renderer) -> None:
    states = {"WP01": "done", "WP02": "in_progress"}
    first = render(_mission(), compute_plan(_mission()), states)
    assert render(_mission(), compute_plan(_mission()), dict(reversed(states.items()))) == first


@given(st.text(), st.text())
def test_no_title_breaks_any_format(title: str, mission_title: str) -> None:
    definition = _mission({"WP01": title}, title=mission_title)
    plan = compute_plan(definition)
    ElementTree.fromstring(svg(definition, plan).encode())
    assert _unquoted(dot(definition, plan)) == _unquoted(dot(_mission(), plan))
    assert _unquoted(mermaid(definition, plan)) == _unquoted(mermaid(_mission(), plan))


@given(st.text(), st.integers(4, 30), st.integers(1, 4))
def test_wrapped_text_keeps_its_limits(text: str, width: int, lines: int) -> None:
    wrapped = wrap(text, width, lines)
    assert len(wrapped) <= lines
    assert all(len(line) <= width for line in wrapped)
    if width >= 8:  # four wide characters always fit
        assert all(columns_of(line) <= width + 1 for line in wrapped)


def test_wrapping_counts_wide_characters_double() -> None:
    assert max(map(len, wrap("計画の作成と検証を行う作業パッケージ", 20, 3))) <= 10
