"""The demo's orders: planned, priced, turned into Salesforce records. Pure.

Here: clean orders and their arithmetic (net per line rounded half up, tax per line). Not here: dirt (demo_dirt.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tieout.scenarios.crm_load import KEY_FIELD, STANDARD_PRICE_BOOK, CrmRecord, Ref
from tieout.scenarios.demo_books import Expectation, Outcome, PriceList, Product, round_half_up
from tieout.scenarios.demo_people import Customer

DISCOUNTS = [Decimal(text) for text in ("0", "0", "0", "5", "7.5", "10", "12.5", "33.33")]
#: Sold outside the European single market and the United Kingdom: no tax.
ZERO_RATED = {"USD", "JPY"}
MAX_LINES = 6
DAYS_BACK = 85


@dataclass(frozen=True, slots=True)
class LinePlan:
    """One line. `quoted` is the (price, discount) that the customer accepted, where the order came from a quote."""

    product: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    tax_code: str
    quoted: tuple[Decimal, Decimal] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)

    def net(self, decimals: int) -> Decimal:
        """What is billed: accepted price and discount before the order's own, rounded once."""
        price, discount = self.quoted or (self.unit_price, self.discount)
        return round_half_up(self.quantity * price * (100 - discount) / 100, decimals)


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """One order to be. `raw` overrides fields behind the API's back; `account` is the customer's key."""

    key: str
    account: str
    day: date
    currency: str
    lines: tuple[LinePlan, ...]
    freight: Decimal
    rate: Decimal | None
    active: bool = True
    quoted: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome = "posted"
    reason: str | None = None
    dirt: str | None = None


def plan_order(rng: random.Random, key: str, customer: Customer, prices: PriceList, today: date) -> OrderPlan:
    """One clean order of 1 to 6 lines, dated within the last DAYS_BACK days."""
    day = today - timedelta(days=rng.randint(0, DAYS_BACK))
    # One in six customers orders in a currency that is not its own.
    currency = customer.currency if rng.random() < 0.85 else rng.choice(list(prices.factors))
    products = rng.sample(prices.products, rng.randint(1, MAX_LINES))
    freight = Decimal(0)
    if rng.random() < 0.35:
        freight = round_half_up(
            Decimal(rng.randint(450, 9900)) / 100 * prices.factors[currency], prices.decimals[currency]
        )
    return OrderPlan(
        key=key,
        account=customer.key,
        day=day,
        currency=currency,
        lines=tuple(_line(rng, product, currency, prices) for product in products),
        freight=freight,
        rate=rate_on(prices, currency, day, today),
    )


def rate_on(prices: PriceList, currency: str, day: date, today: date) -> Decimal | None:
    """Foreign units per GBP on `day` by the demo's dated rates; None for GBP itself."""
    known = [(before, rate) for code, before, rate in prices.rates if code == currency and before >= (today - day).days]
    return min(known)[1] if known else None


def with_quote(rng: random.Random, plan: OrderPlan, prices: PriceList) -> OrderPlan:
    """The same order out of an accepted quote: other prices and discounts were agreed than the order's lines say."""
    decimals = prices.decimals[plan.currency]
    lines = []
    for line in plan.lines:
        agreed = round_half_up(line.unit_price * Decimal(rng.choice(["0.9", "0.95", "1"])), decimals)
        lines.append(
            LinePlan(
                line.product,
                line.quantity,
                line.unit_price,
                Decimal(0),
                line.tax_code,
                quoted=(agreed, rng.choice(DISCOUNTS)),
            )
        )
    return OrderPlan(
        plan.key, plan.account, plan.day, plan.currency, tuple(lines), plan.freight, plan.rate, quoted=True
    )


def expectation(plan: OrderPlan, prices: PriceList, default_tax: str = "standard") -> Expectation:
    """What must become of it, with net and tax where it is posted. Freight is taxed by `default_tax`."""
    if plan.outcome != "posted":
        return Expectation(plan.key, plan.outcome, plan.reason, plan.dirt, plan.currency, None, None)
    net, tax = amounts(plan, prices, default_tax)
    return Expectation(plan.key, "posted", plan.reason, plan.dirt, plan.currency, net, tax)


def amounts(plan: OrderPlan, prices: PriceList, default_tax: str = "standard") -> tuple[Decimal, Decimal]:
    """(net, tax) in the order's currency; each line's net and each line's tax are rounded half up."""
    decimals = prices.decimals[plan.currency]
    taxed = [(line.net(decimals), line.tax_code) for line in plan.lines]
    if plan.freight:
        taxed.append((plan.freight, default_tax))
    percent = prices.tax_percent
    tax = [round_half_up(net * percent.get(code, Decimal(0)) / 100, decimals) for net, code in taxed]
    return sum((net for net, _ in taxed), Decimal(0)), sum(tax, Decimal(0))


def order_records(plan: OrderPlan, prices: PriceList) -> Iterator[CrmRecord]:
    """Order and lines; for a quoted one the won opportunity, its lines, the quote and its lines before them."""
    if plan.quoted:
        yield from _quote_records(plan, prices)
    _, tax = amounts(plan, prices)
    head = {
        KEY_FIELD: plan.key,
        "AccountId": Ref(plan.account),
        "Pricebook2Id": Ref(STANDARD_PRICE_BOOK),
        "EffectiveDate": plan.day.isoformat(),
        "Status": "Draft",
        "CurrencyIsoCode": plan.currency,
        "PoNumber": "PO-" + plan.key.rsplit(":", 1)[1],
        "Freight__c": plan.freight or None,
        "Expected_Tax__c": tax,
        "Exchange_Rate__c": plan.rate,
    }
    if plan.quoted:
        head |= {"QuoteId": Ref(_sibling(plan.key, "quote")), "OpportunityId": Ref(_sibling(plan.key, "opportunity"))}
    yield CrmRecord("Order", plan.key, head, plan.raw)
    for number, line in enumerate(plan.lines, start=1):
        key = f"{_sibling(plan.key, 'orderitem')}:{number}"
        fields = _line_fields(plan, line) | {
            KEY_FIELD: key,
            "OrderId": Ref(plan.key),
            "UnitPrice": line.unit_price,
            "Discount_Percent__c": line.discount or None,
        }
        if plan.quoted:
            fields["QuoteLineItemId"] = Ref(f"{_sibling(plan.key, 'quoteline')}:{number}")
        yield CrmRecord("OrderItem", key, fields, line.raw)


def product_records(prices: PriceList, extra: Sequence[Product]) -> Iterator[CrmRecord]:
    """Product2 and one PricebookEntry per currency; `extra` products are sold here and unknown to the ledger."""
    for product in (*prices.products, *extra):
        yield CrmRecord(
            "Product2",
            _product_key(product.code),
            {
                KEY_FIELD: _product_key(product.code),
                "Name": product.name,
                "ProductCode": product.code,
                "IsActive": True,
                "Tax_Code__c": product.tax,
                "CurrencyIsoCode": "GBP",
            },
        )
        for currency in prices.factors:
            yield CrmRecord(
                "PricebookEntry",
                _entry_key(product.code, currency),
                {
                    "Pricebook2Id": Ref(STANDARD_PRICE_BOOK),
                    "Product2Id": Ref(_product_key(product.code)),
                    "CurrencyIsoCode": currency,
                    "UnitPrice": prices.price(product, currency),
                    "IsActive": True,
                },
            )


def _quote_records(plan: OrderPlan, prices: PriceList) -> Iterator[CrmRecord]:
    opportunity, quote = _sibling(plan.key, "opportunity"), _sibling(plan.key, "quote")
    common = {"CurrencyIsoCode": plan.currency, "Pricebook2Id": Ref(STANDARD_PRICE_BOOK)}
    name = f"Office of {plan.account[-4:]}, {plan.key[-4:]}"
    won = {
        KEY_FIELD: opportunity,
        "Name": name,
        "AccountId": Ref(plan.account),
        "StageName": "Closed Won",
        "CloseDate": plan.day.isoformat(),
    }
    yield CrmRecord("Opportunity", opportunity, common | won)
    accepted = {KEY_FIELD: quote, "Name": name, "OpportunityId": Ref(opportunity), "Status": "Accepted"}
    yield CrmRecord("Quote", quote, common | accepted | {"ShippingHandling": plan.freight or None})
    for number, line in enumerate(plan.lines, start=1):
        price, discount = line.quoted or (line.unit_price, line.discount)
        deal_line = f"{_sibling(plan.key, 'opportunityline')}:{number}"
        fields = _line_fields(plan, line)
        deal = {KEY_FIELD: deal_line, "OpportunityId": Ref(opportunity), "UnitPrice": line.unit_price}
        yield CrmRecord("OpportunityLineItem", deal_line, fields | deal)
        quote_line = f"{_sibling(plan.key, 'quoteline')}:{number}"
        offer = {KEY_FIELD: quote_line, "QuoteId": Ref(quote), "UnitPrice": price, "Discount": discount or None}
        yield CrmRecord("QuoteLineItem", quote_line, fields | offer)


def _line_fields(plan: OrderPlan, line: LinePlan) -> dict[str, Any]:
    return {
        "PricebookEntryId": Ref(_entry_key(line.product, plan.currency)),
        "Quantity": line.quantity,
        "Tax_Code__c": line.tax_code,
    }


def _line(rng: random.Random, product: Product, currency: str, prices: PriceList) -> LinePlan:
    hours = product.code.startswith("HOUR-")
    quantity = Decimal(rng.randint(1, 60)) / 4 if hours else Decimal(rng.randint(1, 24))
    return LinePlan(
        product=product.code,
        quantity=quantity,
        unit_price=prices.price(product, currency),
        discount=rng.choice(DISCOUNTS),
        tax_code="zero" if currency in ZERO_RATED else product.tax,
    )


def _sibling(order_key: str, kind: str) -> str:
    return order_key.replace(":order:", f":{kind}:")


def _product_key(code: str) -> str:
    return f"demo:product:{code}"


def _entry_key(code: str, currency: str) -> str:
    return f"demo:entry:{code}:{currency}"
