"""Northwind's real files, from the CSV to the ledger: the books against plain Decimal arithmetic, and a second run."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from tests.proofs.company import Company, company_of, load_company
from tests.proofs.credit_proof import prove_credit
from tests.proofs.northwind_arithmetic import expected_northwind
from tests.proofs.returns_proof import prove_returns
from tests.support.days import today
from tests.support.shared import require_shared
from tieout.reconcile import lines
from tieout.scenarios import reconciliation

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.mark.timeout(900)  # seconds: billing, credit and returns of all of it, on a machine that does other things too
@pytest.mark.proves(
    "Northwind's orders from CSV files are billed to the cent; a second run writes nothing",
    scenario="quote_to_cash",
    pair=("salesforce", "xero"),
    ties_out=True,
)
@pytest.mark.proves(
    "Northwind's limits, payments and balances are in the CRM to the cent",
    scenario="credit_sync",
    pair=("salesforce", "xero"),
)
@pytest.mark.proves(
    "Northwind's returns are credited, set off and paid back to the cent",
    scenario="returns",
    pair=("salesforce", "xero"),
)
def test_northwind_is_billed_to_the_cent_and_a_second_run_does_nothing(database_url: str, tmp_path: Path) -> None:
    folder = require_shared("data", "northwind")
    expected = expected_northwind(folder)
    loaded = load_company(folder, "northwind", tmp_path / "loaded")
    # Every row that the arithmetic could not read is in the load's report, file by file.
    assert Counter(name for name, _, _ in expected.broken) == Counter(one.file for one in loaded.report.refused)
    assert {(name, line) for name, line, _ in expected.broken} == {
        (one.file, one.line) for one in loaded.report.refused
    }
    assert loaded.report.activated == len(expected.orders)

    with company_of(loaded, database_url, tmp_path / "sandbox") as company:
        company.counting()
        began = time.process_time()
        first = company.run()
        first_seconds, (first_writes, first_calls) = time.process_time() - began, company.counted()
        assert (first["posted"], first["read"]) == (len(expected.orders), len(expected.orders))
        assert first["amounts"] == {"USD": {"read": _cents(expected.total), "posted": _cents(expected.total)}}
        assert first_writes > 0

        books = company.books()
        books.assert_no_duplicates()
        assert {one["Reference"]: one["SubTotal"] for one in books.invoices} == expected.orders
        assert all(one["Total"] == one["SubTotal"] and one["Status"] == "AUTHORISED" for one in books.invoices)
        assert _by_customer(company) == expected.by_customer
        assert books.total == expected.total
        assert _freight(company) == sum(expected.freight.values())
        # The CRM shows each invoice on its order.
        shown = {row["PoNumber"]: row for row in company.crm_rows("Order", "PoNumber", "Tieout_Invoice_Total__c")}
        assert {key: row["Tieout_Invoice_Total__c"] for key, row in shown.items()} == expected.orders

        before = company.snapshot()
        company.counting()
        began = time.process_time()
        second = company.run()
        second_seconds, (second_writes, second_calls) = time.process_time() - began, company.counted()
        assert (second["posted"], second["unchanged"]) == (0, len(expected.orders))
        assert company.snapshot() == before
        assert second_writes == 0
        assert company.books().essence() == books.essence()
        _ties_out(company, len(expected.orders), expected.total)
        paid = prove_credit(company, expected)
        prove_returns(company, folder, expected, paid)
    _report(
        tmp_path, orders=len(expected.orders), total=str(expected.total), first_calls=first_calls,
        first_cpu_seconds=round(first_seconds, 2), second_calls=second_calls,
        second_cpu_seconds=round(second_seconds, 2), second_share=round(second_seconds / first_seconds, 3),
    )  # fmt: skip


def _ties_out(company: Company, count: int, total: Decimal) -> None:
    """The reconciliation, which reads both systems anew, comes to the same books and finds nothing in the documents."""
    with company.services() as services:
        numbers = reconciliation.run(services, as_of=today(company.link))
        with services.engine.connect() as conn:
            breaks = lines.breaks(conn, company.link.name, most=10_000)
    sides = {one["area"]: one for one in numbers["totals"] if one["area"] in reconciliation.SALES}
    assert numbers["state"] == "tied" and not [one for one in breaks if one["area"] in reconciliation.SALES]
    invoices = sides["invoices"]
    assert (invoices["a_count"], invoices["a_amount"]) == (count, _cents(total))
    assert (invoices["b_count"], invoices["b_amount"], invoices["unexplained"]) == (count, _cents(total), 0)


def _cents(amount: Decimal) -> int:
    return int(amount * 100)


def _by_customer(company: Company) -> dict[str, Decimal]:
    """customerID of the file -> what the ledger billed to its contact."""
    numbers = {row["Id"]: row["AccountNumber"] for row in company.crm_rows("Account", "AccountNumber")}
    with company.hand() as hand:
        contacts = {one["ContactID"]: numbers[one["ContactNumber"]] for one in hand.all("Contacts")}
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for one in company.books().invoices:
        totals[contacts[one["Contact"]["ContactID"]]] += one["SubTotal"]
    return dict(totals)


def _freight(company: Company) -> Decimal:
    """What is billed on the freight item, line by line."""
    lines = [line for one in company.books().invoices for line in one["LineItems"]]
    assert lines, "a page of invoices carries their lines"
    return sum((line["LineAmount"] for line in lines if line.get("ItemCode") == "FREIGHT"), Decimal(0))


def _report(place: Path, **numbers: object) -> None:
    """Costs are told, not judged: how long a machine takes says nothing about the books."""
    path = Path(os.environ.get("TIEOUT_PROOFS_REPORT", place)) / "northwind_cost.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(numbers, indent=2))
    print(json.dumps(numbers))
