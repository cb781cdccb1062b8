"""Which connector speaks to which system, and what each system can do, as data for those who plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import httpx

from tieout.connectors.base import Connector
from tieout.connectors.gate import Gate, allowance_of
from tieout.connectors.oauth import TokenShelf
from tieout.connectors.pace import Allowance
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.connectors.salesforce.sign_in import ALLOWANCE as SALESFORCE_ALLOWANCE
from tieout.connectors.salesforce.write import SHAPES as SALESFORCE_WRITES
from tieout.connectors.wire import Clock
from tieout.connectors.xero.connector import XeroConnector
from tieout.connectors.xero.operations import SHAPES as XERO_WRITES
from tieout.connectors.xero.read import ENDPOINTS as XERO_READS
from tieout.connectors.xero.sign_in import ALLOWANCE as XERO_ALLOWANCE
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a system can do.

    Attributes:
        role: which side of a link it can be.
        objects: the objects that can be read; None when any object of the system can.
        operations: names of the writes.
        tells_deletions: `Source.deleted` says what is gone; otherwise a status says so, or a full read.
        deletions_days: how far back, None without a bound (or without deletions).
        upserts: it has an upsert by an external id.
    """

    system: str
    role: Literal["crm", "ledger"]
    objects: tuple[str, ...] | None
    operations: tuple[str, ...]
    tells_deletions: bool
    deletions_days: int | None
    upserts: bool


CAPABILITIES: dict[str, Capabilities] = {
    "salesforce": Capabilities("salesforce", "crm", None, tuple(SALESFORCE_WRITES), True, 15, True),
    "xero": Capabilities("xero", "ledger", tuple(XERO_READS), tuple(XERO_WRITES), False, None, False),
}


def connect(
    connection: Connection,
    *,
    on_secret: Callable[[str], None] | None = None,
    transport: httpx.BaseTransport | None = None,
    clock: Clock | None = None,
    gate: Gate | None = None,
    shelf: TokenShelf | None = None,
) -> Connector:
    """The connector for the connection's system. Makes no call; the caller closes it. It serves one thread; those of
    one connection may share gate and shelf.

    Raises:
        ConfigurationFault: an unknown system, or a form that is not filled in as it must be.
    """
    if connection.system == "salesforce":
        return SalesforceConnector(connection, transport, clock, on_secret, gate, shelf)
    if connection.system == "xero":
        return XeroConnector(connection, transport, clock, on_secret, gate, shelf)
    raise ConfigurationFault(
        f"connection {connection.name!r}: no connector for {connection.system!r}; known are {', '.join(CAPABILITIES)}"
    )


def allowance(connection: Connection) -> Allowance:
    """How often the connection may be called, as its vendor documents it and the connection says.

    Raises:
        ConfigurationFault: an unknown system, or a number out of bounds.
    """
    vendors = {"salesforce": SALESFORCE_ALLOWANCE, "xero": XERO_ALLOWANCE}.get(connection.system)
    if vendors is None:
        raise ConfigurationFault(f"connection {connection.name!r}: no allowance for {connection.system!r}")
    return allowance_of(connection, vendors)
