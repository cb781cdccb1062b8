"""How New System is signed in to, and what it allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import httpx

from scaffold.both.connector.reasons import THROTTLED_WAIT, fault
from tieout.connectors.gate import Gate, LocalGate, allowance_of
from tieout.connectors.http import HttpClient, Reply
from tieout.connectors.oauth import Grant, TokenShelf, TokenSource
from tieout.connectors.pace import Allowance, Heard
from tieout.connectors.session import Session
from tieout.connectors.wire import Clock, Limits, allowed_hosts, check_url
from tieout.model.connection import Connection

#: TODO: how often one connection may be called, by which page of the vendor.
ALLOWANCE = Allowance(calls=600, window=60.0, concurrent=8)


def hear(reply: Reply) -> Heard:
    """What an answer says of the allowance. TODO: does the vendor name what is left in a header?"""
    throttled = reply.status == 429
    return Heard(
        fine=not throttled and reply.status != 408 and reply.status < 500,
        problem="window" if throttled else None,
        retry_after=reply.retry_after(time.time(), THROTTLED_WAIT) if throttled else None,
    )


def sign_in(
    connection: Connection,
    transport: httpx.BaseTransport | None,
    clock: Clock,
    on_secret: Callable[[str], None] | None,
    gate: Gate | None = None,
    shelf: TokenShelf | None = None,
) -> Session:
    """A session for the connection; no call is made yet. Raises ConfigurationFault for an address that cannot be."""
    host = check_url(connection.host, connection.name)
    url = check_url(str(connection.extra.get("token_url") or f"{host}/oauth/token"), connection.name)
    http = HttpClient(
        connection.name,
        allowed_hosts(connection, (urlsplit(url).hostname or "",)),
        partial(fault, connection, clock),
        transport=transport,
        clock=clock,
        limits=Limits.for_connection(connection),
    )
    form = {"grant_type": "client_credentials"}
    grant = Grant(url, lambda: form, basic=(connection.login, connection.password))
    tokens = TokenSource(connection, grant, http, on_secret, shelf)
    own = gate or LocalGate(connection.name, allowance_of(connection, ALLOWANCE), clock)
    return Session(http, tokens, lambda _: host, own, hear)
