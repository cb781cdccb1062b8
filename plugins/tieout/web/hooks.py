"""Webhooks: what vendors send is verified, kept as it came, answered. No login, no token: the signature is the right.

`POST /hooks/<connection>`. The answer says nothing of what came after it: 200 with an empty body once the raw bytes are
in the inbox, 401 with an empty body where the signature does not hold, 404 as for any wrong path where no link has such
a connection or the connection has no key, 413 for a body that is too large, 503 where the store cannot keep it (the
vendor then sends it again).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response
from sqlalchemy.engine import Connection as Session
from starlette.concurrency import run_in_threadpool

from tieout.connectors.hooks import vendors
from tieout.connectors.hooks.notices import Delivery
from tieout.connectors.hooks.vendors import HOOKS, Vendor
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, Retriable
from tieout.store import hooks
from tieout.web.pages import Dependency, Pages
from tieout.web.sources import Sources

log = logging.getLogger(__name__)

#: Bytes. Vendors send a few kilobytes; Intuit names no bound of its own and 2 MB as what servers usually take.
LARGEST_BODY = 2_000_000
#: Characters of a connection's name in a log line; it comes from outside.
LONGEST_NAME = 80

TAKEN, NOT_SIGNED, UNKNOWN, TOO_LARGE, NOT_NOW = 200, 401, 404, 413, 503


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The route. `reader` and `operator` are not asked: vendors have no login."""
    sources = pages.sources

    @app.post("/hooks/{connection}")
    async def receive(request: Request, connection: str) -> Response:
        body = await _body(request)
        if body is None:
            known = connection in sources.hook_connections()
            await run_in_threadpool(_refuse, sources, connection, "too_large", known=known)
            return Response(status_code=TOO_LARGE)
        headers = {name.lower(): value for name, value in request.headers.items()}
        delivery = Delivery(request.method, str(request.url), headers, body)
        status = await run_in_threadpool(take, sources, connection, delivery, datetime.now(UTC))
        if status == UNKNOWN:
            raise HTTPException(UNKNOWN, "Not Found")
        return Response(status_code=status)


def take(sources: Sources, name: str, delivery: Delivery, now: datetime) -> int:
    """Verifies a delivery, keeps it, and says with which status it is answered."""
    systems = sources.hook_connections()
    vendor = HOOKS.get(systems.get(name, ""))
    connection = _connection(sources, name) if vendor else None
    if vendor is None or connection is None:
        return _refuse(sources, name, "unknown_connection", UNKNOWN, known=name in systems)
    keys = vendors.keys(connection)
    if not keys:
        return _refuse(sources, name, "no_key", UNKNOWN)
    url = connection.extra.get(vendors.URL)
    sent = replace(delivery, url=str(url)) if url else delivery
    reason = vendor.refusal(sent, keys, now)
    if reason is not None:
        return _refuse(sources, name, reason)
    # An app has one address and one key for all the accounts that it is joined to: other links' are told by the same.
    others = [other for other, system in systems.items() if other != name and HOOKS.get(system) is vendor]
    told = [one for other in others if (one := _sibling(sources, other, vendor, sent, now)) is not None]
    try:
        with sources.open_engine().begin() as conn:
            for one in (connection, *told):
                _keep(conn, vendor, one, sent)
    except Retriable as error:
        log.error("a webhook for %s could not be kept, and the vendor has to send it again: %s", name, error)
        return NOT_NOW
    return TAKEN


def _connection(sources: Sources, name: str) -> Connection | None:
    try:
        return sources.connection(name)
    except ConfigurationFault as fault:
        log.warning("webhooks for %s are not taken: %s", name, fault)
        return None


def _sibling(sources: Sources, name: str, vendor: Vendor, sent: Delivery, now: datetime) -> Connection | None:
    """Another link's connection, where its key signed the delivery too. One that cannot be had costs only itself."""
    try:
        connection = sources.connection(name)
    except Exception as error:  # noqa: BLE001 - logged; the hourly run of that link reads what it is not told of
        log.warning("connection %s is not told of a webhook: %s: %s", name, type(error).__name__, error)
        return None
    keys = vendors.keys(connection)
    return connection if keys and vendor.refusal(sent, keys, now) is None else None


def _keep(conn: Session, vendor: Vendor, connection: Connection, sent: Delivery) -> None:
    account = connection.extra.get(vendor.account)
    kept = {header: sent.headers[header] for header in vendor.headers if header in sent.headers}
    hooks.keep(
        conn, connection.name, sent.body, kept, identity=vendor.identity(sent.body),
        account=str(account) if account else None,
    )  # fmt: skip


def _refuse(sources: Sources, name: str, reason: str, status: int = NOT_SIGNED, known: bool = True) -> int:
    """Counts and logs it, without anything of the body. Only connections that a link names get a row of their own."""
    shown = name if known else "unknown"
    log.warning("webhook refused: %s, connection %r", reason, name[:LONGEST_NAME])
    sources.refused(shown, reason)
    if known:
        try:
            with sources.open_engine().begin() as conn:
                hooks.refuse(conn, name, reason)
        except Retriable as error:
            log.error("the refusal of a webhook for %s could not be counted: %s", name, error)
    return status


async def _body(request: Request) -> bytes | None:
    """The raw bytes; None where they are too many, whatever the request says of their number."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
    return b"".join(parts)
