"""The demo's books and the CSV folders in a real sandbox, over HTTP: complete, and the second time nothing."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tests.support.shared import require_shared
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.scenarios.crm_load import KEY_FIELD, ConnectorCrm
from tieout.scenarios.demo_books import DemoBooks
from tieout.scenarios.demo_data import generate
from tieout.scenarios.demo_days import finance_day, sales_day
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.demo_ledger import setup_ledger
from tieout.scenarios.demo_seed import SeedReport, seed
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.load_csv import load_folder

TODAY = date(2026, 3, 31)
BOOKS: DemoBooks = generate(20, TODAY)


def seeded(sandbox: SandboxProcess) -> SeedReport:
    return seed(crm_connection(sandbox), sandbox.url, BOOKS)


def rows(sandbox: SandboxProcess, name: str, *fields: str) -> dict[str, dict[str, object]]:
    """Records of an object by our key."""
    connector = SalesforceConnector(crm_connection(sandbox))
    try:
        return {str(row[KEY_FIELD]): dict(row) for row in ConnectorCrm(connector).rows(name, [KEY_FIELD, *fields])}
    finally:
        connector.close()


def test_the_demo_is_loaded_whole_and_a_second_time_changes_nothing(sandbox: SandboxProcess) -> None:
    first = seeded(sandbox)
    sizes = {name: len(records) for name, records in BOOKS.records.items() if name != "CurrencyType"}
    assert {name: first.created[name] for name in sizes} == sizes
    before = rows(sandbox, "Order", "SystemModstamp", "Status")
    assert sum(1 for row in before.values() if row["Status"] == "Activated") == len(BOOKS.activate)
    again = seeded(sandbox)
    assert not any(again.created.values())
    assert again.activated == 0
    assert rows(sandbox, "Order", "SystemModstamp", "Status") == before


def test_dirt_is_in_the_crm_as_it_was_meant(sandbox: SandboxProcess) -> None:
    seeded(sandbox)
    orders = rows(sandbox, "Order", "AccountId", "Freight__c", "CurrencyIsoCode", "TotalAmount", "Status")
    by_dirt = {expected.dirt: orders[key] for key, expected in BOOKS.expectations.items() if expected.dirt}
    assert by_dirt["customer_null"]["AccountId"] is None
    assert by_dirt["text_in_freight"]["Freight__c"] == "twelve pounds"
    assert by_dirt["currency_nonsense"]["CurrencyIsoCode"] == "XYZ"
    assert by_dirt["total_not_sum_of_lines"]["TotalAmount"] == Decimal(1)
    assert by_dirt["no_lines"]["Status"] == "Activated"
    names = [str(row["Name"]) for row in rows(sandbox, "Account", "Name").values() if row["Name"]]
    assert max(len(name) for name in names) == 300


def test_the_ledger_is_prepared_once_and_the_hand_taken_number_is_there(sandbox: SandboxProcess) -> None:
    number = seeded(sandbox).taken_order_number
    made = setup_ledger(ledger_connection(sandbox), sandbox.url, BOOKS, number)
    assert (made.items, made.contacts, made.invoice_by_hand) == (41, 5, True)
    made = setup_ledger(ledger_connection(sandbox), sandbox.url, BOOKS, number)
    assert (made.items, made.contacts, made.invoice_by_hand) == (0, 0, False)
    with LedgerHand(ledger_connection(sandbox)) as hand:
        assert [one["InvoiceNumber"] for one in hand.all("Invoices")] == [f"INV-{number}"]
        assert {one["Code"] for one in hand.all("Currencies")} == {"GBP", "EUR", "USD", "JPY"}


def test_finance_pays_credits_refunds_voids_and_raises_what_it_says_it_did(sandbox: SandboxProcess) -> None:
    ledger = ledger_connection(sandbox)
    with LedgerHand(ledger) as hand:
        for number in range(1, 8):
            invoice = hand.invoice(f"INV-{number}", {"Name": f"Customer {number}"}, Decimal("100.01"), TODAY)
            hand.change("Invoices", {"InvoiceID": invoice["InvoiceID"], "Url": "https://crm.example/801"})
    deeds = finance_day(ledger, TODAY)
    assert [deed.kind for deed in deeds] == [
        "paid", "part_paid", "paid_twice", "refunded", "credited", "voided", "raised",
    ]  # fmt: skip
    assert finance_day(ledger, TODAY) == ()
    with LedgerHand(ledger) as hand:
        found = {one["InvoiceNumber"]: one for one in hand.all("Invoices")}
    status = [found[deed.number]["Status"] for deed in deeds]
    assert status == ["PAID", "AUTHORISED", "PAID", "PAID", "AUTHORISED", "VOIDED", "AUTHORISED"]
    assert found[deeds[1].number]["AmountPaid"] == deeds[1].amount == Decimal("60.00")
    assert found[deeds[4].number]["AmountCredited"] == deeds[4].amount == Decimal("1.20")


def test_sales_changes_cancels_and_mends_what_it_says_it_did(sandbox: SandboxProcess) -> None:
    seeded(sandbox)
    deeds = sales_day(crm_connection(sandbox), BOOKS)
    assert [deed.kind for deed in deeds] == ["changed", "cancelled", "mended", "mended", "mended", "mended"]
    assert sales_day(crm_connection(sandbox), BOOKS) == ()
    status = {
        str(row["OrderNumber"]): row["Status"] for row in rows(sandbox, "Order", "OrderNumber", "Status").values()
    }
    assert status[deeds[0].number] == "Activated"
    assert status[deeds[1].number] == "Cancelled"
    # Another seed neither takes the cancellation back nor makes anything dirty again.
    assert seeded(sandbox).activated == 0
    orders = rows(sandbox, "Order", "OrderNumber", "Freight__c")
    dirt = next(key for key, expected in BOOKS.expectations.items() if expected.dirt == "text_in_freight")
    assert orders[dirt]["Freight__c"] == Decimal(12)


def test_demo_data_goes_to_this_machine_only() -> None:
    with pytest.raises(ConfigurationFault, match="sandbox on this machine"):
        Doors("https://mycompany.my.salesforce.com")
    with pytest.raises(ConfigurationFault, match="sandbox on this machine"):
        LedgerHand(Connection("xero", "xero", "https://api.xero.com", "id", "secret"))


@pytest.mark.shared
def test_northwind_is_loaded_once_and_its_report_names_every_broken_row(sandbox: SandboxProcess) -> None:
    folder = require_shared("data", "northwind")
    Doors(sandbox.url).custom_fields()
    report = load_folder(crm_connection(sandbox), folder, "northwind")
    assert (report.created["Order"], report.created["OrderItem"], report.activated) == (654, 1716, 654)
    assert (report.files["orders.csv"].read, report.files["orders.csv"].refused) == (830, 176)
    assert len(json.loads(report.to_json())["refused"]) == 24 + 176 + 439
    assert "orders.csv: 176 x wrong_number_of_fields" in report.table()
    again = load_folder(crm_connection(sandbox), folder, "northwind")
    assert not any(again.created.values())
    assert again.activated == 0


def test_a_row_that_the_crm_refuses_is_in_the_report_and_its_order_stays_a_draft(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    Doors(sandbox.url).custom_fields()
    httpx.post(
        f"{sandbox.url}/salesforce/_sandbox/metadata",
        json={"rules": [{"object": "OrderItem", "name": "Cheap", "when": [{"field": "UnitPrice", "lessThan": 1}],
                         "message": "Too cheap", "errorField": "UnitPrice"}]},
    ).raise_for_status()  # fmt: skip
    (tmp_path / "customers.csv").write_text(
        "customerID,companyName,address,city,region,postalCode,country,phone,fax\nA,Anna,Main St,Ulm,,,Germany,,\n"
    )
    (tmp_path / "products.csv").write_text("productID,productName,quantityPerUnit,unitPrice\n7,Chai,box,18.00\n")
    (tmp_path / "orders.csv").write_text(
        "orderID,customerID,orderDate,freight,shipAddress,shipCity,shipRegion,shipPostalCode,shipCountry\n"
        "1,A,1996-07-04 00:00:00.000,1.00,,,,,\n2,A,1996-07-04 00:00:00.000,1.00,,,,,\n"
    )
    (tmp_path / "order-details.csv").write_text(
        "orderID,productID,unitPrice,quantity,discount\n1,7,0.10,1,0\n2,7,5.00,1,0\n"
    )
    report = load_folder(crm_connection(sandbox), tmp_path, "northwind")
    assert [(one.file, one.line, one.reason) for one in report.refused] == [
        ("order-details.csv", 2, "refused_by_crm"),
        ("orders.csv", 2, "incomplete"),
    ]
    status = rows(sandbox, "Order", "Status")
    assert status["northwind:order:1"]["Status"] == "Draft"
    assert status["northwind:order:2"]["Status"] == "Activated"


def test_the_list_for_the_administrator_has_every_field_that_the_connector_asks_for(sandbox: SandboxProcess) -> None:
    connector = SalesforceConnector(crm_connection(sandbox))
    try:
        assert any(not finding.ok for finding in connector.findings())
        Doors(sandbox.url).custom_fields()
        assert [finding.what for finding in connector.findings() if not finding.ok] == []
    finally:
        connector.close()
