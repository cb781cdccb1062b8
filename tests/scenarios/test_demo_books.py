"""The whole demo in one process: seeded, billed, compared with what its generator says must become of each order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from tests.scenarios.world import services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.mapping.load import load_link
from tieout.model.settings import PROJECT
from tieout.scenarios import credit_sync, quote_to_cash, returns
from tieout.scenarios.crm_load import ConnectorCrm
from tieout.scenarios.demo_credit import credit_day, credit_plan, in_a_line, setup_credit
from tieout.scenarios.demo_data import generate
from tieout.scenarios.demo_days import finance_day, sales_day
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.demo_ledger import setup_ledger
from tieout.scenarios.demo_returns import returns_day
from tieout.scenarios.demo_seed import seed
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services

TODAY = date(2026, 3, 31)
BOOKS = generate(20, TODAY)
PLAN = credit_plan(BOOKS)
#: What must become of each order: as the generator says, but for the one beyond its customer's credit.
EXPECTED = {
    key: replace(one, outcome="held", reason="credit_exceeded", net=None) if key == PLAN.held else one
    for key, one in BOOKS.expectations.items()
}
DECIMALS = {"GBP": 2, "EUR": 2, "USD": 2, "JPY": 0}


@pytest.fixture
def services(sandbox: SandboxProcess, engine: Engine) -> Iterator[Services]:
    crm, ledger = crm_connection(sandbox), ledger_connection(sandbox)
    Doors(sandbox.url).settings("xero", limits={"minute": 100_000, "day": 100_000, "app_minute": 100_000})
    with services_of(load_link(PROJECT / "include" / "links" / "demo.yaml"), crm, ledger, engine) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.proves(
    "every order of the demo, dirty ones too, becomes what its generator says",
    scenario="quote_to_cash",
    pair=("salesforce", "xero"),
)
def test_every_order_of_the_demo_becomes_what_its_generator_says(services: Services, sandbox: SandboxProcess) -> None:
    crm, ledger = crm_connection(sandbox), ledger_connection(sandbox)
    report = seed(crm, sandbox.url, BOOKS)
    setup_ledger(ledger, sandbox.url, BOOKS, report.taken_order_number)
    assert setup_credit(services.engine, "demo", BOOKS, report.ids, sandbox.url) == len(PLAN.limits) > 100
    assert setup_credit(services.engine, "demo", BOOKS, report.ids, sandbox.url) == 0, "once"
    first = quote_to_cash.run(services)
    assert _differences(services.engine, report.ids) == []
    assert _ledger_differences(sandbox, report.order_numbers) == []
    outcomes = [expected.outcome for expected in EXPECTED.values()]
    assert (first["posted"], first["quarantined"], first["held"]) == tuple(
        outcomes.count(outcome) for outcome in ("posted", "quarantined", "held")
    )
    synced = credit_sync.run(services)
    assert synced["posted"] >= len(PLAN.limits) and synced["held"] == 0
    second = quote_to_cash.run(services)
    assert (second["posted"], second["unchanged"]) == (0, first["posted"])
    back = returns_day(crm, ledger, BOOKS, TODAY)
    credited = returns.run(services)
    assert (credited["posted"], credited["held"]) == (5, 3)
    assert _returned(services.engine, sandbox) == {one.number: (one.outcome, one.reason) for one in back}
    with LedgerHand(ledger) as hand:
        (refund,) = (one for one in hand.all("Payments") if one["PaymentType"] == "ARCREDITPAYMENT")
        assert all(one["Status"] == "PAID" for one in hand.all("CreditNotes"))
    assert refund["Amount"] > 0
    assert returns_day(crm, ledger, BOOKS, TODAY) == ()
    sales, finance = sales_day(crm, BOOKS), finance_day(ledger, TODAY)
    assert sales and finance
    done = credit_day(services.engine, crm, "demo", BOOKS)
    assert "available credit" in done.said
    assert (done.refused, done.released) == tuple(report.order_numbers[key] for key in (PLAN.blocked, PLAN.held))
    third = quote_to_cash.run(services)
    mended = [deed for deed in sales if deed.kind == "mended"]
    assert third["quarantined"] + third["held"] == second["quarantined"] + second["held"] - len(mended) - 1
    again = credit_day(services.engine, crm, "demo", BOOKS)
    assert (again.refused, again.released) == (done.refused, None)
    with services.engine.connect() as conn:
        assert in_a_line(conn, "demo").endswith("waited beyond its limit until Ruth Meyer released it, now posted")


def _returned(engine: Engine, sandbox: SandboxProcess) -> dict[str, tuple[str, str | None]]:
    """Number of the order -> what became of the return of it."""
    connector = SalesforceConnector(crm_connection(sandbox))
    try:
        crm = ConnectorCrm(connector)
        orders = {row["Id"]: row["OrderNumber"] for row in crm.rows("Order", ["OrderNumber"])}
        of = {row["Id"]: orders[row["OrderId"]] for row in crm.rows("ReturnOrder", ["OrderId"])}
    finally:
        connector.close()
    with engine.connect() as conn:
        found = conn.execute(
            text("select source_id, outcome, reason from tieout.document where object = 'return_order'")
        )
        return {of[row.source_id]: (row.outcome, row.reason) for row in found}


def _differences(engine: Engine, ids: Mapping[str, str]) -> list[str]:
    """Judgements that are not the generator's."""
    with engine.connect() as conn:
        rows = conn.execute(text("select source_id, outcome, reason, posted_minor from tieout.document")).all()
    found = {row.source_id: row for row in rows}
    wrong = []
    for key, expected in EXPECTED.items():
        row = found[ids[key]]
        wanted = None if expected.net is None else int(expected.net.scaleb(DECIMALS[expected.currency]))
        posted = row.posted_minor if row.outcome == "posted" else None
        same_reason = expected.reason is None or expected.reason == row.reason
        if row.outcome != expected.outcome or not same_reason or posted != wanted:
            wrong.append(f"{key} {expected.dirt}: expected {expected.outcome} {expected.reason} {wanted}, found {row}")
    return wrong


def _ledger_differences(sandbox: SandboxProcess, numbers: Mapping[str, str]) -> list[str]:
    """Net and tax of each invoice in the ledger against the generator's, to the cent."""
    with LedgerHand(ledger_connection(sandbox)) as hand:
        invoices = {invoice["InvoiceNumber"]: invoice for invoice in hand.all("Invoices") if invoice.get("Url")}
    wrong = []
    for key, expected in EXPECTED.items():
        invoice = invoices.pop(f"INV-{numbers[key]}", None)
        if expected.net is None:
            if invoice is not None:
                wrong.append(f"{key} {expected.dirt}: was not to be posted")
            continue
        if invoice is None or invoice["SubTotal"] != expected.net or invoice["CurrencyCode"] != expected.currency:
            wrong.append(f"{key}: expected {expected.net} {expected.currency}, found {invoice and invoice['SubTotal']}")
        elif abs(invoice["TotalTax"] - (expected.tax or 0)) > Decimal("0.06"):
            wrong.append(f"{key}: expected tax {expected.tax}, found {invoice['TotalTax']}")
    return [*wrong, *(f"{number}: not expected" for number in invoices)]
