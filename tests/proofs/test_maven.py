"""Maven's real deals: won ones become invoices of their close value, one approval lets 729 go that stood under another
name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.proofs.company import Books, Company, company_of, load_company
from tests.proofs.maven_arithmetic import Expected, expected_maven
from tests.support.days import today
from tests.support.shared import require_shared
from tieout.reconcile import lines
from tieout.scenarios import reconciliation
from tieout.store import aliases

pytestmark = [pytest.mark.long, pytest.mark.shared]


@pytest.mark.proves(
    "Maven's won deals are billed to the cent; one approval lets go what was held",
    scenario="quote_to_cash",
    pair=("salesforce", "xero"),
)
def test_maven_bills_its_won_deals_and_one_approval_lets_the_rest_go(database_url: str, tmp_path: Path) -> None:
    folder = require_shared("data", "maven_crm")
    expected = expected_maven(folder)
    loaded = load_company(folder, "maven", tmp_path / "loaded")
    assert loaded.report.refused == () and not expected.broken
    with company_of(loaded, database_url, tmp_path / "sandbox") as company:
        expected = _without_an_account(company, expected)
        first = company.run()
        assert first["posted"] == len(expected.with_account)
        assert sorted(first["reasons"]) == [
            ["held", "customer_missing", len(expected.without_account)],
            ["held", "unknown_product", len(expected.alias)],
        ]
        assert _billed(company.books()) == expected.with_account
        assert _held(company, "unknown_product") == expected.alias
        assert _held(company, "customer_missing") == expected.without_account

        _ties_out(company, expected.with_account, {**expected.alias, **expected.without_account})
        with company.engine.begin() as conn:
            assert aliases.approve(conn, "maven", "product", "GTXPro", "GTX Pro", by="a person")
        second = company.run()
        assert (second["posted"], second["unchanged"]) == (len(expected.alias), len(expected.with_account))
        assert second["reasons"] == [["held", "customer_missing", len(expected.without_account)]]
        books = company.books()
        books.assert_no_duplicates()
        assert _billed(books) == {**expected.with_account, **expected.alias}
        assert books.total == expected.total_with_account + expected.total_alias
        assert _by_account(books) == expected.by_account
        _ties_out(company, {**expected.with_account, **expected.alias}, expected.without_account)
        assert _held(company, "customer_missing") == expected.without_account


def _without_an_account(company: Company, expected: Expected) -> Expected:
    """In the files every won deal has an account; somebody takes it from one, so that there is one to hold."""
    deal, amount = next(iter(expected.with_account.items()))
    row = next(row for row in company.crm_rows("Opportunity", "Name", "AccountId") if row["Name"].startswith(deal))
    with company.crm_hand() as crm:
        assert crm.update("Opportunity", [{"Id": row["Id"], "AccountId": None}])[0].id
    account = next(one["Name"] for one in company.crm_rows("Account", "Name") if one["Id"] == row["AccountId"])
    return replace(
        expected,
        with_account={key: net for key, net in expected.with_account.items() if key != deal},
        without_account={**expected.without_account, deal: amount},
        by_account={**expected.by_account, account: expected.by_account[account] - amount},
        total_with_account=expected.total_with_account - amount,
    )


def _billed(books: Books) -> dict[str, Decimal]:
    """Deal id of the file -> net."""
    return {_deal(one["Reference"]): one["SubTotal"] for one in books.invoices}


def _deal(name: str) -> str:
    """A deal is named `<opportunity_id> <product>`."""
    return name.split()[0]


def _by_account(books: Books) -> Mapping[str, Decimal]:
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for one in books.invoices:
        totals[one["Contact"]["Name"]] += one["SubTotal"]
    return totals


def _held(company: Company, reason: str) -> dict[str, Decimal]:
    """Deal id of the file -> the CRM's amount, of those that wait for this reason."""
    names: dict[str, Any] = {row["Id"]: row for row in company.crm_rows("Opportunity", "Name", "Amount")}
    with company.engine.connect() as conn:
        ids = conn.execute(
            sa.text("select source_id from tieout.document where outcome = 'held' and reason = :reason"),
            {"reason": reason},
        ).scalars()
        return {_deal(names[one]["Name"]): Decimal(names[one]["Amount"]) for one in ids}


def _ties_out(company: Company, billed: Mapping[str, Decimal], held: Mapping[str, Decimal]) -> None:
    """What is billed ties; each deal that is held is a break of its value, in the class that says so."""
    with company.services() as services:
        numbers = reconciliation.run(services, as_of=today(company.link))
        with services.engine.connect() as conn:
            breaks = lines.breaks(conn, company.link.name, area="invoices", most=10_000)
    [invoices] = [one for one in numbers["totals"] if one["area"] == "invoices"]
    assert (invoices["a_count"], invoices["b_count"]) == (len(billed) + len(held), len(billed))
    assert invoices["b_amount"] == sum(billed.values()) * 100 and invoices["unexplained"] == 0
    assert invoices["a_amount"] - invoices["b_amount"] == sum(held.values()) * 100
    assert {one["class"] for one in breaks} <= {"rejected_or_held"}
    assert sorted(one["amount"] for one in breaks) == sorted(amount * 100 for amount in held.values())
