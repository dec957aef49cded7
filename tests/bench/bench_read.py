"""`tox -e bench`: on a mission of 1,000 work packages the reading commands cost at most 3 times an import.

The measure is `python -c "import typer, pydantic"` in the same run (issue 3); every command is a cold
process, the disk is warm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.flow.adoption import adopt
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.project import Project
from kitty_flow.ledger.ledger import Batch, Draft
from kitty_flow.machines import machine

ROUNDS = 15
LIMIT = 3.0
WORK_PACKAGES = 1000
EVENTS = 100_000

COMMANDS = {
    "status": ["status"],
    "status --json": ["status", "--json"],
    "next --peek": ["next", "--agent", "a", "--peek"],
    "next --peek --json": ["next", "--agent", "a", "--peek", "--json"],
    "next --peek that finds nothing": ["next", "--agent", "implementer", "--peek", "--role", "review"],
    "why": ["why", "WP0900"],
    "guard check": ["guard", "check"],
}

_ACTIVE = ("claimed", "in_progress", "for_review", "in_review", "blocked")
_TRIGGERS = {
    "claimed": "claim",
    "in_progress": "start",
    "for_review": "submit",
    "in_review": "begin_review",
    "approved": "approve",
    "blocked": "block",
}


def build_mission(root: Path, *, work_packages: int = WORK_PACKAGES, events: int = EVENTS) -> Path:
    """A repository below `root` with a mission in the middle of its run; returns the repository.

    A tenth of the work packages is approved and integrated, some of the following are in every state in which somebody
    works, the rest is planned, and partly ready. Heartbeats fill the ledger up to `events` events.
    """
    repository = root / "repository"
    repository.mkdir()
    (repository / "README.md").write_text("# Sample\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    (repository / ".kitty-flow").mkdir()
    (repository / ".kitty-flow" / "config.toml").write_text("[run]\njobs = 4\n")
    source = repository / ".kitty-flow" / "missions" / "large.toml"
    source.parent.mkdir()
    source.write_text(_source(work_packages))
    project = Project.discover(repository)
    adopt(project, source)
    with open_mission(project, "large") as mission:
        head = str(project.repository.refs.commit("HEAD"))
        project.repository.refs.swap(mission.branch, head, "")
        for drafts in _batches(_history(mission, head, work_packages, events)):
            mission.ledger.record(lambda _view, drafts=drafts: Batch(drafts))  # type: ignore[misc]
    return repository


def _source(work_packages: int) -> str:
    """The native mission file: three dependencies each, folders and single files owned, a prompt of some lines."""
    lines = ["[mission]", 'title = "A large mission"', ""]
    for number in range(1, work_packages + 1):
        before = sorted({b for b in (number - 1 - number % 7, number - 13, number - 40 - number % 11) if b > 0})
        area = f"area{number % 20:02}"
        owned = [f"src/{area}/part{number:04}/**", f"tests/{area}/test_part{number:04}.py", f"docs/part{number:04}.md"]
        values: dict[str, Any] = {
            "id": _name(number),
            "title": f"Build part {number} of the service and connect it to its neighbours",
            "dependencies": [_name(b) for b in before],
            "owned_files": owned,
            "subtasks": [f"T{number * 3 + step:05} Do step {step}" for step in range(3)],
            "prompt": f"Build part {number}.\n" + "- Follow the conventions; cover every branch with a test.\n" * 4,
        }
        lines += ["[[work_package]]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    return "\n".join(lines)


def _name(number: int) -> str:
    return f"WP{number:04}"


def _history(mission: OpenMission, head: str, work_packages: int, events: int) -> Iterator[Draft]:
    approved = work_packages // 10
    yield _draft("mission", mission.id, "start", "planned", "running", {"base_commit": head})
    count = mission.view().event_count + 1
    targets = dict.fromkeys(range(1, approved + 1), "approved")
    targets |= {approved + 3 * place: state for place, state in enumerate(2 * _ACTIVE, 1)}
    for number, target in targets.items():
        for draft in _way(_name(number), target, head):
            count += 1
            yield draft
    for number in range(max(0, events - count)):
        evidence = {"lease_expires_at": f"2030-01-01T00:{number // 60 % 60:02}:{number % 60:02}.000+00:00"}
        yield _draft("work_package", _name(number % approved + 1), "heartbeat", None, None, evidence)


def _way(name: str, target: str, head: str) -> Iterator[Draft]:
    """The transitions of a work package from planned to the state it is to be in."""
    if target == "blocked":
        yield _draft("work_package", name, "block", "planned", "blocked", {"state_before_block": "planned"})
        return
    facts = {"holder": "holder", "implementer": "implementer", "reviewer": "reviewer", "head_commit": head}
    state = "planned"
    for following in ("claimed", "in_progress", "for_review", "in_review", "approved"):
        yield _draft("work_package", name, _TRIGGERS[following], state, following, facts)
        state = following
        if state == target:
            break
    if state == "approved":
        yield _draft("work_package", name, "integrate", None, None, {"integrated_head": head})


def _draft(
    kind: Any, name: str, trigger: str, before: str | None, after: str | None, evidence: dict[str, object]
) -> Draft:
    found = machine(kind)
    epoch = 1 if trigger == "claim" else None
    return Draft(
        kind,
        name,
        found.name,
        found.digest,
        trigger,
        "bench",
        before,
        after,
        reason="as it comes" if trigger == "block" else None,
        epoch=epoch,
        evidence=evidence,
    )


def _batches(drafts: Iterable[Draft], size: int = 1000) -> Iterator[list[Draft]]:
    batch: list[Draft] = []
    for draft in drafts:
        batch.append(draft)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that all commands are asked in."""
    return build_mission(tmp_path_factory.mktemp("large"))


def _seconds(command: list[str], where: Path) -> float:
    start = time.perf_counter()
    # No timeout: waiting with one polls at growing intervals, which would round the times.
    subprocess.run(command, cwd=where, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


@pytest.mark.parametrize("name", COMMANDS)
def test_reading_a_large_mission_costs_three_imports_at_most(name: str, repository: Path) -> None:
    script = Path(sys.executable).with_name("kitty-flow")
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "kitty_flow"]
    imports = [sys.executable, "-c", "import typer, pydantic"]
    pairs = [(_seconds([*ours, *COMMANDS[name]], repository), _seconds(imports, repository)) for _ in range(ROUNDS)]
    # The quickest round is the one that the rest of the machine disturbed least.
    command, measure = min(p[0] for p in pairs), min(p[1] for p in pairs)
    ratio = command / measure
    print(f"\n{name} {command * 1e3:.1f} ms, import typer and pydantic {measure * 1e3:.1f} ms: {ratio:.2f}")
    assert ratio <= LIMIT
