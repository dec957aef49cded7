"""The stack of approved heads ends in the tree that would land; a landing that is not their merge is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.project import Project
from kitty_flow.git.repository import Repository
from kitty_flow.release.commits import write_merge
from kitty_flow.release.landing import Landing, MergeOptions
from kitty_flow.release.recompute import landing_fault
from kitty_flow.release.stack import Clash, build_stack
from kitty_flow.release.strategy import commit_candidate

Files = Mapping[str, str]

LINES = "".join(f"line {number}\n" for number in range(9))
PATHS = ("a.txt", "b.txt", "dir/c.txt")


@dataclass(frozen=True)
class Sketch:
    """As much of a mission as the stack looks at."""

    project: Project
    slug: str = "sample"
    target_branch: str = "trunk"

    @property
    def definition(self) -> Any:
        return SimpleNamespace(title="A sample", work_package=lambda name: SimpleNamespace(title=f"Title of {name}"))


@pytest.fixture
def sketch(repo: Path) -> OpenMission:
    return cast("OpenMission", Sketch(Project(Repository.discover(repo))))


def write(root: Path, commits: list[tuple[str, list[str], Files]]) -> dict[str, str]:
    """Write commits (name, parents by name, all files) in one git process; returns their ids by name."""
    marks = {name: number for number, (name, _, _) in enumerate(commits, 1)}
    script = ""
    for name, parents, files in commits:
        script += f"commit refs/heads/{name}\nmark :{marks[name]}\n"
        script += f"committer A <a@b> {1700000000 + marks[name]} +0000\ndata {len(name)}\n{name}\n"
        for word, parent in zip(("from", *("merge",) * len(parents)), parents, strict=False):
            script += f"{word} :{marks[parent]}\n"
        script += "deleteall\n"
        for path, text in files.items():
            script += f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"
        script += "\n"
    ids = root / "marks"
    words = ["git", "fast-import", "--quiet", "--force", f"--export-marks={ids}"]
    subprocess.run(words, cwd=root, input=script.encode(), check=True)
    found = dict(line.split(" ") for line in ids.read_text().splitlines())
    return {name: found[f":{number}"] for name, number in marks.items()}


def tree(root: Path, commit: str) -> str:
    done = subprocess.run(["git", "rev-parse", f"{commit}^{{tree}}"], cwd=root, capture_output=True, check=True)
    return done.stdout.decode().strip()


def merged(root: Path, *commits: str) -> tuple[bool, str]:
    done = subprocess.run(["git", "merge-tree", "--write-tree", *commits], cwd=root, capture_output=True, check=False)
    return done.returncode == 0, done.stdout.decode().splitlines()[0]


def test_a_stack_is_made_of_the_same_commits_again_and_of_the_prefixes(sketch: OpenMission) -> None:
    root = sketch.project.root
    start = {"a.txt": LINES}
    ids = write(
        root,
        [
            ("trunk", [], start),
            ("WP01", ["trunk"], {**start, "one": "1\n"}),
            ("WP02", ["WP01"], {**start, "one": "1\n", "two": "2\n"}),
            ("WP03", ["trunk"], {**start, "three": "3\n"}),
            ("moved", ["trunk"], {**start, "other": "o\n"}),
        ],
    )
    heads = {name: ids[name] for name in ("WP02", "WP01", "WP03")}
    stack = build_stack(sketch, ids["moved"], heads)
    assert [layer.work_package_id for layer in stack.layers] == list(heads)
    assert stack.layers[0].commit == stack.layers[1].commit, "the second one is contained in the first"
    assert build_stack(sketch, ids["moved"], heads) == stack
    assert build_stack(sketch, ids["moved"], {"WP02": ids["WP02"]}).layers == stack.layers[:1]
    assert stack.tip == stack.layers[-1].commit
    parents = sketch.project.repository.git.text("rev-list", "--parents", "-1", stack.tip).split()[1:]
    assert parents == [stack.layers[0].commit, ids["WP03"]]
    assert build_stack(sketch, ids["moved"], {}).tip == ids["moved"]


def test_a_clash_names_the_first_part_of_the_stack_that_it_collides_with(sketch: OpenMission) -> None:
    start = {"a.txt": "0\n", "b.txt": "0\n"}
    ids = write(
        sketch.project.root,
        [
            ("trunk", [], start),
            ("WP01", ["trunk"], {**start, "a.txt": "1\n"}),
            ("WP02", ["trunk"], {**start, "a.txt": "2\n"}),
            ("hotfix", ["trunk"], {**start, "b.txt": "fix\n"}),
            ("WP03", ["trunk"], {**start, "b.txt": "3\n"}),
        ],
    )
    stack = build_stack(sketch, ids["hotfix"], {name: ids[name] for name in ("WP01", "WP02", "WP03")})
    assert stack.clash == Clash("WP02", "WP01", ("a.txt",))
    assert [layer.work_package_id for layer in stack.layers] == ["WP01"]
    assert build_stack(sketch, ids["hotfix"], {"WP03": ids["WP03"]}).clash == Clash("WP03", "trunk", ("b.txt",))


edits = st.lists(st.tuples(st.sampled_from(PATHS), st.integers(0, 8), st.sampled_from("xyz")), max_size=3)


def edited(files: Files, changes: list[tuple[str, int, str]]) -> Files:
    found = dict(files)
    for path, line, text in changes:
        lines = found[path].splitlines(keepends=True)
        lines[line] = f"{text}\n"
        found[path] = "".join(lines)
    return found


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=edits, lanes=st.lists(st.tuples(edits, st.booleans()), min_size=1, max_size=4))
def test_the_tree_on_top_is_that_of_merging_the_mission_branch(
    sketch: OpenMission, target: list[Any], lanes: list[Any]
) -> None:
    """The mission branch is what integration makes of the heads; a lane starts at the start, or at the one before."""
    root, start = sketch.project.root, dict.fromkeys(PATHS, LINES)
    commits: list[tuple[str, list[str], Files]] = [("start", [], start), ("trunk", ["start"], edited(start, target))]
    for number, (changes, on_top) in enumerate(lanes, 1):
        _, parent, files = (
            (commits[-1][0], commits[-1][0], commits[-1][2]) if on_top and number > 1 else ("", "start", start)
        )
        commits.append((f"WP{number:02}", [parent], edited(files, changes)))
    ids = write(root, commits)
    heads = {name: oid for name, oid in ids.items() if name.startswith("WP")}
    branch = build_stack(sketch, ids["start"], heads)
    stack = build_stack(sketch, ids["trunk"], heads)
    if branch.clash is not None:
        assert stack.clash is not None
        return
    is_clean, wanted = merged(root, ids["trunk"], branch.tip)
    if is_clean:
        assert stack.clash is None
        assert stack.layers[-1].tree == wanted
    else:
        assert stack.clash is not None or stack.layers[-1].tree == wanted


def on_top(mission: OpenMission, tree: str, *parents: str) -> str:
    return write_merge(mission, tree, parents, "A landing\n")


def test_a_landing_from_a_wrong_base_is_refused_and_the_right_one_is_not(sketch: OpenMission) -> None:
    """24 landings that a queue with a wrong merge base would make: each takes back what the target did meanwhile."""
    root, start = sketch.project.root, dict.fromkeys(PATHS, LINES)
    lanes = {f"WP{n:02}": edited(start, [(path, 0, "w")]) for n, path in enumerate(PATHS, 1)}
    targets = {f"t{n}": edited(start, [(PATHS[n % 3], 3 + n % 5, "t")]) for n in range(8)}
    commits = [("start", [], start), *((name, ["start"], files) for name, files in (lanes | targets).items())]
    ids = write(root, cast("list[tuple[str, list[str], Files]]", commits))
    refused = 0
    for target in targets:
        for name in lanes:
            before, head = ids[target], ids[name]
            right = on_top(sketch, merged(root, before, head)[1], before, head)
            assert landing_fault(sketch, before, head, {name: head}, right) is None
            wrong = on_top(sketch, merged(root, ids["start"], head)[1], before, head)
            refused += landing_fault(sketch, before, head, {name: head}, wrong) is not None
    assert refused == 24
    before, head = ids["t0"], ids["WP01"]
    elsewhere = on_top(sketch, merged(root, before, head)[1], ids["start"], head)
    assert "does not contain the target's commit" in str(landing_fault(sketch, before, head, {"WP01": head}, elsewhere))
    more = on_top(sketch, merged(root, before, ids["WP02"])[1], before, head)
    assert landing_fault(sketch, before, head, {"WP01": head}, more) is not None


def landing_of(mission: OpenMission, strategy: str, before: str, head: str, heads: Mapping[str, str]) -> Landing:
    made = Landing(mission, MergeOptions(None), "", None, before, head, heads, strategy=strategy)
    is_clean, wanted = merged(mission.project.root, before, head)
    assert is_clean
    commit_candidate(made, wanted)
    return made


def test_the_commits_of_a_strategy_follow_from_what_they_stand_for(sketch: OpenMission) -> None:
    root, start = sketch.project.root, {"a.txt": LINES}
    ids = write(
        root,
        [
            ("trunk", [], start),
            ("first", ["trunk"], {**start, "one": "1\n"}),
            ("WP01", ["first"], {**start, "one": "2\n"}),
            ("WP02", ["trunk"], {**start, "two": "2\n"}),
            ("mission", ["WP01", "WP02"], {**start, "one": "2\n", "two": "2\n"}),
            ("moved", ["trunk"], {**start, "other": "o\n"}),
        ],
    )
    heads, git = {name: ids[name] for name in ("WP01", "WP02")}, sketch.project.repository.git
    for strategy, count in (("merge", 5), ("squash", 1), ("rebase", 3)):
        made, again = (landing_of(sketch, strategy, ids["moved"], ids["mission"], heads) for _ in range(2))
        assert made.candidate_commit == again.candidate_commit
        assert made.candidate_tree == tree(root, made.candidate_commit)
        assert landing_fault(sketch, ids["moved"], ids["mission"], heads, made.candidate_commit) is None
        span = f"{ids['moved']}..{made.candidate_commit}"
        assert git.text("rev-list", "--count", span, "--") == str(count)
        if strategy == "squash":
            trailers = git.text("log", "-1", "--format=%(trailers:key=Co-authored-by,valueonly)", made.candidate_commit)
            assert trailers.strip() == "A <a@b>"
        if strategy == "rebase":
            lines = git.text("log", "--format=%an <%ae> %s", span, "--").splitlines()
            assert lines == ["A <a@b> WP02", "A <a@b> WP01", "A <a@b> first"]


def test_what_cannot_be_replayed_to_the_tree_of_the_merge_is_refused_with_its_paths(sketch: OpenMission) -> None:
    root, start = sketch.project.root, {"a.txt": "0\n"}
    ids = write(
        root,
        [
            ("trunk", [], start),
            ("there", ["trunk"], {"a.txt": "1\n"}),
            ("WP01", ["there"], {**start, "one": "1\n"}),
            ("hotfix", ["trunk"], {"a.txt": "fix\n"}),
        ],
    )
    made = landing_of(sketch, "rebase", ids["hotfix"], ids["WP01"], {"WP01": ids["WP01"]})
    assert (made.candidate_commit, made.conflicts) == ("", ("a.txt",))
    assert made.obstacle.startswith(f"WP01 ({ids['there'][:12]}) cannot be replayed on trunk")
