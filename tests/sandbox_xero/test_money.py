"""Payments, refunds, credit notes and allocations: nothing is settled twice, and all of it can be taken back."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.sandbox_xero.conftest import Xero, invoice, line

DEC = Decimal


def payment(invoice_id: str, amount: str, **more: Any) -> dict[str, Any]:
    body = {"Invoice": {"InvoiceID": invoice_id}, "Account": {"Code": "090"}, "Date": "2026-03-10", "Amount": amount}
    return {"Payments": [body | more]}


def allocation(invoice_id: str, amount: str, **more: Any) -> dict[str, Any]:
    return {"Allocations": [{"Invoice": {"InvoiceID": invoice_id}, "Amount": amount, "Date": "2026-03-12"} | more]}


def test_payments_add_up_until_the_invoice_is_paid(xero: Xero) -> None:
    made = xero.invoice()
    first = xero.pay(made["InvoiceID"], "20.00", Reference="part")
    assert (first["PaymentType"], first["Invoice"]["AmountDue"]) == ("ACCRECPAYMENT", DEC("100.00"))
    xero.pay(made["InvoiceID"], "100.00", Date="2026-03-20")
    read = xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]
    assert (read["Status"], read["AmountDue"], read["AmountPaid"]) == ("PAID", 0, DEC("120.00"))
    assert read["FullyPaidOnDate"] == "/Date(1773964800000+0000)/"
    assert [entry["Amount"] for entry in read["Payments"]] == [DEC("20.00"), DEC("100.00")]


def test_deleting_a_payment_opens_the_invoice_again(xero: Xero) -> None:
    made = xero.invoice()
    paid = xero.pay(made["InvoiceID"], "120.00")
    gone = xero.write("POST", f"Payments/{paid['PaymentID']}", {"Payments": [{"Status": "DELETED"}]})
    assert gone["Status"] == "DELETED" and gone["UpdatedDateUTC"] >= paid["UpdatedDateUTC"]
    read = xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]
    assert (read["Status"], read["AmountDue"], read["Payments"]) == ("AUTHORISED", DEC("120.00"), [])
    assert "FullyPaidOnDate" not in read
    messages = xero.refused("POST", f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})
    assert messages == ["The payment has already been deleted."]
    assert [entry["Status"] for entry in xero.get("Payments")["Payments"]] == ["DELETED"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Amount": "120.01"}, "Payment amount exceeds the amount outstanding on this document"),
        ({"Amount": "0"}, "The Amount must be greater than zero."),
        ({"Amount": None}, "The Amount must be specified."),
        ({"Account": {"Code": "200"}}, "EnablePaymentsToAccount"),
        ({"Account": {"Code": "nope"}}, "Account could not be found"),
        ({"Date": "2026-01-31"}, "The payment date cannot be before the period lock date"),
        ({"Invoice": {"InvoiceID": "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00009"}}, "Invoice could not be found"),
        ({"Invoice": None}, "must name an invoice"),
    ],
)
def test_payments_that_are_refused(xero: Xero, change: dict[str, Any], message: str) -> None:
    made = xero.invoice()
    xero.settings(period_lock_date="2026-01-31")
    body = payment(made["InvoiceID"], "1.00", **change)
    assert message in xero.refused("PUT", "Payments", body)[0]
    assert xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]["AmountDue"] == DEC("120.00")


def test_drafts_cannot_be_paid(xero: Xero) -> None:
    made = xero.invoice(Status="DRAFT")
    messages = xero.refused("PUT", "Payments", payment(made["InvoiceID"], "1.00"))
    assert messages == ["Payments can only be made against Authorised documents"]


def test_two_payments_of_one_batch_cannot_exceed_the_invoice(xero: Xero) -> None:
    made = xero.invoice()
    body = {"Payments": payment(made["InvoiceID"], "80.00")["Payments"] * 2}
    status, answer = xero.call("PUT", "Payments", body, summarizeErrors="false")
    assert status == 200
    assert [entry["StatusAttributeString"] for entry in answer["Payments"]] == ["OK", "ERROR"]
    assert answer["Payments"][1]["HasValidationErrors"] is True


def test_payment_of_a_foreign_invoice_from_an_account_in_base_currency(xero: Xero) -> None:
    made = xero.invoice(CurrencyCode="USD", CurrencyRate="1.25")
    paid = xero.pay(made["InvoiceID"], "120.00", CurrencyRate="1.2")
    assert (paid["BankAmount"], paid["CurrencyRate"]) == (DEC("100.00"), DEC("1.2"))


def test_payment_to_an_account_that_takes_payments_and_by_number(xero: Xero) -> None:
    xero.invoice(InvoiceNumber="N9")
    body = {"InvoiceNumber": "N9", "Account": {"Code": "970"}, "Amount": 5, "Date": "2026-03-05"}
    assert xero.write("PUT", "Payments", {"Payments": [body]})["Account"]["Code"] == "970"


def test_a_credit_note_is_allocated_and_taken_back(xero: Xero) -> None:
    made, note = xero.invoice(), xero.credit_note(LineItems=[line("50.00")], Reference="R1")
    assert (note["RemainingCredit"], note["CreditNoteNumber"]) == (DEC("60.00"), "CN-0001")
    path = f"CreditNotes/{note['CreditNoteID']}/Allocations"
    applied = xero.write("PUT", path, allocation(made["InvoiceID"], "60.00"))
    read = xero.get(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]
    assert (read["Status"], read["RemainingCredit"], read["AppliedAmount"]) == ("PAID", 0, DEC("60.00"))
    credited = xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]
    assert (credited["AmountCredited"], credited["AmountDue"]) == (DEC("60.00"), DEC("60.00"))
    assert credited["CreditNotes"][0]["CreditNoteID"] == note["CreditNoteID"]
    status, gone = xero.call("DELETE", f"{path}/{applied['AllocationID']}")
    assert (status, gone["IsDeleted"], gone["AllocationID"]) == (200, True, applied["AllocationID"])
    assert xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]["AmountDue"] == DEC("120.00")
    assert xero.get(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]["Status"] == "AUTHORISED"
    assert xero.http.delete(f"{path}/{applied['AllocationID']}").status_code == 404


def test_allocations_that_are_refused(xero: Xero) -> None:
    made, note = xero.invoice(LineItems=[line("10.00")]), xero.credit_note()
    path = f"CreditNotes/{note['CreditNoteID']}/Allocations"
    other = xero.invoice(Contact={"Name": "Bob Ltd"})
    foreign = xero.invoice(CurrencyCode="USD")
    draft = xero.invoice(Status="DRAFT")
    xero.settings(period_lock_date="2026-02-28")
    for body, message in (
        (allocation(made["InvoiceID"], "12.01"), "exceeds the amount outstanding"),
        (allocation(made["InvoiceID"], "120.01"), "exceeds the remaining credit"),
        (allocation(other["InvoiceID"], "1.00"), "another contact"),
        (allocation(foreign["InvoiceID"], "1.00"), "another currency"),
        (allocation(draft["InvoiceID"], "1.00"), "Authorised documents"),
        (allocation(note["CreditNoteID"], "1.00"), "could not be found"),
        (allocation(made["InvoiceID"], "-1.00"), "greater than zero"),
        (allocation(made["InvoiceID"], "1.00", Date="2026-02-28"), "allocation date cannot be before"),
    ):
        assert message in xero.refused("PUT", path, body)[0]
    assert xero.get(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]["RemainingCredit"] == DEC("120.00")


def test_a_credit_note_is_refunded(xero: Xero) -> None:
    note = xero.credit_note()
    body = {"CreditNote": {"CreditNoteID": note["CreditNoteID"]}, "Account": {"Code": "090"}, "Amount": "120.00"}
    refund = xero.write("PUT", "Payments", {"Payments": [body | {"Date": "2026-03-11"}]})
    assert (refund["PaymentType"], refund["Invoice"]["InvoiceID"]) == ("ARCREDITPAYMENT", note["CreditNoteID"])
    assert xero.get(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]["Status"] == "PAID"


def test_credit_notes_take_no_discount_and_their_numbers_are_unique(xero: Xero) -> None:
    body = invoice(Type="ACCRECCREDIT", LineItems=[line(DiscountRate="10")])
    assert "Discounts" in xero.refused("PUT", "CreditNotes", {"CreditNotes": [body]})[0]
    xero.credit_note(CreditNoteNumber="C1")
    again = invoice(Type="ACCRECCREDIT", CreditNoteNumber="C1")
    assert xero.refused("PUT", "CreditNotes", {"CreditNotes": [again]}) == ["Credit Note # must be unique."]


def test_two_credit_notes_may_carry_the_same_reference(xero: Xero) -> None:
    assert xero.credit_note(Reference="R")["CreditNoteID"] != xero.credit_note(Reference="R")["CreditNoteID"]


@pytest.mark.parametrize("kind", ["Prepayment", "Overpayment"])
def test_money_received_before_is_allocated_and_refunded(xero: Xero, kind: str) -> None:
    made = xero.invoice()
    record = {"Type": f"RECEIVE-{kind.upper()}", "Contact": made["Contact"], "Total": 50}
    id_ = httpx.post(f"{xero.root}/_sandbox/raw/{kind}s", json=record).json()["ids"][0]
    xero.write("PUT", f"{kind}s/{id_}/Allocations", allocation(made["InvoiceID"], "30.00"))
    assert xero.get(f"{kind}s/{id_}")[f"{kind}s"][0]["RemainingCredit"] == DEC("20.00")
    assert xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]["AmountDue"] == DEC("90.00")
    body = {kind: {f"{kind}ID": id_}, "Account": {"Code": "090"}, "Amount": 20, "Date": "2026-03-11"}
    assert xero.write("PUT", "Payments", {"Payments": [body]})["PaymentType"] == f"AR{kind.upper()}PAYMENT"
    assert xero.get(f"{kind}s")[f"{kind}s"][0]["Status"] == "PAID"


def received(kind: str, **more: Any) -> dict[str, Any]:
    body = {"Type": f"RECEIVE-{kind.upper()}", "Contact": {"Name": "Ann Ltd"}, "BankAccount": {"Code": "090"}}
    return {"BankTransactions": [body | {"Date": "2026-03-09", "LineItems": [line("50.00")]} | more]}


def test_an_overpayment_has_no_tax_and_is_found_with_what_is_left_of_it(xero: Xero) -> None:
    made = xero.invoice()
    body = received("Overpayment", LineItems=[{"Description": "Too much", "UnitAmount": "50.00"}])
    answer = xero.write("PUT", "BankTransactions", body)
    assert (answer["Total"], answer["TotalTax"], answer["LineAmountTypes"]) == (DEC("50.00"), DEC("0.00"), "NoTax")
    (found,) = xero.get("Overpayments", page=1)["Overpayments"]
    assert (found["OverpaymentID"], found["RemainingCredit"]) == (answer["OverpaymentID"], DEC("50.00"))
    before = found["UpdatedDateUTCString"]
    path = f"Overpayments/{found['OverpaymentID']}/Allocations"
    xero.settings(clock_offset_seconds=60)
    xero.write("PUT", path, allocation(made["InvoiceID"], "20.00"))
    header = {"If-Modified-Since": before[:19]}
    (found,) = json.loads(xero.http.get("Overpayments", params={"page": 1}, headers=header).text)["Overpayments"]
    assert found["UpdatedDateUTCString"] > before and found["RemainingCredit"] == 30
    assert [one["Invoice"]["InvoiceID"] for one in found["Allocations"]] == [made["InvoiceID"]]
    (credited,) = xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"]
    assert credited["AmountCredited"] == 20 and credited["Overpayments"][0]["AppliedAmount"] == 20
    later = {"If-Modified-Since": "2100-01-01T00:00:00"}
    assert json.loads(xero.http.get("Overpayments", headers=later).text)["Overpayments"] == []


def test_a_prepayment_is_booked_and_taxed(xero: Xero) -> None:
    answer = xero.write("PUT", "BankTransactions", received("Prepayment"))
    assert (answer["Total"], answer["TotalTax"]) == (DEC("60.00"), DEC("10.00"))
    (found,) = xero.get("Prepayments")["Prepayments"]
    assert (found["PrepaymentID"], found["Status"], found["Type"]) == (
        answer["PrepaymentID"], "AUTHORISED", "RECEIVE-PREPAYMENT",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Type": "RECEIVE"}, "is not modelled"),
        ({"BankAccount": {"Code": "200"}}, "bank account could not be found"),
        ({"LineItems": []}, "line items"),
        ({"LineItems": [line("0.00")]}, "greater than zero"),
        ({"CurrencyCode": "USD"}, "only supported on overpayments"),
        ({"Date": "2026-01-31"}, "lock date"),
        ({"Contact": None}, "Contact must be specified"),
    ],
)
def test_money_received_that_is_refused(xero: Xero, change: dict[str, Any], message: str) -> None:
    xero.settings(period_lock_date="2026-01-31")
    assert message in xero.refused("PUT", "BankTransactions", received("Prepayment", **change))[0]
    assert xero.get("Prepayments")["Prepayments"] == []
    two = [line("1.00"), line("2.00")]
    assert "one line" in xero.refused("PUT", "BankTransactions", received("Overpayment", LineItems=two))[0]
