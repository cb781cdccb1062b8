"""What Salesforce itself fills in and refuses, object by object: prices, lines, stages, the life of an order.

Each function gets the record as it was (None when it is new) and as it will be, changes the latter, or raises Refused.
Sums over lines are in rollups.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sandbox.salesforce.errors import Refused, refused
from sandbox.salesforce.org import STANDARD_PRICEBOOK, Org
from sandbox.salesforce.standard import ACTIVATED, STAGES
from sandbox.salesforce.values import WIDE, round_half_up
from sandbox.state import Record

Prepare = Callable[[Org, Record | None, Record], None]
_HUNDRED = Decimal(100)


def percent_off(amount: Decimal, percent: Decimal | None) -> Decimal:
    """The amount less so many per cent; not rounded."""
    return WIDE.multiply(amount, _HUNDRED - percent).scaleb(-2, WIDE) if percent else amount


def _person(org: Org, old: Record | None, new: Record) -> None:
    new["Name"] = " ".join(part for part in (new.get("FirstName"), new.get("LastName")) if part)


def _price(org: Org, old: Record | None, new: Record) -> None:
    if old is not None:
        return
    product = org.get("Product2", new["Product2Id"])
    new["Name"] = product["Name"] if product else None
    new["ProductCode"] = product.get("ProductCode") if product else None
    siblings = org.children("PricebookEntry", "Product2Id", new["Product2Id"])
    same = [one for one in siblings if one["CurrencyIsoCode"] == new["CurrencyIsoCode"]]
    if any(one["Pricebook2Id"] == new["Pricebook2Id"] for one in same):
        raise refused("DUPLICATE_VALUE", "This price definition already exists in this price book")
    is_standard = new["Pricebook2Id"] == STANDARD_PRICEBOOK
    if not is_standard and not any(one["Pricebook2Id"] == STANDARD_PRICEBOOK for one in same):
        message = "Before creating a custom price, create a standard price."
        raise refused("STANDARD_PRICE_NOT_DEFINED", message)


def _opportunity(org: Org, old: Record | None, new: Record) -> None:
    closed, won, probability, category = STAGES.get(new["StageName"], (False, False, 0, "Pipeline"))
    if old is None or old["StageName"] != new["StageName"]:
        new["IsClosed"], new["IsWon"], new["ForecastCategory"] = closed, won, category
        if old is not None or new.get("Probability") is None:
            new["Probability"] = Decimal(probability)
    if old is not None and old.get("HasOpportunityLineItem"):
        new["Amount"] = old.get("Amount")  # comes from the lines: what is sent is not looked at
        if new["CurrencyIsoCode"] != old["CurrencyIsoCode"]:
            raise _currency_fixed()
    expected_revenue(org, new)


def expected_revenue(org: Org, new: Record) -> None:
    """ExpectedRevenue follows Amount and Probability."""
    amount, probability = new.get("Amount"), new.get("Probability")
    expected = None if amount is None or probability is None else WIDE.multiply(amount, probability).scaleb(-2, WIDE)
    new["ExpectedRevenue"] = _money(org, new, expected)


def _quote(org: Org, old: Record | None, new: Record) -> None:
    if old is None and new.get("OpportunityId"):
        opportunity = org.get("Opportunity", new["OpportunityId"])
        if opportunity is not None:
            new["AccountId"] = opportunity.get("AccountId")
            new["CurrencyIsoCode"] = opportunity["CurrencyIsoCode"]
            new["Pricebook2Id"] = new.get("Pricebook2Id") or opportunity.get("Pricebook2Id")
    grand_total(org, new)


def grand_total(org: Org, new: Record) -> None:
    """GrandTotal follows the lines, the tax and the shipping."""
    parts = (new.get(name) for name in ("TotalPrice", "Tax", "ShippingHandling"))
    new["GrandTotal"] = _money(org, new, sum((part for part in parts if part is not None), Decimal(0)))


def _order(org: Org, old: Record | None, new: Record) -> None:
    active = new["Status"] == ACTIVATED
    new["StatusCode"] = "Activated" if active else "Draft"
    if old is None:
        if active:
            message = "Choose a valid order status and save your changes. Ask your admin for details."
            raise refused("FAILED_ACTIVATION", message, "Status")
        new["TotalAmount"] = Decimal("0.0")
        return
    lines = old["CurrencyIsoCode"] != new["CurrencyIsoCode"] or old.get("Pricebook2Id") != new.get("Pricebook2Id")
    if lines and org.children("OrderItem", "OrderId", new["Id"]):
        raise _currency_fixed()
    if active and old["Status"] != ACTIVATED:
        if not org.children("OrderItem", "OrderId", new["Id"]):
            raise refused("FAILED_ACTIVATION", "An order must have at least one product.")
        new["ActivatedDate"], new["ActivatedById"] = new["LastModifiedDate"], new["LastModifiedById"]
    elif not active and old["Status"] == ACTIVATED:
        new["ActivatedDate"] = new["ActivatedById"] = None


def _line(parent: str, reference: str, *, book_by_first_line: bool = False) -> Prepare:
    def prepare(org: Org, old: Record | None, new: Record) -> None:
        if old is None:
            _price_of_line(org, parent, new, org.get(parent, new[reference]), book_by_first_line)
        quantity, price = new.get("Quantity"), new.get("UnitPrice")
        subtotal = None if quantity is None or price is None else WIDE.multiply(quantity, price)
        discount = new.get("Discount") if parent != "Order" else None
        new["Subtotal"] = _money(org, new, subtotal)
        new["TotalPrice"] = _money(org, new, None if subtotal is None else percent_off(subtotal, discount))
        if parent == "Order":
            new.pop("Subtotal")
            if old is None:
                new["AvailableQuantity"] = quantity

    return prepare


def _price_of_line(org: Org, parent: str, new: Record, header: Record | None, book_by_first_line: bool) -> None:
    entry = org.get("PricebookEntry", new["PricebookEntryId"])
    if header is None or entry is None:  # the references were looked up before: only raw records get here
        return
    chosen = header.get("Pricebook2Id")  # where it may be empty, rollups.py takes the first line's
    if chosen != entry["Pricebook2Id"] and not (chosen is None and book_by_first_line):
        what = "pricebook entry is in a different pricebook than the one assigned to the " + parent.lower()
        raise refused("FIELD_INTEGRITY_EXCEPTION", f"field integrity exception: PricebookEntryId ({what})")
    if header["CurrencyIsoCode"] != entry["CurrencyIsoCode"]:
        what = "The pricebook entry currency code does not match the currency code of the " + parent.lower()
        message = f"field integrity exception: PricebookEntryId ({what})"
        raise refused("FIELD_INTEGRITY_EXCEPTION", message, "PricebookEntryId")
    new["CurrencyIsoCode"] = header["CurrencyIsoCode"]
    new["Product2Id"] = entry["Product2Id"]
    new["ListPrice"] = entry["UnitPrice"]
    if new.get("UnitPrice") is None:
        new["UnitPrice"] = entry["UnitPrice"]
    if parent == "Opportunity":
        new["ProductCode"], new["Name"] = entry.get("ProductCode"), f"{header['Name']} {entry.get('Name')}"


def _return_line(org: Org, old: Record | None, new: Record) -> None:
    if not new.get("OrderItemId") and not new.get("Product2Id"):
        message = "Enter an asset, order product, product, product item, or product request line item."
        raise refused("FIELD_INTEGRITY_EXCEPTION", message, "Product2Id")
    if old is None and new.get("Product2Id") is None and (item := org.get("OrderItem", new["OrderItemId"])):
        new["Product2Id"] = item.get("Product2Id")


def _currency(org: Org, old: Record | None, new: Record) -> None:
    org.memory.pop("decimals", None)


def _money(org: Org, record: Record, amount: Decimal | None) -> Decimal | None:
    return None if amount is None else round_half_up(amount, org.decimals(record.get("CurrencyIsoCode")))


def _currency_fixed() -> Refused:
    message = "field integrity exception: CurrencyIsoCode or Pricebook2Id (cannot be changed while there are products)"
    return refused("FIELD_INTEGRITY_EXCEPTION", message)


PREPARE: Mapping[str, Prepare] = {
    "Contact": _person,
    "User": _person,
    "PricebookEntry": _price,
    "Opportunity": _opportunity,
    "OpportunityLineItem": _line("Opportunity", "OpportunityId", book_by_first_line=True),
    "Quote": _quote,
    "QuoteLineItem": _line("Quote", "QuoteId", book_by_first_line=True),
    "Order": _order,
    "OrderItem": _line("Order", "OrderId"),
    "ReturnOrderLineItem": _return_line,
    "CurrencyType": _currency,
}


def check_delete(org: Org, sobject: str, record: Mapping[str, Any]) -> None:
    """Raises Refused for an account that has activated orders."""
    if sobject == "Account":
        active = [one for one in org.children("Order", "AccountId", record["Id"]) if one["Status"] == ACTIVATED]
        if active:
            numbers = ", ".join(str(one.get("OrderNumber")) for one in active[:5])
            message = (
                f"Your attempt to delete {record.get('Name')} could not be completed because it is associated with"
                f" the following activated orders: {numbers}"
            )
            raise refused("DELETE_FAILED", message)
