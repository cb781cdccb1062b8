"""Invoices: numbers, contacts, states, lock dates, currencies, and what an update may touch."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox_xero.conftest import Xero, invoice, line

NOT_VALID = "Invoice not of valid status for modification"


def put(*invoices: dict[str, Any]) -> dict[str, Any]:
    return {"Invoices": list(invoices)}


def test_an_invoice_adds_up(xero: Xero) -> None:
    made = xero.invoice(InvoiceNumber="INV-77", Reference="PO 1", Url="https://example.com/1")
    assert (made["SubTotal"], made["TotalTax"], made["Total"]) == (
        Decimal("100.00"),
        Decimal("20.00"),
        Decimal("120.00"),
    )
    assert (made["AmountDue"], made["AmountPaid"], made["AmountCredited"]) == (Decimal("120.00"), 0, 0)
    assert made["Date"] == "/Date(1772323200000+0000)/" and made["DateString"] == "2026-03-01T00:00:00"
    assert made["Status"] == "AUTHORISED" and made["StatusAttributeString"] == "OK"
    for key in (made["InvoiceID"], "INV-77"):
        read = xero.get(f"Invoices/{key}")["Invoices"][0]
        assert read["LineItems"][0]["LineAmount"] == Decimal("100.00") and read["Url"] == "https://example.com/1"


def test_a_draft_is_the_default_and_may_lack_what_approval_needs(xero: Xero) -> None:
    body = {"Type": "ACCREC", "Contact": {"Name": "Ann"}, "LineItems": [{"Description": "only words"}]}
    made = xero.write("PUT", "Invoices", put(body))
    assert (made["Status"], made["Total"], made["InvoiceNumber"]) == ("DRAFT", 0, "INV-0001")
    messages = xero.refused("POST", "Invoices", put({"InvoiceID": made["InvoiceID"], "Status": "AUTHORISED"}))
    assert messages == ["The DueDate must be specified for an approved invoice."]


def test_numbers_are_made_when_missing_and_skip_taken_ones(xero: Xero) -> None:
    assert xero.invoice(InvoiceNumber="INV-0002")["InvoiceNumber"] == "INV-0002"
    assert [xero.invoice()["InvoiceNumber"] for _ in range(2)] == ["INV-0001", "INV-0003"]


def test_put_refuses_a_number_that_is_taken_and_post_changes_it(xero: Xero) -> None:
    made = xero.invoice(InvoiceNumber="N1")
    assert xero.refused("PUT", "Invoices", put(invoice(InvoiceNumber="N1"))) == ["Invoice # must be unique."]
    changed = xero.write("POST", "Invoices", put(invoice(InvoiceNumber="N1", Reference="new")))
    assert (changed["InvoiceID"], changed["Reference"]) == (made["InvoiceID"], "new")
    other = xero.invoice(InvoiceNumber="N2")
    messages = xero.refused("POST", "Invoices", put({"InvoiceID": other["InvoiceID"], "InvoiceNumber": "N1"}))
    assert messages == ["Invoice # must be unique."]
    bill = invoice(Type="ACCPAY", InvoiceNumber="N1", LineItems=[line(AccountCode="429")])
    assert [xero.write("PUT", "Invoices", put(bill))["InvoiceNumber"] for _ in range(2)] == ["N1", "N1"]


def test_the_same_number_twice_in_one_batch(xero: Xero) -> None:
    status, answer = xero.call(
        "PUT", "Invoices", put(invoice(InvoiceNumber="A"), invoice(InvoiceNumber="A")), summarizeErrors="false"
    )
    first, second = answer["Invoices"]
    assert status == 200
    assert (first["StatusAttributeString"], first["HasErrors"]) == ("OK", False)
    assert (second["StatusAttributeString"], second["HasErrors"]) == ("ERROR", True)
    assert second["ValidationErrors"] == [{"Message": "Invoice # must be unique."}]
    assert second["InvoiceID"] != first["InvoiceID"]


def test_with_summarised_errors_the_valid_ones_are_created_all_the_same(xero: Xero) -> None:
    status, answer = xero.call("PUT", "Invoices", put(invoice(InvoiceNumber="A"), invoice(InvoiceNumber="B", Type="X")))
    assert status == 400
    assert [element["InvoiceNumber"] for element in answer["Elements"]] == ["B"]
    assert [entry["InvoiceNumber"] for entry in xero.get("Invoices")["Invoices"]] == ["A"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Type": "SALE"}, "The Type 'SALE' is not valid"),
        ({"Contact": None}, "A Contact must be specified"),
        ({"Contact": {"ContactID": "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00009"}}, "contact could not be found"),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"DueDate": None}, "The DueDate must be specified"),
        ({"Date": "soon"}, "The Date is not a valid date"),
        ({"Status": "PAID"}, "not valid for a new document"),
        ({"InvoiceNumber": "x" * 256}, "must not exceed 255"),
        ({"Reference": "x" * 256}, "must not exceed 255"),
        ({"InvoiceID": "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00009"}, "cannot bring its own InvoiceID"),
        ({"CurrencyCode": "JPY"}, "Organisation is not subscribed to currency JPY"),
        ({"LineAmountTypes": "Both"}, "is not valid"),
        ({"Total": "120.01"}, "The Total 120.01 does not match the sum of the lines 120.00"),
        ({"LineItems": [line("-1.00")]}, "must not be negative"),
        ({"LineItems": [line(AccountCode="999")]}, "Account code '999' is not a valid code for this document."),
        ({"LineItems": [line(AccountCode="090")]}, "Account code '090' is not a valid code"),
        ({"LineItems": [line(AccountCode=None, TaxType="OUTPUT2")]}, "Account must be valid."),
        ({"LineItems": [line(AccountCode=None)]}, "Tax rate must be valid."),
        ({"LineItems": [line(TaxType="NOPE")]}, "The TaxType code 'NOPE' does not exist"),
        ({"LineItems": [line(TaxType="INPUT2")]}, "cannot be used with account code '200'"),
        ({"LineItems": [line(ItemCode="NOPE")]}, "Item code 'NOPE' is not valid"),
        ({"LineItems": [line(Description="")]}, "Description is mandatory"),
        ({"LineItems": [line("1e20")]}, "out of range"),
        ({"LineItems": [line("abc")]}, "not a valid number"),
    ],
)
def test_invoices_that_are_refused(xero: Xero, change: dict[str, Any], message: str) -> None:
    messages = xero.refused("PUT", "Invoices", put(invoice(**change)))
    assert any(message in text for text in messages), messages
    assert xero.get("Invoices")["Invoices"] == [] and xero.get("Contacts")["Contacts"] == []


def test_contacts_are_found_by_id_number_or_name_and_made_when_new(xero: Xero) -> None:
    ann = xero.contact("Ann Ltd", ContactNumber="001")
    for named in ({"ContactID": ann["ContactID"]}, {"ContactNumber": "001"}, {"Name": "ann ltd"}):
        assert xero.invoice(Contact=named)["Contact"]["ContactID"] == ann["ContactID"]
    new = xero.invoice(Contact={"Name": "Bob Ltd", "EmailAddress": "bob@example.com"})
    assert xero.get(f"Contacts/{new['Contact']['ContactID']}")["Contacts"][0]["EmailAddress"] == "bob@example.com"


@pytest.mark.parametrize(
    ("start", "then", "allowed"),
    [
        ("DRAFT", "SUBMITTED", True),
        ("DRAFT", "AUTHORISED", True),
        ("DRAFT", "DELETED", True),
        ("DRAFT", "VOIDED", False),
        ("SUBMITTED", "AUTHORISED", True),
        ("SUBMITTED", "DELETED", True),
        ("AUTHORISED", "VOIDED", True),
        ("AUTHORISED", "DELETED", False),
        ("AUTHORISED", "DRAFT", False),
        ("AUTHORISED", "PAID", False),
    ],
)
def test_states(xero: Xero, start: str, then: str, allowed: bool) -> None:
    made = xero.invoice(Status=start)
    body = put({"InvoiceID": made["InvoiceID"], "Status": then})
    if allowed:
        assert xero.write("POST", f"Invoices/{made['InvoiceID']}", body)["Status"] == then
    else:
        assert NOT_VALID in xero.refused("POST", "Invoices", body)
        assert xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]["Status"] == start


@pytest.mark.parametrize("end", ["VOIDED", "DELETED", "PAID"])
def test_closed_invoices_cannot_be_changed(xero: Xero, end: str) -> None:
    made = xero.invoice(Status="DRAFT" if end == "DELETED" else "AUTHORISED", InvoiceNumber="N")
    if end == "PAID":
        xero.pay(made["InvoiceID"], "120.00")
    else:
        xero.write("POST", "Invoices", put({"InvoiceID": made["InvoiceID"], "Status": end}))
    assert xero.refused("POST", "Invoices", put(invoice(InvoiceNumber="N", Reference="late"))) == [NOT_VALID]
    assert xero.refused("PUT", "Invoices", put(invoice(InvoiceNumber="N"))) == ["Invoice # must be unique."]


def test_an_update_of_lines_replaces_all_of_them(xero: Xero) -> None:
    made = xero.invoice(LineItems=[line("10.00"), line("20.00")])
    body = put({"InvoiceID": made["InvoiceID"], "LineItems": [line("5.00")]})
    assert xero.write("POST", "Invoices", body)["Total"] == Decimal("6.00")
    body = put({"InvoiceID": made["InvoiceID"], "Reference": "no lines given"})
    assert xero.write("POST", "Invoices", body)["Total"] == Decimal("6.00")


def test_a_settled_invoice_keeps_its_amounts(xero: Xero) -> None:
    made = xero.invoice()
    xero.pay(made["InvoiceID"], "20.00")
    for change in ({"Status": "VOIDED"}, {"LineItems": [line("1.00")]}, {"Contact": {"ContactID": made["InvoiceID"]}}):
        messages = xero.refused("POST", "Invoices", put({"InvoiceID": made["InvoiceID"]} | change))
        assert messages[0] == NOT_VALID and "payment or credit note" in messages[1]
    noted = xero.write("POST", "Invoices", put({"InvoiceID": made["InvoiceID"], "Reference": "R"}))
    assert (noted["Reference"], noted["AmountDue"]) == ("R", Decimal("100.00"))


def test_a_voided_invoice_has_nothing_due(xero: Xero) -> None:
    made = xero.invoice()
    voided = xero.write("POST", "Invoices", put({"InvoiceID": made["InvoiceID"], "Status": "VOIDED"}))
    assert (voided["AmountDue"], voided["Total"]) == (0, Decimal("120.00"))


def test_an_approved_invoice_of_nothing_is_paid(xero: Xero) -> None:
    made = xero.invoice(LineItems=[line("0.00")])
    assert (made["Status"], made["FullyPaidOnDate"]) == ("PAID", made["Date"])


@pytest.mark.parametrize(("lock", "words"), [("period_lock_date", "period"), ("end_of_year_lock_date", "end of year")])
def test_lock_dates(xero: Xero, lock: str, words: str) -> None:
    old = xero.invoice(InvoiceNumber="OLD", Date="2026-01-31")
    xero.settings(**{lock: "2026-01-31"})
    message = f"The document date cannot be before the {words} lock date, currently set at 31-Jan-2026"
    assert xero.refused("PUT", "Invoices", put(invoice(Date="2026-01-31"))) == [message]
    assert xero.invoice(Date="2026-02-01")["Status"] == "AUTHORISED"
    assert xero.invoice(Date="2026-01-31", Status="DRAFT")["Status"] == "DRAFT"
    assert xero.refused("POST", "Invoices", put({"InvoiceID": old["InvoiceID"], "Status": "VOIDED"})) == [message]
    field = "PeriodLockDate" if words == "period" else "EndOfYearLockDate"
    assert xero.get("Organisation")["Organisations"][0][field] == "/Date(1769817600000+0000)/"


def test_currencies_take_the_given_rate_or_the_days(xero: Xero) -> None:
    assert xero.invoice()["CurrencyRate"] == 1
    assert xero.invoice(CurrencyCode="EUR", CurrencyRate="1.1234567")["CurrencyRate"] == Decimal("1.123457")
    xero.settings(rates={"USD": "1.3"})
    assert xero.invoice(CurrencyCode="USD")["CurrencyRate"] == Decimal("1.3")
    xero.write("PUT", "Currencies", {"Currencies": [{"Code": "SEK"}]})
    assert "No day rate" in xero.refused("PUT", "Invoices", put(invoice(CurrencyCode="SEK")))[0]
    assert xero.invoice(CurrencyCode="SEK", CurrencyRate="13")["CurrencyCode"] == "SEK"


def test_the_item_gives_what_the_line_leaves_out(xero: Xero) -> None:
    details = {"UnitPrice": "12.50", "AccountCode": "260", "TaxType": "RROUTPUT"}
    item = {"Code": "BOOK", "Name": "Book", "Description": "A book", "SalesDetails": details}
    xero.write("PUT", "Items", {"Items": [item]})
    made = xero.invoice(LineItems=[{"ItemCode": "BOOK", "Quantity": 2}])
    shown = made["LineItems"][0]
    assert (shown["Description"], shown["UnitAmount"], shown["AccountCode"]) == ("A book", Decimal("12.50"), "260")
    assert (shown["TaxType"], made["Total"]) == ("RROUTPUT", Decimal("26.25"))
    for field, value in (("Code", "x" * 31), ("Name", "x" * 51)):
        assert "must not exceed" in xero.refused("PUT", "Items", {"Items": [item | {"Code": "C"} | {field: value}]})[0]
    assert "already exists" in xero.refused("PUT", "Items", {"Items": [item]})[0]


def test_bodies_that_cannot_be_read(xero: Xero) -> None:
    for content in (b"{", b"[1]", b'{"Invoices": 3}', b'{"Invoices": [NaN]}', b"\xff", b'["\\u0000"]'):
        answer = xero.http.put("Invoices", content=content)
        assert (answer.status_code, answer.json()["Type"]) == (400, "PostDataInvalidException"), content
    answer = xero.http.put("Invoices", content=b" " * 3_500_001)
    assert answer.status_code == 413
