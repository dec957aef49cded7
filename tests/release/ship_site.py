"""A landed mission in a project that can be released: a build, an index that takes each file once, a remote."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from workbench import Workbench

__all__ = ["BUILD", "PUT", "SEEN", "committed", "files", "prepare", "ship_settings"]

BUILD = """import os, pathlib, sys
pathlib.Path("dist").mkdir()
text = sys.argv[1] + os.environ["SOURCE_DATE_EPOCH"] + pathlib.Path("one.txt").read_text()
for name in ("tool", "manual"):
    pathlib.Path("dist", f"{name}-{sys.argv[1]}.bin").write_text(name + text)
"""
PUT = """import pathlib, shutil, sys
index, source = map(pathlib.Path, sys.argv[1:3])
with (index / "asked").open("a") as log:
    log.write(source.name + "\\n")
if (index / source.name).exists():
    sys.exit("this index takes a file once")
shutil.copy(source, index / source.name)
"""
SEEN = """import hashlib, pathlib, sys
place = pathlib.Path(sys.argv[1], sys.argv[2])
found = hashlib.sha256(place.read_bytes()).hexdigest() if place.exists() else ""
print({"": "absent", sys.argv[3]: "present"}.get(found, "different"))
"""


def files(version: str) -> dict[str, str]:
    """Every place that states the version, by path."""
    return {
        "pyproject.toml": f'[project]\nname = "tool"\nversion = "{version}"\n',
        "tool/__init__.py": f'"""Tool."""\n\n__version__ = "{version}"\n',
        "metadata.yaml": f"tool:\n  version: {version}\n",
        "package.json": json.dumps({"name": "tool", "version": version}, indent=2),
        "Cargo.toml": f'[package]\nname = "tool"\nversion = "{version}"\n',
        "CHANGELOG.md": f"# Changelog\n\n## [{version}] - 2026-01-02\n\n- Two files.\n\n## [1.1.0]\n\n- One.\n",
    }


def ship_settings(index: Path, *more: str) -> str:
    """The settings file."""
    python = json.dumps(sys.executable)
    places = [f'[[ship.version]]\npath = "{name}"' for name in files("1") if name[0] not in "Cm"]
    return "\n".join(
        [
            "[run]\nretry_backoff_s = 0\n[ship]",
            *more,
            *places,
            '[[ship.version]]\npath = "Cargo.toml"\n[[ship.version]]\npath = "metadata.yaml"\nkey = "tool.version"',
            '[[ship.gate]]\nname = "RG-1"\ncommand = ["test", "-f", "two.txt"]',
            f'[ship.build]\ncommand = [{python}, "tools/build.py", "{{version}}"]\nreproducible = true',
            '[[ship.publish]]\nname = "index"\nsettle_s = 0',
            f'command = [{python}, "tools/put.py", {json.dumps(str(index))}, "{{artifact}}"]',
            f'probe = [{python}, "tools/seen.py", {json.dumps(str(index))}, "{{file}}", "{{sha256}}"]\n',
        ]
    )


def prepare(bench: Workbench, index: Path, version: str = "1.2.0") -> None:
    """Commit the project, run and land its mission."""
    texts = {**files(version), "tools/build.py": BUILD, "tools/put.py": PUT, "tools/seen.py": SEEN}
    for name, text in {**texts, ".gitignore": ".kitty-flow/\n"}.items():
        path = bench.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    bench.git("add", "-A")
    bench.git("commit", "-q", "-m", "A project")
    bench.git("tag", "v1.1.0")
    bench.mission(
        {
            "WP01": {"owned_files": ["one.txt"], "title": "First \u001b file", "requirement_refs": ["FR-001"]},
            "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]},
        },
        target_branch="trunk",
    )
    bench.settings(ship_settings(index))
    bench.run(jobs=1)
    bench.kitty("merge", "sample", "--test-command", "true")


def committed(bench: Workbench, changes: dict[str, str | None]) -> str:
    """A commit on top of trunk with these files changed, or taken out; no branch and no file moves."""
    bench.git("read-tree", "trunk")
    for name, text in changes.items():
        bench.git("rm", "-q", "--cached", "--", name)
        if text is not None:
            scratch = bench.root.parent / "blob"
            scratch.write_text(text, encoding="utf-8")
            blob = bench.git("hash-object", "-w", scratch)
            bench.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    commit = bench.git("commit-tree", bench.git("write-tree"), "-p", "trunk", "-m", "changed")
    bench.git("read-tree", "trunk")
    return commit
