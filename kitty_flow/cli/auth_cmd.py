"""`kitty-flow auth`: this user's credentials for a hosted hub. No token is ever an argument, and none is printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command, note

if TYPE_CHECKING:
    from kitty_flow.agents.settings_hub import HubSettings
    from kitty_flow.hub.address import HubAddress
    from kitty_flow.hub.client import HubClient
    from kitty_flow.hub.credentials import Credentials, CredentialStore

__all__ = ["app"]

app = command_group("Log in to a hosted hub, and out.")

_MAX_TOKEN: Final = 16 * 1024

HubOption = Annotated[
    str | None, typer.Option("--hub", metavar="URL", help="The hub.", show_default="[hub] url of the settings")
]


@app.command("login")
@command(examples=["kitty-flow auth login", "kitty-flow auth login --hub https://hub.example.com --with-token < FILE"])
def login(
    hub: HubOption = None,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Read an access token from standard input.", show_default=False)
    ] = False,
) -> Result:
    """Log in to a hub: enter a code in your browser, or give it an access token that you made there.

    The tokens are kept in a file of your own that nobody else may read. Nothing is sent to a hub that you have not
    logged in to, whatever a repository's settings say.
    """
    from kitty_flow.hub.session import begin_login, finish_login, login_with_token

    with _store_and_client(hub) as (store, client):
        if with_token:
            credentials = login_with_token(store, client, _token_from_stdin())
        else:
            code = begin_login(client)
            note(f"open {code.verification_uri} in a browser and enter the code {code.user_code}")
            credentials = finish_login(store, client, code)
    who = f" as {credentials.account}" if credentials.account else ""
    return Result(_data(store, credentials), f"logged in to {store.hub.url}{who}")


@app.command("refresh")
@command(examples=["kitty-flow auth refresh"])
def refresh(hub: HubOption = None) -> Result:
    """Renew the access token now if it ends within a minute; of many at the same time, one asks the hub.

    This happens by itself whenever a token is needed.
    """
    from kitty_flow.hub.session import expires_soon, not_logged_in
    from kitty_flow.hub.session import refresh as renew

    with _store_and_client(hub) as (store, client):
        seen = store.read()
        if seen is None:
            raise not_logged_in(store)
        if seen.expires_at is not None and not expires_soon(seen, datetime.now(UTC).timestamp()):
            data = _data(store, seen) | {"renewed": False}
            return Result(data, f"the token for {store.hub.url} is good until {data['expires_at']}; nothing to do")
        renewed = renew(store, client, seen=seen)
    data = _data(store, renewed.credentials) | {"renewed": renewed.asked}
    by_whom = "was renewed" if renewed.asked else "had been renewed by another process"
    return Result(data, f"the token for {store.hub.url} {by_whom}" + _until(data))


@app.command("status")
@command(examples=["kitty-flow auth status", "kitty-flow auth status --json"])
def status(hub: HubOption = None) -> Result:
    """Show for which hub there are credentials, whether anything is sent to it, and how the last try failed, if it did.

    Asks no network.
    """
    from kitty_flow.hub.credentials import CredentialStore

    settings = _settings()
    store = CredentialStore(_address(hub))
    credentials = store.read()
    is_set = settings is not None and settings.url == store.hub.url
    sends = settings is not None and is_set and settings.consent and credentials is not None
    data = _data(store, credentials) | {"path": store.path, "consent": bool(is_set and settings and settings.consent)}
    data |= {"sends": sends, "last_failure": _last_failure(store.hub) if is_set else None}
    lines = [f"hub          {store.hub.url}"]
    if credentials is None:
        lines.append("credentials  none; kitty-flow auth login")
    else:
        account = f"{credentials.account}, " if credentials.account else ""
        ends = f"access token until {data['expires_at']}" if data["expires_at"] else "access token without an end"
        lines.append(f"credentials  {account}{ends}{', renewed by itself' if data['renewable'] else ''}")
    consent = "of the settings is given" if data["consent"] else "is not given: [hub] consent of the settings"
    lines += [f"consent      {consent}", f"sends        {'yes' if sends else 'nothing'}"]
    failed = data["last_failure"]
    if failed is not None:
        times = f"{failed['failures']} times, last with " if failed["failures"] > 1 else ""
        lines.append(f"failed       {times}{failed['code']}; kitty-flow errors list")
        lines.append(f"tried again  after {failed['next_try_at']}, or now with kitty-flow sync")
    return Result(data, "\n".join(lines))


@app.command("logout")
@command(examples=["kitty-flow auth logout"])
def logout(hub: HubOption = None) -> Result:
    """Forget the credentials for a hub, and have the hub revoke them if it can be reached."""
    from kitty_flow.hub.session import logout as end
    from kitty_flow.model.diagnostic import Diagnostic

    with _store_and_client(hub) as (store, client):
        was_there, failure = end(store, client)
    remarks = []
    if failure is not None:
        message = f"the credentials were forgotten here, but not revoked: {failure.message}"
        remarks.append(
            Diagnostic(severity="warning", diagnostic_code="TOKEN_NOT_REVOKED", message=message, phase="revoke")
        )
    data = {"hub": store.hub.url, "was_logged_in": was_there, "revoked": was_there and failure is None}
    text = f"logged out of {store.hub.url}" if was_there else f"there were no credentials for {store.hub.url}"
    return Result(data, text, remarks)


@contextmanager
def _store_and_client(hub: str | None) -> Iterator[tuple[CredentialStore, HubClient]]:
    from kitty_flow.hub.client import HubClient
    from kitty_flow.hub.credentials import CredentialStore

    address = _address(hub)
    with HubClient(address) as client:
        yield CredentialStore(address), client


def _address(typed: str | None) -> HubAddress:
    """The hub that was named, or that of the settings.

    Raises:
        UsageError: HUB_UNKNOWN or INVALID_HUB.
    """
    from kitty_flow.errors import UsageError
    from kitty_flow.hub.address import hub_address

    if typed is None:
        settings = _settings()
        found = settings.address if settings is not None else None
        if found is None:
            raise UsageError(
                "HUB_UNKNOWN", "no hub is named here, neither by --hub nor by [hub] url of the settings",
                hint="kitty-flow auth login --hub URL",
            )  # fmt: skip
        return found
    try:
        return hub_address(typed)
    except ValueError as error:
        raise UsageError("INVALID_HUB", f"--hub {error}", hint="kitty-flow auth login --hub https://HOST") from error


def _settings() -> HubSettings | None:
    """The `[hub]` table of the repository around, or None outside of any."""
    from kitty_flow.errors import UsageError
    from kitty_flow.flow.project import Project

    try:
        return Project.discover().settings.hub
    except UsageError as error:
        if error.code != "NO_REPOSITORY":
            raise
        return None


def _last_failure(hub: HubAddress) -> dict[str, Any] | None:
    """How the last delivery from the repository around failed; None when it did not, or nothing was tried."""
    from kitty_flow.flow.project import Project
    from kitty_flow.hub.standing import StandingFile
    from kitty_flow.invocation.pending import policy_of

    project = Project.discover()
    standing = StandingFile(project.repository.state_dir, hub).read(policy_of(project.settings.hub))
    if standing.failure_code is None:
        return None
    again = datetime.fromtimestamp(standing.not_before, UTC).isoformat(timespec="seconds")
    return {"code": standing.failure_code, "failures": standing.failures, "next_try_at": again}


def _token_from_stdin() -> str:
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass("token (it is not shown): ", stream=sys.stderr)
    return sys.stdin.read(_MAX_TOKEN)


def _data(store: CredentialStore, credentials: Credentials | None) -> dict[str, Any]:
    ends = credentials.expires_at if credentials is not None else None
    return {
        "hub": store.hub.url,
        "logged_in": credentials is not None,
        "account": credentials.account if credentials is not None else None,
        "renewable": credentials is not None and credentials.refresh_token is not None,
        "expires_at": None if ends is None else datetime.fromtimestamp(ends, UTC).isoformat(timespec="seconds"),
    }


def _until(data: dict[str, Any]) -> str:
    return f"; it is good until {data['expires_at']}" if data["expires_at"] else ""
