"""Credit in the demo: finance approves limits for the demo's customers, the CRM gets the rule that blocks orders.

Limits are what a careful controller would set: most customers have room, every tenth has little. No policy of the
demo's link changes: its gate stays off unless the link says `credit: hold`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import Engine

from tieout.model.link import Link
from tieout.model.money import to_minor
from tieout.model.settings import Settings
from tieout.scenarios.credit.proposing import customers
from tieout.scenarios.demo_doors import Doors
from tieout.store import credit

CLERK, CONTROLLER = "Imani Okafor", "Ruth Meyer"
SOURCE = "demo-limits.csv"
FIRST_DAY = date(2020, 1, 1)
#: Whole units of the customer's currency; every LOW_EVERY-th customer gets LOW.
USUAL, LOW, LOW_EVERY = 50_000, 500, 10


def credit_day(engine: Engine, settings: Settings, link: Link, sandbox_url: str) -> int:
    """Approves limits for all customers that were read, once, and deploys the CRM's rule; how many limits were new.

    Run it after the first credit-sync (which reads the customers), then sync again.

    Raises:
        ConfigurationFault: no account was read yet.
    """
    Doors(sandbox_url).validation_rule("Order")
    with engine.connect() as conn:
        there = credit.in_force(conn, link.name, date.max)
    limits: list[credit.Limit] = []
    for number, one in enumerate(sorted(customers(engine, settings, link), key=lambda found: found.account_id)):
        if one.currency is None or one.account_id in there:
            continue
        units = LOW if number % LOW_EVERY == LOW_EVERY - 1 else USUAL
        minor = to_minor(Decimal(units), one.currency)
        limits.append(credit.Limit(one.account_id, FIRST_DAY, one.currency, minor, line=len(limits) + 2))
    if limits:
        with engine.begin() as conn:
            change = credit.propose(conn, link.name, limits, CLERK, SOURCE)
            credit.decide(conn, change, CONTROLLER, approved=True, note="the demo's opening limits")
    return len(limits)
