"""What makes a worktree usable: the setup command, copied files, sparse cones, ports."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, agent, is_running, until

ONE = {"WP01": {"owned_files": ["core.txt"]}}
TWO = {"WP01": {"owned_files": ["core.txt"]}, "WP02": {"owned_files": ["more.txt"], "dependencies": ["WP01"]}}


def python(code: str) -> str:
    """A command that runs some Python, as it stands in the settings file."""
    return json.dumps([sys.executable, "-I", "-S", "-c", code])


def take(bench: Workbench, who: str = "amy", *words: str) -> dict[str, Any]:
    data: dict[str, Any] = bench.kitty("next", "--agent", who, *words)["data"]
    return data


def let_go(bench: Workbench) -> None:
    bench.kitty("wp", "release", "WP01", "--reason", "again")


COUNT = "import sys; open('count.log', 'a').write(sys.argv[1])"


def test_setup_runs_once_in_a_fresh_worktree_and_again_when_it_is_another(bench: Workbench) -> None:
    bench.commit(__gitignore="*.log\n")
    bench.mission(ONE)
    setup = json.loads(python(COUNT))
    bench.settings(f"[workspace]\nsetup = {json.dumps([*setup, 'a'])}\n")
    worktree = Path(take(bench)["worktree"])
    assert (worktree / "count.log").read_text() == "a"
    let_go(bench)
    assert Path(take(bench)["worktree"]) == worktree
    assert (worktree / "count.log").read_text() == "a"
    let_go(bench)
    bench.settings(f"[workspace]\nsetup = {json.dumps([*setup, 'b'])}\n")
    take(bench)
    assert (worktree / "count.log").read_text() == "ab"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('no \\x1b[31mcompiler'); raise SystemExit(3)", "ended with status 3; its last lines: no "),
        ("import time; time.sleep(600)", "ran longer than 0.3 s"),
        ("open('left-over.txt', 'w').close()", "in 1 path(s): left-over.txt"),
    ],
)
def test_a_failed_setup_gives_the_work_back_uncounted(bench: Workbench, code: str, told: str) -> None:
    bench.mission(ONE)
    limit = 0.3 if "sleep" in code else 60
    bench.settings(f"[workspace]\nsetup = {python(code)}\nsetup_timeout_s = {limit}\n")
    error = bench.refusal("next", "--agent", "amy", exit=7)
    assert error["code"] == "SETUP_FAILED"
    assert told in error["message"]
    assert "\x1b" not in error["message"]
    assert Path(error["details"]["log"]).is_file()
    assert bench.states() == {"WP01": "planned"}
    assert ("WP01", "start") not in bench.steps()
    bench.settings("")
    assert take(bench)["kind"] == "step"
    prompt = Path(take(bench)["prompt_path"]).read_text(encoding="utf-8")
    assert "came to nothing" not in prompt


def test_a_run_says_that_the_setup_failed_and_launches_nothing(bench: Workbench) -> None:
    bench.mission(ONE)
    bench.settings(f"[workspace]\nsetup = {python('raise SystemExit(3)')}\n")
    data = bench.run(exit=7)["data"]
    assert data["work_packages"]["WP01"]["code"] == "SETUP_FAILED"
    assert bench.states() == {"WP01": "planned"}


def test_ignored_files_are_copied_and_kept_up_to_date(bench: Workbench) -> None:
    bench.commit(__gitignore=".env*\n/secrets/\n")
    (bench.root / ".env").write_text("A=1\n")
    (bench.root / ".env").chmod(0o600)
    (bench.root / "secrets/deep").mkdir(parents=True)
    (bench.root / "secrets/deep/key").write_text("k\n")
    (bench.root / "secrets/out").symlink_to("/etc/passwd")
    bench.mission(ONE)
    bench.settings('[workspace]\ncopy_files = [".env*", "secrets", "absent.txt"]\n')
    worktree = Path(take(bench)["worktree"])
    assert (worktree / ".env").read_text() == "A=1\n"
    assert (worktree / ".env").stat().st_mode & 0o777 == 0o600
    assert (worktree / "secrets/deep/key").read_text() == "k\n"
    assert not os.path.lexists(worktree / "secrets/out")
    assert bench.git("status", "--porcelain", cwd=worktree) == ""
    let_go(bench)
    (worktree / "secrets/deep/key").write_text("the agent's own\n")
    (bench.root / ".env").write_text("A=2\n")
    take(bench)
    assert (worktree / ".env").read_text() == "A=2\n"
    assert (worktree / "secrets/deep/key").read_text() == "the agent's own\n"


def test_nothing_is_copied_that_git_would_see_or_through_a_link_of_the_agent(bench: Workbench, tmp_path: Path) -> None:
    bench.commit(__gitignore="/secrets/\n")
    (bench.root / "plain.txt").write_text("seen\n")
    bench.mission(ONE)
    for name in ("plain.txt", "README.md"):
        bench.settings(f'[workspace]\ncopy_files = ["{name}"]\n')
        error = bench.refusal("next", "--agent", "amy", exit=4)
        assert (error["code"], error["details"]["paths"]) == ("COPY_NOT_IGNORED", [name])
    (bench.root / "secrets").mkdir()
    (bench.root / "secrets/key").write_text("k\n")
    bench.settings('[workspace]\ncopy_files = ["secrets/*"]\n')
    worktree = Path(take(bench)["worktree"])
    let_go(bench)
    outside = tmp_path / "outside"
    outside.mkdir()
    (worktree / "secrets/key").unlink()
    (worktree / "secrets").rmdir()
    (worktree / "secrets").symlink_to(outside)
    os.utime(bench.root / "secrets/key")
    bench.git("config", "core.excludesFile", str(bench.root / ".git/info/all"))
    (bench.root / ".git/info/all").write_text("secrets\n")
    bench.refusal("next", "--agent", "amy", exit=7)
    assert list(outside.iterdir()) == []


@pytest.mark.slow
def test_a_sparse_worktree_has_its_folders_and_loses_no_other_file(bench: Workbench) -> None:
    for name in ("a/x/f", "a/g", "b/f", "c/d/f"):
        path = bench.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")
    bench.git("add", ".")
    bench.commit("tree")
    config = (bench.root / ".git/config").read_bytes()
    bench.mission({"WP01": {"owned_files": ["a/**"]}, "WP02": {"owned_files": ["c/**"], "dependencies": ["WP01"]}})
    bench.settings('[workspace]\nsparse = ["a/x", "c"]\n')
    worktree = Path(take(bench)["worktree"])
    here = {p.relative_to(worktree).as_posix() for p in worktree.rglob("*") if p.is_file()} - {".git"}
    assert here == {"README.md", "a/x/f", "a/g", "c/d/f"}
    assert bench.git("status", "--porcelain", cwd=worktree) == ""
    (worktree / "b").mkdir()
    (worktree / "b/f").write_text("not seen by git\n")
    let_go(bench)
    (salvaged,) = bench.git("for-each-ref", "--format=%(refname)", "refs/kitty/salvage").splitlines()
    assert bench.git("show", f"{salvaged}:b/f") == "not seen by git"
    take(bench)
    assert not (worktree / "b/f").exists()
    let_go(bench)
    bench.run()
    head = bench.git("ls-tree", "-r", "--name-only", bench.mission_branch).splitlines()
    assert {"b/f", "a/g", "c/d/f"} <= set(head)
    assert bench.git("show", f"{bench.mission_branch}:b/f") == "b/f"
    assert (bench.root / ".git/config").read_bytes() == config
    assert not (bench.root / ".git/info/sparse-checkout").exists()


def test_sparse_can_be_changed_and_taken_back(bench: Workbench) -> None:
    for name in ("a/f", "b/f"):
        (bench.root / name).parent.mkdir()
        (bench.root / name).write_text("1\n")
    bench.git("add", ".")
    bench.commit("tree")
    bench.mission(ONE)
    seen = []
    for folders in ('["a"]', '["b"]', "[]"):
        bench.settings(f"[workspace]\nsparse = {folders}\n")
        worktree = Path(take(bench)["worktree"])
        seen.append(sorted(p.name for p in worktree.iterdir() if p.is_dir()))
        assert bench.git("status", "--porcelain", cwd=worktree) == ""
        let_go(bench)
    assert seen == [["a"], ["b"], ["a", "b"]]


@pytest.mark.slow
def test_each_worktree_has_ports_of_its_own_over_all_missions(bench: Workbench) -> None:
    wide = {f"WP0{n}": {"owned_files": [f"{n}.txt"]} for n in (1, 2, 3)}
    bench.mission(wide)
    bench.settings("[workspace.ports]\nfirst = 20000\ncount = 10\n")
    first = [take(bench, who)["environment"] for who in ("amy", "ben")]
    bench.slug = "other"
    bench.mission(wide, id="01JZ5N3C8RWE5P1YF0K6SHTAVE")
    other = take(bench, "amy", "-m", "other")["environment"]
    starts = [int(each["KITTY_FLOW_PORT_FIRST"]) for each in (*first, other)]
    assert starts == [20000, 20010, 20020]
    assert take(bench, "amy", "-m", "sample")["environment"] == first[0]
    bench.settings("[workspace.ports]\nfirst = 65530\ncount = 3\n")
    error = bench.refusal("next", "--agent", "cleo", "-m", "other", exit=7)
    assert error["code"] == "PORTS_EXHAUSTED"


def test_agents_of_a_run_get_their_ports(bench: Workbench) -> None:
    bench.mission(ONE)
    bench.settings("[workspace.ports]\nfirst = 20000\ncount = 10\n")
    code = (
        "import json, os, pathlib, subprocess; pathlib.Path('core.txt').write_text("
        "os.environ['KITTY_FLOW_PORT_FIRST'] + ' ' + os.environ['KITTY_FLOW_PORT_COUNT']); "
        "subprocess.run(['git', 'add', '-A']); subprocess.run(['git', 'commit', '-qm', 'x']); "
        "pathlib.Path(os.environ['KITTY_FLOW_RESULT']).write_text(json.dumps({'outcome': 'success', 'summary': 's'}))"
    )
    command = shlex.join([sys.executable, "-I", "-S", "-c", code])
    bench.kitty("run", "sample", "--command", command, "--review-command", agent("reviewer"))
    assert bench.git("show", f"{bench.mission_branch}:core.txt") == "20000 10"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ctrl-c", "group"])
def test_a_setup_ends_with_its_run(bench: Workbench, how: str) -> None:
    bench.mission(ONE)
    begun = bench.root.parent / "begun"
    code = f"import os, time; open({str(begun)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    bench.settings(f"[workspace]\nsetup = {python(code)}\n")
    process = bench.start(*bench.run_words(), "--json")
    until(lambda: begun.exists() and begun.read_text())

    def is_over() -> bool:
        if how == "group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGINT)
        return process.poll() is not None

    until(is_over)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if how == "group" else 130)
    until(lambda: not is_running(int(begun.read_text())))
    if how == "ctrl-c":
        assert bench.states() == {"WP01": "planned"}
        assert ("WP01", "start") not in bench.steps()
