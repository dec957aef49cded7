"""All profiles of a project: those that ship, replaced or joined by the project's own, checked as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from kitty_flow import resources
from kitty_flow.errors import DefinitionError, KittyFlowError
from kitty_flow.invocation.profile import Profile, Source
from kitty_flow.invocation.profile_file import MAX_PROFILE_BYTES, Problem, key_place, parse_profile, problem
from kitty_flow.invocation.project_text import read_inside
from kitty_flow.missions.files import children

__all__ = ["PROFILES_PATH", "load_profiles"]

PROFILES_PATH: Final = Path(".kitty-flow", "profiles")
"""Where a project's own profiles live, relative to the repository root."""

_MAX_PROFILES: Final = 200


def load_profiles(root: Path | None) -> tuple[Profile, ...]:
    """The profiles that count in the project at `root`, by id; without a project those that ship.

    A profile of the project replaces the shipped one of the same id, whole.

    Raises:
        DefinitionError: INVALID_PROFILES, with every problem of every file in `details["problems"]`.
    """
    profiles: dict[str, Profile] = {}
    problems: list[Problem] = []
    texts: dict[str, str] = {}
    for source, where, text in _files(root, problems):
        profile, found = parse_profile(text, where, source)
        problems += found
        texts[where] = text
        if profile is not None:
            profiles[profile.id] = profile
    if not problems:
        problems = [found for profile in profiles.values() for found in _strangers(profile, profiles, texts)]
    if problems:
        raise _invalid(problems)
    return tuple(profiles[name] for name in sorted(profiles))


def _files(root: Path | None, problems: list[Problem]) -> Iterator[tuple[Source, str, str]]:
    """Source, name and text of every file; what cannot be read becomes a problem."""
    for name in resources.names("profiles"):
        yield "shipped", f"profiles/{name}.toml", resources.read_text("profiles", f"{name}.toml")
    if root is None:
        return
    own = [path for path in children(root / PROFILES_PATH) if path.suffix == ".toml" and not path.name.startswith(".")]
    if len(own) > _MAX_PROFILES:
        problems.append(problem("TOO_MANY", f"holds more than {_MAX_PROFILES} profiles", PROFILES_PATH.as_posix()))
        return
    for path in own:
        where = path.relative_to(root).as_posix()
        try:
            yield "project", where, read_inside(root, path, limit=MAX_PROFILE_BYTES)
        except KittyFlowError as error:
            problems.append(problem(error.code, error.message, str(error.details.get("where", where))))


def _strangers(profile: Profile, known: dict[str, Profile], texts: dict[str, str]) -> Iterator[Problem]:
    """Where a profile names others that do not exist."""
    for key in ("collaborators", "hands_off_to"):
        for name in getattr(profile, key):
            if name not in known:
                near = get_close_matches(name, known, n=1)
                meant = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
                message = f"{key}: there is no profile {name}; {meant}"
                yield problem("UNKNOWN_PROFILE", message, key_place(texts[profile.path], profile.path, key))


def _invalid(problems: list[Problem]) -> DefinitionError:
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    details: dict[str, Any] = {"problems": problems}
    return DefinitionError(
        "INVALID_PROFILES",
        f"the profiles have {count}, and none is used before that is mended",
        hint="correct them and type kitty-flow profiles list; every key is described in docs/reference/profiles.md",
        details=details,
    )
