"""`agents list` and `agents check`, with programs that stand where coding CLIs would be."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.presets import preset, preset_names
from kitty_flow.agents.probe import probe_all
from kitty_flow.errors import UsageError
from kitty_flow.flow.agent_survey import candidates
from tests.conftest import Kitty

_DOES_THE_WORK = """\
#!/bin/sh
set -eu
cmp - "$KITTY_FLOW_PROMPT"
echo hello > hello.txt
git add hello.txt
git commit --quiet --message hello
echo '{"outcome": "success", "summary": "done"}' > "$1"
"""


def tool(folder: Path, name: str, text: str) -> Path:
    """A program called `name` below `folder`."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def cli(folder: Path, name: str, version: str, options: str) -> Path:
    """A coding CLI that only knows its version and its options, and fails when it is asked for anything else."""
    script = f'case "$*" in *--version) echo "{name} {version}";; *--help) echo "{options}";; *) exit 9;; esac'
    return tool(folder, name, f"#!/bin/sh\n{script}\n")


def settings(repo: Path, text: str) -> None:
    (repo / ".kitty-flow").mkdir(exist_ok=True)
    (repo / ".kitty-flow" / "config.toml").write_text(text, encoding="utf-8")


def path_with(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_list_outside_of_a_repository_shows_the_presets(kitty: Kitty, tmp_path: Path) -> None:
    cli(tmp_path / "bin", "claude", "1.0", "")
    done = kitty("agents", "list", "--json", env=path_with(tmp_path / "bin"))
    data = done.json["data"]
    assert (done.exit, data["agents"]) == (0, [])
    presets = {known["name"]: known for known in data["presets"]}
    assert set(presets) == set(preset_names())
    assert presets["claude"]["executable"] == str(tmp_path / "bin" / "claude")
    assert presets["claude"]["checked"] == preset("claude").checked


def test_list_shows_what_the_settings_say(kitty: Kitty, repo: Path, tmp_path: Path) -> None:
    settings(
        repo,
        '[agents.builder]\npreset = "codex"\nretries = 1\nfallbacks = ["spare"]\n'
        '[agents.spare]\ncommand = ["./spare"]\n'
        '[pools.codex]\nconcurrency = 3\n[run]\nagent = "builder"\n',
    )
    agents = kitty("agents", "list", "--json", cwd=repo / ".kitty-flow").json["data"]["agents"]
    builder, spare = agents
    assert (builder["name"], builder["preset"], builder["pool"], builder["retries"]) == ("builder", "codex", "codex", 1)
    assert (builder["pool_concurrency"], builder["fallbacks"], builder["default"]) == (3, ["spare"], ["agent"])
    assert (spare["command"], spare["executable"], spare["role"]) == (["./spare"], None, "any")
    text = kitty("agents", "list", cwd=repo).stdout
    assert "run.agent" in text
    assert "./spare: not found" in text


def test_check_asks_the_tool_for_the_options_of_the_preset(kitty: Kitty, repo: Path, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    cli(bin_folder, "claude", "9.9.1", " ".join(preset("claude").options()))
    cli(bin_folder, "codex", "0.1.0", "--json --sandboxed")
    settings(repo, '[agents.good]\npreset = "claude"\nargs = ["--modle", "x"]\n[agents.old]\npreset = "codex"\n')
    done = kitty("agents", "check", "--json", cwd=repo, env=path_with(bin_folder))
    assert (done.exit, done.json["error"]["code"], done.json["ok"]) == (7, "AGENT_UNUSABLE", False)
    good, old = done.json["data"]["agents"]
    assert (good["usable"], good["version"], good["problems"]) == (True, "9.9.1", [])
    assert "--modle" in good["remarks"][0]["message"]
    assert [problem["code"] for problem in old["problems"]] == ["AGENT_OPTION_UNKNOWN"]
    assert "--sandbox" in old["problems"][0]["message"]
    assert old["problems"][0]["hint"] == preset("codex").install
    assert kitty("agents", "check", "good", cwd=repo, env=path_with(bin_folder)).exit == 0


def test_check_of_a_preset_needs_no_settings(kitty: Kitty, tmp_path: Path) -> None:
    done = kitty("agents", "check", "goose", env={"PATH": "/usr/bin:/bin"})
    assert done.exit == 7
    assert preset("goose").install in done.stdout + done.stderr
    for name, code in (("nobody", "UNKNOWN_AGENT"), ("aider", "PRESET_NEEDS_COMMAND"), (None, "NO_AGENTS")):
        with pytest.raises(UsageError) as caught:
            candidates(None, name)
        assert caught.value.code == code


def test_a_tool_that_fails_or_hangs_is_told_and_a_strangers_program_is_not_started(tmp_path: Path) -> None:
    known = preset("claude")
    broken = tool(tmp_path / "a", "claude", "#!/bin/sh\necho 'needs node 20'; exit 3\n")
    hanging = tool(tmp_path / "b", "claude", "#!/bin/sh\nexec sleep 600\n")
    mine = tool(tmp_path / "c", "mine", f"#!/bin/sh\ntouch {tmp_path}/started\n")
    asked = [(AgentSpec("x", (str(path),)), known) for path in (broken, hanging)]
    failed, stuck, own = probe_all([*asked, (AgentSpec("mine", (str(mine),)), None)], tmp_path, timeout_s=1.0)
    assert failed.problems[0].code == stuck.problems[0].code == "AGENT_PROBE_FAILED"
    assert "ended with status 3; its last line: needs node 20" in failed.problems[0].message
    assert "did not end within 1 s" in stuck.problems[0].message
    assert (own.executable, own.problems) == (str(mine), ())
    assert not (tmp_path / "started").exists()


@pytest.mark.slow
def test_a_trial_lets_the_agent_do_a_work_package_and_removes_its_traces(
    kitty: Kitty, repo: Path, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = tool(tmp_path / "bin", "worker", _DOES_THE_WORK)
    verdict = tool(
        tmp_path / "bin",
        "critic.py",
        "import json, os, subprocess\n"
        "head = subprocess.run(['git', 'rev-parse', 'HEAD'], capture_output=True, text=True).stdout.strip()\n"
        "result = {'verdict': 'approved', 'reviewed_commit': head, 'summary': 'fine'}\n"
        "open(os.environ['KITTY_FLOW_RESULT'], 'w').write(json.dumps(result))\n",
    )
    settings(
        repo,
        f'[agents.worker]\ncommand = [{json.dumps(str(script))}, "{{result_path}}"]\nstdin = "prompt"\n'
        f'[agents.critic]\ncommand = [{json.dumps(sys.executable)}, {json.dumps(str(verdict))}]\nrole = "review"\n',
    )
    before = sorted(repo.rglob("*"))
    done = kitty("agents", "check", "--run", "--json", cwd=repo, env={"TMPDIR": str(scratch)})
    assert done.exit == 0, done.stdout
    assert [agent["trial"]["passed"] for agent in done.json["data"]["agents"]] == [True, True]
    assert list(scratch.iterdir()) == []
    assert sorted(repo.rglob("*")) == before


@pytest.mark.slow
def test_a_failed_trial_says_why_and_keeps_its_files(kitty: Kitty, repo: Path, tmp_path: Path) -> None:
    script = tool(tmp_path / "bin", "lazy", "#!/bin/sh\necho thinking\n")
    settings(repo, f"[agents.lazy]\ncommand = [{json.dumps(str(script))}]\n")
    done = kitty("agents", "check", "lazy", "--run", "--json", cwd=repo, env={"TMPDIR": str(tmp_path)})
    assert done.exit == 7
    (agent,) = done.json["data"]["agents"]
    assert agent["problems"][0]["code"] == "RESULT_MISSING"
    assert (Path(agent["trial"]["kept"]) / "output.log").read_text() == "thinking\n"
