"""`tox -e bench`: conflict radar and landing in a repository of 20,000 files (MERGE.md, G7 and G17).

The radar over 30 lanes, all pairs and each with the target, takes under a second; landing 10 work packages, without the
time of the tests themselves, under two. Both are compared with the git commands that a correct script by hand needs for
the same, measured in the same run; on a machine that is busy only the ratios of processor time say something.

The first landing of a repository writes all files into the worktree of the tests, as the script's `git worktree add`
does each time, and has limits of its own. The two seconds are those of every landing after it, which writes only what
differs.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.project import Project
from kitty_flow.flow.radar import look_around
from kitty_flow.ledger.ledger import Batch, Draft
from kitty_flow.machines import machine

FILES = int(os.environ.get("KITTY_FLOW_BENCH_FILES", "20000"))
LANES = 30
LANDINGS = {"cold": range(30, 40), "warm": range(40, 50), "again": range(50, 60)}
RADAR_S, LANDING_S = 1.0, {"cold": 6.0, "warm": 2.0, "again": 2.0}
RADAR_RATIO, LANDING_RATIO = 3.0, {"cold": 3.0, "warm": 2.0, "again": 2.0}
ROUNDS = 3
_AT = "Bench <bench@example.invalid> 1700000000 +0000"


def git(root: Path, *words: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["git", *words], cwd=root, input=stdin, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def _commit(ref: str, mark: int, text: str, parents: Sequence[str], files: dict[str, str]) -> Iterator[str]:
    """One commit in the words of `git fast-import`."""
    yield f"commit {ref}\nmark :{mark}\ncommitter {_AT}\ndata {len(text)}\n{text}\n"
    for word, parent in zip(("from", "merge"), parents, strict=False):
        yield f"{word} {parent}\n"
    for path, content in files.items():
        yield f"M 100644 inline {path}\ndata {len(content)}\n{content}\n"


def _changes(lane: int) -> dict[str, str]:
    """Ten files of a lane's own folder, and one that every fifth lane changes as well: some pairs are in conflict."""
    own = {f"d{lane:03d}/f{number:03d}.txt": f"lane {lane}\n" for number in range(10)}
    return own | ({"d199/f000.txt": f"lane {lane}\n"} if lane % 5 == 4 and 10 <= lane < LANES else {})


def _history() -> Iterator[str]:
    everything = {f"d{n // 100:03d}/f{n % 100:03d}.txt": f"{n}\nof many\n" for n in range(FILES)}
    yield from _commit("refs/heads/trunk", 1, "Start", (), everything | {".gitignore": ".kitty-flow/\n"})
    for lane in (*range(LANES), *(lane for lanes in LANDINGS.values() for lane in lanes)):
        yield from _commit(f"refs/heads/lane{lane}", 10 + lane, "Work", (":1",), _changes(lane))
    for slug, lanes in LANDINGS.items():
        before = ":1"
        for lane in lanes:
            mark = 100 + lane
            yield from _commit(f"refs/heads/{slug}", mark, "Integrate", (before, f":{10 + lane}"), _changes(lane))
            before = f":{mark}"
    yield from _commit("refs/heads/trunk", 200, "Meanwhile", (":1",), {"d198/f001.txt": "meanwhile\n"})


def _mission(root: Path, slug: str, mission_id: str, lanes: range) -> None:
    tables = [f'[mission]\ntitle = "{slug}"\nid = "{mission_id}"\ntarget_branch = "trunk"\n']
    tables += [f'[[work_package]]\nid = "WP{n:02d}"\nowned_files = ["d{n:03d}/**", "d199/**"]\n' for n in lanes]
    path = root / ".kitty-flow" / "missions" / f"{slug}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(tables), encoding="utf-8")


def _worked(opened: OpenMission, lanes: range, *, approved: bool) -> None:
    """Put the work of every lane on record as handed in, or as approved and integrated, without any agent."""
    base = git(opened.project.root, "rev-parse", "trunk~1")
    steps: list[tuple[str, str | None, str | None]] = [("submit", "planned", "for_review")]
    if approved:
        steps.append(("approve", "for_review", "approved"))
        steps.append(("integrate", None, None))
    drafts = []
    for lane in lanes:
        head = git(opened.project.root, "rev-parse", f"lane{lane}")
        made = {"base_commit": base, "head_commit": head, "implementer": "ann"}
        review = {"base": base, "head": head, "verdict": "approved", "reviewer": "bob", "invocation_id": "i"}
        facts: dict[str, dict[str, Any]] = {
            "submit": made,
            "approve": {"reviewed_commit": head, "verdict": "approved", "reviewer": "bob", "last_review": review},
            "integrate": {"integrated_head": head, "integrated_commit": head},
        }
        drafts += [
            Draft(
                "work_package",
                f"WP{lane:02d}",
                "work_package",
                machine("work_package").digest,
                trigger,
                "ann",
                before,
                after,
                evidence=facts[trigger],
            )
            for trigger, before, after in steps
        ]
    start = {"base_commit": base, "mission_branch": opened.branch, "target_ref": opened.target_ref}
    digest = machine("mission").digest
    drafts.append(Draft("mission", opened.id, "mission", digest, "start", "ann", "planned", "running", evidence=start))
    opened.ledger.record(lambda view: Batch(drafts))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, with a mission of 30 lanes in review and three of 10 that are approved."""
    root = tmp_path_factory.mktemp("large") / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "trunk")
    git(root, "fast-import", "--quiet", stdin="".join(_history()).encode())
    git(root, "reset", "-q", "--hard", "trunk")
    for number, (slug, lanes) in enumerate({"radar": range(LANES), **LANDINGS}.items()):
        _mission(root, slug, f"01JZ5N3C8RWE5P1YF0K6SHTAV{number}", lanes)
        with open_mission(Project.discover(root), slug) as opened:
            _worked(opened, lanes, approved=slug in LANDINGS)
            if slug in LANDINGS:
                git(root, "update-ref", opened.branch, slug)
    return root


class Cost(NamedTuple):
    """Seconds that passed, and seconds of processor time, of this process and of those that it waited for."""

    wall: float
    cpu: float


def _cpu() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _cheapest(what: str, way: Callable[[], Any], rounds: int = ROUNDS) -> Cost:
    found = []
    for _ in range(rounds):
        begun, used = time.perf_counter(), _cpu()
        way()
        found.append(Cost(time.perf_counter() - begun, _cpu() - used))
    cost = Cost(min(each.wall for each in found), min(each.cpu for each in found))
    print(f"  {what:44s} {cost.wall * 1e3:8.0f} ms, processor {cost.cpu * 1e3:6.0f} ms")
    return cost


def _compare(ours: Cost, bare: Cost, ratio: float, seconds: float) -> None:
    """The ratio is one of processor time, which others on the machine disturb least."""
    print(f"  ratio {ours.wall / bare.wall:.2f}, of processor time {ours.cpu / bare.cpu:.2f}")
    assert ours.cpu / bare.cpu <= ratio
    assert ours.wall < seconds


def test_the_conflict_radar_of_thirty_lanes(root: Path) -> None:
    heads = [git(root, "rev-parse", f"lane{lane}") for lane in range(LANES)]
    target = git(root, "rev-parse", "trunk")
    pairs = [*combinations(heads, 2), *((head, target) for head in heads)]
    script = "".join(f"{one} {other}\n" for one, other in pairs).encode()
    print(f"\nconflict radar, {len(pairs)} merges, {FILES} files:")
    with open_mission(Project.discover(root), "radar") as opened:
        found = look_around(opened)
        ours = _cheapest("the radar", lambda: look_around(opened))
    bare = _cheapest("one git merge-tree --stdin", lambda: git(root, "merge-tree", "--stdin", stdin=script))
    assert len(found) == 6  # four lanes change one file, differently
    _compare(ours, bare, RADAR_RATIO, RADAR_S)


@pytest.mark.parametrize("slug", LANDINGS)
def test_landing_ten_work_packages(root: Path, slug: str) -> None:
    """Run in their order: the first finds no worktree of the tests, the others find the one of the landing before."""
    gate = root.parent / "gate"
    before, head = git(root, "rev-parse", "trunk"), git(root, "rev-parse", slug)

    def by_hand() -> None:
        tree = git(root, "merge-tree", "--write-tree", before, head)
        commit = git(root, "commit-tree", tree, "-p", before, "-p", head, "-m", "Land")
        git(root, "worktree", "add", "--quiet", "--detach", str(gate), commit)
        git(gate, "status", "--porcelain", "--untracked-files=no")
        git(root, "worktree", "remove", "--force", str(gate))
        git(root, "update-ref", f"refs/heads/by-hand-{slug}", commit, "")
        git(root, "read-tree", "-m", "-u", before, commit)

    print(f"\nlanding {len(LANDINGS[slug])} work packages, {FILES} files, {slug}:")
    bare = _cheapest("the git commands of a script by hand", by_hand, rounds=1)
    git(root, "read-tree", "-m", "-u", f"by-hand-{slug}", before)
    words = [sys.executable, "-m", "kitty_flow", "merge", slug, "--test-command", "true"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))}
    ours = _cheapest(
        "kitty-flow merge", lambda: subprocess.run(words, cwd=root, env=environment, check=True, text=True), rounds=1
    )
    assert git(root, "log", "-1", "--format=%s", "trunk") == f"Land {slug}"
    _compare(ours, bare, LANDING_RATIO[slug], LANDING_S[slug])
