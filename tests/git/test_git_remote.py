"""Exchange of refs with a remote: nothing by force, nothing of the user's touched, no secret said aloud."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.errors import ConflictError, ExternalToolError, KittyFlowError, UsageError
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.refs import ABSENT
from kitty_flow.git.remote import Pushed, Remote, Update, open_remote
from kitty_flow.git.remote_location import without_secrets
from kitty_flow.git.repository import Repository

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]
NewCommit = Callable[..., str]

ONE, TWO = "refs/kitty/m/01J0000000000000000000000A", "refs/kitty/m/01J0000000000000000000000B"


@pytest.fixture
def host(tmp_path: Path, git: RunGit) -> Path:
    """A bare repository that others can push to."""
    git(tmp_path, "init", "-q", "--bare", "host.git")
    return tmp_path / "host.git"


@pytest.fixture
def remote(repo: Path, host: Path, git: RunGit) -> Remote:
    """The host as the remote ``origin`` of `repo`."""
    git(repo, "remote", "add", "origin", host)
    return named(repo)


@pytest.fixture
def commit(repo: Path, git: RunGit) -> NewCommit:
    """Make a commit without a ref: ``commit("text", "parent")``."""

    def make(text: str, *parents: str) -> str:
        return git(repo, "commit-tree", "-m", text, *(w for p in parents for w in ("-p", p)), "HEAD^{tree}")

    return make


def named(repo: Path, text: str = "origin", **more: float) -> Remote:
    return open_remote(Repository.discover(repo), text, start=repo, **more)


def only(pushed: tuple[Pushed, ...]) -> Pushed:
    (it,) = pushed
    return it


# Listing and fetching


def test_what_was_pushed_is_listed_and_fetched_by_another_clone(
    remote: Remote, host: Path, tmp_path: Path, git: RunGit, commit: NewCommit
) -> None:
    one, two = commit("1"), commit("2")

    pushed = remote.push([Update(ONE, one, ABSENT), Update(TWO, two, ABSENT)])

    assert [(p.update.ref, p.outcome, p.words) for p in pushed] == [(ONE, "pushed", ""), (TWO, "pushed", "")]
    assert remote.unconfirmed({ONE: one, TWO: two}) == {}
    git(tmp_path, "clone", "-q", host, "other")
    other = named(tmp_path / "other")
    assert other.refs("refs/kitty/m/") == {ONE: one, TWO: two}
    assert other.refs(TWO, "refs/heads/none") == {TWO: two}
    assert other.fetch(other.refs("refs/kitty/m/")) == {ONE: one, TWO: two}
    assert git(tmp_path / "other", "for-each-ref", "--format=%(refname)") == "\n".join(
        f"refs/kitty/remotes/origin/kitty/m/{ref[-26:]}" for ref in (ONE, TWO)
    )
    assert other.fetch([]) == {}
    assert other.push([]) == ()
    assert other.unconfirmed({}) == {}


def test_a_fetch_touches_nothing_of_the_user(
    repo: Path, remote: Remote, host: Path, git: RunGit, commit: NewCommit
) -> None:
    tip = commit("ledger")
    remote.push([Update(ONE, tip, ABSENT)])
    git(repo, "push", "-q", "origin", "trunk")
    git(repo, "tag", "unrelated", tip)
    git(repo, "push", "-q", "origin", "unrelated")
    git(repo, "tag", "-d", "unrelated")
    git(repo, "update-ref", "refs/remotes/origin/gone", "HEAD")
    remote.push([Update("refs/heads/trunk", commit("theirs", "HEAD"), git(repo, "rev-parse", "HEAD"))])
    git(repo, "update-ref", "refs/remotes/origin/trunk", "HEAD")
    for name, value in {
        "fetch.prune": "true",
        "remote.origin.tagOpt": "--tags",
        "fetch.writeCommitGraph": "true",
    }.items():
        git(repo, "config", name, value)
    (repo / ".git/FETCH_HEAD").write_text("mine\n")
    names = "--format=%(refname) %(objectname)"
    before = (git(repo, "for-each-ref", names), (repo / ".git/config").read_bytes())

    remote.fetch([ONE, "refs/heads/trunk"])

    git(repo, "update-ref", "-d", remote.tracking("refs/heads/trunk"))
    git(repo, "update-ref", "-d", remote.tracking(ONE))
    assert (git(repo, "for-each-ref", names), (repo / ".git/config").read_bytes()) == before
    assert (repo / ".git/FETCH_HEAD").read_text() == "mine\n"
    assert not (repo / ".git/objects/info/commit-graphs").exists()


def test_a_remote_that_was_rewound_is_seen_as_it_is(remote: Remote, host: Path, git: RunGit, commit: NewCommit) -> None:
    first = commit("first")
    second = commit("second", first)
    remote.push([Update(ONE, second, ABSENT)])
    assert remote.fetch([ONE]) == {ONE: second}
    git(host, "update-ref", ONE, first)
    assert remote.fetch([ONE]) == {ONE: first}


def test_only_whole_names_are_listed(remote: Remote, host: Path, repo: Path, git: RunGit, commit: NewCommit) -> None:
    git(repo, "push", "-q", "origin", f"{commit('x')}:refs/heads/{ONE}", f"{commit('y')}:{ONE}-more")
    assert remote.refs(ONE) == {}
    assert list(remote.refs("refs/kitty/m/")) == [f"{ONE}-more"]
    assert remote.refs("refs/kitty/ops/") == {}


def test_a_ref_that_was_deleted_meanwhile(remote: Remote, host: Path, git: RunGit, commit: NewCommit) -> None:
    remote.push([Update(ONE, commit("1"), ABSENT), Update(TWO, commit("2"), ABSENT)])
    git(host, "update-ref", "-d", ONE)
    with pytest.raises(ConflictError) as refused:
        remote.fetch([ONE, TWO])
    assert (refused.value.code, refused.value.details["refs"]) == ("REMOTE_REF_GONE", [ONE])


def test_a_lock_that_a_killed_fetch_left_is_no_dead_end(
    remote: Remote, repo: Path, git: RunGit, commit: NewCommit
) -> None:
    tip = commit("1")
    remote.push([Update(ONE, tip, ABSENT)])
    lock = repo / ".git" / (remote.tracking(ONE) + ".lock")
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (1, 1))
    assert remote.fetch([ONE]) == {ONE: tip}
    assert not lock.exists()


def test_what_cannot_be_stored_here_is_not_blamed_on_the_remote(
    remote: Remote, repo: Path, git: RunGit, commit: NewCommit
) -> None:
    remote.push([Update(ONE, commit("1"), ABSENT)])
    git(repo, "update-ref", remote.tracking("refs/kitty"), "HEAD")  # a file where a folder has to be
    with pytest.raises(GitFailedError) as refused:
        remote.fetch([ONE])
    assert "git fetch failed: cannot lock ref" in refused.value.message


@pytest.mark.parametrize(
    "ref", ["refs/kitty/*", "refs/a:refs/heads/trunk", "+refs/a", "refs/a b", "refs/../x", "--all"]
)
def test_a_name_that_would_mean_more_than_itself(remote: Remote, ref: str) -> None:
    for call in (lambda: remote.fetch([ref]), lambda: remote.push([Update(ref, "HEAD", ABSENT)])):
        with pytest.raises(UsageError) as refused:
            call()
        assert refused.value.code == "REF_INVALID"


# Pushing


def test_a_fast_forward_and_what_is_there_already(remote: Remote, commit: NewCommit) -> None:
    first = commit("first")
    second = commit("second", first)
    remote.push([Update(ONE, first, ABSENT)])
    assert only(remote.push([Update(ONE, second, first)])).outcome == "pushed"
    assert only(remote.push([Update(ONE, second, second)])).outcome == "up_to_date"
    assert only(remote.push([Update(ONE, second, first)])).outcome == "up_to_date"
    assert remote.unconfirmed({ONE: second}) == {}


def test_a_remote_that_moved_since_the_fetch(remote: Remote, host: Path, git: RunGit, commit: NewCommit) -> None:
    first = commit("first")
    ours, theirs = commit("ours", first), commit("theirs", first)
    remote.push([Update(ONE, first, ABSENT)])
    remote.push([Update(ONE, theirs, first)])

    pushed = remote.push([Update(ONE, ours, first), Update(TWO, ours, ABSENT)])

    assert [p.outcome for p in pushed] == ["stale", "pushed"]
    assert "stale info" in pushed[0].words
    assert git(host, "rev-parse", ONE, TWO).split() == [theirs, ours]
    assert remote.unconfirmed({ONE: ours, TWO: ours}) == {ONE: theirs}
    assert only(remote.push([Update(ONE, ours, ABSENT)])).outcome == "stale", "it must not exist, but does"
    git(host, "update-ref", "-d", ONE)
    assert only(remote.push([Update(ONE, ours, first)])).outcome == "stale", "deleted there"
    assert remote.unconfirmed({ONE: ours}) == {ONE: ABSENT}


def test_a_lease_that_holds_is_no_leave_to_overwrite(
    remote: Remote, host: Path, git: RunGit, commit: NewCommit
) -> None:
    there, unrelated = commit("there"), commit("unrelated")
    remote.push([Update(ONE, there, ABSENT)])
    pushed = only(remote.push([Update(ONE, unrelated, there)]))
    assert (pushed.outcome, pushed.words) == ("stale", f"not a fast-forward of {there[:12]}")
    assert only(remote.push([Update(ONE, unrelated, "12" * 20)])).outcome == "stale", "not fetched, so not provable"
    assert git(host, "rev-parse", ONE) == there


@pytest.mark.parametrize("key", ["transfer.hideRefs", "receive.hideRefs"])
def test_a_host_that_hides_our_refs(remote: Remote, host: Path, git: RunGit, commit: NewCommit, key: str) -> None:
    first = commit("first")
    remote.push([Update(ONE, first, ABSENT)])
    git(host, "config", key, "refs/kitty")
    expected = remote.refs(ONE).get(ONE, ABSENT)

    hidden, branch = remote.push(
        [Update(ONE, commit("second", first), expected), Update("refs/heads/kitty/state/1", first, ABSENT)]
    )

    assert (hidden.outcome, branch.outcome) == ("refused", "pushed")
    assert hidden.words
    assert only(remote.push([Update(TWO, first, ABSENT)])).words == "deny updating a hidden ref"


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_hook_of_the_host_that_declines(
    remote: Remote, host: Path, git: RunGit, commit: NewCommit, hook: str
) -> None:
    script(host / "hooks" / hook, "printf 'no \\033[31mkitties\\nhere, see https://bot:s3cret@wiki/\\n' >&2\nexit 1")
    pushed = only(remote.push([Update(ONE, commit("1"), ABSENT)]))
    assert pushed.outcome == "refused"
    assert "hook declined: no  [31mkitties / here, see https://***@wiki/" in pushed.words
    assert remote.refs(ONE) == {}


def test_another_push_that_wins_while_ours_is_under_way(
    remote: Remote, host: Path, git: RunGit, commit: NewCommit
) -> None:
    first = commit("first")
    ours, theirs = commit("ours", first), commit("theirs", first)
    remote.push([Update(ONE, first, ABSENT), Update(TWO, theirs, ABSENT)])
    script(host / "hooks/update", f"test $1 = {ONE} && unset GIT_QUARANTINE_PATH && git update-ref {ONE} {theirs}")
    assert only(remote.push([Update(ONE, ours, first)])).outcome == "stale"
    assert git(host, "rev-parse", ONE) == theirs


def test_another_push_of_the_very_same_commit(remote: Remote, host: Path, git: RunGit, commit: NewCommit) -> None:
    first = commit("first")
    union = commit("union", first)
    remote.push([Update(ONE, first, ABSENT), Update(TWO, union, ABSENT)])
    script(host / "hooks/update", f"unset GIT_QUARANTINE_PATH; git update-ref {ONE} {union}; exit 1")
    assert only(remote.push([Update(ONE, union, first)])).outcome == "up_to_date"


def test_configuration_for_the_users_pushes_does_not_change_ours(
    repo: Path, remote: Remote, host: Path, git: RunGit, commit: NewCommit
) -> None:
    tip = commit("1")
    git(repo, "tag", "-a", "-m", "mine", "v1", tip)
    script(repo / ".git/hooks/pre-push", "exit 1")
    for name, value in {
        "remote.origin.mirror": "true",
        "push.followTags": "true",
        "push.gpgSign": "if-asked",
        "push.useForceIfIncludes": "true",
    }.items():
        git(repo, "config", name, value)
    assert only(named(repo).push([Update(ONE, tip, ABSENT)])).outcome == "pushed"
    assert git(host, "for-each-ref", "--format=%(refname)") == ONE


def test_of_several_push_urls_the_least_favourable_answer_counts(
    repo: Path, remote: Remote, host: Path, tmp_path: Path, git: RunGit, commit: NewCommit
) -> None:
    git(tmp_path, "init", "-q", "--bare", "second.git")
    git(tmp_path / "second.git", "config", "receive.hideRefs", "refs/kitty")
    git(repo, "config", "remote.origin.url", tmp_path / "second.git")
    git(repo, "config", "--add", "remote.origin.pushurl", tmp_path / "second.git")
    git(repo, "config", "--add", "remote.origin.pushurl", host)
    assert only(remote.push([Update(ONE, commit("1"), ABSENT)])).outcome == "refused"


def test_what_cannot_be_sent_is_not_blamed_on_the_remote(remote: Remote) -> None:
    with pytest.raises(GitFailedError) as refused:
        remote.push([Update(ONE, "nothing-of-that-name", ABSENT)])
    assert "git push failed: src refspec nothing-of-that-name" in refused.value.message


# Which remote


def test_a_remote_by_name_by_path_and_by_url(
    repo: Path, remote: Remote, host: Path, tmp_path: Path, git: RunGit, commit: NewCommit
) -> None:
    tip = commit("1")
    remote.push([Update(ONE, tip, ABSENT)])
    git(repo, "remote", "add", "Team/Shared=1", host)
    deep = repo / "deep"
    deep.mkdir()
    texts = ["origin", "Team/Shared=1", str(host), "../../host.git", f"file://{host}"]
    remotes = [open_remote(Repository.discover(repo), text, start=deep) for text in texts]
    assert [r.refs(ONE) for r in remotes] == [{ONE: tip}] * 5
    assert [r.fetch([ONE]) for r in remotes] == [{ONE: tip}] * 5
    assert only(remotes[1].push([Update(TWO, tip, ABSENT)])).outcome == "pushed"
    keys = [r.location.key for r in remotes]
    assert keys[0] == "origin"
    assert keys[2] == keys[3]
    assert len(set(keys)) == 4
    assert all(git(repo, "check-ref-format", r.tracking(ONE)) == "" for r in remotes)


def test_a_renewed_token_is_still_the_same_remote(repo: Path) -> None:
    keys = {named(repo, f"https://{who}host/x").location.key for who in ("", "u:old@", "new@")}
    assert len(keys) == 1


@pytest.mark.parametrize(
    "text", ["--upload-pack=touch pwned", "-x", "", "  ", "nowhere", "a\nb", "ext::touch pwned", "x\x1b[2J"]
)
def test_text_that_is_no_remote(repo: Path, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        named(repo, text)
    assert (refused.value.code, refused.value.hint) == ("REMOTE_UNKNOWN", "git remote -v")


def test_a_configured_remote_cannot_run_a_command_either(repo: Path, tmp_path: Path, git: RunGit) -> None:
    git(repo, "config", "protocol.ext.allow", "always")
    git(repo, "remote", "add", "evil", f"ext::touch {tmp_path}/pwned")
    git(repo, "config", f"url.ext::touch {tmp_path}/pwned %S .insteadOf", "gh:")
    for text in ("evil", "gh:x"):
        with pytest.raises(ExternalToolError) as refused:
            named(repo, text).refs()
        assert "transport 'ext' not allowed" in refused.value.message
    assert not (tmp_path / "pwned").exists()


# Remotes that do not answer


def every_call(remote: Remote, tip: str) -> list[Callable[[], object]]:
    return [
        lambda: remote.refs("refs/kitty/m/"),
        lambda: remote.fetch([ONE]),
        lambda: remote.push([Update(ONE, tip, ABSENT)]),
        lambda: remote.unconfirmed({ONE: tip}),
    ]


def test_an_unreachable_path(repo: Path, tmp_path: Path, commit: NewCommit) -> None:
    for call in every_call(named(repo, "../nothing/here"), commit("1")):
        with pytest.raises(ExternalToolError) as refused:
            call()
        assert refused.value.code == "REMOTE_UNREACHABLE"
        assert refused.value.message == (
            f"the remote {tmp_path}/nothing/here cannot be reached: "
            f"'{tmp_path}/nothing/here' does not appear to be a git repository"
        )
        assert refused.value.hint == f"git ls-remote {tmp_path}/nothing/here"


def test_a_remote_that_never_answers(repo: Path, remote: Remote, git: RunGit, commit: NewCommit) -> None:
    for program in ("uploadpack", "receivepack"):
        git(repo, "config", f"remote.origin.{program}", "cat >/dev/null; :")
    for call in every_call(named(repo, timeout_s=0.05), commit("1")):
        with pytest.raises(ExternalToolError) as refused:
            call()
        assert refused.value.code == "REMOTE_UNREACHABLE"
        assert "no answer within" in refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@127.0.0.1:9/x.git",
        "https://hunter2@127.0.0.1:9/x.git",
        "https://user:not/escaped/hunter2@127.0.0.1:9/x.git",
        "http://127.0.0.1:9/x.git?token=hunter2",
        "ssh://user:hunter2@-strange/x.git",
    ],
)
@pytest.mark.parametrize("configured", [False, True])
def test_a_password_in_a_url_is_never_told(
    repo: Path, git: RunGit, commit: NewCommit, url: str, configured: bool
) -> None:
    if configured:
        git(repo, "remote", "add", "secret", url)
    remote = named(repo, "secret" if configured else url)
    for call in every_call(remote, commit("1")):
        with pytest.raises(KittyFlowError) as refused:
            call()
        told = [str(refused.value), repr(refused.value.details), refused.value.hint, repr(remote), remote.tracking(ONE)]
        assert "hunter2" not in "".join([*map(str, told), *traceback.format_exception(refused.value)])
        assert refused.value.code == "REMOTE_UNREACHABLE"


def test_a_secret_in_an_error_of_git_itself_is_not_told(repo: Path, host: Path, git: RunGit, commit: NewCommit) -> None:
    git(repo, "config", f"url.{host}.insteadOf", "https://user:hunter2@host/")
    remote = named(repo, "https://user:hunter2@host/")
    assert remote.refs() == {}
    with pytest.raises(GitFailedError) as refused:
        remote.push([Update(ONE, "nothing-of-that-name", ABSENT)])
    assert "https://***@host/" in refused.value.details["command"]
    assert "hunter2" not in "".join(traceback.format_exception(refused.value)) + repr(refused.value.details)


def test_text_without_a_secret_stays_as_it_is() -> None:
    for text in ("https://host/@scope/x", "git@host:x", "see https://a/b, mail c@d", "/path/with@sign"):
        assert without_secrets(text) == text


def test_ssh_never_asks_on_the_terminal(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = "echo 'Warning: Permanently added host' >&2; echo 'git@host: Permission denied' >&2"
    script(tmp_path / "bin/ssh", f'echo "$@" >> {tmp_path}/called; {noise}; exit 255')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ExternalToolError) as refused:
        named(repo, "git@host:x.git", timeout_s=7).refs()
    assert "-oBatchMode=yes -oConnectTimeout=7" in (tmp_path / "called").read_text()
    assert refused.value.message == "the remote git@host:x.git cannot be reached: git@host: Permission denied"
    assert refused.value.hint == "git ls-remote git@host:x.git"


@pytest.mark.parametrize("how", ["environment", "configuration"])
def test_an_ssh_of_the_users_own_is_used_as_it_is(
    repo: Path, tmp_path: Path, git: RunGit, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    script(tmp_path / "bin/my-ssh", f'echo "$@" > {tmp_path}/called; exit 255')
    if how == "environment":
        monkeypatch.setenv("GIT_SSH_COMMAND", f"{tmp_path}/bin/my-ssh")
    else:
        git(repo, "config", "core.sshCommand", f"{tmp_path}/bin/my-ssh")
    with pytest.raises(ExternalToolError):
        named(repo, "git@host:x.git").refs()
    assert "BatchMode" not in (tmp_path / "called").read_text()


def script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
