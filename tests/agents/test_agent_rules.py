"""What agents and pools need of each other, and what a preset gives an agent."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.agents.presets import preset, preset_names
from kitty_flow.agents.settings import load_settings, resolve_agent
from kitty_flow.agents.settings_rules import rule_problems
from kitty_flow.errors import DefinitionError, UsageError


def settings_file(root: Path, text: str) -> Path:
    folder = root / ".kitty-flow"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return root


def codes(root: Path, text: str) -> set[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        load_settings(settings_file(root, text))
    return {(problem["where"], problem["code"]) for problem in caught.value.details["problems"]}


def test_every_broken_rule_is_told_at_once(tmp_path: Path) -> None:
    found = codes(
        tmp_path,
        '[agents.a]\ncommand = ["a", "{promt}"]\nfallbacks = ["b", "nobody"]\nrole = "implement"\n'
        '[agents.b]\npreset = "claud"\nrole = "review"\nfallbacks = ["c"]\nretries = -1\n'
        '[agents.c]\npreset = "codex"\nrole = "review"\nfallbacks = ["b"]\nstdin = "prompt"\npool = "../x"\n'
        '[agents.f]\npreset = "aider"\n'
        '[agents.d]\ncommand = ["d"]\nargs = ["x"]\nconcurrency = 0\n[agents.e]\ntimeout_s = 1\n'
        '[pools.clade]\nquota_pause_s = 0\n[run]\nagent = "b"\nreviewer = "a"\n',
    )
    assert found >= {
        ("agents.a.command", "UNKNOWN_PLACEHOLDER"),
        ("agents.a.fallbacks", "UNKNOWN_AGENT"),
        ("agents.a.fallbacks", "ROLE_MISMATCH"),
        ("agents.b.preset", "UNKNOWN_PRESET"),
        ("agents.b.retries", "INVALID_VALUE"),
        ("agents.b.fallbacks", "FALLBACK_CIRCLE"),
        ("agents.c.fallbacks", "FALLBACK_CIRCLE"),
        ("agents.c.stdin", "UNUSED_KEY"),
        ("agents.c.pool", "INVALID_POOL_NAME"),
        ("agents.d.args", "UNUSED_KEY"),
        ("agents.d.concurrency", "INVALID_VALUE"),
        ("agents.e.command", "MISSING_KEY"),
        ("agents.f.command", "MISSING_KEY"),
        ("pools.clade", "UNUSED_POOL"),
        ("pools.clade.quota_pause_s", "INVALID_VALUE"),
        ("run.agent", "ROLE_MISMATCH"),
        ("run.reviewer", "ROLE_MISMATCH"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "[agents.a]\npreset = 3",
        "[agents.a]\ncommand = ['a']\nfallbacks = 'b'",
        "[agents.a]\ncommand = ['a']\nfallbacks = [[1]]",
        "[agents.a]\ncommand = ['a']\npool = [1]",
        "agents = [1]\npools = 3",
        "pools = { a = 3 }",
        "[agents.a]\ncommand = ['a']\nrole = 'boss'\n[run]\nagent = 'a'",
    ],
)
def test_wrong_types_are_refused_and_never_a_crash(tmp_path: Path, text: str) -> None:
    assert codes(tmp_path, text)


_NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(_NAMES, st.lists(_NAMES, max_size=4)))
def test_exactly_the_agents_on_a_circle_of_fallbacks_are_named(graph: dict[str, list[str]]) -> None:
    table = {"agents": {name: {"command": [name], "fallbacks": others} for name, others in graph.items()}}
    found = [p for p in rule_problems(table) if p["code"] == "FALLBACK_CIRCLE"]

    def reach(name: str) -> set[str]:
        seen: set[str] = set()
        queue = list(graph.get(name, ()))
        while queue:
            if (here := queue.pop()) not in seen:
                seen.add(here)
                queue += graph.get(here, ())
        return seen

    assert {p["where"].split(".")[1] for p in found} == {name for name in graph if name in reach(name)}
    for told in found:
        way = told["message"].removeprefix("leads back to itself: ").split(" > ")
        assert way[0] == way[-1]
        assert all(after in graph[before] for before, after in pairwise(way)), (graph, way)


def test_a_preset_gives_what_the_table_leaves_out(tmp_path: Path) -> None:
    root = settings_file(
        tmp_path,
        '[agents.one]\npreset = "claude"\nargs = ["--model", "opus"]\nenv = { X = "1" }\n'
        '[agents.two]\npreset = "claude"\ncommand = ["./wrapper"]\nstdin = "prompt"\npool = "other"\nretries = 0\n',
    )
    settings = load_settings(root)
    known = preset("claude")
    one, two = resolve_agent(settings, "one"), resolve_agent(settings, "two")
    assert one.argv == (*known.command, "--model", "opus")
    assert (one.prompt_on_stdin, one.pool, one.preset, one.retries) == (known.prompt_on_stdin, "claude", "claude", 2)
    assert one.env == {**known.env, "X": "1"}
    assert (two.argv, two.prompt_on_stdin, two.pool, two.retries) == (("./wrapper",), True, "other", 0)


def test_the_name_of_a_preset_is_an_agent_without_a_table(tmp_path: Path) -> None:
    root = settings_file(
        tmp_path,
        '[agents.mine]\ncommand = ["m"]\nfallbacks = ["codex"]\n[run]\nagent = "mine"\nreviewer = "claude"\n'
        "[pools.gemini]\nconcurrency = 1\n",
    )
    spec = resolve_agent(load_settings(root), "claude", "reviewer")
    assert (spec.name, spec.pool, spec.argv) == ("claude", "claude", preset("claude").command)
    with pytest.raises(UsageError, match="no agent 'aider'"):
        resolve_agent(load_settings(root), "aider")


def test_an_agent_is_refused_in_the_other_role(tmp_path: Path) -> None:
    settings = load_settings(settings_file(tmp_path, '[agents.a]\ncommand = ["a"]\nrole = "review"\n'))
    assert resolve_agent(settings, "a", "reviewer").role == "review"
    with pytest.raises(UsageError) as caught:
        resolve_agent(settings, "a", "implementer")
    assert caught.value.code == "WRONG_ROLE"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_whole(name: str) -> None:
    known = preset(name)
    assert known.note.endswith(".")
    assert (known.checked is None) == (known.checked_on is None)
    assert known.checked is not None or known.note.startswith("unchecked: "), "an unchecked preset says so"
    assert known.checked is not None or not known.tried
    assert known.tried or "not tried" in known.note or known.checked is None
    command = known.command or ()
    assert known.prompt_on_stdin or not command or any("{prompt" in word for word in command), "the prompt gets there"
    assert set(known.not_in_help) <= {word.partition("=")[0] for word in command}
    json.dumps(known.model_dump(mode="json"))
