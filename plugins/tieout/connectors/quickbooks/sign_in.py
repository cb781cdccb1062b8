"""How Intuit is signed in to, which company is meant, and what Intuit allows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tieout.connectors import exact_json
from tieout.connectors.base import Record
from tieout.connectors.gate import Gate
from tieout.connectors.http import Call, HttpClient, Parse, Reply
from tieout.connectors.oauth import Grant, TokenSource
from tieout.connectors.outside import Outside
from tieout.connectors.pace import Allowance, Heard
from tieout.connectors.quickbooks.reasons import THROTTLED_WAIT, fault, fault_in
from tieout.connectors.session import Session
from tieout.connectors.wire import allowed_hosts, check_url
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, VendorFault

TOKEN_URL = "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"  # noqa: S105 - an address
MINOR_VERSION = "75"  # the lowest that Intuit still serves: shapes of all records are those of this version
#: For each company; 10 a second and 40 batches a minute for each company and app. A batch counts for as many calls as
#: make 40 of them fill the minute.
ALLOWANCE = Allowance(calls=500, window=60.0, concurrent=10, per_second=10)
BATCH_WEIGHT = 13  # 500 / 40, rounded up


def hear(reply: Reply) -> Heard:
    """What an answer says of the company's allowance: Intuit names what is left of it nowhere."""
    throttled = reply.status == 429
    return Heard(
        fine=not throttled and reply.status != 408 and reply.status < 500,
        problem="window" if throttled else None,
        retry_after=reply.retry_after(time.time(), THROTTLED_WAIT) if throttled else None,
    )


class QuickBooksSession:
    """A Session below one company."""

    def __init__(self, connection: Connection, http: HttpClient, tokens: TokenSource, gate: Gate) -> None:
        self.connection = connection
        self.realm = str(connection.extra["realm_id"])
        host = check_url(connection.host, connection.name)
        self.raw = Session(http, tokens, lambda _: f"{host}/v3/company/{self.realm}", gate, hear)

    def get(self, path: str, params: Mapping[str, str] | None = None, parse: Parse = exact_json.loads) -> Any:
        """The JSON of a GET below the company. Raises as HttpClient.read, VendorFault for a Fault inside a 200."""
        reply, answer = self.raw.read(Call("GET", f"/{path}", self.params(params)), parse)
        if isinstance(answer, dict) and fault_in(answer) is not None:
            raise fault(self.connection, self.raw.http.clock, reply)
        return answer

    def query(self, statement: str, obj: str) -> Sequence[Record]:
        """The records of one page of a query, as they came where that is possible (RawRecords).

        Raises:
            VendorFault: the answer has no QueryResponse.
        """
        answer = self.get(
            "query", {"query": statement}, partial(exact_json.page_inside, outer="QueryResponse", name=obj)
        )
        found = answer.get("QueryResponse") if isinstance(answer, dict) else None
        if not isinstance(found, dict):
            raise VendorFault(f"{self.connection.name}: the answer to a query of {obj} has no QueryResponse")
        records: Sequence[Record] = found.get(obj, [])
        return records

    def once(self, statement: str, obj: str, priority: int) -> tuple[Reply, list[dict[str, Any]]]:
        """As `query`, sent a single time on the way to a write. Raises as Session.write."""
        call = Call("GET", "/query", self.params({"query": statement}))
        reply = self.raw.write(call, priority)
        try:
            answer = reply.json() if reply.status < 300 else {}
        except ValueError:
            answer = {}
        found = (answer.get("QueryResponse") or {}).get(obj) if isinstance(answer, dict) else None
        return reply, [record for record in found or [] if isinstance(record, dict)]

    def write(self, path: str, params: Mapping[str, str], key: str, body: bytes, priority: int = 0) -> Reply:
        """Sends a change once. Raises as Session.write."""
        weight = BATCH_WEIGHT if path == "batch" else 1
        headers = {"Content-Type": "application/json"}
        call = Call("POST", f"/{path}", self.params({**params, "requestid": key}), headers, body)
        return self.raw.write(call, priority, weight)

    def params(self, more: Mapping[str, str] | None) -> dict[str, str]:
        """With the minor version, which every call names."""
        return {**(more or {}), "minorversion": MINOR_VERSION}


def sign_in(connection: Connection, outside: Outside) -> QuickBooksSession:
    """A session for the connection; no call is made yet.

    Raises:
        ConfigurationFault: an address cannot be used; company id or refresh token are missing.
    """
    host = check_url(connection.host, connection.name)
    at_intuit = (urlsplit(host).hostname or "").endswith(".intuit.com")
    default = TOKEN_URL if at_intuit else f"{host}/oauth2/v1/tokens/bearer"
    url = check_url(str(connection.extra.get("token_url") or default), connection.name)
    realm, first = (str(connection.extra.get(name) or "").strip() for name in ("realm_id", "refresh_token"))
    if not (realm.isascii() and realm.isdigit()):
        raise ConfigurationFault(
            f"connection {connection.name!r}: realm_id must be the company's id, digits only; found {realm[:30]!r}"
        )
    if not first:
        raise ConfigurationFault(
            f"connection {connection.name!r}: the refresh token is empty; join the app to the company, and enter the"
            " refresh token that Intuit gives"
        )
    hosts = allowed_hosts(connection, (urlsplit(url).hostname or "", "quickbooks.api.intuit.com"))
    http = outside.client(connection, hosts, fault)
    grant = Grant(url, dict, basic=(connection.login, connection.password), lifetime=3600.0, rotates_from=first)
    tokens = outside.tokens(connection, grant, http)
    return QuickBooksSession(connection, http, tokens, outside.gate_of(connection, ALLOWANCE))
