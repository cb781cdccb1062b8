"""What is read and written in New System, and where each write finds its record."""

from __future__ import annotations

from collections.abc import Mapping

from scaffold.both.connector.shape import Shape

OBJECTS = ("accounts", "orders", "order_lines", "ledger_invoices")
#: Objects that can be chosen by a date, and by which.
DATED: Mapping[str, tuple[str, ...]] = {"orders": ("date",)}
#: Field that names the record above -> its object.
ABOVE: Mapping[str, str] = {"order_id": "orders"}
SHAPES: Mapping[str, Shape] = {
    "accounts.write_back": Shape("accounts", "update", ("id",)),
    "orders.write_back": Shape("orders", "update", ("id",)),
    "ledger_invoices.upsert": Shape("ledger_invoices", "upsert", ("invoice_id",)),
}
