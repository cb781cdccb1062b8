"""The operations of a CRM at HubSpot: which object each writes, and what finds the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tieout.connectors.base import Guard, Operation

BATCH = 100  # records of one batch


@dataclass(frozen=True, slots=True)
class Shape:
    """What an operation writes.

    Attributes:
        object: as the API's paths name it; a body may name another (`returns` instead of tickets), as its link says.
        unique: the property by which it is an upsert; None: the record is named by its id.
        makes: it is for records that are not there yet, each of which another document of ours may refer to.
        price: a body is a price, which becomes a property of its product (prices.py).
    """

    object: str
    unique: str | None = None
    makes: bool = False
    price: bool = False


SHAPES: Mapping[str, Shape] = {
    "accounts.write_back": Shape("companies"),
    "orders.write_back": Shape("orders"),
    "opportunities.write_back": Shape("deals"),
    "quotes.write_back": Shape("quotes"),
    "return_orders.write_back": Shape("tickets"),
    "ledger_invoices.upsert": Shape("ledger_invoices", "tieout_ledger_invoice_id"),
    "products.upsert": Shape("products", "tieout_item_id", makes=True),
    "products.update": Shape("products"),
    "prices.create": Shape("products", makes=True, price=True),
    "prices.update": Shape("products", price=True),
}


def operations(time_out: float, latest_apply: float, look_up_lag: float) -> dict[str, Operation]:
    """The declarations. What sets properties of a record that is there does the same when it is done twice."""
    return {
        name: Operation(
            name, Guard.DURABLE_KEY, BATCH, shape.makes, time_out, latest_apply, look_up_lag,
            repeatable=not shape.makes,
        )
        for name, shape in SHAPES.items()
    }  # fmt: skip
