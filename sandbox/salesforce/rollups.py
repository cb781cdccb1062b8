"""Sums over lines that Salesforce keeps on the header. A header whose sum changes gets a new SystemModstamp."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from sandbox.salesforce.business import expected_revenue, grand_total
from sandbox.salesforce.org import Org
from sandbox.salesforce.values import canonical, round_half_up
from sandbox.state import Record

PARENT: Mapping[str, tuple[str, str]] = {  # line -> its header, and the reference to it
    "OrderItem": ("Order", "OrderId"),
    "OpportunityLineItem": ("Opportunity", "OpportunityId"),
    "QuoteLineItem": ("Quote", "QuoteId"),
}


def recompute(org: Org, line: str, parent_id: str, user_id: str) -> None:
    """Brings one header up to date with its lines; nothing happens when it is gone or unchanged."""
    parent, reference = PARENT[line]
    old = org.get(parent, parent_id)
    if old is None or old["IsDeleted"]:
        return
    new = dict(old)
    _SUMS[parent](org, new, org.children(line, reference, parent_id))
    if new != old:
        now = org.stamp_now()
        org.table(parent).put(
            parent_id, {**new, "SystemModstamp": now, "LastModifiedDate": now, "LastModifiedById": user_id}
        )


def _sum(org: Org, header: Record, lines: Sequence[Record], name: str) -> Decimal:
    total = sum((line[name] for line in lines if line.get(name) is not None), Decimal(0))
    return round_half_up(total, org.decimals(header.get("CurrencyIsoCode")))


def _order(org: Org, new: Record, lines: Sequence[Record]) -> None:
    new["TotalAmount"] = _sum(org, new, lines, "TotalPrice")


def _take_book(org: Org, new: Record, lines: Sequence[Record]) -> None:
    if lines and new.get("Pricebook2Id") is None:
        entry = org.get("PricebookEntry", lines[0].get("PricebookEntryId", ""))
        new["Pricebook2Id"] = entry["Pricebook2Id"] if entry else None


def _opportunity(org: Org, new: Record, lines: Sequence[Record]) -> None:
    _take_book(org, new, lines)
    new["HasOpportunityLineItem"] = bool(lines)
    if lines:
        new["Amount"] = _sum(org, new, lines, "TotalPrice")
        new["TotalOpportunityQuantity"] = canonical(sum((line["Quantity"] for line in lines), Decimal(0)))
        expected_revenue(org, new)


def _quote(org: Org, new: Record, lines: Sequence[Record]) -> None:
    _take_book(org, new, lines)
    subtotal, total = _sum(org, new, lines, "Subtotal"), _sum(org, new, lines, "TotalPrice")
    new["Subtotal"], new["TotalPrice"], new["LineItemCount"] = subtotal, total, len(lines)
    new["Discount"] = round_half_up((subtotal - total) * 100 / subtotal, 2) if subtotal else Decimal("0.0")
    grand_total(org, new)


_SUMS: Mapping[str, Callable[[Org, Record, Sequence[Record]], None]] = {
    "Order": _order,
    "Opportunity": _opportunity,
    "Quote": _quote,
}
