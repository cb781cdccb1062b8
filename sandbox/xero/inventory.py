"""Tracked inventory: what approved documents move of an item's quantity on hand, and of what it cost.

An item is tracked once it has an inventory account and a cost-of-goods account. Sales lower its quantity, credits to
customers raise it, bills and their credits the other way round; drafts move nothing, a void takes the move back. A
line without the item's code moves nothing: so goods are credited that do not come back into stock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sandbox.state import Record
from sandbox.xero.books import ZERO, Books, Kind, cents
from sandbox.xero.errors import Refused

_SIGN = {"ACCREC": -1, "ACCRECCREDIT": 1, "ACCPAY": 1, "ACCPAYCREDIT": -1}
_APPROVED = ("AUTHORISED", "PAID")
NOTHING = Decimal("0.0000")


@dataclass(frozen=True, slots=True)
class Move:
    """What one document does to one item: quantity, and value in base currency."""

    quantity: Decimal
    cost: Decimal


def moves(books: Books, kind: Kind, record: Record) -> Mapping[str, Move]:
    """ItemID -> what the document as it is now changes against what it has moved before. Raises Refused.

    Quantities never go below zero.
    """
    before = _moved(books, record[kind.id])
    wanted = _lines(books, record) if record["Status"] in _APPROVED else {}
    found, wrong = {}, []
    for item_id in sorted({*before, *wanted}):
        item = books.items.get(item_id)
        if item is None:  # deleted since
            continue
        had = before.get(item_id, Move(NOTHING, ZERO))
        quantity, value = wanted.get(item_id, (NOTHING, None))
        cost = ZERO
        if quantity:
            cost = cents(quantity * _average(item, had)) if value is None else value
        change = Move(quantity - had.quantity, cost - had.cost)
        left = item.get("QuantityOnHand", NOTHING) + change.quantity
        if left < 0 and change.quantity < 0:
            on_hand = item.get("QuantityOnHand", NOTHING).normalize()
            wrong.append(f"The quantity of item '{item['Code']}' exceeds the quantity on hand, which is {on_hand:f}.")
        found[item_id] = change
    if wrong:
        raise Refused(*wrong)
    return {item_id: change for item_id, change in found.items() if change.quantity or change.cost}


def apply(books: Books, kind: Kind, id_: str, changes: Mapping[str, Move], now: datetime) -> None:
    """Moves the items, and keeps what the document has moved in all."""
    if not changes:
        return
    moved = dict(_moved(books, id_))
    for item_id, change in changes.items():
        item = books.items[item_id]
        quantity = item.get("QuantityOnHand", NOTHING) + change.quantity
        pool = item.get("TotalCostPool", ZERO) + change.cost
        if item.get("QuantityOnHand"):
            item = item | {"_cost": item.get("TotalCostPool", ZERO) / item["QuantityOnHand"]}
        books.items.put(item_id, item | {
            "QuantityOnHand": quantity, "TotalCostPool": pool if quantity else ZERO, "UpdatedDateUTC": now,
        })  # fmt: skip
        had = moved.get(item_id, Move(NOTHING, ZERO))
        moved[item_id] = Move(had.quantity + change.quantity, had.cost + change.cost)
    kept = {item_id: [one.quantity, one.cost] for item_id, one in moved.items() if one.quantity or one.cost}
    books.moved.put(id_, {"items": kept})


def _moved(books: Books, id_: str) -> dict[str, Move]:
    kept = books.moved.get(id_) or {"items": {}}
    return {item_id: Move(*one) for item_id, one in kept["items"].items()}


def _lines(books: Books, record: Record) -> dict[str, tuple[Decimal, Decimal | None]]:
    """ItemID -> quantity, and what it costs where the document says so: a bill does, a sale goes by the average."""
    sign, bought = _SIGN[record["Type"]], record["Type"].startswith("ACCPAY")
    quantities: dict[str, Decimal] = defaultdict(lambda: NOTHING)
    values: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for line in record["LineItems"]:
        item = books.item_codes.first(line.get("ItemCode"))
        if item is None or not item["IsTrackedAsInventory"]:
            continue
        net = line["LineAmount"] - (line["TaxAmount"] if record["LineAmountTypes"] == "Inclusive" else ZERO)
        quantities[item["ItemID"]] += sign * line["Quantity"]
        values[item["ItemID"]] += sign * cents(net / record["CurrencyRate"])
    return {item_id: (one, values[item_id] if bought else None) for item_id, one in quantities.items()}


def _average(item: Record, had: Move) -> Decimal:
    """The average cost of one, as if the document had not moved anything; of an item that is sold out, the last one."""
    quantity = item.get("QuantityOnHand", NOTHING) - had.quantity
    if quantity > 0:
        return Decimal((item.get("TotalCostPool", ZERO) - had.cost) / quantity)
    return Decimal(item.get("_cost", ZERO))
