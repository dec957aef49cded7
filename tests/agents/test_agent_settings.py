"""The settings file: what it means, what is refused, and that every key is documented."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.agents.settings import (
    AgentSettings,
    AgentSpec,
    GovernanceSettings,
    MergeSettings,
    PoolSettings,
    PortSettings,
    PromptSettings,
    ReviewSettings,
    RunSettings,
    Settings,
    SyncSettings,
    WorkspaceSettings,
    check_executable,
    command_agent,
    load_settings,
    resolve_agent,
    settings_text,
)
from kitty_flow.agents.settings_budget import BudgetSettings
from kitty_flow.agents.settings_hooks import HookSettings
from kitty_flow.agents.settings_hub import HubSettings
from kitty_flow.agents.settings_ship import (
    BuildSettings,
    PublishSettings,
    ReleaseGateSettings,
    ShipSettings,
    VersionPlace,
)
from kitty_flow.errors import DefinitionError, ExternalToolError, UsageError

SHIP = (BuildSettings, PublishSettings, ReleaseGateSettings, VersionPlace)
CONFIG_REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "config.md"


def write(root: Path, text: str) -> Path:
    folder = root / ".kitty-flow"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return root


def problems(root: Path, text: str) -> dict[str, dict[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        load_settings(write(root, text))
    assert caught.value.code == "INVALID_SETTINGS"
    assert caught.value.exit_status == 3
    assert caught.value.details["path"].endswith("config.toml")
    assert caught.value.hint is not None
    return {problem["where"]: problem for problem in caught.value.details["problems"]}


def test_defaults_without_a_file(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings == Settings()
    assert (settings.run.jobs, settings.run.max_attempts, settings.run.lease_s) == (2, 3, 900)
    assert (settings.merge.test_command, settings.merge.test_timeout_s, settings.merge.strategy) == (
        None,
        1800,
        "merge",
    )
    assert settings.workspace_root(tmp_path) is None


def test_a_full_file(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        '[agents.builder]\ncommand = ["b", "--flag"]\ntimeout_s = 0.5\nstall_s = 0\nenv = { A = "1" }\n'
        '[agents.critic]\ncommand = ["c"]\n[run]\nagent = "builder"\nreviewer = "critic"\njobs = 4\n'
        '[merge]\ntest_command = ["pytest"]\n[workspace]\nroot = "../work"\n',
    )
    settings = load_settings(root)
    assert resolve_agent(settings, "builder") == AgentSpec(
        "builder", ("b", "--flag"), 0.5, 0, {"A": "1"}, pool="builder"
    )
    assert resolve_agent(settings, "critic") == AgentSpec("critic", ("c",), 3600, 900, {}, pool="critic")
    assert settings.merge.test_command == ("pytest",)
    assert settings.workspace_root(root) == root.parent / "work"


def test_the_written_sample_means_the_defaults_and_its_comments_are_valid(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, settings_text())) == Settings()
    uncommented = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", settings_text())
    settings = load_settings(write(tmp_path, uncommented))
    assert settings.run.agent == "builder"
    assert settings.workspace.root is not None


def test_all_problems_are_reported_at_once_with_near_matches(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        'jobs = 3\n[agents.builder]\ncomand = ["x"]\nstall_s = -1\n[agents.shelly]\ncommand = "run me now"\n'
        '[agents."../x"]\ncommand = ["x"]\n[run]\nagent = "bulder"\njob = 1\njobs = "4"\nmax_attempts = 0\n'
        '[merge]\nstrategy = "theirs"\n[workspace]\nroot = "."\n',
    )
    assert "did you mean command?" in found["agents.builder.comand"]["message"]
    assert found["agents.builder.command"]["code"] == "MISSING_KEY"
    assert '["run", "me", "now"]' in found["agents.shelly.command"]["message"]
    assert found["agents.../x"]["code"] == "INVALID_AGENT_NAME"
    assert "did you mean jobs?" in found["run.job"]["message"]
    assert "did you mean builder?" in found["run.agent"]["message"]
    assert found["jobs"]["code"] == "UNKNOWN_KEY"
    assert {"agents.builder.stall_s", "run.jobs", "run.max_attempts", "merge.strategy", "workspace.root"} <= set(found)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("not toml", ""),
        ("a = " + "[" * 100_000, ""),
        ("run = 3", "run"),
        ("agents = 3", "agents"),
        ("[agents]\nx = 3", "agents.x"),
        ("[agents.x]\ncommand = []", "agents.x.command"),
        ("[agents.x]\ncommand = [1]", "agents.x.command"),
        ('[agents.x]\ncommand = ["a"]\nenv = { KITTY_FLOW_WP = "WP09" }', "agents.x.env"),
        ('[agents.x]\ncommand = ["a"]\nenv = { "A=B" = "1" }', "agents.x.env"),
        ('[agents.x]\ncommand = ["a"]\ntimeout_s = inf', "agents.x.timeout_s"),
        ('[agents.x]\ncommand = ["a"]\ntimeout_s = true', "agents.x.timeout_s"),
        ('[run]\nreviewer = "nobody"', "run.reviewer"),
        ('[ship]\ntag = "v1"', "ship.tag"),
        ('[ship]\ntag = "v {version}"', "ship.tag"),
        ('[ship]\nscheme = "calendar"', "ship.scheme"),
        ('[ship]\nchangelog = "../CHANGES"', "ship.changelog"),
        ('[[ship.version]]\npath = "VERSION"', "ship.version.0"),
        ('[[ship.version]]\npath = "a.yaml"', "ship.version.0"),
        ('[[ship.gate]]\nname = "RG 1"\ncommand = ["a"]', "ship.gate.0.name"),
        ('[[ship.gate]]\nname = "a"\ncommand = ["a"]\n[[ship.gate]]\nname = "a"\ncommand = ["b"]', "ship.gate"),
        ('[[ship.publish]]\nname = "a"\ncommand = ["a"]', "ship.publish.0.probe"),
        ('[ship.build]\ncommand = "make all"', "ship.build.command"),
        ('[ship.build]\ncommand = ["a"]\ntypo = 1', "ship.build.typo"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, where: str) -> None:
    assert where in problems(tmp_path, text)


def test_a_file_that_is_not_text_or_not_a_file(tmp_path: Path) -> None:
    folder = tmp_path / ".kitty-flow"
    folder.mkdir()
    (folder / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DefinitionError, match="INVALID_SETTINGS"):
        load_settings(tmp_path)
    (folder / "config.toml").unlink()
    (folder / "config.toml").mkdir()
    with pytest.raises(DefinitionError, match="cannot be read"):
        load_settings(tmp_path)


def test_unknown_agent_lists_the_names() -> None:
    settings = Settings.model_validate({"agents": {"builder": {"command": ["b"]}}})
    with pytest.raises(UsageError, match="did you mean builder") as caught:
        resolve_agent(settings, "buildr")
    assert caught.value.code == "UNKNOWN_AGENT"
    assert caught.value.details == {"agent": "buildr", "known": ["builder"]}
    with pytest.raises(UsageError, match="name no agents"):
        resolve_agent(Settings(), "x")


def test_a_command_is_split_and_never_interpreted() -> None:
    spec = command_agent("implementer", "agent 'two words' $HOME ; rm -rf /")
    assert spec.argv == ("agent", "two words", "$HOME", ";", "rm", "-rf", "/")
    assert spec.name == "implementer-command"
    assert command_agent("reviewer", "x").name == "reviewer-command"


@pytest.mark.parametrize("command", ["", "  ", "''", "agent 'open", "agent \0"])
def test_an_unusable_command_is_refused(command: str) -> None:
    with pytest.raises(UsageError) as caught:
        command_agent("reviewer", command)
    assert caught.value.code == "INVALID_AGENT_COMMAND"
    assert "--review-command" in str(caught.value.hint)


@given(st.text(max_size=40))
def test_any_text_is_a_command_or_a_usage_error(command: str) -> None:
    try:
        spec = command_agent("implementer", command)
    except UsageError as error:
        assert error.hint is not None
    else:
        assert spec.argv and spec.argv[0]


def test_executables_are_pinned_to_absolute_paths(tmp_path: Path) -> None:
    script = tmp_path / "agent.sh"
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(ExternalToolError) as caught:
        check_executable(AgentSpec("a", ("./agent.sh",)), tmp_path)
    assert (caught.value.code, caught.value.exit_status) == ("AGENT_COMMAND_MISSING", 7)
    script.chmod(0o755)
    pinned = check_executable(AgentSpec("a", ("./agent.sh", "./x")), tmp_path)
    assert pinned.argv == (str(tmp_path / "agent.sh"), "./x")
    on_path = AgentSpec("a", ("agent.sh",), env={"PATH": str(tmp_path)})
    assert check_executable(on_path, Path("/")).argv == (str(script),)
    assert check_executable(AgentSpec("a", (sys.executable,)), tmp_path).argv == (sys.executable,)
    with pytest.raises(ExternalToolError, match="no-such-agent"):
        check_executable(AgentSpec("a", ("no-such-agent",)), tmp_path)


@pytest.mark.parametrize(
    "model",
    [
        AgentSettings,
        PoolSettings,
        RunSettings,
        ReviewSettings,
        PromptSettings,
        GovernanceSettings,
        MergeSettings,
        WorkspaceSettings,
        PortSettings,
        HubSettings,
        ShipSettings,
        *SHIP,
    ],
)
def test_every_key_is_documented(model: type[Settings]) -> None:
    documented = set(re.findall(r"(?m)^\| `(\w+)` \|", CONFIG_REFERENCE.read_text(encoding="utf-8")))
    assert set(model.model_fields) <= documented


def test_the_example_of_a_release_loads(tmp_path: Path) -> None:
    page = CONFIG_REFERENCE.parents[1] / "how-to" / "ship-a-release.md"
    example = re.search(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    ship = load_settings(write(tmp_path, example.group(1))).ship
    assert (len(ship.version), ship.gate[0].name, ship.publish[0].name) == (2, "RG-1", "pypi")


def test_the_documented_example_loads_and_documents_no_unknown_key(tmp_path: Path) -> None:
    text = CONFIG_REFERENCE.read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    assert load_settings(write(tmp_path, example.group(1))).run.jobs == 4
    models = (AgentSettings, PoolSettings, RunSettings, BudgetSettings, MergeSettings, WorkspaceSettings, PortSettings)
    more = (*SHIP, ShipSettings, HookSettings, HubSettings, SyncSettings, ReviewSettings, PromptSettings)
    known = {name for model in (*models, *more, GovernanceSettings) for name in model.model_fields}
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", text)) == known


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ('url = "http://hub.example.com"', "hub.url"),
        ('url = "https://ann:secret@hub.example.com"', "hub.url"),
        ("consent = true", "hub"),
        ('consent = "yes"', "hub.consent"),
        ("events = []", "hub.events"),
        ('events = ["ended"]', "hub.events.0"),
        ('modes = "query"', "hub.modes"),
        ("token = 'x'", "hub.token"),
    ],
)
def test_a_hub_that_cannot_be_meant_is_refused(tmp_path: Path, table: str, where: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_settings(write(tmp_path, f"[hub]\n{table}\n"))
    assert [problem["where"] for problem in caught.value.details["problems"]] == [where]
    assert "secret" not in str(caught.value)
