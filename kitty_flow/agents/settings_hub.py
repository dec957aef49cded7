"""The `[hub]` table of the settings: whether a hosted hub is told of invocations, of which, and of how much."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from kitty_flow.agents.settings_types import Text
from kitty_flow.hub.address import HubAddress, hub_address
from kitty_flow.model.base import Model

__all__ = ["HUB_EVENTS", "HUB_MODES", "HubSettings"]

HUB_EVENTS: Final = ("started", "completed", "artifact_link", "commit_link", "evidence_promoted")
"""The events of an invocation, as its record names them."""

HUB_MODES: Final = ("advisory", "task_execution", "mission_step", "query")
"""The modes of work, as the record names them."""


def _listed(value: object) -> object:
    """A list of words as the tuple that the frozen model holds."""
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of at least one word")
    return tuple(value)


_Events = Literal["started", "completed", "artifact_link", "commit_link", "evidence_promoted"]
_Modes = Literal["advisory", "task_execution", "mission_step", "query"]


class HubSettings(Model):
    """The `[hub]` table. Nothing is sent without `url` and `consent`, and nothing to a hub without own credentials."""

    url: Text | None = None
    consent: Annotated[bool, Field(strict=True)] = False
    events: Annotated[tuple[_Events, ...], BeforeValidator(_listed)] = ("started", "completed")
    modes: Annotated[tuple[_Modes, ...], BeforeValidator(_listed)] = HUB_MODES
    send_text: Annotated[bool, Field(strict=True)] = False

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        return None if url is None else hub_address(url).url

    @model_validator(mode="after")
    def _check_consent(self) -> HubSettings:
        if self.consent and self.url is None:
            raise ValueError("consent needs the url of the hub that it is for")
        return self

    @property
    def address(self) -> HubAddress | None:
        """Where the hub is, or None when there is none."""
        return None if self.url is None else hub_address(self.url)
