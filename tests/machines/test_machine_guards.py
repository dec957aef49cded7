"""What each guard accepts and what it does not, with real facts."""

from __future__ import annotations

from typing import Any

import pytest

from kitty_flow.machines import GUARDS, Facts

READY: dict[str, Any] = {"worktree": "/w", "branch": "b", "base_commit": "a", "base_contains_dependencies": True}
BOUND: dict[str, Any] = {"verdict": "approved", "reviewed_commit": "b", "head_commit": "b"}
PEOPLE: dict[str, Any] = {"implementer": "ada", "reviewer": "bob"}

CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("actor_named", {"actor": "ada"}, True),
    ("actor_named", {"actor": "  "}, False),
    ("actor_named", {"actor": 7}, False),
    ("reason_given", {"reason": "why"}, True),
    ("reason_given", {"reason": "\n"}, False),
    ("dependencies_satisfied", {"unsatisfied_dependencies": ("WP01",)}, False),
    ("dependencies_satisfied", {"unsatisfied_dependencies": []}, False),
    ("dependencies_satisfied", {"unsatisfied_dependencies": ""}, False),
    ("unclaimed", {"holder": "ada"}, False),
    ("unclaimed", {"holder": " "}, False),
    ("no_active_ownership_conflict", {"ownership_conflicts": ("WP02",)}, False),
    ("holds_epoch", {"epoch": 1, "current_epoch": 1}, True),
    ("holds_epoch", {"epoch": 1, "current_epoch": 2}, False),
    ("holds_epoch", {"epoch": 2, "current_epoch": 1}, False),
    ("holds_epoch", {"epoch": 0, "current_epoch": 0}, False),
    ("holds_epoch", {"epoch": -1, "current_epoch": -1}, False),
    ("holds_epoch", {"epoch": True, "current_epoch": 1}, False),
    ("holds_epoch", {"epoch": "1", "current_epoch": "1"}, False),
    ("workspace_ready", READY, True),
    ("workspace_ready", READY | {"worktree": ""}, False),
    ("workspace_ready", READY | {"branch": " "}, False),
    ("workspace_ready", READY | {"base_commit": ""}, False),
    ("workspace_ready", READY | {"base_contains_dependencies": False}, False),
    ("workspace_ready", READY | {"base_contains_dependencies": 1}, False),
    ("work_committed", {"base_commit": "a", "head_commit": "b"}, True),
    ("work_committed", {"base_commit": "a", "head_commit": "a"}, False),
    ("work_committed", {"base_commit": "", "head_commit": "b"}, False),
    ("work_committed", {"base_commit": "a", "head_commit": ""}, False),
    ("ownership_respected", {"out_of_scope_paths": ("setup.py",)}, False),
    ("subtasks_complete", {"open_subtasks": ("T001",)}, False),
    ("reviewer_is_not_implementer", PEOPLE, True),
    ("reviewer_is_not_implementer", {"implementer": "ada", "reviewer": "ada"}, False),
    ("reviewer_is_not_implementer", {"implementer": "Ada ", "reviewer": "ada"}, False),
    ("reviewer_is_not_implementer", {"implementer": "", "reviewer": "bob"}, False),
    ("reviewer_is_not_implementer", {"implementer": "ada", "reviewer": " "}, False),
    ("verdict_bound_to_head", BOUND, True),
    ("verdict_bound_to_head", BOUND | {"verdict": "changes_requested"}, False),
    ("verdict_bound_to_head", BOUND | {"verdict": True}, False),
    ("verdict_bound_to_head", BOUND | {"reviewed_commit": "a"}, False),
    ("verdict_bound_to_head", BOUND | {"reviewed_commit": "", "head_commit": ""}, False),
    ("verdict_bound_to_head", BOUND | {"reviewed_commit": None, "head_commit": None}, False),
    ("feedback_present", {"feedback": "rename it"}, True),
    ("feedback_present", {"feedback": " "}, False),
    ("feedback_present", {"feedback": {}}, False),
    ("feedback_present", {"feedback": {"summary": " ", "findings": []}}, False),
    ("feedback_present", {"feedback": {"summary": "rename it", "findings": []}}, True),
    ("feedback_present", {"feedback": ["rename it"]}, False),
    ("not_landed", {"landed": True}, False),
    ("not_landed", {"landed": 0}, False),
    ("nothing_public", {"public": True}, False),
    ("nothing_public", {"public": 0}, False),
    ("all_work_packages_finished", {"unfinished_work_packages": ("WP03",)}, False),
    ("gates_passed", {"failed_gates": ("tests_pass",)}, False),
    ("tested_tree_is_candidate", {"tested_tree": "t", "candidate_tree": "u"}, False),
    ("tested_tree_is_candidate", {"tested_tree": "", "candidate_tree": ""}, False),
    ("landed_tree_is_tested", {"tested_tree": "t", "landed_tree": "u"}, False),
    ("landed_tree_is_tested", {"tested_tree": None, "landed_tree": None}, False),
    ("version_named", {"version": "", "release_commit": "c"}, False),
    ("version_named", {"version": "1.0", "release_commit": " "}, False),
    ("artifacts_recorded", {"artifact_digests": ()}, True),
    ("tag_at_release_commit", {"tag_commit": "a", "release_commit": "b"}, False),
]
FLAGS = {
    "mission_valid": "mission_valid",
    "lease_expired": "lease_expired",
    "worktree_clean": "worktree_clean",
    "prompt_identity_matches": "prompt_identity_matches",
    "landing_proved": "landing_proved",
    "artifacts_verified": "artifacts_verified",
    "remote_matches": "remote_matches",
    "index_matches": "index_matches",
    "release_proved": "release_proved",
}


@pytest.mark.parametrize(("guard", "values", "expected"), CASES)
def test_guard(guard: str, values: dict[str, Any], expected: bool) -> None:
    assert GUARDS[guard].predicate(Facts(**values)) is expected


@pytest.mark.parametrize("guard", sorted(FLAGS))
def test_a_flag_passes_only_when_it_is_true_itself(guard: str) -> None:
    values: list[Any] = [True, False, 1, "yes", (True,)]
    predicate = GUARDS[guard].predicate
    passing = [value for value in values if predicate(Facts(**{FLAGS[guard]: value})) is True]
    assert passing == [True]


@pytest.mark.parametrize("guard", sorted(GUARDS))
def test_no_guard_passes_when_nothing_was_established(guard: str) -> None:
    assert GUARDS[guard].predicate(Facts()) is not True


def test_codes_and_names_are_unique_and_everything_is_said() -> None:
    assert len({guard.code for guard in GUARDS.values()}) == len(GUARDS)
    for name, guard in GUARDS.items():
        assert name == guard.name
        assert guard.message and guard.hint
        assert guard.shows == "" or guard.shows in Facts.__dataclass_fields__
