"""Routers of other packages, entry points of the group ``kitty_flow.routers``: asked where our own rules find no one.

A plug-in is a function ``(request, profiles, candidates) -> Choice | None``. It never changes what the rules decide,
so installing one moves no request that had its way before; None leaves it undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from kitty_flow.errors import ExternalToolError
from kitty_flow.invocation.profile import Profile
from kitty_flow.invocation.route import AmbiguousRouteError, Candidate, NoRouteError, Route
from kitty_flow.invocation.router import route
from kitty_flow.invocation.verbs import ACTIONS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "Choice", "RouterPlugin", "route_with_plugins"]

GROUP: Final = "kitty_flow.routers"


class Choice(NamedTuple):
    """What a plug-in answers: a profile, why, and the action where it is not that of the profile's role."""

    profile_id: str
    reason: str
    action: str | None = None


RouterPlugin = Callable[[str, tuple[Profile, ...], tuple[Candidate, ...]], Choice | None]
"""Asked with the request, all profiles, and those between which our rules could not decide."""


def route_with_plugins(request: str, profiles: Sequence[Profile], *, hint: str | None = None) -> Route:
    """As `router.route`; what it cannot decide is put to the plug-ins, by name, and the first answer counts.

    Raises:
        UsageError: as `router.route`, when no plug-in answers either.
        ExternalToolError: ROUTER_PLUGIN_FAILED, one cannot be loaded, fails, or answers what there is not.
    """
    try:
        return route(request, profiles, hint=hint)
    except (AmbiguousRouteError, NoRouteError) as undecided:
        candidates = undecided.candidates if isinstance(undecided, AmbiguousRouteError) else ()
        for plugin in _plugins():
            found = _asked(plugin, request, tuple(profiles), candidates)
            if found is not None:
                return found
        raise


def _plugins() -> list[EntryPoint]:
    from importlib.metadata import entry_points  # late: it looks into every installed package

    return sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))


def _asked(
    plugin: EntryPoint, request: str, profiles: tuple[Profile, ...], candidates: tuple[Candidate, ...]
) -> Route | None:
    try:
        asked: RouterPlugin = plugin.load()
        choice = asked(request, profiles, candidates)
    except Exception as error:
        _failed(plugin, f"{type(error).__name__}: {error}", error)
    if choice is None:
        return None
    if not isinstance(choice, Choice):
        _failed(plugin, f"it answered with a {type(choice).__name__}, not with a Choice or None")
    profile = next((profile for profile in profiles if profile.id == choice.profile_id), None)
    if profile is None:
        _failed(plugin, f"it chose the profile {choice.profile_id!r}, which does not exist")
    if choice.action is not None and choice.action not in ACTIONS:
        _failed(plugin, f"it chose the action {choice.action!r}, which does not exist")
    reason = f"plug-in {plugin.name}: {choice.reason}"
    return Route(profile.id, choice.action or profile.action, "plugin", reason)


def _failed(plugin: EntryPoint, why: str, cause: Exception | None = None) -> NoReturn:
    raise ExternalToolError(
        "ROUTER_PLUGIN_FAILED",
        f"the router plug-in {plugin.name} ({plugin.value}) failed: {why[:500]}",
        hint="kitty-flow ask PROFILE REQUEST goes without it; mend or uninstall the package that brings it",
        details={"plugin": plugin.name, "target": plugin.value},
    ) from cause
