"""The trial balance is made of what was posted, not of what is open, and histories say who did what."""

from __future__ import annotations

from decimal import Decimal

from tests.sandbox_xero.conftest import Xero, line


def balance(xero: Xero, day: str, account: str = "Accounts Receivable (610)") -> Decimal:
    report = xero.get("Reports/TrialBalance", date=day)["Reports"][0]
    for section in report["Rows"]:
        for row in section.get("Rows", ()):
            if row["Cells"][0]["Value"] == account:
                debit, credit = (row["Cells"][place]["Value"] or "0" for place in (3, 4))
                return Decimal(debit) - Decimal(credit)
    return Decimal(0)


def test_receivables_are_what_every_document_posted(xero: Xero) -> None:
    first = xero.invoice()
    assert balance(xero, "2026-03-31") == Decimal("120.00")
    assert balance(xero, "2026-02-28") == 0
    xero.pay(first["InvoiceID"], "50.00", Date="2026-04-02")
    assert (balance(xero, "2026-03-31"), balance(xero, "2026-04-02")) == (Decimal("120.00"), Decimal("70.00"))
    note = xero.credit_note(Date="2026-04-03", LineItems=[line("10.00")])
    assert balance(xero, "2026-04-30") == Decimal("58.00")
    xero.write("PUT", f"CreditNotes/{note['CreditNoteID']}/Allocations", {"Allocations": [
        {"Invoice": {"InvoiceID": first["InvoiceID"]}, "Amount": "12.00", "Date": "2026-04-04"}]})  # fmt: skip
    assert balance(xero, "2026-04-30") == Decimal("58.00")
    xero.write("PUT", "BankTransactions", {"BankTransactions": [{
        "Type": "RECEIVE-OVERPAYMENT", "Contact": {"Name": "Ann Ltd"}, "BankAccount": {"Code": "090"},
        "Date": "2026-04-05", "LineAmountTypes": "NoTax", "LineItems": [{"Description": "x", "Quantity": "1",
        "UnitAmount": "8.00"}]}]})  # fmt: skip
    assert balance(xero, "2026-04-30") == Decimal("50.00")


def test_a_voided_invoice_and_a_deleted_payment_post_nothing(xero: Xero) -> None:
    made = xero.invoice()
    paid = xero.pay(made["InvoiceID"], "120.00")
    assert balance(xero, "2026-03-31") == 0
    xero.write("POST", f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})
    assert balance(xero, "2026-03-31") == Decimal("120.00")
    xero.write("POST", "Invoices", {"Invoices": [{"InvoiceID": made["InvoiceID"], "Status": "VOIDED"}]})
    assert balance(xero, "2026-03-31") == 0


def test_foreign_documents_are_posted_at_their_rate_and_the_gain_is_realised(xero: Xero) -> None:
    made = xero.invoice(CurrencyCode="EUR", CurrencyRate="1.25", LineItems=[line("100.00", TaxType="ZERORATEDOUTPUT")])
    assert balance(xero, "2026-03-31") == Decimal("80.00")
    xero.pay(made["InvoiceID"], "100.00", CurrencyRate="1.00")
    assert balance(xero, "2026-03-31") == 0
    assert balance(xero, "2026-03-31", "Realised Currency Gains (499)") == Decimal("-20.00")


def test_debits_are_credits(xero: Xero) -> None:
    made = xero.invoice(LineItems=[line("33.33"), line("0.05", TaxType="RROUTPUT")])
    xero.pay(made["InvoiceID"], "1.01")
    rows = xero.get("Reports/TrialBalance", date="2026-12-31")["Reports"][0]["Rows"]
    cells = [cell["Value"] for cell in rows[-1]["Rows"][0]["Cells"]]
    assert cells[3] == cells[4] and Decimal(cells[3]) > 0


def test_what_is_put_in_by_the_back_door_is_not_posted(xero: Xero) -> None:
    """So a control account can differ from the documents, as a manual journal makes it."""
    made = xero.invoice()
    xero.http.post(f"{xero.root}/_sandbox/raw/Invoices", json={
        "Type": "ACCREC", "Contact": {"ContactID": made["Contact"]["ContactID"]}, "Total": "5.00", "Date": "2026-03-02",
    }).raise_for_status()  # fmt: skip
    assert balance(xero, "2026-03-31") == Decimal("120.00")


def test_histories_say_who_did_what(xero: Xero) -> None:
    made = xero.invoice()
    finance = Xero(xero.sandbox, "sandbox-finance")
    paid = finance.pay(made["InvoiceID"], "20.00")
    finance.http.close()
    told = xero.get(f"Invoices/{made['InvoiceID']}/History")["HistoryRecords"]
    assert [(one["User"], one["Changes"]) for one in told] == [
        ("Fiona Finance", "Paid"), ("System Generated", "Created")
    ]  # fmt: skip
    [entry] = xero.get(f"Payments/{paid['PaymentID']}/History")["HistoryRecords"]
    assert (entry["User"], entry["Changes"]) == ("Fiona Finance", "Created")
