"""The shipped data is found, and nothing outside of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import kitty_flow
from kitty_flow import resources
from kitty_flow.errors import DefinitionError

PACKAGE = Path(kitty_flow.__file__).parent


def test_names_are_sorted_stems() -> None:
    assert resources.names("machines") == ("invocation", "merge", "mission", "release", "work_package")
    assert resources.names("dags", "missions") == ("documentation", "plan", "research", "software-dev")
    assert resources.names("dags") == ("work_packages",)


def test_a_file_is_read_as_text() -> None:
    assert tomllib.loads(resources.read_text("dags", "pipelines", "merge.toml"))["name"] == "merge"


@pytest.mark.parametrize(
    "parts", [("nope.toml",), ("..", "pyproject.toml"), ("../pyproject.toml",), ("/etc/passwd",), ("",), (".",), ()]
)
def test_what_is_not_shipped_is_missing(parts: tuple[str, ...]) -> None:
    with pytest.raises(DefinitionError) as caught:
        resources.read_text("machines", *parts)
    assert caught.value.code == "BUNDLED_DATA_MISSING"


@pytest.mark.parametrize("parts", [("nope",), ("..",), ("plan.toml",)])
def test_a_folder_that_is_not_shipped_is_missing(parts: tuple[str, ...]) -> None:
    with pytest.raises(DefinitionError) as caught:
        resources.names("dags", *parts)
    assert caught.value.code == "BUNDLED_DATA_MISSING"


def install(site: Path) -> Path:
    """A copy of the package as a wheel would lay it out, without its data."""
    package = site / "kitty_flow"
    package.mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "resources.py"):
        shutil.copy(PACKAGE / name, package / name)
    return package


def run(site: Path, script: str) -> str:
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{script}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=site).stdout.strip()


READ = """
from kitty_flow import resources
from kitty_flow.errors import DefinitionError
try:
    print(resources.names("machines"), resources.read_text("machines", "x.toml"))
except DefinitionError as error:
    print(error.code)
"""


def test_an_installed_package_reads_its_own_copy(tmp_path: Path) -> None:
    data = install(tmp_path) / "_bundled" / "machines"
    data.mkdir(parents=True)
    (data / "x.toml").write_text("a = 1")
    assert run(tmp_path, READ) == "('x',) a = 1"


def test_a_strangers_folder_beside_the_installed_package_is_not_read(tmp_path: Path) -> None:
    install(tmp_path)
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines" / "x.toml").write_text("a = 2")
    assert run(tmp_path, READ) == "BUNDLED_DATA_MISSING"
