"""The report of a period: its figures, what is dated across its borders, and that all periods come to the whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import Return
from tests.support.periods import FLOWS, MONTHS, Company, quick
from tests.support.sandbox import SandboxProcess
from tieout.reconcile import period_report
from tieout.scenarios import quote_to_cash, returns

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "the reports of all periods come to the whole, whatever was dated across their borders",
        scenario="reconciliation",
        pair=("salesforce", "xero"),
    ),
]
JANUARY, FEBRUARY, MARCH = (MONTHS.period(f"FY2026-P{number:02}") for number in (1, 2, 3))


@pytest.fixture
def company(sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    quick(monkeypatch)
    made = Company(sandbox, engine)
    yield made
    made.world.close()


def figures(numbers: dict[str, Any]) -> dict[tuple[str, str], tuple[int, int]]:
    """(area, currency) -> (CRM, ledger), where there is something."""
    return {(one["area"], one["currency"]): (one["a_amount"], one["b_amount"]) for one in numbers["totals"]}


def differences(company: Company, numbers: dict[str, Any]) -> list[tuple[str, str, str, str, int]]:
    with company.engine.connect() as conn:
        found = period_report.lines(conn, numbers["report"])
    return sorted((one.area, one.component, one.class_, one.currency, one.amount) for one in found)


def test_each_month_ties_and_has_its_own_documents_alone(company: Company) -> None:
    reports = {period: company.report(period) for period in (JANUARY, FEBRUARY, MARCH)}
    assert [(one["state"], differences(company, one)) for one in reports.values()] == [("tied", [])] * 3
    assert figures(reports[JANUARY]) == {
        ("invoices", "EUR"): (40000, 40000), ("invoices", "GBP"): (30000, 30000), ("tax", "GBP"): (4000, 4000),
    }  # fmt: skip
    assert figures(reports[FEBRUARY]) == {("invoices", "EUR"): (50000, 50000), ("invoices", "GBP"): (35000, 35000)}
    assert figures(reports[MARCH]) == {("invoices", "GBP"): (115000, 115000)}


def test_what_was_moved_across_the_border_is_told_with_the_amount_that_it_moves(company: Company) -> None:
    invoice = company.invoice("J-2")
    company.world.hand.change("Invoices", {"InvoiceID": invoice["InvoiceID"], "Date": "2026-02-02"})
    company.sync()
    january, february = company.report(JANUARY), company.report(FEBRUARY)
    moved = [("invoices", "period", "date", "GBP", 20000), ("tax", "period", "date", "GBP", 4000)]
    assert (january["state"], february["state"]) == ("tied", "tied")
    # The dates differ as well, which has no amount and is told where the order is.
    assert [one for one in differences(company, january) if one[4]] == moved
    assert ("invoices", "date", "date", "GBP", 0) in differences(company, january)
    assert differences(company, february) == [(*one[:4], -one[4]) for one in moved]
    with company.engine.connect() as conn:
        [line] = [one for one in period_report.lines(conn, january["report"]) if one.area == "invoices" and one.amount]
    assert "200.00 GBP in the CRM and 0.00 GBP in the ledger are dated in this period" in line.explanation
    assert "2026-01-31" in line.explanation and "2026-02-02" in line.explanation


def test_all_periods_come_to_the_whole_whatever_was_done(company: Company) -> None:
    """Dates across borders, credits of whole invoices and a bill anew, payments in parts, back-dated ones and refunds
    in other months than their invoices, returns, an invoice by hand, a lost one, in two currencies."""
    world, hand = company.world, company.world.hand
    hand.change("Invoices", {"InvoiceID": company.invoice("J-2")["InvoiceID"], "Date": "2026-02-02"})
    hand.pay(company.invoice("J-1")["InvoiceID"], Decimal("40.00"), date(2026, 1, 31))
    hand.pay(company.invoice("J-1")["InvoiceID"], Decimal("60.00"), date(2026, 2, 1))
    hand.pay(company.invoice("J-3")["InvoiceID"], Decimal("100.00"), date(2026, 3, 1))
    hand.pay(company.invoice("F-3")["InvoiceID"], Decimal("500.00"), date(2026, 2, 27))
    hand.pay(company.invoice("M-1")["InvoiceID"], Decimal("50.00"), date(2026, 3, 20))
    hand.receive("overpayment", world._contact("Acme Ltd"), Decimal("12.50"), date(2026, 2, 15))
    hand.invoice("HAND-1", {"Name": "Bolt Ltd"}, Decimal("77.00"), date(2026, 1, 5), "GBP")
    world._enter_return(Return.model_validate(
        {"return": "R-1", "order": "M-2", "lines": [{"line": 1, "quantity": 3}]}
    ))  # fmt: skip
    company.sync()
    # The CRM's order changes after it was billed: credited as a whole and billed anew.
    world._change_order(type("Step", (), {"set": {"quantity": Decimal(5)}, "line": 1})(), "F-2")  # type: ignore[arg-type]
    company.sync()
    # What is not carried over any more: back-dated, on both sides of a border, and something lost.
    hand.pay(company.invoice("M-1")["InvoiceID"], Decimal("25.00"), date(2026, 1, 15))
    hand.pay(company.invoice("F-1")["InvoiceID"], Decimal("20.00"), date(2026, 3, 2))
    hand.void(company.invoice("F-2")["InvoiceID"])
    whole = company.reconcile()
    assert whole["state"] == "tied"

    a: Counter[tuple[str, str]] = Counter()
    b: Counter[tuple[str, str]] = Counter()
    by_class: Counter[tuple[str, str, str, int]] = Counter()
    moved: defaultdict[tuple[str, str], int] = defaultdict(int)
    for period in MONTHS.between(date(2025, 12, 1), datetime.now(UTC).date()):
        report = company.report(period)
        assert report["state"] == "tied", report
        for one in report["totals"]:
            a[one["area"], one["currency"]] += one["a_amount"]
            b[one["area"], one["currency"]] += one["b_amount"]
        for area, component, class_, currency, amount in differences(company, report):
            if component == "period":
                moved[area, currency] += amount
            elif amount:
                by_class[area, class_, currency, amount] += 1
    totals = {(one["area"], one["currency"]): one for one in whole["totals"] if one["area"] in FLOWS}
    assert {key: (a[key], b[key]) for key in totals} == {
        key: (one["a_amount"], one["b_amount"]) for key, one in totals.items()
    }
    assert set(moved.values()) == {0}
    with company.engine.connect() as conn:
        rows = conn.execute(
            sa.text(
                "select area, class, currency, amount from tieout.break where cleared_on is null and amount <> 0 "
                "and area = any(:flows)"
            ),
            {"flows": list(FLOWS)},
        )
        assert by_class == Counter(tuple(row) for row in rows)


def test_as_it_was_known_at_an_earlier_instant(company: Company) -> None:
    before = company.report(JANUARY)
    with company.engine.connect() as conn:
        known = period_report.get(conn, before["report"]).known_at
    company.world.hand.change("Invoices", {"InvoiceID": company.invoice("J-1")["InvoiceID"], "Date": "2026-03-02"})
    company.sync()
    assert company.report(JANUARY)["hash"] != before["hash"]
    assert company.report(JANUARY, known)["hash"] == before["hash"]


def test_a_return_and_its_credit_are_in_the_month_of_the_credit(company: Company) -> None:
    company.world._enter_return(Return.model_validate(
        {"return": "R-1", "order": "J-1", "lines": [{"line": 1, "quantity": 1}]}
    ))  # fmt: skip
    company.sync(returns, quote_to_cash, returns)
    today = MONTHS.period_of(datetime.now(UTC).date())
    report = company.report(today)
    assert report["state"] == "tied"
    assert figures(report)["credit_memos", "GBP"] == (5000, 5000)
    assert ("credit_memos", "GBP") not in figures(company.report(JANUARY))


def test_a_finished_report_never_changes(company: Company) -> None:
    report = company.report(JANUARY)
    for statement in (
        "update tieout.period_report set hash = 'x'", "delete from tieout.period_report",
        "update tieout.period_report_total set a_amount = 0", "delete from tieout.period_report_total",
        "update tieout.period_report_document set amount = 0", "delete from tieout.period_report_item",
        f"insert into tieout.period_report_document select {report['report']}, 'a', 'x', 'y', 'GBP', 2, 1, now()",
    ):  # fmt: skip
        with pytest.raises(sa.exc.DBAPIError), company.engine.begin() as conn:
            conn.execute(sa.text(statement))


def test_deals_are_reported_as_orders_are(
    sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    lines = [{"product": "CHAIR", "quantity": 3, "price": Decimal("50.00")}]
    company = Company(sandbox, engine, {
        "story": "Two won deals.", "today": "2026-03-31",
        "link": {"reconciliation": {"cut_off_hours": 0}, "policies": {"trigger": "opportunity_won"}},
        "crm": {
            "accounts": [{"name": "Acme Ltd", "city": "Leeds", "country": "United Kingdom"}],
            "deals": [{"deal": "D-1", "account": "Acme Ltd", "date": "2026-01-31", "lines": lines},
                      {"deal": "D-2", "account": "Acme Ltd", "date": "2026-02-01", "lines": lines}],
        },
    })  # fmt: skip
    company.world.hand.pay(company.invoice("D-1")["InvoiceID"], Decimal("10.00"), date(2026, 2, 5))
    company.sync()
    january, february = company.report(JANUARY), company.report(FEBRUARY)
    assert (january["state"], differences(company, january), differences(company, february)) == ("tied", [], [])
    assert figures(january) == {("invoices", "GBP"): (15000, 15000)}
    assert figures(february) == {("invoices", "GBP"): (15000, 15000), ("payments", "GBP"): (1000, 1000)}
    company.world.close()
