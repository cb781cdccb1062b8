"""The demo's bad input: one named kind each, on orders and on customers, and what must become of it. Pure.

What Salesforce's own rules refuse is put in `raw`: organisations hold such records from before the rule existed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tieout.scenarios.demo_books import Outcome, Product
from tieout.scenarios.demo_orders import OrderPlan
from tieout.scenarios.demo_people import Customer

#: Sold by sales, never set up by finance.
UNKNOWN_PRODUCT = Product("GADGET-X", "Gadget nobody told finance about", Decimal("42.00"), "standard")
#: A well-formed id of an account that was never there.
NO_SUCH_ACCOUNT = "001000000000000AAA"
LONG_NAME = "Consolidated Amalgamated Holdings of the United Northern and Southern Provinces " * 4
#: Valid numbers in the arithmetic of their country; no random customer draws one of them (a test says so).
SHARED_TAX_ID = "GB980780684"
LEDGER_TAX_ID = "GB434031494"
TAKEN_NUMBER = "taken_invoice_number"


@dataclass(frozen=True, slots=True)
class OrderDirt:
    """One kind of bad order: `apply` makes a clean plan bad. `reason` is the code of the hold, None for the suite's."""

    kind: str
    outcome: Outcome
    reason: str | None
    apply: Callable[[OrderPlan], OrderPlan]


def order_dirt(locked_until: date) -> tuple[OrderDirt, ...]:
    """Every kind of bad order, in a fixed order."""
    return (
        OrderDirt("customer_null", "quarantined", "customer_missing", _raw(AccountId=None)),
        OrderDirt("date_null", "quarantined", "date_missing", _raw(EffectiveDate=None)),
        OrderDirt("text_in_freight", "quarantined", None, _raw(Freight__c="twelve pounds")),
        OrderDirt("text_in_quantity", "quarantined", None, _raw_line(Quantity="a dozen")),
        OrderDirt("price_null", "quarantined", None, _raw_line(UnitPrice=None)),
        OrderDirt("negative_quantity", "quarantined", None, _raw_line(Quantity=-3)),
        OrderDirt("discount_above_100", "quarantined", "discount_out_of_range", _raw_line(Discount_Percent__c=120)),
        OrderDirt(
            "total_not_sum_of_lines", "quarantined", "total_is_not_the_sum_of_lines", _raw(TotalAmount=Decimal("1.00"))
        ),
        OrderDirt("negative_freight", "quarantined", "freight_negative", _raw(Freight__c=Decimal("-12.50"))),
        OrderDirt("currency_nonsense", "quarantined", "no_such_currency", _raw(CurrencyIsoCode="XYZ")),
        OrderDirt("currency_not_kept", "held", "unknown_currency", _raw(CurrencyIsoCode="CHF")),
        OrderDirt("customer_unknown", "quarantined", "customer_not_found", _raw(AccountId=NO_SUCH_ACCOUNT)),
        OrderDirt("product_unknown", "held", "unknown_product", _line(product=UNKNOWN_PRODUCT.code)),
        OrderDirt("tax_code_unknown", "held", "unknown_tax_code", _line(tax_code="lunar")),
        OrderDirt(
            "period_locked", "held", "period_locked", lambda plan: _dated(plan, locked_until - timedelta(days=9))
        ),
        OrderDirt("no_lines", "held", "lines_missing", lambda plan: replace(plan, lines=(), freight=Decimal(0))),
        OrderDirt(TAKEN_NUMBER, "held", None, lambda plan: plan),
        OrderDirt("formula_in_reference", "posted", None, _raw(PoNumber="=1+1")),
        OrderDirt("emoji_in_reference", "posted", None, _raw(PoNumber="PO 🎉 مرحبا")),
    )


def spoil(plan: OrderPlan, dirt: OrderDirt) -> OrderPlan:
    """The same order with one kind of dirt in it."""
    return replace(dirt.apply(plan), outcome=dirt.outcome, reason=dirt.reason, dirt=dirt.kind)


@dataclass(frozen=True, slots=True)
class CustomerDirt:
    """What is wrong with a customer, and what becomes of an order of theirs."""

    kind: str
    outcome: Outcome
    reason: str | None


#: By kind; the customers of a kind that is not here are billed like any other.
CUSTOMER_DIRT: Mapping[str, CustomerDirt] = {
    dirt.kind: dirt
    for dirt in (
        CustomerDirt("duplicate_tax_id", "held", "duplicate_tax_id"),
        CustomerDirt("name_of_300_characters", "held", "customer_quarantined"),
        CustomerDirt("name_null", "held", "customer_quarantined"),
        CustomerDirt("ambiguous_in_ledger", "held", "customer_ambiguous"),
    )
}


def special_customers(customers: tuple[Customer, ...]) -> tuple[Customer, ...]:
    """The same customers, the last eight British companies made special (in the ledger too: demo_ledger.py)."""
    companies = [c for c in customers if c.country == "United Kingdom" and not c.person and not c.kind]
    one, two, long, nameless, twice, by_tax, by_name, new = companies[-8:]
    special = (
        replace(one, tax_id=SHARED_TAX_ID, kind="duplicate_tax_id"),
        replace(two, tax_id=SHARED_TAX_ID, kind="duplicate_tax_id"),
        replace(long, kind="name_of_300_characters", raw={"Name": LONG_NAME[:300]}),
        replace(nameless, kind="name_null", raw={"Name": None}),
        replace(twice, tax_id=None, kind="ambiguous_in_ledger"),
        replace(by_tax, tax_id=LEDGER_TAX_ID, kind="known_by_tax_id"),
        replace(by_name, tax_id=None, kind="known_by_name_and_address"),
        replace(new, kind="new_in_ledger"),
    )
    by_key = {customer.key: customer for customer in special}
    return tuple(by_key.get(customer.key, customer) for customer in customers)


def spoil_by_customer(plan: OrderPlan, customer: Customer) -> OrderPlan:
    """An order of a customer with something unusual about it."""
    dirt = CUSTOMER_DIRT.get(customer.kind or "")
    if dirt is None:
        return replace(plan, dirt=customer.kind)
    return replace(plan, outcome=dirt.outcome, reason=dirt.reason, dirt=dirt.kind)


def _raw(**fields: Any) -> Callable[[OrderPlan], OrderPlan]:
    return lambda plan: replace(plan, raw={**plan.raw, **fields})


def _raw_line(**fields: Any) -> Callable[[OrderPlan], OrderPlan]:
    return lambda plan: replace(plan, lines=(replace(plan.lines[0], raw=fields), *plan.lines[1:]))


def _line(**changes: Any) -> Callable[[OrderPlan], OrderPlan]:
    return lambda plan: replace(plan, lines=(replace(plan.lines[0], **changes), *plan.lines[1:]))


def _dated(plan: OrderPlan, day: date) -> OrderPlan:
    return replace(plan, day=day)
