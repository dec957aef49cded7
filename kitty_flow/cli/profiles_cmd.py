"""`kitty-flow profiles`: whom a request can be put to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import fields, safe, table
from kitty_flow.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from kitty_flow.invocation.profile import Profile

__all__ = ["app"]

app = command_group("The profiles that requests are put to.")


@app.command("list")
@command(examples=["kitty-flow profiles list"])
def list_profiles() -> Result:
    """List the profiles that ship and the project's own, which are checked as a whole. Starts nothing.

    Raises:
        DefinitionError: INVALID_PROFILES, with every problem of every file.
    """
    profiles = _profiles()
    return Result({"profiles": [profile.as_data() for profile in profiles]}, lambda: _board(profiles))


@app.command("show")
@command(examples=["kitty-flow profiles show reviewer"])
def show(profile: Annotated[str, typer.Argument(metavar="ID", help="The profile, such as reviewer.")]) -> Result:
    """Show one profile: what it is for, what leads to it, and the rules that it follows.

    Raises:
        UsageError: PROFILE_NOT_FOUND.
        DefinitionError: INVALID_PROFILES.
    """
    from kitty_flow.invocation.router import find_profile
    from kitty_flow.invocation.verbs import CANONICAL_VERBS

    found = find_profile(_profiles(), profile)
    canonical = CANONICAL_VERBS[found.action]
    return Result({"profile": {**found.as_data(), "canonical_verbs": canonical}}, lambda: _text(found, canonical))


def _profiles() -> tuple[Profile, ...]:
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.profiles import load_profiles

    try:
        root = Project.discover().root
    except UsageError as error:
        if error.code != "NO_REPOSITORY":
            raise
        root = None  # those that ship can be looked at anywhere
    return load_profiles(root)


def _board(profiles: tuple[Profile, ...]) -> Table:
    rows = [(p.id, p.action, p.priority, "project" if p.source == "project" else "", p.purpose) for p in profiles]
    return table(("PROFILE", "ACTION", "PRIORITY", "FROM", "FOR"), rows)


def _text(profile: Profile, canonical: tuple[str, ...]) -> str:
    facts = [
        ("profile", f"{profile.id} ({profile.name})"),
        ("role", f"{profile.role}: {profile.action}"),
        ("priority", profile.priority),
        ("verbs", ", ".join(canonical)),
        ("own verbs", ", ".join(profile.verbs) or "none"),
        ("keywords", ", ".join(profile.domain_keywords) or "none"),
        ("asks", ", ".join(profile.collaborators) or "nobody"),
        ("hands off to", ", ".join(profile.hands_off_to) or "nobody"),
        ("from", f"{profile.path} ({profile.source})"),
    ]
    lines = [safe(profile.purpose), "", fields(facts)]
    for title, items in (("directives", profile.directives), ("boundaries", profile.boundaries)):
        if items:
            lines += ["", f"{title}:", *(f"  - {safe(item)}" for item in items)]
    return "\n".join(lines)
