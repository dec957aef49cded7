"""The DAG as a PNG picture, drawn by resvg with fonts of our own: the same on every machine, with or without fonts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from kitty_flow.errors import ExternalToolError
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan
from kitty_flow.views.dag_style import style_sheet
from kitty_flow.views.dag_svg import svg

__all__ = ["png"]

_MOST_PIXELS: Final = 40_000_000
_SHARPEST: Final = 2.0
_SIZE: Final = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_FONTS: Final = ("Roboto-Regular.ttf", "Roboto-Bold.ttf", "DejaVuSans-Symbols.ttf")
# What these can write (see fonts/README.md); for everything else, such as Chinese, the machine's fonts are asked.
_OURS: Final = re.compile("[\n\x20-\u06ff\u1e00-\u1eff\u2010-\u23cf\u2500-\u2704\u2706-\u27ff\u2900-\u297f]*")


def png(definition: MissionDefinition, plan: Plan, states: Mapping[str, str] | None = None) -> bytes:
    """The picture that `svg` makes, light, twice as large or as large as 40 million pixels allow.

    Args:
        definition: the mission.
        plan: its plan.
        states: the state of each work package, or None for a mission that is only planned.

    Raises:
        ExternalToolError: LAYOUT_MISSING or PNG_MISSING, there is no build of a library for this platform.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise ExternalToolError(
            "PNG_MISSING",
            f"PNG pictures need the package resvg-py, which cannot be imported: {error}",
            hint="pip install resvg-py, or kitty-flow graph --format svg",
        ) from error
    from importlib.resources import as_file, files

    text = svg(definition, plan, states, style=style_sheet(fonts="Roboto, sans-serif", dark=False))
    size = _SIZE.search(text)
    pixels = math.prod(map(float, size.groups())) if size else 1.0
    with as_file(files("kitty_flow.views") / "fonts") as fonts:
        return svg_to_bytes(
            svg_string=text,
            background="#FFFFFF",
            zoom=min(_SHARPEST, math.sqrt(_MOST_PIXELS / pixels)),
            skip_system_fonts=_OURS.fullmatch(text) is not None,
            font_files=[str(fonts / name) for name in _FONTS],
            font_family="Roboto",
            sans_serif_family="Roboto",
        )
