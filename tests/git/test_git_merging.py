"""Merges without a checkout: what conflicts is reported, whatever is planted in the repository or the home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.git.merging import MergedTree, open_merger
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]


def merge(root: Path, ours: str, theirs: str) -> MergedTree:
    with open_merger(Repository.discover(root)) as merger:
        return merger.merge_trees(ours, theirs)


def branch(root: Path, git: RunGit, name: str, files: dict[str, str], start: str = "trunk") -> str:
    """A new branch with one commit that writes `files`; the checkout ends where it was."""
    git(root, "checkout", "-q", "-b", name, start)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", name)
    git(root, "checkout", "-q", "trunk")
    return git(root, "rev-parse", name)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_a_clean_merge(make_repo: MakeRepo, git: RunGit, object_format: str) -> None:
    root = make_repo("clean", f"--object-format={object_format}")
    ours, theirs = branch(root, git, "a", {"a.txt": "a\n"}), branch(root, git, "b", {"b.txt": "b\n"})
    merged = merge(root, ours, theirs)
    assert merged.is_clean
    assert git(root, "ls-tree", "-r", "--name-only", merged.tree).split() == ["README.md", "a.txt", "b.txt"]


def test_a_conflict_names_its_paths_once_and_touches_nothing(repo: Path, git: RunGit) -> None:
    ours = branch(repo, git, "a", {"README.md": "ours\n", "sub/ünï code.txt": "1\n", "fine.txt": "1\n"})
    theirs = branch(repo, git, "b", {"README.md": "theirs\n", "sub/ünï code.txt": "2\n", "other.txt": "1\n"})
    before = (git(repo, "for-each-ref"), git(repo, "status", "--porcelain"), (repo / ".git/index").read_bytes())
    merged = merge(repo, ours, theirs)
    assert not merged.is_clean
    assert merged.conflicts == ("README.md", "sub/ünï code.txt")
    assert (git(repo, "for-each-ref"), git(repo, "status", "--porcelain"), (repo / ".git/index").read_bytes()) == before
    assert not (repo / ".git/MERGE_HEAD").exists()


def test_deletion_against_change_is_a_conflict(repo: Path, git: RunGit) -> None:
    ours = branch(repo, git, "a", {"README.md": "changed\n"})
    git(repo, "rm", "-q", "README.md")
    git(repo, "commit", "-q", "-m", "remove")
    assert merge(repo, ours, git(repo, "rev-parse", "trunk")).conflicts == ("README.md",)


def test_a_renamed_folder_against_a_new_file_is_merged_the_way_git_does(repo: Path, git: RunGit) -> None:
    git(repo, "merge", "-q", branch(repo, git, "start", {f"old/{n}.txt": f"line {n}\n" * 5 for n in range(3)}))
    git(repo, "checkout", "-q", "-b", "moved")
    git(repo, "mv", "old", "new")
    git(repo, "commit", "-q", "-m", "move")
    git(repo, "checkout", "-q", "trunk")
    added = branch(repo, git, "added", {"old/fresh.txt": "fresh\n"})
    merged = merge(repo, git(repo, "rev-parse", "moved"), added)
    assert "new/fresh.txt" in merged.conflicts, "git asks when it moves somebody's file; we never guess"


@pytest.mark.parametrize("place", ["repository", "home"])
def test_a_planted_merge_driver_never_runs(repo: Path, home: Path, tmp_path: Path, git: RunGit, place: str) -> None:
    witness = tmp_path / "witness"
    ours = branch(repo, git, "a", {"README.md": "ours\n", ".gitattributes": "* merge=evil\n"})
    theirs = branch(repo, git, "b", {"README.md": "theirs\n", ".gitattributes": "* merge=evil\n"})
    scope = "--local" if place == "repository" else "--global"
    git(repo, "config", scope, "merge.evil.driver", f"touch '{witness}'; true")
    git(repo, "config", scope, "merge.default", "evil")
    attributes = repo / ".git/info/attributes" if place == "repository" else home / ".config/git/attributes"
    attributes.parent.mkdir(parents=True, exist_ok=True)
    attributes.write_text("* merge=evil\n")
    (repo / ".gitattributes").write_text("* merge=evil\n")
    git(repo, "merge-tree", "--write-tree", ours, theirs)
    assert witness.exists(), "the trap works when git is called plainly: it makes the conflict disappear"
    witness.unlink()

    assert merge(repo, ours, theirs).conflicts == ("README.md",)
    assert not witness.exists()


@pytest.mark.parametrize("where", [".git/info/attributes", ".gitattributes", "home"])
def test_a_union_attribute_does_not_hide_a_conflict(repo: Path, home: Path, git: RunGit, where: str) -> None:
    ours, theirs = branch(repo, git, "a", {"README.md": "ours\n"}), branch(repo, git, "b", {"README.md": "theirs\n"})
    path = home / ".config/git/attributes" if where == "home" else repo / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("* merge=union\n")
    assert merge(repo, ours, theirs).conflicts == ("README.md",)


def test_hooks_and_other_configuration_do_not_reach_the_merge(repo: Path, tmp_path: Path, git: RunGit) -> None:
    ours, theirs = branch(repo, git, "a", {"README.md": "ours\n"}), branch(repo, git, "b", {"README.md": "theirs\n"})
    witness = tmp_path / "witness"
    (repo / ".git/hooks").mkdir(exist_ok=True)
    for name in ("pre-merge-commit", "post-merge", "post-index-change", "reference-transaction"):
        (repo / ".git/hooks" / name).write_text(f"#!/bin/sh\ntouch '{witness}'\nexit 1\n")
        (repo / ".git/hooks" / name).chmod(0o755)
    git(repo, "config", "core.fsmonitor", f"touch '{witness}'; false")
    git(repo, "config", "merge.conflictStyle", "no-such-style")
    assert merge(repo, ours, theirs).conflicts == ("README.md",)
    assert not witness.exists()


def test_unrelated_histories_are_refused(repo: Path, git: RunGit) -> None:
    alone = git(repo, "commit-tree", "-m", "alone", "HEAD^{tree}")
    with pytest.raises(GitFailedError) as refused:
        merge(repo, git(repo, "rev-parse", "trunk"), alone)
    assert "unrelated histories" in refused.value.message
    with pytest.raises(GitFailedError) as refused:
        merge(repo, git(repo, "rev-parse", "trunk"), "1" * 40)
    assert "1" * 40 in refused.value.message, "what is not here is no conflict"


def test_a_shallow_clone_merges_above_its_end(repo: Path, tmp_path: Path, git: RunGit) -> None:
    for number in range(3):
        (repo / "README.md").write_text(f"{number}\n")
        git(repo, "commit", "-q", "-a", "-m", str(number))
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", repo.as_uri(), shallow)
    ours, theirs = branch(shallow, git, "a", {"a.txt": "a\n"}), branch(shallow, git, "b", {"b.txt": "b\n"})
    assert merge(shallow, ours, theirs).is_clean


def test_borrowed_objects_are_found(repo: Path, tmp_path: Path, git: RunGit) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--shared", repo, clone)
    ours, theirs = branch(clone, git, "a", {"a.txt": "a\n"}), branch(clone, git, "b", {"b.txt": "b\n"})
    assert merge(clone, ours, theirs).is_clean


def test_from_a_linked_worktree(repo: Path, tmp_path: Path, git: RunGit) -> None:
    ours, theirs = branch(repo, git, "a", {"a.txt": "a\n"}), branch(repo, git, "b", {"b.txt": "b\n"})
    git(repo, "worktree", "add", "-q", tmp_path / "linked")
    merged = merge(tmp_path / "linked", ours, theirs)
    assert git(repo, "cat-file", "-t", merged.tree) == "tree", "the tree is in the user's objects"


def test_the_private_directory_goes_away(repo: Path) -> None:
    with open_merger(Repository.discover(repo)) as merger:
        private = merger.git.cwd
        assert private.is_dir()
        assert repo not in private.parents
    assert not private.exists()


def test_heads_one_after_the_other(repo: Path, git: RunGit) -> None:
    a, b, c = (branch(repo, git, name, {file: f"{name}\n"}) for name, file in (("a", "x"), ("b", "y"), ("c", "x")))
    with open_merger(Repository.discover(repo), keep_trees=False) as merger:
        both, none = merger.merge_all(a, [b, b]), merger.merge_all(a, [])
        assert both.tree == merger.merge_trees(a, b).tree
        assert none.tree == git(repo, "rev-parse", f"{a}^{{tree}}")
        assert merger.merge_all(a, [b, c]).conflicts == ("x",)


def test_many_pairs_in_one_process_leave_nothing_behind(repo: Path, git: RunGit) -> None:
    heads = [branch(repo, git, name, {file: f"{name}\n"}) for name, file in (("a", "x"), ("b", "x"), ("c", "ü y"))]
    before = sorted(str(path) for path in (repo / ".git/objects").rglob("*"))
    pairs = [(one, other) for one in heads for other in heads if one != other]
    with open_merger(Repository.discover(repo), keep_trees=False) as merger:
        found = dict(zip(pairs, merger.merge_pairs(pairs), strict=True))
        assert merger.merge_pairs([]) == ()
    a, b, c = heads
    assert {pair: merged.conflicts for pair, merged in found.items() if not merged.is_clean} == {
        (a, b): ("x",),
        (b, a): ("x",),
    }
    assert found[a, c].tree == found[c, a].tree == merge(repo, a, c).tree
    after = {str(path) for path in (repo / ".git/objects").rglob("*")} - set(before)
    assert len(after) == 2, "what the one ordinary merge wrote, and its folder"
