"""What every way of landing leaves: a bundle that holds here and in a clone, and what of its line was tested."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from workbench import Workbench, kept

from kitty_flow.git.repository import Repository
from kitty_flow.release.evidence.canonical import parse
from kitty_flow.release.evidence.checking import check_bundle
from kitty_flow.release.evidence.git_checks import check_landing

pytestmark = pytest.mark.slow


class Way(NamedTuple):
    """A way of landing: its options, how many commits of its line are tested and are not, what a clone cannot tell."""

    words: tuple[str, ...]
    tested: int
    replayed: int
    unknown: tuple[str, ...] = ("ledger",)


REWRITTEN = ("work", "merge", "ledger")
WAYS = {
    "squash": Way(("--strategy", "squash"), 1, 0, REWRITTEN),
    "rebase": Way(("--strategy", "rebase"), 1, 1, REWRITTEN),
    "every commit": Way(("--every-commit",), 2, 0),
    "merge": Way(("--override", "worktrees_clean", "--reason", "only a note"), 1, 0),
}


def not_passed(root: Path, bundle: str) -> dict[str, str]:
    found = check_bundle(Repository.discover(root), Path(bundle).read_bytes()).findings
    assert {"commit", "target", "before", "work", "merge"} <= {finding.check for finding in found}
    return {finding.check: finding.outcome for finding in found if finding.outcome != "pass"}


def landings(bundle: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parse(Path(bundle).read_bytes())["predicate"]["landings"]
    return found


def test_every_way_of_landing_is_proved_here_and_in_a_clone(bench: Workbench) -> None:
    meanwhile = bench.commit("Meanwhile", three__txt="three\n")
    lane = next(Path(f"{bench.root}.kitty").glob("worktrees/*/lane-*"))
    bring_back = kept(bench)
    for name, way in WAYS.items():
        if name == "merge":
            (lane / "note.txt").write_text("a person looked around here\n")
        data = bench.kitty("merge", "--test-command", "test -f one.txt", *way.words)["data"]
        assert not_passed(bench.root, data["bundle"]) == {}, name
        (landing,) = landings(data["bundle"])
        assert landing["strategy"] == data["strategy"], name
        told = [(each["gate"], each["why"]) for each in landing["overrides"]]
        assert told == ([("worktrees_clean", "only a note")] if name == "merge" else []), name

        clone = bench.root.parent / f"clone of {name}"
        bench.git("clone", "-q", "--no-local", "--single-branch", "-b", "trunk", bench.root, clone)
        assert not_passed(clone, data["bundle"]) == dict.fromkeys(way.unknown, "unknown"), name

        line = bench.kitty("verify")["data"]["first_parent"]
        found = (len(line["tested"]), len(line["replayed"]), line["untested"], line["not_ours"], line["holds"])
        assert found == (way.tested, way.replayed, [], [meanwhile], True), name
        assert bench.tree(line["tested"][0]["commit"]) == bench.tree("trunk"), name

        others = {
            "mission_head": meanwhile,
            "work_packages": [{**w, "head": meanwhile} for w in landing["work_packages"]],
        }
        if name in ("squash", "rebase"):  # their commits do not name what was merged; the bundle does
            wrong = check_landing(Repository.discover(bench.root), {**landing, **others})
            assert [finding.check for finding in wrong if finding.outcome == "fail"] == ["merge"], name
        bring_back()


BROKEN = "if [ -e two.txt ] && ! grep -q heard two.txt; then echo two is broken; exit 3; fi"


@pytest.fixture
def apart(empty_bench: Workbench) -> Workbench:
    """Two work packages side by side, run to their end; the second makes the tests fail."""
    apart: Mapping[str, Any] = {"WP01": {"owned_files": ["one.txt"]}, "WP02": {"owned_files": ["two.txt"]}}
    empty_bench.mission(apart, target_branch="trunk")
    empty_bench.run(jobs=1)
    return empty_bench


def test_what_lands_without_what_was_sent_back_is_proved_and_the_rest_after_it(apart: Workbench, script: Any) -> None:
    """The mission branch has both: what landed is not its merge, but that of the heads that were not sent back."""
    bench, tests = apart, script(BROKEN)
    bring_back = kept(bench)
    for strategy in ("squash", "rebase"):
        words = ("merge", "--test-command", tests, "--strategy", strategy)
        envelope = bench.kitty(*words, exit=4)
        assert (envelope["error"]["code"], envelope["error"]["details"]["ejected"]) == ("WORK_EJECTED", ["WP02"])
        first = envelope["data"]["landed_commit"]
        assert bench.git("ls-tree", "--name-only", first).split() == [".gitignore", "README.md", "one.txt"]
        assert not_passed(bench.root, envelope["data"]["bundle"]) == {}, strategy
        if strategy == "squash":
            bring_back()
            continue
        bench.run(jobs=1)
        data = bench.kitty(*words)["data"]
        assert data["landed_work_packages"] == ["WP02"], strategy
        assert not_passed(bench.root, data["bundle"]) == {}, strategy
        assert [[w["id"] for w in each["work_packages"]] for each in landings(data["bundle"])] == [["WP01"], ["WP02"]]
        proof = bench.kitty("verify")["data"]
        line = proof["first_parent"]
        assert [each["commit"] for each in line["tested"]] == [data["landed_commit"], first], strategy
        assert (proof["holds"], line["untested"], len(line["replayed"])) == (True, [], 1), strategy
