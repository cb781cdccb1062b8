"""Northwind's credit to the cent: limits, payments and balances by a seeded plan, against plain Decimal arithmetic.

The expected figures come from the CSV files' own sums (northwind_arithmetic.py) and the plan below; of the product
only the scenario and the policy's approval are called, and what the CRM shows is read by its API.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.proofs.company import Company
from tests.proofs.northwind_arithmetic import CENT, Expected
from tieout.scenarios import credit_sync
from tieout.store import credit

SEED = 20260331
SHOWN = ("Tieout_Credit_Limit__c", "Tieout_Open_Balance__c", "Tieout_Overdue_Amount__c", "Tieout_Available_Credit__c")


def prove_credit(company: Company, expected: Expected) -> dict[str, Decimal]:
    """Finance sets limits and takes payments; the CRM then shows each customer's credit exactly; again, nothing.

    Returns:
        Order -> what was paid on its invoice.
    """
    accounts = {row["AccountNumber"]: row["Id"] for row in company.crm_rows("Account", "AccountNumber")}
    draw = random.Random(SEED)
    billed = sorted(expected.by_customer)
    limits = {name: _limit(expected.by_customer[name], draw) for name in draw.sample(billed, len(billed) * 3 // 4)}
    _approve(company, {accounts[name]: minor for name, minor in limits.items()})
    paid_by_order = _pay(company, expected, draw)
    paid: dict[str, Decimal] = defaultdict(Decimal)
    for order, amount in paid_by_order.items():
        paid[expected.customer_of[order]] += amount

    wanted: dict[str, tuple[Decimal | None, ...]] = {}
    for name in billed:
        owed = expected.by_customer[name] - paid[name]
        limit = None if name not in limits else Decimal(limits[name]) / 100
        # Every invoice of Northwind's is due in the last century: what is open is overdue.
        wanted[name] = (limit, owed, owed, None if limit is None else limit - owed)
    with company.services() as services:
        first = credit_sync.run(services)
    assert (first["posted"], first["held"], first["quarantined"]) == (len(billed), 0, 0)
    total = sum((expected.by_customer[name] - paid[name] for name in billed), Decimal(0))
    assert first["amounts"] == {"USD": {"read": int(total * 100), "posted": int(total * 100)}}
    assert _shown(company) == wanted
    assert any(figures[3] is not None and figures[3] < 0 for figures in wanted.values()), "some owe more than they may"

    company.counting()
    with company.services() as services:
        second = credit_sync.run(services)
    assert (second["posted"], second["unchanged"], company.counted()[0]) == (0, len(billed), 0)
    return paid_by_order


def _limit(billed: Decimal, draw: random.Random) -> int:
    """Cents: between half and twice of what the customer was billed."""
    return int((billed * draw.randint(50, 200)).quantize(Decimal(1), ROUND_HALF_UP))


def _approve(company: Company, limits: Mapping[str, int]) -> None:
    rows = [credit.Limit(account, date(1996, 1, 1), "USD", minor) for account, minor in sorted(limits.items())]
    with company.engine.begin() as conn:
        change = credit.propose(conn, company.link.name, rows, "a clerk", "limits.csv")
        credit.decide(conn, change, "a controller", approved=True)


def _pay(company: Company, expected: Expected, draw: random.Random) -> dict[str, Decimal]:
    """Takes 30 whole and 30 part payments; order -> what came in."""
    paid: dict[str, Decimal] = {}
    invoices: dict[str, Any] = {one["Reference"]: one["InvoiceID"] for one in company.books().invoices}
    chosen = draw.sample(sorted(order for order, net in expected.orders.items() if net >= 1), 60)
    with company.hand() as hand:
        for number, order in enumerate(chosen):
            net = expected.orders[order]
            amount = net if number % 2 else (net * draw.randint(1, 99) / 100).quantize(CENT, ROUND_HALF_UP)
            hand.pay(invoices[order], amount, date(1998, 6, 1))
            paid[order] = amount
    return paid


def _shown(company: Company) -> dict[str, tuple[Decimal | None, ...]]:
    """customerID -> what the CRM shows of its credit, of the accounts that show any."""
    rows = company.crm_rows("Account", "AccountNumber", *SHOWN)
    return {row["AccountNumber"]: tuple(row[name] for name in SHOWN) for row in rows if row[SHOWN[1]] is not None}
