"""What given.yaml names as records of the CRM and of the ledger, and as finance's price list. Nothing is sent here."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.scenarios.format import Deal, LedgerItem, Line, Offer, Order, PriceLine
from tieout.scenarios.crm_load import KEY_FIELD, STANDARD_PRICE_BOOK, CrmRecord, Ref
from tieout.scenarios.products.price_list import COLUMNS

PRICE_LIST = "prices.csv"


def write_price_list(home: Path, lines: Iterable[PriceLine]) -> None:
    """Finance saves its file of prices, below the data home."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / PRICE_LIST).open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows(line.model_dump() for line in lines)


def deal_records(deal: Deal) -> Iterator[CrmRecord]:
    key = f"deal:{deal.deal}"
    fields = {
        "Name": deal.deal, "AccountId": Ref(f"account:{deal.account}") if deal.account else None,
        "StageName": deal.stage, "CloseDate": deal.date.isoformat(), "CurrencyIsoCode": deal.currency,
        "Amount": deal.amount, "Product_Code__c": deal.product,
        "Pricebook2Id": Ref(STANDARD_PRICE_BOOK) if deal.lines else None,
    }  # fmt: skip
    yield record("Opportunity", key, fields)
    yield from line_records("OpportunityLineItem", "OpportunityId", key, deal.currency, deal.lines)


def offer_records(offer: Offer) -> Iterator[CrmRecord]:
    key, deal, book = f"offer:{offer.offer}", f"deal-of:{offer.offer}", Ref(STANDARD_PRICE_BOOK)
    head = {"CurrencyIsoCode": offer.currency, "Pricebook2Id": book}
    chance = {"Name": f"Deal of {offer.offer}", "StageName": "Prospecting", "CloseDate": "2026-12-31",
              "AccountId": Ref(f"account:{offer.account}")}  # fmt: skip
    yield record("Opportunity", deal, {**head, **chance})
    yield record("Quote", key, {**head, "Name": offer.offer, "OpportunityId": Ref(deal), "Status": "Draft"})
    yield from line_records("QuoteLineItem", "QuoteId", key, offer.currency, offer.lines)


def order_records(order: Order) -> Iterator[CrmRecord]:
    key, book = f"order:{order.order}", Ref(STANDARD_PRICE_BOOK)
    if order.quote:
        deal, quote = f"deal-of:{order.order}", f"quote:{order.order}"
        won = {"Name": f"Deal of {order.order}", "StageName": "Closed Won", "CloseDate": order.date.isoformat(),
               "CurrencyIsoCode": order.currency, "Pricebook2Id": book,
               "AccountId": Ref(f"account:{order.account}")}  # fmt: skip
        yield record("Opportunity", deal, won)
        offer = {"Name": f"Offer for {order.order}", "OpportunityId": Ref(deal), "Pricebook2Id": book,
                 "Status": order.quote.status, "ShippingHandling": order.quote.freight,
                 "CurrencyIsoCode": order.currency}  # fmt: skip
        yield record("Quote", quote, offer)
        yield from line_records("QuoteLineItem", "QuoteId", quote, order.currency, order.quote.lines)
    head = {
        "AccountId": Ref(f"account:{order.account}"), "Pricebook2Id": book, "EffectiveDate": order.date.isoformat(),
        "Status": "Draft", "CurrencyIsoCode": order.currency, "PoNumber": order.order, "Freight__c": order.freight,
        "Expected_Tax__c": order.expected_tax, "Exchange_Rate__c": order.rate,
        "QuoteId": Ref(f"quote:{order.order}") if order.quote else None,
    }  # fmt: skip
    yield record("Order", key, head)
    yield from line_records("OrderItem", "OrderId", key, order.currency, order.lines)


def line_records(
    object_name: str, parent: str, key: str, currency: str, lines: tuple[Line, ...]
) -> Iterator[CrmRecord]:
    discount = {"OrderItem": "Discount_Percent__c", "QuoteLineItem": "Discount", "OpportunityLineItem": "Discount"}
    for number, line in enumerate(lines, start=1):
        fields: dict[str, Decimal | str | Ref | None] = {
            parent: Ref(key), "PricebookEntryId": Ref(entry_key(line.product, currency)), "Quantity": line.quantity,
            "UnitPrice": line.price, discount[object_name]: line.discount, "Tax_Code__c": line.tax,
        }  # fmt: skip
        yield record(object_name, f"{key}:{number}", fields)


def item_fields(item: LedgerItem) -> dict[str, Any]:
    details = {} if item.price is None else {"UnitPrice": item.price}
    counted = {} if item.stock is None else {"QuantityOnHand": item.stock}
    return {"Code": item.code, "Name": item.name, "IsSold": item.sold, "SalesDetails": details, **counted}


def record(object_name: str, key: str, fields: Any) -> CrmRecord:
    return CrmRecord(object_name, key, {KEY_FIELD: key, **fields})


def entry_key(code: str, currency: str) -> str:
    return f"price:{code}:{currency}"


def present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
