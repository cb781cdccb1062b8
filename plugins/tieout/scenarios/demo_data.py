"""The demo's books: about 200 customers, 40 products, 500 orders, and each kind of bad input, from a seed and a date.

Pure: `generate(seed, today)` gives the same books on every machine; no clock, no network. Loading them is
demo_seed.py, the ledger's side demo_ledger.py, what happens on later days demo_days.py.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal

from tieout.scenarios.crm_load import KEY_FIELD, CrmRecord, Ref
from tieout.scenarios.demo_books import DemoBooks, PriceList, load_price_list
from tieout.scenarios.demo_dirt import (
    CUSTOMER_DIRT,
    TAKEN_NUMBER,
    UNKNOWN_PRODUCT,
    order_dirt,
    special_customers,
    spoil,
    spoil_by_customer,
)
from tieout.scenarios.demo_orders import (
    OrderPlan,
    expectation,
    order_records,
    plan_order,
    product_records,
    with_quote,
)
from tieout.scenarios.demo_people import Customer, account_records, customers

DEFAULT_SEED = 20
CUSTOMERS = 200
ORDERS = 500
QUOTED = 60
DRAFTS = 35
OPEN_DEALS = 25
#: The ledger is locked up to so many days before `today`; clean orders are younger.
LOCKED_DAYS_BACK = 100

#: The order in which objects are loaded: what is referred to comes first.
LOAD_ORDER = (
    "CurrencyType", "DatedConversionRate", "Account", "Contact", "Product2", "PricebookEntry", "Opportunity",
    "OpportunityLineItem", "Quote", "QuoteLineItem", "Order", "OrderItem",
)  # fmt: skip


def generate(seed: int, today: date) -> DemoBooks:
    """The whole demo.

    Args:
        seed: another seed gives other books of the same size and with the same kinds of dirt.
        today: no record is younger; the oldest clean order is 85 days older.
    """
    rng = random.Random(seed)
    prices = load_price_list()
    people = special_customers(customers(rng, CUSTOMERS))
    locked_until = today - timedelta(days=LOCKED_DAYS_BACK)
    plans = _plans(rng, people, prices, today, locked_until)
    records: dict[str, list[CrmRecord]] = {name: [] for name in LOAD_ORDER}
    for record in _all_records(rng, people, plans, prices, today):
        records[record.object].append(record)
    return DemoBooks(
        seed=seed,
        today=today,
        locked_until=locked_until,
        records={name: tuple(found) for name, found in records.items()},
        activate=tuple(plan.key for plan in plans if plan.active),
        expectations={plan.key: expectation(plan, prices) for plan in plans},
        taken_number=next(plan.key for plan in plans if plan.dirt == TAKEN_NUMBER),
    )


def _plans(
    rng: random.Random, people: Sequence[Customer], prices: PriceList, today: date, locked_until: date
) -> tuple[OrderPlan, ...]:
    """Exactly ORDERS plans: clean ones, then one for each unusual customer, then one for each kind of bad order."""
    unusual = [customer for customer in people if customer.kind]
    kinds = order_dirt(locked_until)
    buyers = [customer for customer in people if customer.kind not in CUSTOMER_DIRT]
    clean = ORDERS - len(unusual) - len(kinds)
    plans: list[OrderPlan] = []
    for number in range(1, ORDERS + 1):
        key = f"demo:order:{number:04}"
        if number <= clean:
            plan = plan_order(rng, key, rng.choice(buyers), prices, today)
            plans.append(_variant(rng, number, plan, prices))
        elif number <= clean + len(unusual):
            customer = unusual[number - clean - 1]
            plans.append(spoil_by_customer(plan_order(rng, key, customer, prices, today), customer))
        else:
            # Dirty orders are in the currency of the books, so that one kind of dirt is all there is.
            buyer = rng.choice([customer for customer in buyers if customer.currency == "GBP"])
            plan = _in_own_currency(rng, key, buyer, prices, today)
            plans.append(spoil(plan, kinds[number - clean - len(unusual) - 1]))
    return tuple(plans)


def _variant(rng: random.Random, number: int, plan: OrderPlan, prices: PriceList) -> OrderPlan:
    """The first QUOTED orders come from an accepted quote; the DRAFTS after them were never activated."""
    if number <= QUOTED:
        return with_quote(rng, plan, prices)
    if number <= QUOTED + DRAFTS:
        return OrderPlan(
            plan.key, plan.account, plan.day, plan.currency, plan.lines, plan.freight, plan.rate,
            active=False, outcome="not_billable",
        )  # fmt: skip
    return plan


def _in_own_currency(rng: random.Random, key: str, customer: Customer, prices: PriceList, today: date) -> OrderPlan:
    for _ in range(100):  # 17% of the plans are in a foreign currency: 100 misses mean a bug
        plan = plan_order(rng, key, customer, prices, today)
        if plan.currency == customer.currency:
            return plan
    raise RuntimeError(f"no order in {customer.currency} in 100 tries")


def _all_records(
    rng: random.Random, people: Sequence[Customer], plans: Sequence[OrderPlan], prices: PriceList, today: date
) -> Iterable[CrmRecord]:
    for currency in prices.factors:
        # What the currency's rate was long ago; the dated rates below are what counts.
        first = next((rate for code, _, rate in prices.rates if code == currency), Decimal(1))
        fields = {"IsoCode": currency, "ConversionRate": first, "DecimalPlaces": prices.decimals[currency]}
        yield CrmRecord("CurrencyType", f"demo:currency:{currency}", fields | {"IsActive": True})
    for currency, before, rate in prices.rates:
        start = (today - timedelta(days=before)).isoformat()
        fields = {"IsoCode": currency, "StartDate": start, "ConversionRate": rate}
        yield CrmRecord("DatedConversionRate", f"demo:rate:{currency}:{start}", fields)
    for customer in people:
        yield from account_records(customer)
    yield from product_records(prices, [UNKNOWN_PRODUCT])
    for plan in plans:
        yield from order_records(plan, prices)
    yield from _open_deals(rng, people, today)


def _open_deals(rng: random.Random, people: Sequence[Customer], today: date) -> Iterable[CrmRecord]:
    """Deals that nobody has won yet: never billed."""
    for number in range(1, OPEN_DEALS + 1):
        customer = rng.choice([customer for customer in people if customer.kind not in CUSTOMER_DIRT])
        key = f"demo:opportunity:open-{number:02}"
        yield CrmRecord(
            "Opportunity",
            key,
            {
                KEY_FIELD: key,
                "Name": f"Extension {number} for {customer.key[-4:]}",
                "AccountId": Ref(customer.key),
                "StageName": rng.choice(["Prospecting", "Proposal/Price Quote", "Negotiation/Review", "Closed Lost"]),
                "CloseDate": (today + timedelta(days=rng.randint(-20, 60))).isoformat(),
                "Amount": Decimal(rng.randint(500, 50_000)),
                "CurrencyIsoCode": customer.currency,
            },
        )
