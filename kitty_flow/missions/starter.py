"""The starter mission files that `kitty-flow mission create` writes: they load, and say what each line is for."""

from __future__ import annotations

import json
from typing import Final

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.validation import MAX_TITLE_LENGTH
from kitty_flow.model.ids import check_mission_slug

__all__ = ["planning_text", "starter_text"]

_TEXT: Final = """\
# A mission of kitty-flow. Look at its plan with:   kitty-flow plan {slug}
#                          see it as a picture:     kitty-flow graph {slug} --format svg -o {slug}.svg
#                          and run it with:         kitty-flow run {slug}

[mission]
title = {title}
slug = "{slug}"
# target_branch = "main"        # where `kitty-flow merge` lands; the checked-out branch when left out

# One table per work package: the unit that one agent claims.
[[work_package]]
id = "WP01"
title = "Lay the foundation"
# Files this work package may change (globs from the repository root). Work packages whose files can overlap are
# put in order, so that no two agents write the same file at the same time.
owned_files = ["src/core/**"]
subtasks = ["T001 Describe the data", "T002 Write the core with its tests"]
# What the agent is told, in Markdown.
prompt = '''
Build the core: ...

Done when: the tests of src/core pass.
'''

[[work_package]]
id = "WP02"
title = "Put a command line on it"
dependencies = ["WP01"]         # starts when WP01 is approved, at a base that holds its code
owned_files = ["src/cli/**"]
subtasks = ["T003 Parse the options", "T004 Print the result"]
prompt = '''
Build the command line: ...
'''

[[work_package]]
id = "WP03"
title = "Write the guide"
dependencies = ["WP01"]         # like WP02, so both run side by side
owned_files = ["docs/**"]
prompt = '''
Write the guide: ...
'''
"""

_PLANNING_TEXT: Final = """\
# A mission of kitty-flow that is being planned. See its phases with:  kitty-flow mission show {slug}
#                                      what comes next, for an agent:  kitty-flow next --agent NAME -m {slug}
# What the phases yield, such as spec.md, belongs in the folder beside this file that is called {slug}.

[mission]
title = {title}
slug = "{slug}"
template = "{template}"
# target_branch = "main"        # where `kitty-flow merge` lands; the checked-out branch when left out

# The work packages, once they are known: one table for each.
#
# [[work_package]]
# id = "WP01"
# title = "Lay the foundation"
# dependencies = []
# owned_files = ["src/core/**"]
# prompt = "Build the core: ..."
"""


def starter_text(slug: str, title: str) -> str:
    """The text of a new mission file with three example work packages in two waves.

    Raises:
        DefinitionError: INVALID_MISSION_SLUG or INVALID_TITLE.
    """
    return _TEXT.format(slug=slug, title=_quoted(slug, title))


def planning_text(slug: str, title: str, template: str) -> str:
    """The text of a new mission file without work packages, for the phases of `template`.

    Raises:
        DefinitionError: INVALID_MISSION_SLUG or INVALID_TITLE.
    """
    return _PLANNING_TEXT.format(slug=slug, title=_quoted(slug, title), template=template)


def _quoted(slug: str, title: str) -> str:
    """The title, else the slug, as a TOML string; both are checked."""
    check_mission_slug(slug)
    if len(title) > MAX_TITLE_LENGTH or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in title):
        raise DefinitionError(
            "INVALID_TITLE",
            f"a title is text of at most {MAX_TITLE_LENGTH} characters",
            hint="kitty-flow mission create --help",
        )
    # A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is.
    return json.dumps(title.strip() or slug, ensure_ascii=False).replace("\x7f", "\\u007f")
