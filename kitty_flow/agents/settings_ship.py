"""The `[ship]` table of the settings: where the version stands, what gates a release, how it is built and published."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from kitty_flow.agents.settings_types import Command, Limit, Seconds, Text
from kitty_flow.model.base import Model

__all__ = ["BuildSettings", "PublishSettings", "ReleaseGateSettings", "ShipSettings", "VersionPlace"]

Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]

KEYED: Final = (".toml", ".yaml", ".yml", ".json")
KNOWN: Final = ("pyproject.toml", "package.json", "Cargo.toml")


def _tables(value: object) -> object:
    """An array of tables becomes the tuple that the frozen model holds."""
    return tuple(value) if isinstance(value, list) else value


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} is no path below the repository root")
    return path


RepositoryPath = Annotated[Text, AfterValidator(_inside)]


class VersionPlace(Model):
    """One place that states the version: a file of the repository and, where its name does not tell, the key in it."""

    path: RepositoryPath
    key: Text | None = None

    @model_validator(mode="after")
    def _check_key(self) -> VersionPlace:
        name = PurePosixPath(self.path).name
        if self.path.endswith(".py") or name in KNOWN:
            return self
        if not self.path.endswith(KEYED):
            raise ValueError(f"{self.path} is neither Python nor {', '.join(KEYED)}, so nothing tells how to read it")
        if not self.key:
            raise ValueError(f'{self.path} needs a key, such as "package.version"')
        return self


class ReleaseGateSettings(Model):
    """One `[[ship.gate]]`: a command that has to pass on the release commit."""

    name: Name
    command: Command
    timeout_s: Limit = 1800.0


class BuildSettings(Model):
    """The `[ship.build]` table: the command, and where it puts what it builds."""

    command: Command
    artifacts: RepositoryPath = "dist/*"
    timeout_s: Limit = 1800.0
    reproducible: Annotated[bool, Field(strict=True)] = False


class PublishSettings(Model):
    """One `[[ship.publish]]`: a command that makes something public, and the probe that tells whether it is there.

    `settle_s` is how long the probe may go on to say that it is absent after the command has run.
    """

    name: Name
    command: Command
    probe: Command
    timeout_s: Limit = 600.0
    settle_s: Seconds = 30.0


class ShipSettings(Model):
    """Everything about releases; without the table the files that commonly state a version are compared."""

    version: Annotated[tuple[VersionPlace, ...], BeforeValidator(_tables)] = ()
    scheme: Literal["pep440", "semver"] = "pep440"
    tag: Text = "v{version}"
    changelog: RepositoryPath | None = None
    remote: Text | None = None
    sign: Literal["auto", "always", "never"] = "auto"
    gate: Annotated[tuple[ReleaseGateSettings, ...], BeforeValidator(_tables)] = ()
    build: BuildSettings | None = None
    publish: Annotated[tuple[PublishSettings, ...], BeforeValidator(_tables)] = ()

    @field_validator("tag")
    @classmethod
    def _check_tag(cls, tag: str) -> str:
        if tag.count("{version}") != 1:
            raise ValueError('must hold {version} once, such as "v{version}"')
        around = tag.replace("{version}", "")
        if any(c in around for c in " ~^:?*[\\{}\0") or ".." in tag or around.startswith(("-", "/")):
            raise ValueError(f"{tag!r} gives no name that git takes for a tag")
        return tag

    @field_validator("gate", "publish")
    @classmethod
    def _check_names(cls, found: tuple[ReleaseGateSettings | PublishSettings, ...]) -> object:
        names = [each.name for each in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is there twice; each needs a name of its own")
        return found
