"""The DAG as one HTML file that needs nothing else: the picture, and a script of our own that brings it to life.

Nothing from a mission becomes markup, style or script. The picture is escaped by `dag_svg`; all other data lies in a
JSON block without `<`, `>` and `&`, and the script writes it with `textContent`. A content security policy lets only
the style and the script run that this module has put in, by their hashes, and forbids every request.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.model.mission import MissionDefinition, WorkPackage
from kitty_flow.model.plan import Plan
from kitty_flow.model.text import clean
from kitty_flow.views.dag_picture import STATE_STYLES
from kitty_flow.views.dag_style import style_sheet
from kitty_flow.views.dag_svg import summary, svg

if TYPE_CHECKING:
    from kitty_flow.flow.mission_record import MissionRecord

__all__ = ["html"]

_SCRIPTS: Final = ("base.js", "look.js", "details.js", "gantt.js", "page.js")

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def html(definition: MissionDefinition, plan: Plan, record: MissionRecord | None = None) -> str:
    """The mission as a page: pan, zoom, search, filters, details, history and a Gantt chart; offline.

    Without scripts the page shows the picture.

    Args:
        definition: the mission; nothing in it becomes markup.
        plan: its plan.
        record: states, history and hindrances, or None for a mission that is only planned.

    Raises:
        ExternalToolError: LAYOUT_MISSING.
    """
    style = _resource("page.css") + style_sheet()
    script = '"use strict";\n{\n' + "\n".join(map(_resource, _SCRIPTS)) + "}\n"
    picture = svg(definition, plan, record.states if record else None, style="")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = clean(definition.title) or definition.slug
    body = _resource("page.html").replace("{{summary}}", escape(summary(plan)), 1)
    before, after = body.split("{{picture}}")
    before = before.replace("{{title}}", escape(title), 1)
    return _PAGE.format(
        policy=policy,
        title=escape(title),
        style=style,
        body=before + picture + after,
        data=_embedded(_data(definition, plan, record)),
        script=script,
    )


def _resource(name: str) -> str:
    return (files("kitty_flow.views") / "page" / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    """The name that a content security policy has for an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _embedded(data: Mapping[str, Any]) -> str:
    """JSON that no HTML parser can leave or read anything into: plain ASCII without `<`, `>` and `&`."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data(definition: MissionDefinition, plan: Plan, record: MissionRecord | None) -> dict[str, Any]:
    """What the script reads; all texts are one clean line."""
    dependents: dict[str, list[str]] = {}
    for name in plan.merge_order:
        for prerequisite in plan.prerequisites(name):
            dependents.setdefault(prerequisite, []).append(name)
    by_id = definition.by_id
    return {
        "workPackages": [_work_package(by_id[name], plan, dependents, record) for name in plan.merge_order],
        "lanes": [lane.id for lane in plan.execution_lanes],
        "waves": len(plan.waves),
        "unit": plan.makespan.unit,
        "drawnAt": record.drawn_at if record else "",
        "styles": {name: {"label": s.label, "symbol": s.symbol} for name, s in STATE_STYLES.items()},
        "moments": [
            {
                "at": clean(moment.at),
                "wp": moment.work_package_id,
                "from": moment.from_state,
                "to": moment.to_state,
                "trigger": moment.trigger,
                "actor": clean(moment.actor),
                "reason": clean(moment.reason),
                "forced": moment.forced,
            }
            for moment in (record.moments if record else ())
        ],
    }


def _work_package(
    work_package: WorkPackage, plan: Plan, dependents: Mapping[str, list[str]], record: MissionRecord | None
) -> dict[str, Any]:
    name = work_package.id
    placement = plan.placements[name]
    return {
        "id": name,
        "title": clean(work_package.title),
        "wave": placement.wave,
        "lane": placement.execution_lane,
        "slack": placement.slack,
        "critical": name in plan.critical_path,
        "mode": work_package.execution_mode.replace("_", " "),
        "state": record.states.get(name) if record else None,
        "dependencies": list(work_package.dependencies),
        "after": [i for i in plan.prerequisites(name) if i not in work_package.dependencies],
        "dependents": dependents.get(name, []),
        "conflicts": [
            f"{c.ordered}: both may write {' and '.join(clean(p) for p in dict.fromkeys(c.patterns))}"
            for c in plan.conflicts
            if name in c.work_packages
        ],
        "files": [clean(pattern) for pattern in work_package.owned_files],
        "subtasks": [clean(f"{subtask.id} {subtask.title}") for subtask in work_package.subtasks],
        "requirements": [clean(reference) for reference in work_package.requirement_refs],
        "waitsFor": [clean(text) for text in record.waits_for.get(name, ())] if record else [],
    }
