"""How Xero is signed in to, which organisation is meant, and the pace that its allowances permit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

import httpx

from tieout.connectors.http import Call, HttpClient, NotSent, Reply
from tieout.connectors.oauth import Grant, TokenSource
from tieout.connectors.session import Session
from tieout.connectors.wire import Clock, Limits, allowed_hosts, check_url
from tieout.connectors.xero.reasons import fault
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, Retriable

IDENTITY = "https://identity.xero.com/connect/token"
API = "/api.xro/2.0"
SCOPES = "accounting.transactions accounting.contacts accounting.settings.read"
MINUTE = 60.0


class Pace:
    """The minute's allowance as Xero reports it: whether to wait before the next call instead of meeting a 429."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: deque[float] = deque(maxlen=1000)
        self.minute_left: int | None = None
        self.day_left: int | None = None

    def seen(self, reply: Reply) -> None:
        """Remembers what an answer says is left."""
        self._calls.append(self._clock.monotonic())
        self.minute_left = _whole(reply, "x-minlimit-remaining", self.minute_left)
        self.day_left = _whole(reply, "x-daylimit-remaining", self.day_left)

    def wait(self) -> float:
        """Seconds until a call of the last minute is out of it; 0 while there are some left."""
        now = self._clock.monotonic()
        while self._calls and self._calls[0] <= now - MINUTE:
            self._calls.popleft()
        if self.minute_left is None or self.minute_left > 0 or not self._calls:
            return 0.0
        # Others may share the allowance; then the 429 that follows says how long to wait.
        return self._calls[0] + MINUTE - now


class XeroSession:
    """A Session with the organisation's id and the pace."""

    def __init__(self, connection: Connection, http: HttpClient, tokens: TokenSource) -> None:
        self.connection = connection
        self.host = check_url(connection.host, connection.name)
        self.pace = Pace(http.clock)
        self.tenant: str | None = str(connection.extra.get("tenant_id") or "") or None
        self.raw = Session(
            http,
            tokens,
            lambda _: self.host,
            seen=self.pace.seen,
            before_read=self._pause,
        )

    def headers(self) -> dict[str, str]:
        """The organisation's header; asks which one it is when the connection does not say.

        Raises:
            ConfigurationFault: the app is joined to no organisation or to several, and none is named.
        """
        if self.tenant is None:
            self.tenant = self._only_tenant()
        return {"xero-tenant-id": self.tenant}

    def get(
        self, path: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, object]:
        """The JSON object of a GET below the accounting API. Raises as HttpClient.read, VendorFault."""
        answer = self.raw.get(f"{API}/{path}", params, {**self.headers(), **(headers or {})})
        return answer if isinstance(answer, dict) else {}

    def write(self, method: str, path: str, params: Mapping[str, str], key: str, body: bytes) -> Reply:
        """Sends a change once. Raises as Session.write."""
        try:
            tenant = self.headers()
        except Retriable as error:
            raise NotSent(f"{self.connection.name}: the organisation is not known yet: {error}") from error
        headers = {**tenant, "Content-Type": "application/json", "Idempotency-Key": key}
        return self.raw.write(Call(method, f"{API}/{path}", params, headers, body))

    def connections(self) -> list[Mapping[str, object]]:
        """The organisations that the app is joined to."""
        answer = self.raw.get("/connections")
        items = answer if isinstance(answer, list) else []
        return [item for item in items if isinstance(item, dict)]

    def _only_tenant(self) -> str:
        tenants = [item for item in self.connections() if item.get("tenantType") in (None, "ORGANISATION")]
        ids = [str(item.get("tenantId")) for item in tenants if item.get("tenantId")]
        if len(ids) != 1:
            raise ConfigurationFault(
                f"connection {self.connection.name!r}: the app is joined to {len(ids)} organisations;"
                " name the one that is meant as tenant_id"
            )
        return ids[0]

    def _pause(self) -> None:
        seconds = self.pace.wait()
        if seconds > 0:
            self.raw.http.wait(min(seconds, MINUTE))


def sign_in(
    connection: Connection,
    transport: httpx.BaseTransport | None,
    clock: Clock,
    on_secret: Callable[[str], None] | None,
) -> XeroSession:
    """A session for the connection; no call is made yet.

    Raises:
        ConfigurationFault: an address cannot be used.
    """
    host = check_url(connection.host, connection.name)
    at_xero = (urlsplit(host).hostname or "").endswith(".xero.com")
    default = IDENTITY if at_xero else f"{host}/connect/token"
    url = check_url(str(connection.extra.get("token_url") or default), connection.name)
    hosts = allowed_hosts(connection, (urlsplit(url).hostname or "", "api.xero.com", "identity.xero.com"))
    if at_xero and not connection.login:
        raise ConfigurationFault(f"connection {connection.name!r}: the client id is empty")
    http = HttpClient(
        connection.name,
        hosts,
        partial(fault, connection, clock),
        transport=transport,
        clock=clock,
        limits=Limits.for_connection(connection),
    )
    form = {"grant_type": "client_credentials", "scope": str(connection.extra.get("scopes") or SCOPES)}
    grant = Grant(url, lambda: form, basic=(connection.login, connection.password))
    return XeroSession(connection, http, TokenSource(connection, grant, http, on_secret))


def _whole(reply: Reply, name: str, before: int | None) -> int | None:
    text = reply.headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else before
