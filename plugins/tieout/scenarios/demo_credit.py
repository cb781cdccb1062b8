"""Credit in the demo: limits by two people before the first run, an order that the CRM blocks, one that is let go.

Limits are what a careful controller would set: room for twice of what each customer bought. Two customers have less. Of
one the last order goes beyond the limit, so the gate holds it in the first run, and the controller releases it the next
day. The other has used its limit up: the CRM's own rule refuses to activate its next order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal

from sqlalchemy import Connection, Engine, text

from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection as SystemConnection
from tieout.model.errors import ConfigurationFault
from tieout.model.money import from_minor, to_minor
from tieout.scenarios.credit import releasing
from tieout.scenarios.crm_load import KEY_FIELD, ConnectorCrm
from tieout.scenarios.demo_books import DemoBooks, Expectation, load_price_list
from tieout.scenarios.demo_doors import Doors
from tieout.store import credit

CLERK, CONTROLLER = "Imani Okafor", "Ruth Meyer"
SOURCE = "demo-limits.csv"
FIRST_DAY = date(2020, 1, 1)
WHY = "they have paid by cheque"
#: What a careful limit is rounded up to, and at least leaves, in pounds.
STEP = Decimal(1_000)
#: Orders at each end of the books that demo_days.py may work on.
TOUCHED = 12


@dataclass(frozen=True, slots=True)
class CreditPlan:
    """What is to happen. `limits`: account key -> currency and amount; `held` and `blocked` are keys of orders.

    `held` is posted but for its credit, and goes one penny too far; `blocked` is a draft of a customer without room.
    """

    limits: Mapping[str, tuple[str, Decimal]]
    held: str
    blocked: str


@dataclass(frozen=True, slots=True)
class CreditDeeds:
    """What happened: the number of the order that the CRM refused, and what it said; of the one that was released."""

    refused: str
    said: str
    released: str | None


def credit_plan(books: DemoBooks) -> CreditPlan:
    """Chosen from the books, the same each time.

    Raises:
        ConfigurationFault: the books have no two customers that fit.
    """
    accounts = {record.key: str(record.fields["CurrencyIsoCode"]) for record in books.records["Account"]}
    orders: dict[str, list[Expectation]] = defaultdict(list)
    days = {record.key: str(record.fields.get("EffectiveDate")) for record in books.records["Order"]}
    for record in books.records["Order"]:
        account = getattr(record.fields.get("AccountId"), "key", None)
        if account in accounts:
            orders[account].append(books.expectations[record.key])
    plain = [key for key, found in orders.items() if _plain(found) and accounts[key] == "GBP"]
    # Finance works on the first invoices of the day, sales on the last orders: those in between are left alone.
    clean = [key for key, one in books.expectations.items() if one.outcome == "posted" and one.dirt is None]
    touched = {*clean[:TOUCHED], *clean[-TOUCHED:]}
    fitting = [key for key in sorted(plain) if not touched & {one.order for one in orders[key]}]
    more = next((key for key in fitting if len(_posted(orders[key])) >= 2 and not _drafts(orders[key])), None)
    used_up = next((key for key in fitting if _posted(orders[key]) and _drafts(orders[key])), None)
    if more is None or used_up is None:
        raise ConfigurationFault(f"the books of seed {books.seed} have no customers for the demo of credit")
    *before, last = sorted(_posted(orders[more]), key=lambda one: (days[one.order], one.order))
    limits = {key: (accounts[key], _careful(found, accounts[key])) for key, found in orders.items() if _posted(found)}
    limits[more] = ("GBP", sum(map(_gross, before), Decimal(0)) + _gross(last) - Decimal("0.01"))
    limits[used_up] = ("GBP", sum(map(_gross, _posted(orders[used_up])), Decimal(0)))
    return CreditPlan(limits, last.order, _drafts(orders[used_up])[0].order)


def setup_credit(engine: Engine, link: str, books: DemoBooks, ids: Mapping[str, str], sandbox_url: str) -> int:
    """Proposes and approves the limits, once, and deploys the CRM's rule; how many limits were new.

    Args:
        ids: key of a record -> its id in the CRM (`SeedReport.ids`).
    """
    Doors(sandbox_url).validation_rule("Order")
    plan = sorted(credit_plan(books).limits.items())
    limits = [
        credit.Limit(ids[key], FIRST_DAY, currency, to_minor(amount, currency), line=line)
        for line, (key, (currency, amount)) in enumerate(plan, start=2)
    ]
    with engine.begin() as conn:
        if credit.in_force(conn, link, date.max):
            return 0
        change = credit.propose(conn, link, limits, CLERK, SOURCE)
        credit.decide(conn, change, CONTROLLER, approved=True, note="the demo's opening limits")
    return len(limits)


def credit_day(engine: Engine, crm: SystemConnection, link: str, books: DemoBooks) -> CreditDeeds:
    """Sales tries to activate the order for which there is no room; the controller releases the one that waits.

    Run it after a credit sync: the CRM's rule reads what that brought. Again, it releases nothing a second time.

    Raises:
        ConfigurationFault: the CRM did not refuse the order.
    """
    plan = credit_plan(books)
    connector = SalesforceConnector(crm)
    try:
        sales = ConnectorCrm(connector)
        orders = {row[KEY_FIELD]: row for row in sales.rows("Order", [KEY_FIELD, "OrderNumber"])}
        answer = sales.update("Order", [{"Id": orders[plan.blocked]["Id"], "Status": "Activated"}])[0]
    finally:
        connector.close()
    if answer.id is not None:
        raise ConfigurationFault(f"{plan.blocked}: the CRM activated an order beyond the available credit")
    held = str(orders[plan.held]["Id"])
    released = None
    with engine.begin() as conn:
        if any(one.source_id == held and not one.released_by for one in releasing.held(conn, link)):
            released = releasing.release(conn, held, CONTROLLER, WHY, link).source_number
    return CreditDeeds(str(orders[plan.blocked]["OrderNumber"]), answer.error, released)


def in_a_line(conn: Connection, link: str) -> str:
    """What the store knows of it now, for the closing summary."""
    limits = len(credit.in_force(conn, link, date.max))
    words = f"{limits} limits, proposed by {CLERK} and approved by {CONTROLLER}"
    for one in credit.given(conn, link, 1):
        outcome = conn.execute(
            text("select outcome from tieout.document where link = :link and object = :object and source_id = :id"),
            {"link": link, "object": one.object, "id": one.source_id},
        ).scalar()
        worth = f"{from_minor(one.amount_minor, one.currency):,f} {one.currency}"
        words += f"; order {one.source_number} of {worth} waited beyond its limit until {one.released_by} released it"
        words += f", now {outcome}"
    return words


def _plain(found: Sequence[Expectation]) -> bool:
    return all(one.dirt is None and one.currency == "GBP" for one in found)


def _posted(found: Sequence[Expectation]) -> list[Expectation]:
    return [one for one in found if one.outcome == "posted"]


def _drafts(found: Sequence[Expectation]) -> list[Expectation]:
    return [one for one in found if one.outcome == "not_billable"]


def _gross(one: Expectation) -> Decimal:
    return (one.net or Decimal(0)) + (one.tax or Decimal(0))


def _careful(found: Sequence[Expectation], currency: str) -> Decimal:
    """Twice of what was bought, rounded up, in the customer's currency by the price list's factors."""
    factors = load_price_list().factors
    pounds = sum((_gross(one) / factors[one.currency] for one in _posted(found)), Decimal(0))
    steps = (2 * pounds / STEP).to_integral_value(ROUND_CEILING) + 1
    return (steps * STEP * factors[currency]).to_integral_value(ROUND_CEILING)
