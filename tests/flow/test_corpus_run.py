"""Real missions (KITTY_FLOW_CORPUS): each can be planned, and two are run and landed with scripted agents."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from workbench import Workbench

_CORPUS = os.environ.get("KITTY_FLOW_CORPUS", "")
_MISSIONS = sorted(p.parent for p in Path(_CORPUS).glob("*/meta.json")) if _CORPUS else []

pytestmark = pytest.mark.skipif(not _MISSIONS, reason="KITTY_FLOW_CORPUS does not name a folder of missions")

_CHOSEN = ("profile-invocation-runtime-audit-trail-01KPQRX2", "014-comprehensive-end-user-documentation")


@pytest.mark.parametrize("folder", _MISSIONS, ids=lambda folder: folder.name)
def test_every_mission_is_planned_by_path(bench: Workbench, folder: Path, tmp_path: Path) -> None:
    data = bench.kitty("plan", folder, cwd=tmp_path)["data"]
    assert sorted(i for wave in data["waves"] for i in wave) == sorted(w["id"] for w in data["work_packages"])
    wave = {w["id"]: w["wave"] for w in data["work_packages"]}
    assert all(wave[d] < wave[w["id"]] for w in data["work_packages"] for d in w["dependencies"])
    for conflict in data["conflicts"]:
        before, after = conflict["ordered"].split(" before ")
        assert wave[before] < wave[after]


@pytest.mark.slow
@pytest.mark.parametrize("name", _CHOSEN)
def test_a_real_mission_to_its_end(bench: Workbench, name: str) -> None:
    bench.git("branch", "-m", "trunk", "main")
    bench.slug = name
    shutil.copytree(Path(_CORPUS) / name, bench.root / "kitty-specs" / name)
    bench.git("add", "kitty-specs")
    bench.git("commit", "-qm", "The plan")
    base = bench.git("rev-parse", "HEAD")
    run = bench.run(review="reject=WP02", jobs=3)["data"]
    assert {o["state"] for o in run["work_packages"].values()} == {"approved"}
    bench.kitty("merge", name, "--test-command", "git --version")
    assert set(bench.states().values()) == {"done"}
    assert bench.kitty("verify", name)["data"]["holds"]
    subjects = bench.git("log", "--format=%s", f"{base}..main").splitlines()
    assert subjects[0].startswith("Land ")
    assert all(subject.startswith(("WP", "Merge WP")) for subject in subjects[1:])
    for commit in bench.git("rev-list", f"{base}..main").splitlines():
        assert bench.git("diff", "--name-only", f"{commit}^1", commit), "a commit that changes nothing"
    assert bench.git("status", "--porcelain") == ""
    bench.expect_sound_ledger()
