"""`merge --push` and `--pull-request`: together or not at all, looked at afterwards, and repeatable."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from workbench import STOPPED, Workbench, kept

LEDGER = "refs/kitty/m/01JZ5N3C8RWE5P1YF0K6SHTAVD"


@pytest.fixture
def hub(bench: Workbench, tmp_path: Path) -> Path:
    """A remote that `trunk` follows, and which has it."""
    place = tmp_path / "hub.git"
    bench.git("init", "-q", "--bare", place)
    bench.git("remote", "add", "origin", place)
    bench.git("push", "-q", "-u", "origin", "trunk")
    return place


def at(bench: Workbench, hub: Path, ref: str) -> str:
    return bench.git("for-each-ref", "--format=%(objectname)", ref, cwd=hub)


def refs_of(bench: Workbench, hub: Path) -> str:
    return bench.git("for-each-ref", cwd=hub)


def pushes(bench: Workbench) -> int:
    return sum(e["trigger"] == "push" for e in bench.events())


@pytest.mark.slow
def test_a_landing_is_pushed_on_request_only_once_and_only_whole(bench: Workbench, hub: Path, tmp_path: Path) -> None:
    mark = tmp_path / "hook-ran"
    hook = bench.root / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{mark}'\nexit 1\n")
    hook.chmod(0o755)
    before = at(bench, hub, "refs/heads/trunk")
    landed = bench.kitty("merge", "--test-command", "true")["data"]["landed_commit"]
    assert at(bench, hub, "refs/heads/trunk") == before, "landing never pushes by itself"

    bench.git("remote", "set-url", "origin", tmp_path / "gone.git")
    envelope = bench.kitty("merge", "--push", exit=7)
    assert (envelope["error"]["code"], envelope["data"]["landed_commit"]) == ("REMOTE_UNREACHABLE", landed)
    assert "kitty-flow merge sample --push" in envelope["error"]["hint"]
    assert envelope["data"]["pushed"] is None and pushes(bench) == 0
    bench.git("remote", "set-url", "origin", hub)

    bundle = Path(envelope["data"]["bundle"]).read_bytes()
    bring_back = kept(bench)
    points = bench.points("merge", "--push")
    done = bench.kitty("merge", "--push")["data"]
    data = done["pushed"]
    assert Path(done["bundle"]).read_bytes() == bundle, "what landed is the same, pushed or not"
    assert data["was_there"], "the run that was traced pushed it"
    assert at(bench, hub, "refs/heads/trunk") == landed
    assert at(bench, hub, LEDGER)
    assert not mark.exists() and pushes(bench) == 1

    # Killed right after the remote took it: the same command finds it there, and records it once.
    bring_back()
    bench.git("update-ref", "refs/heads/trunk", before, cwd=hub)
    bench.git("update-ref", "-d", LEDGER, cwd=hub)
    at_push = points.index("git.push") + 1
    bench.env["KITTY_FLOW_FAILPOINT"] = f"{points[at_push]}#{points[: at_push + 1].count(points[at_push])}:exit"
    bench.kitty("merge", "--push", exit=STOPPED)
    del bench.env["KITTY_FLOW_FAILPOINT"]
    assert (at(bench, hub, "refs/heads/trunk"), pushes(bench)) == (landed, 0)
    again = [bench.kitty("merge", "--push")["data"]["pushed"] for _ in range(2)]
    assert [data["was_there"] for data in again] == [True, True]
    assert pushes(bench) == 1


@pytest.mark.slow
def test_a_remote_that_moved_or_declines_gets_nothing_half(bench: Workbench, hub: Path, tmp_path: Path) -> None:
    landed = bench.kitty("merge", "--test-command", "true")["data"]["landed_commit"]
    before = at(bench, hub, "refs/heads/trunk")
    theirs = bench.git("commit-tree", "-m", "Theirs", "-p", before, f"{before}^{{tree}}")
    bench.git("push", "-q", "origin", f"{theirs}:refs/heads/trunk")
    refs = refs_of(bench, hub)
    error = bench.kitty("merge", "--push", exit=4)["error"]
    assert error["code"] == "TARGET_BRANCH_NOT_SYNCHRONIZED"
    assert refs_of(bench, hub) == refs
    bench.git("update-ref", "refs/heads/trunk", before, cwd=hub)

    # Somebody pushes between our look and our push, to either of both: the lease does not hold, and neither ref moves.
    race = "#!/bin/sh\nunset GIT_QUARANTINE_PATH\nexec git update-ref {ref} {theirs}\n"
    for ref, other in (("refs/heads/trunk", LEDGER), (LEDGER, "refs/heads/trunk")):
        meanwhile = hub / "hooks" / "pre-receive"
        meanwhile.write_text(race.format(ref=ref, theirs=theirs))
        meanwhile.chmod(0o755)
        was = at(bench, hub, other)
        envelope = bench.kitty("merge", "--push", exit=5)
        assert (envelope["error"]["code"], envelope["error"]["details"]["refs"]) == ("REMOTE_MOVED", [ref])
        assert (envelope["data"]["landed_commit"], envelope["data"]["pushed"]) == (landed, None)
        assert (at(bench, hub, ref), at(bench, hub, other), pushes(bench)) == (theirs, was, 0)
        meanwhile.unlink()
        bench.git("update-ref", "refs/heads/trunk", before, cwd=hub)
        bench.git("update-ref", "-d", LEDGER, cwd=hub)

    # A host that protects the branch: the ledger must not get there alone.
    hook = hub / "hooks" / "update"
    hook.write_text('#!/bin/sh\ntest "$1" != refs/heads/trunk || { echo protected; exit 1; }\n')
    hook.chmod(0o755)
    refs = refs_of(bench, hub)
    error = bench.kitty("merge", "--push", exit=7)["error"]
    assert error["code"] == "REMOTE_REFUSES" and "--pull-request" in error["hint"]
    assert refs_of(bench, hub) == refs

    # A host that knows no names of ours: the target goes alone, and that is said.
    hook.write_text('#!/bin/sh\ncase "$1" in refs/kitty/*) echo "no such names"; exit 1;; esac\n')
    data = bench.kitty("merge", "--push")["data"]["pushed"]
    assert (data["commit"], data["ledger_commit"]) == (landed, None)
    assert "ledger" in " ".join(data["remarks"])
    assert at(bench, hub, "refs/heads/trunk") == landed and not at(bench, hub, LEDGER)


STAND_IN = """#!{python}
import json, os, sys
seen = os.environ["SEEN"]
calls = json.load(open(seen)) if os.path.exists(seen) else []
json.dump([*calls, sys.argv[1:]], open(seen, "w"))
if sys.argv[1:3] == ["pr", "create"] and len(calls):
    sys.exit("a pull request for this branch already exists")
print("https://host.example/pull/1")
"""


@pytest.mark.slow
def test_a_pull_request_is_opened_by_the_tool_that_is_there(bench: Workbench, hub: Path, tmp_path: Path) -> None:
    bench.git("remote", "rename", "origin", "team/hub")
    tools, seen = tmp_path / "tools", tmp_path / "seen.json"
    tools.mkdir()
    path = os.environ["PATH"]
    bench.env |= {"SEEN": str(seen)}
    made = bench.kitty("merge", "--pull-request")["data"]
    branch = "kitty/pr/sample-to-trunk"
    assert (made["tool"], made["branch"], made["was_there"]) == (None, branch, False)
    assert made["command"].startswith(f"gh pr create --head={branch} --base=trunk ")
    assert at(bench, hub, f"refs/heads/{branch}") == made["commit"]

    (tools / "gh").write_text(STAND_IN.format(python=sys.executable))
    (tools / "gh").chmod(0o755)
    bench.env["PATH"] = f"{tools}{os.pathsep}{path}"
    for _ in range(2):
        data = bench.kitty("merge", "--pull-request")["data"]
        assert (data["tool"], data["url"], data["was_there"]) == ("gh", "https://host.example/pull/1", True)
    calls = json.loads(seen.read_text())
    assert calls[0][:2] == ["pr", "create"] and "--title=A sample" in calls[0]
    assert calls[-1][:3] == ["pr", "view", branch], "asked again, it finds the one that is open"
    offers = [e for e in bench.events() if e["trigger"] == "offer"]
    assert [e["evidence"]["pull_request_url"] for e in offers] == [None, "https://host.example/pull/1"]
    assert set(bench.states().values()) == {"approved"}, "nothing landed"


@pytest.mark.slow
def test_nothing_planted_in_the_shared_configuration_runs(bench: Workbench, hub: Path, tmp_path: Path) -> None:
    """Hooks, fsmonitor, drivers, filters, textconv, an included file, a transport, signatures: none through all."""
    ran = tmp_path / "ran"
    ran.mkdir()
    program = tmp_path / "planted.sh"
    program.write_text(f'#!/bin/sh\ntouch "{ran}/$(basename "$0")-$1"\ncat\n')
    program.chmod(0o755)
    hooks = tmp_path / "planted-hooks"
    hooks.mkdir()
    for name in (
        "reference-transaction",
        "post-checkout",
        "post-index-change",
        "pre-push",
        "post-merge",
        "pre-auto-gc",
    ):
        for folder in (hooks, bench.root / ".git" / "hooks"):
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(f"#!/bin/sh\ntouch '{ran}/hook-{name}'\n")
            (folder / name).chmod(0o755)
    planted = {
        "core.hooksPath": hooks,
        "core.fsmonitor": f"{program} fsmonitor",
        "core.sshCommand": f"{program} ssh",
        "merge.evil.driver": f"{program} merge",
        "merge.default": "evil",
        "filter.evil.clean": f"{program} clean",
        "filter.evil.smudge": f"{program} smudge",
        "diff.evil.textconv": f"{program} textconv",
        "diff.evil.command": f"{program} diff",
        "diff.external": f"{program} external",
        "gpg.program": f"{program} gpg",
        "log.showSignature": "true",
        "remote.origin.uploadpack": f"{program} uploadpack",
    }
    included = tmp_path / "included"
    for name, value in planted.items():
        bench.git("config", "--file", included, name, str(value))
    bench.git("config", "include.path", included)
    (bench.root / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil merge=evil\n")
    (bench.root / "README.md").touch()
    for words in (("--plan",), ()):
        error = bench.kitty("merge", "--test-command", "true", *words, exit=4)["error"]
        assert error["code"] == "CONFIG_CHANGED"
        assert ".git/info/attributes" in error["message"]
    assert not list(ran.iterdir())

    # Planted by the tests themselves, which are the agents' code: found before the target moves.
    bench.git("config", "--unset", "include.path")
    (bench.root / ".git" / "info" / "attributes").unlink()
    before = bench.git("rev-parse", "trunk")
    plant = f"git -C '{bench.root}' config core.sshCommand '{program} ssh'"
    assert bench.refusal("merge", "--test-command", plant, exit=4)["code"] == "CONFIG_CHANGED"
    assert bench.git("rev-parse", "trunk") == before
    assert not list(ran.iterdir())
