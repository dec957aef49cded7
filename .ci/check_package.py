"""Build the sdist and the wheel, read them critically, and use the wheel in a clean environment far from the checkout.

python .ci/check_package.py CHECKOUT SCRATCH_FOLDER
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

__all__ = ["main"]

IN_SDIST = ("LICENSE", "README.md", "tox.ini", "pyproject.toml", "machines/work_package.toml", "tests/conftest.py")
IN_WHEEL = (
    "kitty_flow/py.typed",
    "kitty_flow/_bundled/machines/work_package.toml",
    "kitty_flow/_bundled/dags/missions/software-dev.toml",
    "kitty_flow/_bundled/dags/pipelines/merge.toml",
    "kitty_flow/_bundled/profiles/reviewer.toml",
    "kitty_flow/demo/sample/project/.kitty-flow/missions/pantry.toml",
    "kitty_flow/skills/AGENTS.md",
    "kitty_flow/skills/kitty-flow-implement/SKILL.md",
    "kitty_flow/views/page/page.js",
    "kitty_flow/views/page/page.css",
    "kitty_flow/views/fonts/Roboto-Regular.ttf",
    "kitty_flow/views/fonts/LICENSE-Roboto.txt",
)


def main() -> int:
    """Run all checks; the first that fails ends the program with its own words."""
    checkout, scratch = (Path(argument).resolve() for argument in sys.argv[1:3])
    built = scratch / "dist"
    shutil.rmtree(built, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--outdir", built, checkout)
    sdist, wheel = next(built.glob("*.tar.gz")), next(built.glob("*.whl"))
    _run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    _check_contents(sdist, wheel)
    _check_installed(wheel, scratch / "clean")
    print("the package is sound")
    return 0


def _check_contents(sdist: Path, wheel: Path) -> None:
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive_of_wheel:
        modules = set(archive_of_wheel.namelist())
    missing = [name for name in IN_SDIST if name not in sources] + [name for name in IN_WHEEL if name not in modules]
    stray = [name for name in modules if not name.startswith(("kitty_flow/", "kitty_flow-"))]
    if missing or stray:
        sys.exit(f"missing from the package: {missing}; must not be in the wheel: {stray}")


def _check_installed(wheel: Path, clean: Path) -> None:
    """Install into an environment of its own and ask what only a whole installation can answer."""
    shutil.rmtree(clean, ignore_errors=True)
    _run(sys.executable, "-m", "venv", clean)
    _run(clean / "bin" / "pip", "install", "--quiet", wheel)
    kitty = clean / "bin" / "kitty-flow"
    version = _run(kitty, "--version", cwd=clean)
    if wheel.name.split("-")[1] not in version:
        sys.exit(f"{wheel.name} calls itself {version!r}")
    machines = json.loads(_run(kitty, "machines", "list", "--json", cwd=clean))["data"]["machines"]
    dags = json.loads(_run(kitty, "dags", "list", "--json", cwd=clean))["data"]["dags"]
    profiles = json.loads(_run(kitty, "profiles", "list", "--json", cwd=clean))["data"]["profiles"]
    if len(machines) < 5 or len(dags) < 5 or len(profiles) < 8:
        sys.exit("the installed package does not find its definitions")
    pantry = next(clean.glob("lib/*/site-packages/kitty_flow/demo/sample/project/.kitty-flow/missions/pantry.toml"))
    for form, start in (("html", b"<!doctype html>"), ("png", b"\x89PNG")):
        _run(kitty, "graph", pantry, "--format", form, "-o", f"pantry.{form}", cwd=clean)
        if not (clean / f"pantry.{form}").read_bytes().startswith(start):
            sys.exit(f"the installed package draws no {form}")


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
