"""How New System is signed in to, and what it allows."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from scaffold.both.connector.reasons import THROTTLED_WAIT, fault
from tieout.connectors.http import Reply
from tieout.connectors.oauth import Grant
from tieout.connectors.outside import Outside
from tieout.connectors.pace import Allowance, Heard
from tieout.connectors.session import Session
from tieout.connectors.wire import allowed_hosts, check_url
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


def sign_in(connection: Connection, outside: Outside) -> Session:
    """A session for the connection; no call is made yet. Raises ConfigurationFault for an address that cannot be."""
    host = check_url(connection.host, connection.name)
    url = check_url(str(connection.extra.get("token_url") or f"{host}/oauth/token"), connection.name)
    http = outside.client(connection, allowed_hosts(connection, (urlsplit(url).hostname or "",)), fault)
    form = {"grant_type": "client_credentials"}
    grant = Grant(url, lambda: form, basic=(connection.login, connection.password))
    tokens = outside.tokens(connection, grant, http)
    return Session(http, tokens, lambda _: host, outside.gate_of(connection, ALLOWANCE), hear)
