"""Lists: filters, order, pages, what changed since, and what is left out without a page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.sandbox_xero.conftest import Xero, invoice, line


def fill(xero: Xero, count: int) -> None:
    body = [invoice(InvoiceNumber=f"N{i:03}", LineItems=[line(f"{i + 1}.00")]) for i in range(count)]
    status, answer = xero.call("PUT", "Invoices", {"Invoices": body})
    assert status == 200, answer


def numbers(answer: Any) -> list[str]:
    return [entry["InvoiceNumber"] for entry in answer["Invoices"]]


def test_pages_hold_a_hundred_with_lines(xero: Xero) -> None:
    fill(xero, 105)
    first = xero.get("Invoices", page=1, order="InvoiceNumber")
    assert first["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 2, "itemCount": 105}
    assert len(first["Invoices"]) == 100 and first["Invoices"][0]["LineItems"]
    second = xero.get("Invoices", page=2, order="InvoiceNumber")
    assert numbers(second) == ["N100", "N101", "N102", "N103", "N104"]
    assert numbers(xero.get("Invoices", page=3)) == []
    assert len(xero.get("Invoices", page=1, pageSize=1000)["Invoices"]) == 105


def test_without_a_page_all_come_without_lines(xero: Xero) -> None:
    fill(xero, 101)
    everything = xero.get("Invoices")
    assert "pagination" not in everything
    assert len(everything["Invoices"]) == 101
    assert {len(entry["LineItems"]) for entry in everything["Invoices"]} == {0}


@pytest.mark.parametrize("query", [{"page": 0}, {"page": "x"}, {"page": 1, "pageSize": 1001}, {"pageSize": 0}])
def test_pages_that_cannot_be(xero: Xero, query: dict[str, Any]) -> None:
    assert xero.call("GET", "Invoices", **query)[0] == 400


def test_summary_only_leaves_out_what_is_heavy(xero: Xero) -> None:
    xero.invoice()
    shown = xero.get("Invoices", page=1, summaryOnly="true")["Invoices"][0]
    assert not {"LineItems", "Payments", "CreditNotes"} & set(shown)
    assert shown["Total"] == Decimal("120.00")


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ('InvoiceNumber=="N001"', ["N001"]),
        ('InvoiceNumber!="N001"', ["N000", "N002"]),
        ('Type=="ACCREC" AND Total>2.40', ["N002"]),
        ('Type=="ACCREC" && Total>=2.40 && Total<=3', ["N001"]),
        ('InvoiceNumber=="N000" OR InvoiceNumber=="N002" AND Total<1', ["N000"]),
        ('(InvoiceNumber=="N000" || InvoiceNumber=="N002") AND AmountDue<2', ["N000"]),
        ("Date>=DateTime(2026,3,1) AND Date<DateTime(2026, 03, 02)", ["N000", "N001", "N002"]),
        ("Date>DateTime(2026,3,1)", []),
        ('InvoiceNumber.StartsWith("N00") AND InvoiceNumber.EndsWith("2")', ["N002"]),
        ('Contact.Name.ToLower().Contains("ann")', ["N000", "N001", "N002"]),
        ('Contact.ContactID==Guid("00000000-0000-0000-0000-000000000000")', []),
        ("FullyPaidOnDate==null", ["N000", "N001", "N002"]),
        ("FullyPaidOnDate!=null", []),
        ("SentToContact==false", ["N000", "N001", "N002"]),
        ("!SentToContact", ["N000", "N001", "N002"]),
        ('Reference=="say \\"hi\\""', []),
    ],
)
def test_where(xero: Xero, where: str, found: list[str]) -> None:
    fill(xero, 3)
    assert numbers(xero.get("Invoices", where=where, order="InvoiceNumber")) == found


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ('Number=="1"', "No property or field 'Number' exists in type 'Invoice'"),
        ('InvoiceID=="5d1f9e0c-7a54-4f6e-9a51-0c0ffee00009"', "incompatible with operand types"),
        ('Date>"2026-01-01"', "incompatible"),
        ("Total", "'Boolean' expected"),
        ('InvoiceNumber=="x', "Syntax error"),
        ("DateTime(2026,13,1)<Date", "not a date"),
        ('Contact.ContactNumber.StartsWith("0")', "Object reference not set"),
        ("Total.StartsWith(1)", "No applicable method"),
        ('Contact.ContactID==Guid("nonsense")', "not a Guid"),
        ("__class__==1", "No property"),
        ("(" * 9000, "too long"),
    ],
)
def test_a_where_that_is_refused(xero: Xero, where: str, message: str) -> None:
    xero.invoice()
    status, answer = xero.call("GET", "Invoices", where=where)
    assert (status, answer["Type"]) == (400, "QueryParseException")
    assert message in answer["Message"]


def test_order(xero: Xero) -> None:
    fill(xero, 3)
    assert numbers(xero.get("Invoices", order="Total DESC")) == ["N002", "N001", "N000"]
    assert numbers(xero.get("Invoices", order="Date DESC, InvoiceNumber ASC")) == ["N000", "N001", "N002"]
    assert xero.call("GET", "Invoices", order="Nothing")[0] == 400
    assert xero.call("GET", "Invoices", order="Total SIDEWAYS")[0] == 400


def test_lists_of_values_narrow(xero: Xero) -> None:
    fill(xero, 3)
    ids = {entry["InvoiceNumber"]: entry["InvoiceID"] for entry in xero.get("Invoices")["Invoices"]}
    contact = xero.get("Contacts")["Contacts"][0]["ContactID"]
    assert numbers(xero.get("Invoices", IDs=f"{ids['N000']},{ids['N002'].upper()}", order="InvoiceNumber")) == [
        "N000",
        "N002",
    ]
    assert numbers(xero.get("Invoices", InvoiceNumbers='"N001",N009')) == ["N001"]
    assert numbers(xero.get("Invoices", Statuses="PAID,VOIDED")) == []
    assert len(numbers(xero.get("Invoices", ContactIDs=contact, Statuses="AUTHORISED"))) == 3


def test_modified_since_sees_changes_to_the_second(xero: Xero) -> None:
    xero.settings(clock_offset_seconds=-7200)
    xero.invoice(InvoiceNumber="OLD")
    old = xero.invoice(InvoiceNumber="CHANGED")
    xero.settings(clock_offset_seconds=0)
    now = xero.http.get("Organisation").headers["date"]
    xero.invoice(InvoiceNumber="NEW")
    xero.pay(old["InvoiceID"], "1.00")
    xero.http.headers["If-Modified-Since"] = now
    assert sorted(numbers(xero.get("Invoices"))) == ["CHANGED", "NEW"]
    xero.http.headers["If-Modified-Since"] = "2099-01-01T00:00:00"
    assert numbers(xero.get("Invoices")) == []
    xero.http.headers["If-Modified-Since"] = "yesterday"
    assert xero.call("GET", "Invoices")[0] == 400


def test_unit_amounts_are_shown_with_the_places_that_are_asked_for(xero: Xero) -> None:
    made = xero.write("PUT", "Invoices", {"Invoices": [invoice(LineItems=[line("1.2345")])]}, unitdp=4)
    assert str(made["LineItems"][0]["UnitAmount"]) == "1.2345"
    path = f"Invoices/{made['InvoiceID']}"
    assert str(xero.get(path)["Invoices"][0]["LineItems"][0]["UnitAmount"]) == "1.23"
    assert str(xero.get(path, unitdp=4)["Invoices"][0]["LineItems"][0]["UnitAmount"]) == "1.2345"


def test_payments_and_reference_data_are_listed(xero: Xero) -> None:
    made = xero.invoice(InvoiceNumber="P1")
    xero.pay(made["InvoiceID"], "10.00")
    found = xero.get("Payments", where=f'Invoice.InvoiceID==Guid("{made["InvoiceID"]}") AND Status=="AUTHORISED"')
    assert [entry["Invoice"]["InvoiceNumber"] for entry in found["Payments"]] == ["P1"]
    assert [entry["Code"] for entry in xero.get("Accounts", where='Type=="BANK"', order="Code")["Accounts"]] == [
        "090",
        "091",
    ]
    rates = xero.get("TaxRates", where='TaxType=="OUTPUT2"')["TaxRates"]
    assert rates[0]["EffectiveRate"] == 20
    assert [entry["Code"] for entry in xero.get("Currencies")["Currencies"]] == ["GBP", "EUR", "USD"]


def test_settings_change_the_organisation(xero: Xero) -> None:
    xero.settings(base_currency="USD", organisation_name="Acme <Inc>", country_code="US")
    shown = xero.get("Organisation")["Organisations"][0]
    assert (shown["BaseCurrency"], shown["Name"]) == ("USD", "Acme <Inc>")
    assert xero.invoice()["CurrencyCode"] == "USD"
    page = httpx.get(f"{xero.root}/").text
    assert "Acme &lt;Inc&gt;" in page and "<Inc>" not in page
    for bad in ({"limits": {"hour": 3}}, {"nothing": 1}, {"period_lock_date": "soon"}, {"base_currency": "pounds"}):
        answer = httpx.patch(f"{xero.sandbox.url}/_sandbox/settings", json={"xero": bad})
        assert answer.status_code == 400 and ("xero" in answer.text or "limit" in answer.text)


def test_a_tax_rate_is_what_its_components_come_to(xero: Xero) -> None:
    parts = [{"Name": "State", "Rate": "5"}, {"Name": "City", "Rate": "10", "IsCompound": True}]
    made = xero.write("PUT", "TaxRates", {"TaxRates": [{"Name": "Local", "TaxType": "TAX001", "TaxComponents": parts}]})
    assert made["EffectiveRate"] == Decimal("15.5")
    assert xero.invoice(LineItems=[line(TaxType="TAX001")])["Total"] == Decimal("115.50")
