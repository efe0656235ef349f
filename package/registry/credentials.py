"""Who asks a registry: an account from Docker's config file, and the tokens that it gets for it.

No message, representation or traceback here holds a password or a token. Credential helpers are programs,
and none is started: what such a config needs is said.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from oras.auth.token import TokenAuth
from urllib3.exceptions import HTTPError

from pocketrec.errors import Denied, RegistryError, UsageError
from pocketrec.outside import exists, parse_json, read_json

TIMEOUT = (20, 120)  # seconds to connect, and between two pieces
_LARGEST = 1 << 20  # bytes of an answer with a token
_FIELD = re.compile(r'([A-Za-z_]+)="([^"]*)"')
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What Docker's config file has for a registry; empty where it has nothing.

    Attributes:
        basic: user and password in base64.
        refresh: a token by which other tokens are asked for.
        helper: the program that would have it, which is not started.
        file: where it was looked for.
    """

    basic: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)
    helper: str = ""
    file: str = ""


def account_of(host: str, folder: Path) -> Account:
    """The account for a registry in `config.json` of Docker's folder.

    Args:
        host: of the registry, with its port.
        folder: `~/.docker`, or what DOCKER_CONFIG says.

    Raises:
        UsageError: the file is there and cannot be read.
    """
    path = folder / "config.json"
    if not exists(path):
        return Account(file=str(path))
    table = read_json(path, error=UsageError, remedy="log in again with `docker login`")
    if not isinstance(table, Mapping):
        raise UsageError(f"{path}: is no table; log in again with `docker login`")
    auths = table.get("auths")
    entries = {_host(key): value for key, value in auths.items()} if isinstance(auths, Mapping) else {}
    found = entries.get(host)
    entry: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    helpers = table.get("credHelpers")
    own = helpers.get(host) if isinstance(helpers, Mapping) else None
    return Account(
        basic=_basic(entry, path),
        refresh=str(entry.get("identitytoken") or ""),
        helper=str(own or table.get("credsStore") or ""),
        file=str(path),
    )


def _basic(entry: Mapping[str, Any], path: Path) -> str:
    """User and password in base64; empty where the entry has none."""
    auth = entry.get("auth")
    if isinstance(auth, str) and auth:
        try:
            known = b":" in base64.b64decode(auth, validate=True)
        except (binascii.Error, ValueError):
            known = False
        if not known:
            raise UsageError(f"{path}: an entry of auths is not what `docker login` writes; log in again")
        return auth
    user, password = entry.get("username"), entry.get("password")
    if isinstance(user, str) and isinstance(password, str) and user:
        return base64.b64encode(f"{user}:{password}".encode()).decode()
    return ""


class Login(TokenAuth):  # type: ignore[misc]  # oras publishes no types
    """How requests say who asks; one for all threads of a command, handed to oras as its backend."""

    def __init__(self, host: str, repository: str, account: Account, *, secure: bool) -> None:
        super().__init__()
        self._given = host, repository, account
        self._secure = secure
        self._lock = threading.Lock()
        self.token: str | None = None  # the header's whole value; oras asks whether there is one

    def __repr__(self) -> str:
        return f"Login({self._given[0]!r})"

    def get_auth_header(self) -> dict[str, str]:
        """The header of a request that follows."""
        return {} if self.token is None else {"Authorization": self.token}

    def authenticate_request(
        self, original: requests.Response, headers: dict[str, str] | None, refresh: bool = False
    ) -> tuple[dict[str, str], bool]:
        """The headers with which a request that was turned away is sent again, and that it may be.

        Raises:
            Denied: there is no account, it may not do this, or what it has is refused.
        """
        host, _, account = self._given
        asks = str(urlsplit(original.request.url).netloc)
        if asks.lower() != host.lower():  # such as where its blobs lie; it has no claim on the account
            raise Denied(
                f"{host}: leads to {ascii(asks)[1:-1][:80]}, which asks who you are; its credentials are not "
                "sent there, so ask the registry's owner"
            )
        if original.status_code == 403:
            raise Denied(
                f"{host}: this account may not do that (403); log in as another with `docker login {host}`"
            )
        said = original.request.headers.get("Authorization")
        sent = said if isinstance(said, str) else None
        with self._lock:
            if self.token is None or self.token == sent:  # else another thread has just got a new one
                self.token = self._renewed(original.headers.get("WWW-Authenticate", ""), sent)
            token = self.token
        if token == sent:
            raise Denied(f"{host}: the account in {account.file} is refused (401); {_again(host)}")
        return {**(headers or {}), "Authorization": token}, True

    def _renewed(self, challenge: str, sent: str | None) -> str:
        host, _, account = self._given
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "bearer":
            return f"Bearer {self._asked(dict(_FIELD.findall(rest)))}"
        if kind.lower() != "basic":
            raise Denied(
                f"{host}: asks who you are by {kind[:20]!r}, expected Basic or Bearer; {_again(host)}"
            )
        if not account.basic:
            raise Denied(f"{host}: asks who you are; {self._missing()}")
        return f"Basic {account.basic}"

    def _asked(self, said: Mapping[str, str]) -> str:
        """A token of the service that the registry names."""
        host, repository, account = self._given
        try:
            realm = urlsplit(said.get("realm", ""))
        except ValueError:
            realm = urlsplit("")
        if (
            realm.scheme != "https" and not (realm.scheme == "http" and not self._secure)
        ) or not realm.hostname:
            raise Denied(f"{host}: names no place with https to log in at; its credentials are not sent")
        query = {key: said[key] for key in ("service", "scope") if key in said}
        query.setdefault("scope", f"repository:{repository}:pull,push")
        try:
            answer = self._request(realm.geturl(), query)
            data = answer.raw.read(_LARGEST + 1, decode_content=True)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise RegistryError(
                f"{ascii(realm.hostname)[1:-1][:80]}: {type(error).__name__} when logging in; try it again"
            ) from None
        if answer.status_code in (401, 403):
            known = account.basic or account.refresh
            why = f"refuses the account in {account.file}; {_again(host)}" if known else self._missing()
            raise Denied(f"{host}: {'' if known else 'asks who you are; '}{why}")
        if answer.status_code != 200 or len(data) > _LARGEST:
            raise RegistryError(
                f"{realm.hostname}: answers {answer.status_code} when logging in; try it again"
            )
        table = parse_json(data, name=str(realm.hostname), error=RegistryError)
        token = (table.get("token") or table.get("access_token")) if isinstance(table, Mapping) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise RegistryError(f"{realm.hostname}: gives no token; try it again, or log in again")
        return token

    def _request(self, url: str, query: dict[str, str]) -> requests.Response:
        _, _, account = self._given
        options: dict[str, Any] = {
            "stream": True,
            "allow_redirects": False,
            "auth": unchanged,
        }
        if account.refresh:
            form = {
                **query,
                "grant_type": "refresh_token",
                "client_id": "pocketrec",
                "refresh_token": account.refresh,
            }
            return requests.post(url, data=form, timeout=TIMEOUT, **options)
        headers = {"Authorization": f"Basic {account.basic}"} if account.basic else {}
        return requests.get(url, params=query, headers=headers, timeout=TIMEOUT, **options)

    def _missing(self) -> str:
        host, _, account = self._given
        if account.helper:
            return (
                f"{account.file} leaves that to the helper {account.helper[:40]!r}, and none is asked; "
                "write the account into auths of a config of its own, and name its folder in DOCKER_CONFIG"
            )
        return f"{account.file} has no account for it; log in with `docker login {host}`"


def unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The request as it is: it stands where requests would take a password from ~/.netrc in place of ours."""
    return request


def forgetful(session: requests.Session) -> Callable[[requests.PreparedRequest, requests.Response], None]:
    """What a session does with its credentials where it is led on: it leaves them, and takes no others.

    In its place requests would look for a password for the new place in ~/.netrc.
    """

    def rebuild(request: requests.PreparedRequest, response: requests.Response) -> None:
        if session.should_strip_auth(str(response.request.url), str(request.url)):
            request.headers.pop("Authorization", None)

    return rebuild


def _again(host: str) -> str:
    return (
        f"it may have expired, so log in again with `docker login {host}`; what was sent or fetched is kept"
    )


def _host(key: object) -> str:
    """The host of a key of auths, which may be a URL."""
    return str(key).partition("://")[2].partition("/")[0] if "://" in str(key) else str(key).partition("/")[0]
