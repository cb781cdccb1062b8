"""How HubSpot is signed in to, what it allows, and the three kinds of calls that are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tieout.connectors import exact_json
from tieout.connectors.gate import Gate
from tieout.connectors.http import Call, HttpClient, Reply
from tieout.connectors.hubspot.reasons import fault, policy
from tieout.connectors.oauth import FixedToken, Grant, Tokens
from tieout.connectors.outside import Outside
from tieout.connectors.pace import Allowance, Heard
from tieout.connectors.session import Session
from tieout.connectors.wire import Clock, allowed_hosts, check_url
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, RateLimited, VendorFault

API = "https://api.hubapi.com"
#: Of a private app in a Professional portal; the answers' headers say what it is here. Starter has 100.
ALLOWANCE = Allowance(calls=190, window=10.0, daily=250_000)
#: Search has a limit of its own, 5 calls a second, which no header tells: seconds between two of them.
SEARCH_EVERY = 0.21
JSON_BODY = {"Content-Type": "application/json"}
_REMEDY = "copy the private app's access token into the password of the connection"


def hear(connection: Connection, clock: Clock, reply: Reply, is_search: bool) -> Heard:
    """What an answer says of the account's allowance. Answers of search say nothing of it."""
    error = fault(connection, clock, reply) if reply.status == 429 else None
    limited = error if isinstance(error, RateLimited) else None
    left = reply.whole("x-hubspot-ratelimit-remaining")
    return Heard(
        fine=limited is None and reply.status != 408 and reply.status < 500,
        problem=policy(reply)[0] if limited is not None else None,
        retry_after=limited.retry_after if limited is not None else None,
        window_left=left,
        unpaced=left is None and reply.status < 300 and not is_search,
        day_left=reply.whole("x-hubspot-ratelimit-daily-remaining"),
        day_limit=reply.whole("x-hubspot-ratelimit-daily"),
    )


class HubSpotSession:
    """A Session with HubSpot's ways of asking; `day_left` is what the last answer said of the day's calls."""

    def __init__(self, connection: Connection, http: HttpClient, tokens: Tokens, gate: Gate) -> None:
        self.connection = connection
        self.name = connection.name
        self.day_left: int | None = None
        self._is_search = False
        self._last_search = float("-inf")
        host = check_url(connection.host, connection.name)
        self.raw = Session(http, tokens, lambda _: host, gate, self._hear)

    @property
    def clock(self) -> Clock:
        """The clock of its client."""
        return self.raw.http.clock

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object of a GET. Raises as HttpClient.read, VendorFault."""
        return self._object(path, self.raw.get(path, params))

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object of a POST that reads. Raises as HttpClient.read, VendorFault."""
        call = Call("POST", path, headers=JSON_BODY, body=exact_json.dumps(body))
        return self._object(path, self.raw.read(call)[1])

    def search(self, object_name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One page of a search. Raises as `ask`."""
        early = self._last_search + SEARCH_EVERY - self.clock.monotonic()
        if early > 0:
            self.raw.http.wait(early)
        self._last_search, self._is_search = self.clock.monotonic(), True
        try:
            return self.ask(f"/crm/v3/objects/{object_name}/search", body)
        finally:
            self._is_search = False

    def write(self, method: str, path: str, body: bytes, priority: int = 0) -> Reply:
        """Sends a change once. Raises as Session.write."""
        return self.raw.write(Call(method, path, headers=JSON_BODY, body=body), priority)

    def _object(self, path: str, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict):
            raise VendorFault(f"{self.name}: the answer of {path} is no JSON object")
        return answer

    def _hear(self, reply: Reply) -> Heard:
        heard = hear(self.connection, self.clock, reply, self._is_search)
        self.day_left = self.day_left if heard.day_left is None else heard.day_left
        return heard


def sign_in(connection: Connection, outside: Outside) -> HubSpotSession:
    """A session for the connection; no call is made yet.

    Raises:
        ConfigurationFault: the address or the way of signing in cannot be used.
    """
    host = check_url(connection.host, connection.name)
    url = check_url(str(connection.extra.get("token_url") or f"{host}/oauth/v1/token"), connection.name)
    hosts = allowed_hosts(connection, (urlsplit(url).hostname or "", urlsplit(API).hostname or ""))
    http = outside.client(connection, hosts, fault)
    tokens = _tokens(connection, url, http, outside)
    return HubSpotSession(connection, http, tokens, outside.gate_of(connection, ALLOWANCE))


def _tokens(connection: Connection, url: str, http: HttpClient, outside: Outside) -> Tokens:
    auth = str(connection.extra.get("auth") or "private_app")
    if auth == "private_app":
        return FixedToken(connection, connection.password, _REMEDY)
    if auth != "oauth":
        raise ConfigurationFault(
            f"connection {connection.name!r}: auth must be private_app or oauth, found {auth[:40]!r}"
        )
    refresh = str(connection.extra.get("refresh_token") or "")
    if not refresh:
        raise ConfigurationFault(f"connection {connection.name!r}: signing in by oauth needs the refresh token")
    form = {
        "grant_type": "refresh_token",
        "client_id": connection.login,
        "client_secret": connection.password,
        "refresh_token": refresh,
    }
    # HubSpot's refresh token stays the same; the access token's end is known, so it is renewed before it.
    return outside.tokens(connection, Grant(url, lambda: form), http)
