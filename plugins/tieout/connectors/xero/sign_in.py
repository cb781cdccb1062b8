"""How Xero is signed in to, which organisation is meant, and what Xero allows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from tieout.connectors import exact_json
from tieout.connectors.gate import Gate
from tieout.connectors.http import Call, HttpClient, NotSent, Parse, Reply
from tieout.connectors.oauth import Grant, TokenSource
from tieout.connectors.outside import Outside
from tieout.connectors.pace import Allowance, Heard, Problem
from tieout.connectors.session import Session
from tieout.connectors.wire import allowed_hosts, check_url
from tieout.connectors.xero.reasons import fault
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, Retriable

IDENTITY = "https://identity.xero.com/connect/token"
API = "/api.xro/2.0"
SCOPES = "accounting.transactions accounting.contacts accounting.settings.read accounting.reports.read"
#: For each organisation and app; the answers say what is left of it.
ALLOWANCE = Allowance(calls=60, window=60.0, concurrent=5, daily=5000)
#: Beginnings of X-Rate-Limit-Problem. The app's own limit over all organisations is `other`.
_PROBLEMS: Mapping[str, Problem] = {"min": "window", "conc": "concurrent", "da": "day"}


def hear(reply: Reply) -> Heard:
    """What an answer says of the organisation's allowance. Each good answer of Xero names what is left of it."""
    window_left, day_left = reply.whole("x-minlimit-remaining"), reply.whole("x-daylimit-remaining")
    problem: Problem | None = None
    if reply.status == 429:
        named = reply.headers.get("x-rate-limit-problem", "").lower()
        problem = next((meant for word, meant in _PROBLEMS.items() if named.startswith(word)), "other")
    return Heard(
        fine=problem is None and reply.status != 408 and reply.status < 500,
        problem=problem,
        retry_after=reply.retry_after(time.time(), 60.0) if problem else None,
        window_left=window_left,
        unpaced=window_left is None and reply.status < 300,
        day_left=day_left,
    )


class XeroSession:
    """A Session with the organisation's id."""

    def __init__(self, connection: Connection, http: HttpClient, tokens: TokenSource, gate: Gate) -> None:
        self.connection = connection
        self.host = check_url(connection.host, connection.name)
        self.tenant: str | None = str(connection.extra.get("tenant_id") or "") or None
        #: Calls left of the day, as the last answer said.
        self.day_left: int | None = None
        self.raw = Session(http, tokens, lambda _: self.host, gate, self._hear)

    def headers(self) -> dict[str, str]:
        """The organisation's header; asks which one it is when the connection does not say.

        Raises:
            ConfigurationFault: the app is joined to no organisation or to several, and none is named.
        """
        if self.tenant is None:
            self.tenant = self._only_tenant()
        return {"xero-tenant-id": self.tenant}

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        parse: Parse = exact_json.loads,
    ) -> dict[str, object]:
        """The JSON object of a GET below the accounting API. Raises as HttpClient.read, VendorFault."""
        answer = self.raw.get(f"{API}/{path}", params, {**self.headers(), **(headers or {})}, parse=parse)
        return answer if isinstance(answer, dict) else {}

    def write(
        self, method: str, path: str, params: Mapping[str, str], key: str, body: bytes, priority: int = 0
    ) -> Reply:
        """Sends a change once. Raises as Session.write."""
        try:
            tenant = self.headers()
        except Retriable as error:
            raise NotSent(f"{self.connection.name}: the organisation is not known yet: {error}") from error
        headers = {**tenant, "Content-Type": "application/json", "Idempotency-Key": key}
        return self.raw.write(Call(method, f"{API}/{path}", params, headers, body), priority)

    def connections(self) -> list[Mapping[str, object]]:
        """The organisations that the app is joined to."""
        answer = self.raw.get("/connections", is_counted=False)
        items = answer if isinstance(answer, list) else []
        return [item for item in items if isinstance(item, dict)]

    def _hear(self, reply: Reply) -> Heard:
        heard = hear(reply)
        self.day_left = self.day_left if heard.day_left is None else heard.day_left
        return heard

    def _only_tenant(self) -> str:
        tenants = [item for item in self.connections() if item.get("tenantType") in (None, "ORGANISATION")]
        ids = [str(item.get("tenantId")) for item in tenants if item.get("tenantId")]
        if len(ids) != 1:
            raise ConfigurationFault(
                f"connection {self.connection.name!r}: the app is joined to {len(ids)} organisations;"
                " name the one that is meant as tenant_id"
            )
        return ids[0]


def sign_in(connection: Connection, outside: Outside) -> XeroSession:
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
    http = outside.client(connection, hosts, fault)
    form = {"grant_type": "client_credentials", "scope": str(connection.extra.get("scopes") or SCOPES)}
    grant = Grant(url, lambda: form, basic=(connection.login, connection.password))
    tokens = outside.tokens(connection, grant, http)
    return XeroSession(connection, http, tokens, outside.gate_of(connection, ALLOWANCE))
