"""What a system can do, as data for those who plan, and what joins it to the rest: SYSTEM in `<system>/system.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tieout.connectors.base import Connector
from tieout.connectors.outside import Outside
from tieout.connectors.pace import Allowance
from tieout.model.connection import Connection


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a system can do. A link that needs more is refused when it is loaded (scenarios/pairs.py).

    Attributes:
        role: which side of a link it can be.
        objects: the objects that can be read; None when any object of the system can.
        operations: names of the writes.
        tells_deletions: `Source.deleted` says what is gone; otherwise a status says so, or a full read.
        deletions_days: how far back, None without a bound (or without deletions).
        upserts: it has an upsert by an external id.
        drafts: a ledger's invoices can be drafts.
        line_discounts: a ledger's lines take a percentage; otherwise a line with a discount is billed at what a piece
            costs less the discount.
        unit_decimals: of the price of a piece on a ledger's line.
        set_up: regular expression of the fields that a set-up has to add to the system before Tieout can work.
        number_length: greatest length of an invoice's number; None: not stated.
    """

    system: str
    role: Literal["crm", "ledger"]
    objects: tuple[str, ...] | None
    operations: tuple[str, ...]
    tells_deletions: bool
    deletions_days: int | None
    upserts: bool
    drafts: bool = False
    line_discounts: bool = False
    unit_decimals: int = 4
    number_length: int | None = None
    set_up: str = r"(?!)"


@dataclass(frozen=True, slots=True)
class System:
    """A system as the registry knows it.

    Attributes:
        allowance: how often one connection may be called, as the vendor documents it.
        connector: makes the connector of a connection.
    """

    capabilities: Capabilities
    allowance: Allowance
    connector: Callable[[Connection, Outside], Connector]
