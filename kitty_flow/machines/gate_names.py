"""The names of all gates, by the kind of definition whose edges may carry them.

The checks are elsewhere, each in the layer that can look: `release/gates.py` and `release/ship/gates.py` for the
pipelines, `flow/phase_gates.py` for the phases of missions, `flow/edge_gates.py` for the edges between work packages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["GATE_NAMES"]

_PREREQUISITE: Final = frozenset({"prerequisite_approved", "prerequisite_integrated", "prerequisite_not_canceled"})

GATE_NAMES: Final[Mapping[str, frozenset[str]]] = {
    "mission": frozenset(
        {
            "artifact_present",
            "mission_accepted",
            "mission_merged",
            "publication_approved",
            "reviewed_by_another",
            "sources_listed",
            "work_packages_approved",
            "work_packages_present",
            "work_packages_submitted",
        }
    ),
    "pipeline": frozenset(
        {
            "approved_heads_integrated",
            "approved_heads_reviewed",
            "artifacts_built",
            "artifacts_named_by_version",
            "artifacts_reproducible",
            "artifacts_sound",
            "changelog_entry_present",
            "checkout_can_follow",
            "checkout_clean",
            "config_unchanged",
            "landing_holds",
            "landing_proved",
            "landing_recomputed",
            "ledger_descends",
            "merge_clean",
            "mission_accepted",
            "mission_merged",
            "mission_unmoved",
            "no_secrets",
            "no_user_operation_in_progress",
            "owned_files_respected",
            "release_gates_pass",
            "reviewers_are_not_implementers",
            "signing_possible",
            "tag_absent_at_remote",
            "tag_absent_here",
            "tag_at_release_commit",
            "target_exists",
            "target_in_sync",
            "target_unmoved",
            "tests_pass",
            "verdicts_consistent",
            "version_coherent",
            "version_follows_last_tag",
            "version_valid",
            "worktrees_clean",
        }
    ),
    "declared": _PREREQUISITE,
    "conflict": _PREREQUISITE,
    "lane": frozenset({"lane_free"}),
    "overlap": frozenset({"owned_files_free"}),
}
"""The gates that an edge may name, by what the edge belongs to: a mission template, a pipeline, or work packages."""
