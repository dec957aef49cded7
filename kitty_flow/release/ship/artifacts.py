"""Building the artifacts, keeping them with their digests, and looking into them."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from email.parser import HeaderParser
from pathlib import Path
from typing import IO, Final, NamedTuple

from kitty_flow.agents.settings_ship import BuildSettings
from kitty_flow.effects import replace_file
from kitty_flow.errors import ExternalToolError, RefusedError
from kitty_flow.release.ship.commands import Ran, Workplace
from kitty_flow.release.ship.sheet import Release
from kitty_flow.release.tested_tree import digest_of

__all__ = ["BuiltMetadata", "artifact_paths", "build", "built_metadata", "keep", "missing_artifacts"]


_MAX_METADATA: Final = 4 * 1024 * 1024
_DAMAGE: Final = (OSError, LookupError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.error, tarfile.TarError)
"""What reading a damaged archive raises: zipfile and tarfile let through what the decompression below them raises."""


class BuiltMetadata(NamedTuple):
    """What a wheel or an sdist says that it is."""

    name: str
    version: str


def build(workplace: Workplace, settings: BuildSettings, name: str) -> tuple[Ran, dict[str, Path]]:
    """Run the build; returns how it went and what it made, by file name. What the commit itself holds is not made.

    Raises:
        RefusedError: BUILD_FAILED, with the end of the output; NOTHING_BUILT.
        ExternalToolError: SHIP_COMMAND_MISSING.
    """
    before = {path: digest_of(path) for path in workplace.path.glob(settings.artifacts) if path.is_file()}
    ran = workplace.run(name, settings.command, settings.timeout_s)
    log = ran.outcome.log_path
    if not ran.passed:
        raise RefusedError(
            "BUILD_FAILED",
            f"the build ended with {ran.how}",
            hint=f"look at {log}; then {workplace.release.command}",
            details={"log": str(log), "output": ran.outcome.tail},
        )
    found = [p for p in workplace.path.glob(settings.artifacts) if p.is_file() and before.get(p) != digest_of(p)]
    if not found:
        raise RefusedError(
            "NOTHING_BUILT",
            f"the build passed, and nothing new matches {settings.artifacts}",
            hint=f"correct artifacts under [ship.build] in .kitty-flow/config.toml; then {workplace.release.command}",
            details={"log": str(log)},
        )
    return ran, {path.name: path for path in sorted(found)}


def keep(release: Release, made: dict[str, Path]) -> dict[str, str]:
    """Copy what was made to where it stays until it is published; returns the digests by name."""
    folder = release.folder / "artifacts"
    shutil.rmtree(folder, ignore_errors=True)
    for name, path in made.items():
        replace_file(folder / name, path.read_bytes(), "ship.artifact")
    return {name: digest_of(folder / name) for name in made}


def artifact_paths(release: Release) -> tuple[Path, ...]:
    """The kept artifacts."""
    return tuple(release.folder / "artifacts" / name for name in sorted(release.artifacts or {}))


def missing_artifacts(release: Release) -> tuple[str, ...]:
    """The names of recorded artifacts that are not there any more, or not with the recorded digest."""
    paths = artifact_paths(release)
    recorded = release.artifacts or {}
    return tuple(path.name for path in paths if not path.is_file() or digest_of(path) != recorded[path.name])


def built_metadata(path: Path) -> BuiltMetadata | None:
    """Name and version inside a wheel or an sdist; None for a file of another kind.

    Raises:
        ExternalToolError: ARTIFACT_UNREADABLE.
    """
    try:
        text = _metadata_text(path)
    except _DAMAGE as error:
        raise ExternalToolError(
            "ARTIFACT_UNREADABLE", f"{path.name} cannot be read: {error}", hint=f"look at {path}"
        ) from error
    if text is None:
        return None
    headers = HeaderParser().parsestr(text)
    return BuiltMetadata(headers.get("Name", ""), headers.get("Version", ""))


def _metadata_text(path: Path) -> str | None:
    if path.name.endswith(".whl"):
        with zipfile.ZipFile(path) as wheel:
            name = next(n for n in [*wheel.namelist(), ""] if n.endswith(".dist-info/METADATA") or not n)
            with wheel.open(name) as packed:
                return _text(packed)
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path, "r:gz") as sdist:
            member = next((m for m in sdist if m.name.count("/") == 1 and m.name.endswith("/PKG-INFO")), None)
            stream = sdist.extractfile(member) if member else None
            return _text(stream) if stream else None
    return None


def _text(stream: IO[bytes]) -> str:
    """The metadata, however large it unpacks.

    Raises:
        ValueError: it is larger than any metadata.
    """
    content = stream.read(_MAX_METADATA + 1)
    if len(content) > _MAX_METADATA:
        raise ValueError(f"its metadata is larger than {_MAX_METADATA // 2**20} MiB")
    return content.decode("utf-8", "replace")
