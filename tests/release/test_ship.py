"""Shipping, from outside: the version gates, the whole way with a remote and a signed tag, kills, abort."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ship_site import committed, files, prepare, ship_settings
from workbench import Workbench

from kitty_flow import resources
from kitty_flow.agents.settings_ship import ReleaseGateSettings
from kitty_flow.errors import UsageError
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.project import Project
from kitty_flow.git.repository import Repository
from kitty_flow.release.evidence.checking import check_bundle
from kitty_flow.release.ship import artifact_checks
from kitty_flow.release.ship.artifact_checks import check_artifacts
from kitty_flow.release.ship.gates import GATES, ask_gate
from kitty_flow.release.ship.override import check_overrides
from kitty_flow.release.ship.sheet import Release, ShipOptions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """The landed mission; tests that ship work on copies."""
    root = tmp_path_factory.mktemp("landed") / "repo"
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "kitty_flow")
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        command = (str(Path(sys.executable).with_name("kitty-flow")),)
    made = Workbench(root, command)
    prepare(made, root.parent / "index")
    return made


@pytest.fixture
def bench(landed: Workbench, tmp_path: Path) -> Workbench:
    """A copy with an empty index and an empty remote of its own."""
    root = tmp_path / "repo"
    shutil.copytree(landed.root, root, symlinks=True)
    (tmp_path / "index").mkdir()
    copied = Workbench(root, landed.command)
    copied.settings(ship_settings(tmp_path / "index"))
    copied.git("init", "-q", "--bare", tmp_path / "origin.git")
    copied.git("remote", "add", "origin", tmp_path / "origin.git")
    return copied


@pytest.fixture
def mission(landed: Workbench) -> Iterator[OpenMission]:
    """The landed mission, opened in this process."""
    with open_mission(Project.discover(landed.root), "sample") as opened:
        yield opened


def asked(index: Path) -> list[str]:
    return (index / "asked").read_text().split() if (index / "asked").exists() else []


OLD = files("1.1.0")
NEW = files("1.2.0")
MUTATIONS: dict[str, tuple[dict[str, str | None], str, str]] = {
    "pyproject": ({"pyproject.toml": OLD["pyproject.toml"]}, "PYPROJECT_VERSION_DIFFERS", "pyproject.toml:3"),
    "module": ({"tool/__init__.py": OLD["tool/__init__.py"]}, "MODULE_VERSION_DIFFERS", "tool/__init__.py:3"),
    "metadata": ({"metadata.yaml": OLD["metadata.yaml"]}, "METADATA_VERSION_DIFFERS", "metadata.yaml:2"),
    "npm": ({"package.json": OLD["package.json"]}, "PACKAGE_JSON_VERSION_DIFFERS", "package.json:3"),
    "cargo": ({"Cargo.toml": OLD["Cargo.toml"]}, "CARGO_VERSION_DIFFERS", "Cargo.toml:3"),
    "no module": ({"tool/__init__.py": None}, "VERSION_UNREADABLE", "tool/__init__.py"),
    "no entry": (
        {"CHANGELOG.md": "# Changelog\n\n## [1.1.0]\n\n- One.\n"},
        "CHANGELOG_ENTRY_MISSING",
        "CHANGELOG.md:3",
    ),
    "empty entry": ({"CHANGELOG.md": "## 1.2.0\n\n## 1.1.0\n- x\n"}, "CHANGELOG_ENTRY_EMPTY", "CHANGELOG.md:1"),
    "not on top": ({"CHANGELOG.md": "## 1.3\n- y\n\n## 1.2.0\n- x\n"}, "CHANGELOG_ENTRY_NOT_ON_TOP", "CHANGELOG.md:4"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_mutation_of_the_commit_has_its_own_refusal(name: str, landed: Workbench, mission: OpenMission) -> None:
    changes, code, subject = MUTATIONS[name]
    release = Release(mission, ShipOptions(), "R", "1.2.0", committed(landed, changes))
    closed = [
        r for gate in ("version_coherent", "changelog_entry_present") for r in ask_gate(gate, release) if not r.is_open
    ]
    assert [(r.diagnostic_code, r.subject) for r in closed] == [(code, subject)]
    assert closed[0].outcome == "fail" and closed[0].remediation and "\x1b" not in closed[0].message


def test_all_mismatches_are_told_at_once(landed: Workbench, mission: OpenMission) -> None:
    old = {name: text for name, text in OLD.items() if name != "CHANGELOG.md"}
    release = Release(mission, ShipOptions(), "R", "1.2.0", committed(landed, dict(old)))
    assert len({r.diagnostic_code for r in ask_gate("version_coherent", release)}) == len(old) == 5


@pytest.mark.parametrize(
    ("version", "tags", "gate", "code"),
    [
        ("1.2", ("v1.2.0",), "version_follows_last_tag", "VERSION_TAKEN"),
        ("1.1.0rc1", (), "version_follows_last_tag", "VERSION_NOT_GREATER"),
        ("1.0.9", (), "version_follows_last_tag", "VERSION_NOT_GREATER"),
        ("1.2.0", ("v1.2.0",), "tag_absent_here", "TAG_EXISTS"),
        ("1.2.0-rc1", (), "version_valid", "VERSION_INVALID"),
        ("one", (), "version_valid", "VERSION_INVALID"),
        ("1.1.1", ("v2.0.0^",), "version_follows_last_tag", ""),
        ("1.2.0", (), "tag_absent_here", ""),
        ("1.2.0", (), "tag_absent_at_remote", ""),
        ("1.2.0", (), "mission_merged", ""),
        ("1.2.0", (), "landing_holds", ""),
        ("1.2.0", (), "version_coherent", ""),
        ("1.2.0", (), "changelog_entry_present", ""),
    ],
)
def test_versions_against_tags(
    version: str, tags: tuple[str, ...], gate: str, code: str, landed: Workbench, mission: OpenMission
) -> None:
    tip = landed.git("rev-parse", "trunk")
    for tag in tags:  # one that ends with ^ stands on a commit that is not in the history
        elsewhere = landed.git("commit-tree", "trunk^{tree}", "-m", "elsewhere") if tag.endswith("^") else tip
        landed.git("tag", tag.rstrip("^"), elsewhere)
    try:
        (result,) = ask_gate(gate, Release(mission, ShipOptions(), "R", version, tip))
    finally:
        for tag in tags:
            landed.git("tag", "-d", tag.rstrip("^"))
    assert (result.diagnostic_code, result.is_open) == (code, not code), result


def test_a_commit_from_before_the_landing_is_no_release(landed: Workbench, mission: OpenMission) -> None:
    (result,) = ask_gate(
        "landing_holds", Release(mission, ShipOptions(), "R", "1.2.0", landed.git("rev-parse", "v1.1.0"))
    )
    assert (result.outcome, result.diagnostic_code) == ("fail", "LANDING_NOT_PROVED")
    assert "WP01, WP02" in result.message


def test_what_a_gate_raises_blocks(mission: OpenMission) -> None:
    release = Release(mission, ShipOptions(), "R", "1.2.0", "0" * 40)  # a commit that is not there
    for gate in ("version_coherent", "changelog_entry_present", "version_follows_last_tag"):
        (result,) = ask_gate(gate, release)
        assert (result.outcome, result.is_open) == ("error", False), gate
    assert ask_gate("no_such_gate", release)[0].outcome == "error"
    assert set(GATES) > {"version_valid"}


def test_the_whole_way(bench: Workbench, tmp_path: Path) -> None:
    """Plan, refuse to push unasked, push, prove; with a tag that is signed by a real key where ssh-keygen is."""
    index, key = tmp_path / "index", tmp_path / "key"
    if shutil.which("ssh-keygen"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        (tmp_path / "allowed").write_text(f"test@example.invalid {key.with_suffix('.pub').read_text()}")
        config = tmp_path / "gitconfig"
        config.write_text(
            Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text()
            + f'[user]\nsigningkey = {key}\n[gpg]\nformat = ssh\n[gpg "ssh"]\nallowedSignersFile = {tmp_path}/allowed\n'
        )
        bench.env["GIT_CONFIG_GLOBAL"] = str(config)
    bench.git("config", "gpg.ssh.program", "/bin/false")  # of the repository, which agents share: not to be run
    tips, listed = bench.tips, sorted(bench.root.iterdir())
    plan = bench.kitty("ship", "sample", "--version", "1.2.0", "--plan")["data"]
    assert plan["would_ship"] and plan["steps"][-1]["says"] == "asked once the artifacts are built"
    assert (bench.tips, sorted(bench.root.iterdir())) == (tips, listed)

    settings = bench.root / ".kitty-flow" / "config.toml"
    settings.write_text(settings.read_text().replace('"two.txt"', '"three.txt"'))
    known = ("--override", "RG-1", "--reason", "known")
    done = bench.kitty("ship", "sample", "--version", "1.2.0", *known)["data"]
    assert (done["state"], done["next_command"]) == ("published", "kitty-flow ship sample --version 1.2.0 --push")
    assert done["bundle"] is None, "a bundle would tell half of it"
    assert asked(index) == ["manual-1.2.0.bin", "tool-1.2.0.bin"] and len(done["artifacts"]) == 2
    assert bench.git("ls-remote", "origin") == "" and bench.git("rev-parse", "v1.2.0^{}") == bench.git(
        "rev-parse", "trunk"
    )
    assert bench.refusal("ship", "sample", "--abort", exit=4)["code"] == "ALREADY_PUBLIC"

    done = bench.kitty("ship", "sample", "--resume", "--push")["data"]
    assert done["state"] == "proved" and bench.git("status", "--porcelain") == ""
    assert bench.git("ls-remote", "--refs", "origin").split() == [bench.git("rev-parse", "v1.2.0"), "refs/tags/v1.2.0"]
    assert "ship" not in bench.git("worktree", "list", "--porcelain")
    if key.exists():
        told = subprocess.run(
            ["git", "-c", "gpg.ssh.program=ssh-keygen", "verify-tag", "v1.2.0"],
            cwd=bench.root, env={**os.environ, **bench.env}, capture_output=True, text=True,
        )  # fmt: skip
        assert told.returncode == 0 and done["signed"], told.stderr
    events = [e for e in bench.events() if e["entity_type"] == "release"]
    logs = [e["evidence"] for e in events if "log_sha256" in e["evidence"]]
    assert len(logs) == 2 and all(len(each["log_sha256"]) == 64 for each in logs)
    proof = bench.kitty("verify", "sample")["data"]["release"]
    assert proof["holds"] and proof["version"] == "1.2.0"
    assert bench.kitty("ship", "sample", "--version", "1.2.0")["data"]["remarks"] and len(asked(index)) == 2
    expect_bundle(bench, Path(done["bundle"]), done)
    bench.git("tag", "-f", "v1.2.0", "trunk")
    assert "tag" in bench.refusal("verify", "--bundle", done["bundle"], exit=4)["message"]
    assert bench.refusal("verify", "sample", exit=4)["code"] == "RELEASE_NOT_PROVED"


def expect_bundle(bench: Workbench, path: Path, done: dict[str, Any]) -> None:
    """The bundle that a release names: commit, tag, artifacts and publish steps, true here and in a fresh clone."""
    content = path.read_bytes()
    statement = json.loads(content)
    (release,) = statement["predicate"]["releases"]
    commit, tag = bench.git("rev-parse", "trunk"), bench.git("rev-parse", "v1.2.0")
    assert (release["commit"], release["tree"], release["tag"]) == (commit, bench.tree("trunk"), "v1.2.0")
    assert (release["tag_object"], release["signed"], release["state"]) == (tag, done["signed"], "proved")
    artifacts = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(done["artifacts"].items())]
    assert release["artifacts"] == artifacts and len(artifacts) == 2
    assert [(each["step"], each["sha256"]) for each in release["published"]] == [
        (f"index/{each['name']}", each["digest"]["sha256"]) for each in artifacts
    ]
    assert [(each["gate"], each["why"]) for each in release["overrides"]] == [("RG-1", "known")]
    assert [(each["name"], each["exit_status"]) for each in release["gates"]] == [("RG-1", 1)]
    subject = {"name": "refs/tags/v1.2.0", "digest": {"gitTag": tag, "gitCommit": commit}}
    assert statement["subject"][1:] == [subject, *artifacts]
    assert "index/tool-1.2.0.bin" in path.with_suffix(".md").read_text()

    def outcomes(root: Path) -> dict[str, str]:
        return {f.check: f.outcome for f in check_bundle(Repository.discover(root), content).findings}

    assert {*outcomes(bench.root).values()} == {"pass"}
    bench.git("push", "-q", "origin", "trunk")
    clone = bench.root.parent / "clone"
    bench.git("clone", "-q", "--no-tags", "-b", "trunk", bench.root.parent / "origin.git", clone)
    assert {name for name, outcome in outcomes(clone).items() if outcome != "pass"} == {"ledger", "tag"}
    bench.git("fetch", "-q", "--tags", cwd=clone)
    assert {name for name, outcome in outcomes(clone).items() if outcome != "pass"} == {"ledger"}


def points_of(bench: Workbench) -> list[str]:
    """The failpoints of an undisturbed release."""
    return bench.points("ship", "sample", "--version", "1.2.0", "--push")


def expect_shipped_once(bench: Workbench, index: Path) -> None:
    done = bench.kitty("ship", "sample", "--version", "1.2.0", "--push")["data"]
    assert done["state"] == "proved" and sorted(set(asked(index))) == asked(index) == [
        "manual-1.2.0.bin",
        "tool-1.2.0.bin",
    ]
    assert bench.git("rev-parse", "v1.2.0") in bench.git("ls-remote", "--refs", "origin")
    assert [e["to_state"] for e in bench.events() if e["trigger"] in ("prove", "ship")][-2:] == ["proved", "shipped"]
    assert bench.git("worktree", "list", "--porcelain").count("worktree ") == 1


# ship.command and ship.ran: 1 the release gate, 2 and 3 the builds; then probe, put, probe for each of two files.
KILLS = ["ship.ran#5", "ship.command#7", "git.push#1"]
MORE = [f"ship.{at}#{n}" for n in range(1, 10) for at in ("command", "ran") if f"ship.{at}#{n}" not in KILLS]


@pytest.mark.parametrize("at", [*KILLS, *(pytest.param(point, marks=pytest.mark.crash) for point in MORE)])
def test_killed_and_typed_again(at: str, bench: Workbench, tmp_path: Path) -> None:
    bench.env["KITTY_FLOW_FAILPOINT"] = f"{at}:exit"
    bench.kitty("ship", "sample", "--version", "1.2.0", "--push", exit=86)
    del bench.env["KITTY_FLOW_FAILPOINT"]
    expect_shipped_once(bench, tmp_path / "index")


@pytest.mark.crash
def test_killed_at_every_move_of_a_ref(bench: Workbench, tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    shutil.copytree(bench.root, keep, symlinks=True)
    moves = points_of(bench).count("ref.commit")
    for number in range(1, moves + 1):
        for place in (bench.root, tmp_path / "index", tmp_path / "origin.git"):
            shutil.rmtree(place)
        shutil.copytree(keep, bench.root, symlinks=True)
        (tmp_path / "index").mkdir()
        bench.git("init", "-q", "--bare", tmp_path / "origin.git")
        bench.env["KITTY_FLOW_FAILPOINT"] = f"ref.commit#{number}:exit"
        bench.kitty("ship", "sample", "--version", "1.2.0", "--push", exit=86)
        del bench.env["KITTY_FLOW_FAILPOINT"]
        expect_shipped_once(bench, tmp_path / "index")


def test_closed_gates_and_giving_up(bench: Workbench, tmp_path: Path) -> None:
    """A red release gate, its override on record, a probe that does not say, an abort that takes our tag away."""
    settings = bench.root / ".kitty-flow" / "config.toml"
    ship = ("ship", "sample", "--version", "1.2.0")
    settings.write_text(
        settings.read_text().replace('"two.txt"', '"three.txt"').replace('"tools/seen.py"', '"-c", "1"')
    )
    pipeline = bench.root / ".kitty-flow" / "pipelines" / "ship.toml"
    pipeline.parent.mkdir()
    shipped = resources.read_text("dags", "pipelines", "ship.toml").replace('  "changelog_entry_present",\n', "")
    own = '\n[gates.found]\ncommand = ["test", "-f", "{}"]\ndescription = "It is there."\n'
    pipeline.write_text(shipped.replace('"version_valid"', '"version_valid", "found"') + own.format("three.txt"))
    later = bench.kitty(*ship, "--plan")["data"]["later"]
    assert "found" in later and bench.kitty("dags", "show", "ship")["data"]["commands"].keys() == {"found"}
    error = bench.refusal(*ship, exit=4)
    assert (error["code"], len(error["details"]["gates"])) == ("GATE_COMMAND_FAILED", 10), "one more, one left out"
    error = bench.refusal(*ship, "--override", "found", "--reason", "x", exit=2)
    assert error["code"] == "GATE_NOT_OVERRIDABLE"
    pipeline.write_text(pipeline.read_text().replace("three.txt", "two.txt"))
    error = bench.refusal(*ship, exit=4)
    assert error["code"] == "RELEASE_GATE_FAILED" and "RG-1" in error["message"]
    assert (
        bench.refusal(*ship, "--override", "tag_absent_here", "--reason", "x", exit=2)["code"] == "GATE_NOT_OVERRIDABLE"
    )
    assert bench.refusal(*ship, "--override", "RG-1", exit=2)["code"] == "REASON_MISSING"
    assert bench.refusal(*ship, "--override", "RG-1", "--reason", "known", exit=7)["code"] == "PROBE_FAILED"
    assert [e["evidence"]["overridden_gate"] for e in bench.events() if e["trigger"] == "override_gate"] == ["RG-1"]
    assert bench.git("tag", "--list", "v1.2.0") == "v1.2.0" and asked(tmp_path / "index") == []
    assert bench.refusal("ship", "sample", "--abort", exit=7)["code"] == "PROBE_FAILED", "nobody knows what is public"
    settings.write_text(ship_settings(tmp_path / "index"))
    bench.kitty("ship", "sample", "--abort", "--reason", "another day")
    assert bench.git("tag", "--list", "v1.2.0") == ""
    assert bench.refusal("ship", "sample", "--resume", exit=2)["code"] == "NO_RELEASE_IN_PROGRESS"

    bench.git("remote", "set-url", "origin", tmp_path / "gone.git")
    error = bench.refusal(*ship, exit=4)
    assert error["code"] == "REMOTE_UNREACHABLE", "what cannot be asked blocks"
    bench.git("remote", "set-url", "origin", tmp_path / "origin.git")
    (tmp_path / "index" / "tool-1.2.0.bin").write_text("somebody else's")
    assert bench.refusal(*ship, exit=4)["code"] == "PUBLISHED_DIFFERS"
    assert asked(tmp_path / "index") == ["manual-1.2.0.bin"], "what is there is not overwritten"


def test_a_release_that_the_target_has_left_behind_starts_afresh(bench: Workbench) -> None:
    bench.env["KITTY_FLOW_FAILPOINT"] = "ship.ran#2:exit"
    bench.kitty("ship", "sample", "--version", "1.2.0", exit=86)
    del bench.env["KITTY_FLOW_FAILPOINT"]
    error = bench.refusal("ship", "sample", "--version", "1.3.0", exit=4)
    assert error["code"] == "RELEASE_IN_PROGRESS"
    tip = bench.commit("A fix")
    done = bench.kitty("ship", "sample", "--resume")["data"]
    assert done["release_commit"] == tip and "moved on" in done["remarks"][0]
    assert [e["to_state"] for e in bench.events() if e["trigger"] in ("abort", "tag")] == ["aborted", "tagged"]


def test_a_missing_entry_is_drafted_from_the_mission(bench: Workbench) -> None:
    bench.commit("Undo", CHANGELOG__md="# Changelog\n\n## v1.1.0 (2025-01-01)\n\n- One.\n")
    plan = bench.kitty("ship", "sample", "--version", "1.2.0", "--plan", exit=4)["error"]
    assert plan["code"] == "CHANGELOG_ENTRY_MISSING"
    block = bench.refusal("ship", "sample", "--version", "1.2.0", exit=4)["details"]["proposed_changelog_block"]
    day = bench.git("show", "-s", "--format=%cd", "--date=format-local:%Y-%m-%d", "trunk")
    assert block.splitlines()[0].startswith(f"## v1.2.0 ({day[:4]}")
    assert "(WP01; FR-001)" in block and "\x1b" not in block and "### Changed" in block
    assert bench.git("status", "--porcelain") == ""


def test_a_gate_of_the_project_opens_no_gate_of_the_pipeline(
    mission: OpenMission, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = Release(mission, ShipOptions(overrides=("tag_absent_here",), reason="x"), "R", "1.2.0", "0" * 40)
    own = ReleaseGateSettings.model_validate({"name": "tag_absent_here", "command": ["true"]})
    settings = mission.project.settings
    ship = settings.ship.model_copy(update={"gate": (own,)})
    monkeypatch.setitem(mission.project.__dict__, "settings", settings.model_copy(update={"ship": ship}))
    with pytest.raises(UsageError, match="cannot be overridden"):
        check_overrides(release)


def test_artifacts_are_looked_into(mission: OpenMission, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    def answers(metadata: str) -> dict[str, Any]:
        release = Release(mission, ShipOptions(), "W", "1.2.0", mission.project.repository.refs.commit("trunk") or "")
        folder = release.folder / "artifacts"
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / "tool-1.2.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tool-1.2.0.dist-info/METADATA", metadata)
        release.artifacts = {"tool-1.2.0-py3-none-any.whl": "0"}
        return {result.gate: (result.outcome, result.diagnostic_code) for result in check_artifacts(release)}

    monkeypatch.setattr(artifact_checks, "_twine", lambda: None)
    good = answers("Metadata-Version: 2.1\nName: tool\nVersion: 1.2.0\n")
    assert good["artifacts_named_by_version"] == ("pass", "")
    assert good["artifacts_sound"] == ("error", "TWINE_MISSING"), "what cannot be checked blocks"
    assert good["artifacts_reproducible"] == ("fail", "BUILD_NOT_REPRODUCIBLE"), "a wheel is not what the build makes"
    bad = answers("Metadata-Version: 2.1\nName: tool\nVersion: 1.2.1\n")
    assert bad["artifacts_named_by_version"] == ("fail", "ARTIFACT_VERSION_DIFFERS")
    monkeypatch.setattr(artifact_checks, "_twine", lambda: (shutil.which("false") or "false",))
    assert answers("Name: tool\nVersion: 1.2.0\n")["artifacts_sound"] == ("fail", "ARTIFACT_UNSOUND")
