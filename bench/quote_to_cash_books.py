"""The books of the quote-to-cash bench: clean orders of three lines, in the currencies of their customers.

Loaded into the sandbox through Salesforce's own API; what the demo has of products, prices and names is used again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.scenarios.crm_load import ConnectorCrm, CrmRecord, load, set_where_different
from tieout.scenarios.demo_books import PriceList, load_price_list
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.demo_ledger import DAY_RATES, make_items
from tieout.scenarios.demo_orders import DISCOUNTS, ZERO_RATED, LinePlan, OrderPlan, order_records, product_records
from tieout.scenarios.demo_people import Customer, account_records, customers
from tieout.scenarios.ledger_hand import LedgerHand

SEED = 11
REGIONS = ("Northern", "Southern", "Eastern", "Western", "Upper", "Lower", "Old", "Greater", "Royal")
NAMES = 100  # customers of each region
LINES = 3
DAYS = 60
NO_LIMITS = {"minute": None, "day": None, "concurrent": None, "app_minute": None}


def fill(
    url: str, crm: Connection, ledger: Connection, orders: int, people: int, today: date, days: int = DAYS
) -> None:
    """Brings the books into both sandboxes: `orders` activated orders of `people` customers, and the ledger's items.

    Args:
        days: the orders are dated in so many days before today.
    """
    prices = load_price_list()
    doors = Doors(url)
    doors.custom_fields()
    doors.settings("salesforce", corporate_currency="GBP", api_allowance=10_000_000)
    doors.settings("xero", base_currency="GBP", currencies=list(prices.factors), rates=DAY_RATES, limits=NO_LIMITS)
    with LedgerHand(ledger) as hand:
        make_items(hand, [{"Code": one.code, "Name": one.name[:50], "IsSold": True} for one in prices.products])
    connector = SalesforceConnector(crm)
    try:
        loading = ConnectorCrm(connector)
        loaded = load(loading, _records(prices, orders, people, today, days))
        if loaded.refused:
            raise SystemExit(f"{len(loaded.refused)} records were refused; the first: {loaded.refused[0]}")
        ids = [loaded.ids[f"demo:order:{number:06}"] for number in range(orders)]
        _, failed = set_where_different(loading, "Order", ids, {"Status": "Activated"})
        if failed:
            raise SystemExit(f"{len(failed)} orders were not activated; the first: {failed[0].error}")
    finally:
        connector.close()


def _records(prices: PriceList, orders: int, people: int, today: date, days: int) -> dict[str, list[CrmRecord]]:
    names = ("CurrencyType", "Account", "Contact", "Product2", "PricebookEntry", "Order", "OrderItem")
    records: dict[str, list[CrmRecord]] = {name: [] for name in names}
    for record in _all_records(prices, orders, people, today, days):
        records[record.object].append(record)
    return records


def _all_records(prices: PriceList, orders: int, people: int, today: date, days: int) -> Iterator[CrmRecord]:
    rng = random.Random(SEED)
    for currency, decimals in prices.decimals.items():
        rate = next((rate for code, _, rate in prices.rates if code == currency), Decimal(1))
        fields = {"IsoCode": currency, "ConversionRate": rate, "DecimalPlaces": decimals, "IsActive": True}
        yield CrmRecord("CurrencyType", f"demo:currency:{currency}", fields)
    buyers = _buyers(rng, people)
    for customer in buyers:
        yield from account_records(customer)
    yield from product_records(prices, [])
    for number in range(orders):
        yield from order_records(_order(rng, number, buyers[number % len(buyers)], prices, today, days), prices)


def _buyers(rng: random.Random, count: int) -> list[Customer]:
    """Ordinary customers; the demo's names do not reach far, so they come in regions."""
    made: list[Customer] = []
    for region in REGIONS:
        for one in customers(rng, NAMES):
            if one.kind is None and len(made) < count:
                person = (f"{region} {one.person[0]}", one.person[1]) if one.person else None
                key = f"demo:account:{len(made):05}"
                made.append(replace(one, key=key, name=f"{region} {one.name}", person=person))
    if len(made) < count:
        raise SystemExit(f"at most {len(made)} customers can be made")
    return made


def _order(rng: random.Random, number: int, customer: Customer, prices: PriceList, today: date, days: int) -> OrderPlan:
    currency = customer.currency
    lines = tuple(
        LinePlan(
            product=product.code,
            quantity=Decimal(rng.randint(1, 24)),
            unit_price=prices.price(product, currency),
            discount=rng.choice(DISCOUNTS),
            tax_code="zero" if currency in ZERO_RATED else product.tax,
        )
        for product in rng.sample(prices.products, LINES)
    )
    day = today - timedelta(days=rng.randint(0, days))
    return OrderPlan(f"demo:order:{number:06}", customer.key, day, currency, lines, Decimal(0), None)
