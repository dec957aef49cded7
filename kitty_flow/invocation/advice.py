"""The use case behind `advise`, `ask` and `do`: route, put the context together, record, and only then answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kitty_flow.agents.settings_file import read_settings
from kitty_flow.flow.actor import acting
from kitty_flow.flow.project import Project
from kitty_flow.invocation.governance import GovernanceContext, governance_context
from kitty_flow.invocation.plugins import route_with_plugins
from kitty_flow.invocation.profile import Profile
from kitty_flow.invocation.profiles import load_profiles
from kitty_flow.invocation.request import checked_request
from kitty_flow.invocation.route import Route
from kitty_flow.invocation.runtime import Opening, begin

__all__ = ["Advice", "advise"]


@dataclass(frozen=True)
class Advice:
    """What is answered to a request, after its record is durable."""

    invocation_id: str
    profile: Profile
    route: Route
    mode_of_work: str
    context: GovernanceContext
    mission_id: str | None = None
    wp_id: str | None = None

    @property
    def next_step(self) -> str:
        """The command that closes the record."""
        return f"kitty-flow profile-invocation complete --invocation-id {self.invocation_id} --outcome done"

    def as_data(self) -> dict[str, Any]:
        """JSON-ready; mission and work package are left out where there are none."""
        about = {"mission_id": self.mission_id, "wp_id": self.wp_id}
        return {
            "invocation_id": self.invocation_id,
            "profile_id": self.profile.id,
            "action": self.route.action,
            "router_confidence": self.route.confidence,
            "match_reason": self.route.match_reason,
            "mode_of_work": self.mode_of_work,
            "governance_context_hash": self.context.digest,
            "governance_context_available": self.context.is_available,
            "governance_context_files": self.context.files,
            "governance_context_text": self.context.text,
            **{key: value for key, value in about.items() if value is not None},
            "next_step": self.next_step,
        }


def advise(
    project: Project,
    request: str,
    *,
    mode_of_work: Literal["advisory", "task_execution"],
    profile: str | None = None,
    actor: str | None = None,
    mission: str | None = None,
    work_package: str | None = None,
) -> Advice:
    """Route `request`, to `profile` where one is named, and record it; when this returns, one record of it is durable.

    Args:
        actor: who asks; by default the current user.
        mission: slug, id or prefix of the mission that it is about.
        work_package: the work package that it is about; its mission may be left out where only one is open.

    Raises:
        UsageError: the request, the profile, the mission or the actor is not usable, or the router finds not one.
        DefinitionError: INVALID_PROFILES, INVALID_SETTINGS, or the charter cannot be read.
        ExternalToolError: ROUTER_PLUGIN_FAILED.
        ConflictError, LedgerError: the record could not be made, and nothing is answered.
    """
    text, who = checked_request(request), acting(actor)
    profiles = load_profiles(project.root)
    route = route_with_plugins(text, profiles, hint=profile)
    chosen = next(each for each in profiles if each.id == route.profile_id)
    context = governance_context(project.root, chosen, _charter(project))
    mission_id = _mission(project, mission, work_package)
    opening = Opening(
        profile_id=chosen.id,
        action=route.action,
        request_text=text,
        governance_context_hash=context.digest,
        governance_context_available=context.is_available,
        router_confidence=route.confidence,
        mode_of_work=mode_of_work,
        actor=who,
        mission_id=mission_id,
        wp_id=work_package,
    )
    record = begin(project, opening)
    return Advice(record.invocation_id, chosen, route, mode_of_work, context, mission_id, work_package)


def _charter(project: Project) -> tuple[str, ...] | None:
    """The charter's files as the settings name them; without such a table nothing else of the settings need be read."""
    if "governance" not in read_settings(project.root):
        return None
    return project.settings.governance.charter


def _mission(project: Project, mission: str | None, work_package: str | None) -> str | None:
    """The id of the mission that a request is about; it and the work package have to exist."""
    if mission is None and work_package is None:
        return None
    from kitty_flow.flow.mission import open_mission  # late: few requests name one

    with open_mission(project, mission) as opened:
        if work_package is not None:
            opened.work_package(work_package)
        return opened.id
