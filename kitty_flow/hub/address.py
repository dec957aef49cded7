"""Where a hub is: one https URL, or http on this machine's own loopback."""

from __future__ import annotations

import hashlib
import re
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

__all__ = ["HubAddress", "hub_address"]

_MAX_CHARACTERS: Final = 2000
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+", re.ASCII)


class HubAddress(NamedTuple):
    """A hub's base URL in one fixed form, without a slash at its end. Credentials belong to exactly one address."""

    url: str
    host: str
    is_loopback: bool

    @property
    def key(self) -> str:
        """A file name for what belongs to this hub: readable, and different for every other address."""
        return f"{self.host.replace(':', '_')[:60]}-{hashlib.sha256(self.url.encode()).hexdigest()[:12]}"


def hub_address(text: str) -> HubAddress:
    """The address that a person wrote.

    Raises:
        ValueError: it is no https URL (or http URL of the loopback), or holds a user name, a query or a fragment.
    """
    if len(text) > _MAX_CHARACTERS or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a plain URL such as https://hub.example.com")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError("must be a URL such as https://hub.example.com, with a port of digits if any") from error
    if parts.scheme not in ("https", "http") or _HOST.fullmatch(host) is None:
        raise ValueError("must be a URL such as https://hub.example.com")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or a password; kitty-flow auth login keeps credentials apart")
    if "?" in text or "#" in text:
        raise ValueError("must not hold a query or a fragment")
    is_loopback = _is_loopback(host)
    if parts.scheme == "http" and not is_loopback:
        raise ValueError("must begin with https://; plain http is for this machine's own loopback only")
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None or port == {"https": 443, "http": 80}[parts.scheme] else f"{shown}:{port}"
    return HubAddress(f"{parts.scheme}://{place}{parts.path.rstrip('/')}", host, is_loopback)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
