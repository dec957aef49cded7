"""The log of requests under the doctor: damage is named, and what was acknowledged comes back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import LedgerError
from kitty_flow.flow.doctor.examination import Examination, examine
from kitty_flow.flow.project import Project
from kitty_flow.flow.sync.exchange import sync
from kitty_flow.invocation.listing import list_invocations
from kitty_flow.invocation.runtime import Opening, begin, complete
from kitty_flow.invocation.soundness import examine_op_log, examine_requests
from kitty_flow.ledger.op_log import OPS_REF, op_path

LEDGER = "kitty-flow doctor ledger --fix"


class Log:
    """A repository with three requests on record, one of them closed with evidence."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ids = [self.ask() for _ in range(3)]
        complete(Project.discover(root), self.ids[0], "done", evidence=root / "README.md")

    def git(self, *words: str, stdin: bytes | None = None) -> str:
        done = subprocess.run(["git", *words], cwd=self.root, input=stdin, capture_output=True, check=True, timeout=60)
        return done.stdout.decode().strip()

    def ask(self) -> str:
        opening = Opening("implementer", "implement", "mend it", "", False, "exact", "task_execution", "ann")
        return begin(Project.discover(self.root), opening).invocation_id

    @property
    def tip(self) -> str:
        return self.git("for-each-ref", "--format=%(objectname)", OPS_REF)

    def listed(self) -> set[str]:
        return {row["invocation_id"] for row in list_invocations(Project.discover(self.root), limit=99).rows}

    def doctor(self, *, fix: bool = False) -> Examination:
        return examine("ledger", self.root, fix=fix, beside=examine_requests)

    def problems(self) -> list[str]:
        sound = examine_op_log(Project.discover(self.root).repository, history=True)
        assert sound is not None
        return [finding.message for finding in sound.problems]

    def put(self, path: str, content: bytes) -> str:
        """Commit another content of one file, as no kitty-flow does; returns the blob."""
        blob = self.git("hash-object", "-w", "--stdin", stdin=content)
        self.git("read-tree", "--index-output=.git/other", self.tip)
        env = {"GIT_INDEX_FILE": ".git/other"}
        update = ["git", "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"]
        subprocess.run(update, cwd=self.root, env=env, check=True)
        write = subprocess.run(["git", "write-tree"], cwd=self.root, env=env, check=True, capture_output=True)
        commit = self.git("commit-tree", "-p", self.tip, "-m", "by hand", write.stdout.decode().strip())
        self.git("update-ref", OPS_REF, commit)
        return blob


@pytest.fixture
def log(repo: Path) -> Log:
    """The log."""
    return Log(repo)


def _back(log: Log) -> None:
    log.git("update-ref", OPS_REF, f"{OPS_REF}~2")


def _aside(log: Log) -> None:
    tree = log.git("rev-parse", f"{OPS_REF}~1^{{tree}}")
    log.git("update-ref", OPS_REF, log.git("commit-tree", "-m", "another life", tree))


def _gone(log: Log) -> None:
    log.git("update-ref", "-d", OPS_REF)


@pytest.mark.parametrize("move", [_back, _aside, _gone])
def test_a_log_that_lost_what_was_acknowledged_refuses_and_is_mended(log: Log, move: Callable[[Log], None]) -> None:
    before, acknowledged = log.listed(), log.tip
    assert log.doctor().error is None
    move(log)
    at = log.tip
    for attempt in (log.ask, lambda: complete(Project.discover(log.root), log.ids[1], "failed")):
        with pytest.raises(LedgerError) as refused:
            attempt()
        assert (refused.value.code, refused.value.details["last_seen"]) == ("LEDGER_REWOUND", acknowledged)
    assert log.tip == at
    warned = list_invocations(Project.discover(log.root), limit=99).warnings
    assert [each.diagnostic_code for each in warned] == ["LEDGER_REWOUND"]
    (problem,) = log.doctor().problems
    assert acknowledged[:12] in problem.message and problem.remedy == LEDGER
    assert len(log.problems()) == 1
    mended = log.doctor(fix=True)
    assert mended.error is None and len(mended.treatments or ()) == 1
    assert log.listed() == before and log.problems() == []
    assert log.ask() in log.listed()


def test_a_torn_ref_is_brought_back_and_the_rest_is_kept(log: Log) -> None:
    before, tip = log.listed(), log.tip
    (log.root / ".git" / OPS_REF).write_text("torn")
    assert len(log.doctor().problems) == 1
    (treated,) = log.doctor(fix=True).treatments or ()
    assert "damaged-refs/ops-" in str(treated.done)
    assert (log.tip, log.listed()) == (tip, before)


def test_a_remote_that_has_it_brings_it_back_too(log: Log, tmp_path: Path) -> None:
    log.git("init", "-q", "--bare", str(tmp_path / "hub.git"))
    log.git("remote", "add", "origin", str(tmp_path / "hub.git"))
    project = Project.discover(log.root)
    sync(project)
    late = log.ask()
    _back(log)
    (remark,) = sync(project).remarks
    assert "was moved back" in remark and late not in log.listed()  # the remote has not seen the last one
    assert log.doctor(fix=True).error is None and late in log.listed()
    assert sync(project).remarks == [] and log.problems() == []


def test_a_sound_log_that_was_put_there_by_hand_stays(log: Log) -> None:
    path, sound = op_path(log.ids[1]) + ".jsonl", log.tip
    log.put(path, b"no event\n" + log.git("cat-file", "-p", f"{sound}:{path}").encode() + b"\n")
    log.ask()
    assert [line for line in log.problems() if log.ids[1] in line] == log.problems() != []
    kept = log.git("rev-parse", OPS_REF)
    mended = log.git("cat-file", "-p", f"{sound}:{path}").encode() + b"\n"
    log.put(path, mended)
    log.git("update-ref", OPS_REF, log.git("commit-tree", "-m", "sound", log.git("rev-parse", f"{OPS_REF}^{{tree}}")))
    (treated,) = log.doctor(fix=True).treatments or ()
    assert "stays at" in str(treated.done) and kept[:12] in str(treated.done)
    assert log.doctor().error is None and log.ask() in log.listed()


def _drop(log: Log, lines: list[bytes]) -> list[bytes]:
    return lines[:1]


def _foreign(log: Log, lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(log.ids[0].encode(), log.ids[1].encode()), *lines[1:]]


def _newer(log: Log, lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"kitty-flow/op/1", b"kitty-flow/op/9"), lines[2]]


def _no_start(log: Log, lines: list[bytes]) -> list[bytes]:
    return lines[1:]


def _other_digest(log: Log, lines: list[bytes]) -> list[bytes]:
    event = json.loads(lines[2])
    return [*lines[:2], json.dumps({**event, "sha256": "0" * 64}).encode() + b"\n"]


def _half(log: Log, lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2][:40]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop, "2 event(s) that were recorded are not in it any more"),
        (_foreign, "line 1 belongs to the invocation"),
        (_newer, "kitty-flow/op/9"),
        (_no_start, "0 of its lines say how it was started"),
        (_other_digest, "is not what its digest says"),
        (_half, "line 3 is damaged"),
    ],
)
def test_damage_is_named(log: Log, change: Callable[[Log, list[bytes]], list[bytes]], said: str) -> None:
    path = op_path(log.ids[0]) + ".jsonl"
    lines = subprocess.run(["git", "cat-file", "-p", f"{log.tip}:{path}"], cwd=log.root, capture_output=True).stdout
    log.put(path, b"".join(change(log, lines.splitlines(keepends=True))))
    assert any(said in message for message in log.problems()), log.problems()
    if change is not _drop:  # only the history tells of a line that is gone
        (first, *_) = log.doctor().problems
        assert first.subject == "requests" and "git fetch CLONE" in first.remedy


def test_a_missing_object_is_named_and_the_commands_say_so(log: Log, kitty: Callable[..., Any]) -> None:
    blob = log.git("rev-parse", f"{OPS_REF}:{op_path(log.ids[1])}.jsonl")
    for place in (log.root / ".git").rglob(blob[2:]):
        place.unlink()
    verified = kitty("ledger", "verify", "--json", cwd=log.root)
    assert (verified.exit, verified.json["error"]["code"]) == (6, "LEDGER_NOT_SOUND")
    (requests,) = verified.json["data"]["ledgers"]
    assert (requests["mission"], requests["ledger"], requests["counts"]["requests"]) == (None, OPS_REF, 3)
    for words in (("doctor",), ("doctor", "ledger", "--fix")):
        done = kitty(*words, "--json", cwd=log.root)
        (problem,) = done.json["error"]["details"]["findings"]
        assert (done.exit, problem["subject"]) == (4, "requests") and blob in problem["message"]
        assert f"git fetch CLONE '+{OPS_REF}:{OPS_REF}'" in problem["remedy"]


def test_nothing_is_said_where_nothing_was_recorded(repo: Path) -> None:
    assert examine_op_log(Project.discover(repo).repository) is None
    assert list(examine_requests(Project.discover(repo), "ledger")) == []
    assert list(examine_requests(Project.discover(repo), "conflicts")) == []
