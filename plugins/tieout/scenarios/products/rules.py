"""What an item of the ledger is to be in the CRM, or why it has to wait: pure rules over the common model, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tieout.mapping.text import cut, length
from tieout.model.money import exponent, from_minor, round_to_minor
from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.products.price_list import Entry

#: Characters that the ledger has for an item; the CRM has more, so that what the ledger has may be the beginning.
CODE_LENGTH, NAME_LENGTH = 30, 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the CRM is to show: the product's common fields and its list price in each currency."""

    product: Mapping[str, Any]
    prices: Mapping[str, Decimal]


def wanted(
    item: Row, listed: Entry | None, base_currency: str, currencies: Collection[str], crm: Row | None
) -> Wanted | Hold:
    """What a sold item is in the CRM.

    Args:
        item: of the ledger, in the common model.
        listed: what finance's price list says of its code today.
        base_currency: of the ledger's own price.
        currencies: that the CRM's organisation has.
        crm: the product that it is linked with, or is going to be.
    """
    listed = listed or Entry()
    if listed.fault:
        return listed.fault
    prices = {base_currency: item["price"]} if item.get("price") is not None else {}
    prices |= listed.prices
    if problem := _problem(item, prices, base_currency, currencies):
        return problem
    product = {
        "code": item["code"] if crm is None else uncut(item["code"], crm.get("code"), CODE_LENGTH),
        "name": item.get("name") or item["code"], "description": item.get("description") or None, "active": True,
        "stock": item.get("stock"), "quantity_prices": listed.quantity_prices, "ledger_id": item["product_id"],
        "product_id": None if crm is None else crm["product_id"],
    }  # fmt: skip
    if crm is not None:
        product["name"] = uncut(product["name"], crm.get("name"), NAME_LENGTH)
    return Wanted(product, prices)


def _problem(item: Row, prices: Mapping[str, Decimal], base_currency: str, currencies: Collection[str]) -> Hold | None:
    if base_currency not in prices:
        return Hold(
            "price_missing", f"item {item['code']} has no sales price", "a sales price, zero if it is free", "none",
            "give the item a sales price in the ledger; until then the CRM keeps what it has",
        )  # fmt: skip
    for currency, price in sorted(prices.items()):
        if price < 0:
            return Hold(
                "price_negative", f"the price of item {item['code']} is negative", "a price of zero or more",
                f"{price} {currency}", "correct the price where finance keeps it",
            )  # fmt: skip
        if currency not in currencies:
            return Hold(
                "currency_not_in_crm", f"item {item['code']} has a price in a currency that the CRM does not have",
                f"one of {', '.join(sorted(currencies))}", currency,
                "add the currency in the CRM, or take the price out of the price list",
            )  # fmt: skip
    stock = item.get("stock")
    if stock is not None and stock < 0:
        return Hold(
            "stock_negative", f"item {item['code']} has a negative quantity on hand", "zero or more", str(stock),
            "correct the inventory in the ledger: more was sold or adjusted than was there",
        )  # fmt: skip
    return None


def uncut(ours: str, theirs: str | None, limit: int) -> str:
    """The CRM's longer text where the ledger has as much of it as it can hold: what the ledger cut is no change."""
    if theirs and length(theirs) > limit and length(ours) <= limit and cut(theirs, limit) == ours.rstrip():
        return theirs
    return ours


def choose(code: str, candidates: Sequence[Row]) -> Row | Hold | None:
    """The CRM's product for an item that is linked with none: the one of the same code, whatever its case.

    Args:
        candidates: products without an item whose code, cut to the ledger's length, is the item's.
    """
    same = [row for row in candidates if str(row["code"]).lower() == code.lower()]
    active = [row for row in same if row.get("active")]
    found = active if len(active) == 1 else same or list(candidates)
    if len(found) <= 1:
        return found[0] if found else None
    shown = ", ".join(f"{row['code']} ({row['product_id']})" for row in found[:5])
    if same:
        return Hold(
            "several_products", f"the CRM has {len(same)} products of the code {code}", "one product of that code",
            shown, "deactivate or rename the others in the CRM",
        )  # fmt: skip
    return Hold(
        "code_cut_shared", f"{len(found)} products of the CRM have codes that begin with {code}, where the ledger's "
        "codes end", "one product that the item can stand for", shown,
        "give the products codes that differ in their first 30 characters",
    )  # fmt: skip


def collision(kind: str, text: str, others: Collection[str]) -> Hold:
    """Why an item waits whose code or name another item has too. `kind`: `code` or `name`."""
    shown = ", ".join(sorted(others)[:5])
    if kind == "code":
        return Hold(
            "code_shared", f"another item has the code {text} but for capitals: the CRM cannot tell them apart",
            "codes that differ in more than capitals", shown, "give one of the items another code in the ledger",
        )  # fmt: skip
    return Hold(
        "name_cut_shared", f"another item's name is the same in all {NAME_LENGTH} characters that the ledger holds",
        "names that differ in their first 50 characters", shown,
        "shorten the items' names in the ledger so that they differ",
    )  # fmt: skip


def same_price(want: Decimal, have: Decimal | None, currency: str) -> bool:
    """Whether the CRM shows the price: as it is, or rounded to the currency's decimals by its field."""
    if have is None:
        return False
    return have == want or (
        want.as_tuple().exponent < -exponent(currency)  # type: ignore[operator] # finite: staging takes no other
        and have == from_minor(round_to_minor(want, currency), currency)
    )
