"""This user's credentials, one file for each hub, which nobody else may read.

They are the user's and no repository's: in the configuration folder, never below a checkout. A file is replaced as a
whole, so that whoever reads without the lock sees the old tokens or the new ones.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from kitty_flow.effects import reach, sync_folder, sync_to_disk, write
from kitty_flow.errors import ConflictError, ExternalToolError, LedgerError, RefusedError
from kitty_flow.hub.address import HubAddress
from kitty_flow.hub.protocol import is_token
from kitty_flow.ledger.lock import exclusive

__all__ = ["LOCK_TIMEOUT_S", "CredentialStore", "Credentials"]

LOCK_TIMEOUT_S: Final = 10.0
"""Longer than a request may take (`client.REQUEST_TIMEOUT_S`): a hub that hangs costs the next in line no failure."""

_SCHEMA: Final = "kitty-flow/credentials/1"
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Credentials:
    """Tokens for one hub. `expires_at` and `obtained_at` are seconds of the wall clock; an unknown end is None."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False, default=None)
    expires_at: float | None = None
    obtained_at: float = 0.0
    account: str | None = None


class CredentialStore:
    """The credentials file of one hub, and the lock over everything that changes it."""

    def __init__(self, hub: HubAddress, folder: Path | None = None) -> None:
        self.hub = hub
        self.folder = folder or _config_folder()
        self.path = self.folder / f"{hub.key}.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of this hub's credentials; not re-entrant.

        Raises:
            ConflictError: LOCK_TIMEOUT.
            ExternalToolError: CREDENTIALS_UNWRITABLE.
        """
        self._make_folder()
        holding = False
        try:
            lock = self.folder / f"{self.hub.key}.lock"
            with exclusive(lock, timeout_s=LOCK_TIMEOUT_S, what=f"the credentials for {self.hub.host}"):
                holding = True
                yield
        except ConflictError as error:
            if holding:
                raise
            raise ConflictError(
                error.code, error.message, hint="type the command again; the other one ends by itself"
            ) from error
        except LedgerError as error:
            if holding:
                raise
            raise self._unwritable(error.message) from error

    def read(self) -> Credentials | None:
        """What is kept; None when nothing is.

        Raises:
            RefusedError: CREDENTIALS_EXPOSED, others may read or replace the file.
            ExternalToolError: CREDENTIALS_DAMAGED, it cannot be read.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._damaged(error.strerror or "it cannot be opened") from error
        try:
            self._check_owner(os.fstat(descriptor))
            with open(descriptor, "rb", closefd=False) as stream:
                content = stream.read(_MAX_BYTES + 1)
        except OSError as error:
            raise self._damaged(error.strerror or "it cannot be read") from error
        finally:
            os.close(descriptor)
        return self._decode(content)

    def write(self, credentials: Credentials) -> None:
        """Replace what is kept; readable by nobody else from its first byte on.

        Raises:
            ExternalToolError: CREDENTIALS_UNWRITABLE; what was kept is untouched.
        """
        self._make_folder()
        text = json.dumps({"schema": _SCHEMA, "hub": self.hub.url, **asdict(credentials)}, indent=1, sort_keys=True)
        fresh = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                write(descriptor, text.encode() + b"\n", "credentials.write")
                sync_to_disk(descriptor, "credentials.sync")
            finally:
                os.close(descriptor)
            reach("credentials.replace")
            fresh.replace(self.path)
            sync_folder(self.folder, "credentials.folder")
        except OSError as error:
            with suppress(OSError):
                fresh.unlink()
            raise self._unwritable(error.strerror or str(error)) from error

    def forget(self) -> bool:
        """Delete what is kept; says whether there was anything.

        Raises:
            ExternalToolError: CREDENTIALS_UNWRITABLE.
        """
        try:
            reach("credentials.forget")
            self.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        return True

    def _make_folder(self) -> None:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.mkdir(exist_ok=True, mode=0o700)
            if os.name == "posix" and stat.S_IMODE(self.folder.stat().st_mode) & 0o077:
                self.folder.chmod(0o700)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error

    def _check_owner(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._damaged("it is no file")
        if os.name == "posix" and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077):
            raise RefusedError(
                "CREDENTIALS_EXPOSED",
                f"{self.path} may be read by others, and so its tokens are not used",
                hint=f"kitty-flow auth logout, then kitty-flow auth login (or chmod 600 {self.path})",
                details={"path": str(self.path)},
            )

    def _decode(self, content: bytes) -> Credentials:
        try:
            found: Any = json.loads(content) if len(content) <= _MAX_BYTES else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("schema") != _SCHEMA or found.get("hub") != self.hub.url:
            raise self._damaged("it is none of this version, or of another hub")
        names: dict[str, Any] = {name: found.get(name) for name in Credentials.__dataclass_fields__}
        ends = names["expires_at"]
        if (
            not is_token(names["access_token"])
            or not (names["refresh_token"] is None or is_token(names["refresh_token"]))
            or not (ends is None or isinstance(ends, (int, float)))
            or not isinstance(names["obtained_at"], (int, float))
            or not (names["account"] is None or isinstance(names["account"], str))
        ):
            raise self._damaged("its fields are none of credentials")
        return Credentials(**names)

    def _damaged(self, why: str) -> ExternalToolError:
        return ExternalToolError(
            "CREDENTIALS_DAMAGED",
            f"{self.path} cannot be used: {why}",
            hint="kitty-flow auth logout, then kitty-flow auth login",
            details={"path": str(self.path)},
        )

    def _unwritable(self, why: str) -> ExternalToolError:
        return ExternalToolError(
            "CREDENTIALS_UNWRITABLE",
            f"the credentials cannot be kept in {self.folder}: {why}",
            hint="make the folder writable; XDG_CONFIG_HOME names another one",
            details={"path": str(self.folder)},
        )


def _config_folder() -> Path:
    """``kitty-flow/hubs`` in the user's configuration folder (XDG base directories; a relative one does not count)."""
    named = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(named) if named.startswith("/") else Path.home() / ".config"
    return base / "kitty-flow" / "hubs"
