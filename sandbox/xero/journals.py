"""The general ledger: what every document posts, and the trial balance that is made of that alone.

A journal is kept for each document, payment and allocation, made when it is, and taken away when it is voided or
deleted. Amounts are in the base currency, at the document's rate; each posting is rounded on its own. Balances of
documents are kept elsewhere (documents.py) and are never looked at here, so the two can be held against each other.
Not modelled: the cost of goods sold, and the revaluation of what is open in a foreign currency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.state import Record
from sandbox.xero.books import INVOICE, KINDS, ZERO, Books, Kind, cents
from sandbox.xero.call import Call
from sandbox.xero.wire import read_date

RECEIVABLE, PAYABLE, TAX, BANK, GAINS, OTHER = "610", "800", "820", "090", "499", "260"
_SECTIONS = {"REVENUE": "Revenue", "EXPENSE": "Expenses", "ASSET": "Assets", "LIABILITY": "Liabilities",
             "EQUITY": "Equity"}  # fmt: skip
Posting = tuple[str, Decimal]  # code of the account, amount in the base currency: a debit is above zero


def document(books: Books, kind: Kind, record: Record) -> None:
    """Posts an invoice, credit note, overpayment or prepayment as it is now, or takes its posting away."""
    key = f"{kind.name}:{record[kind.id]}"
    if record["Status"] not in ("AUTHORISED", "PAID"):
        _take_away(books, key)
        return
    total = cents(record["Total"] / record["CurrencyRate"])
    sign = _sign(record)
    received = kind.name in ("Overpayment", "Prepayment")
    postings = [(_control(record), sign * total)]
    if received:
        postings.append((BANK, -sign * total))
    else:
        net: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        for line in record["LineItems"]:
            part = line.get("LineAmount", ZERO)
            if record["LineAmountTypes"] == "Inclusive":
                part -= line.get("TaxAmount") or ZERO
            net[line.get("AccountCode") or OTHER] += part
        postings += [(code, -sign * cents(part / record["CurrencyRate"])) for code, part in net.items()]
        # What is left is the tax, with the rounding of the lines in it.
        postings.append((TAX, -sum((amount for _, amount in postings), ZERO)))
    _keep(books, key, record["Date"], postings)


def payment(books: Books, record: Record) -> None:
    """Posts a payment or refund at the rate of its document; what its own rate makes of it is a gain or a loss."""
    key = f"Payment:{record['PaymentID']}"
    if record["Status"] != "AUTHORISED":
        _take_away(books, key)
        return
    kind = KINDS[record["Target"]]
    target = books.table(kind)[record["TargetID"]]
    account = books.accounts[record["AccountID"]]["Code"]
    booked = -_sign(target) * cents(record["Amount"] / target["CurrencyRate"])
    paid = -_sign(target) * cents(record["Amount"] / record["CurrencyRate"])
    _keep(books, key, record["Date"], [(_control(target), booked), (account, -paid), (GAINS, paid - booked)])


def allocation(books: Books, record: Record) -> None:
    """Posts what two rates make of a credit that is set against an invoice."""
    source = books.table(KINDS[record["Source"]])[record["SourceID"]]
    invoice = books.table(INVOICE)[record["InvoiceID"]]
    taken = -_sign(source) * cents(record["Amount"] / source["CurrencyRate"])
    given = -_sign(invoice) * cents(record["Amount"] / invoice["CurrencyRate"])
    postings = [(_control(invoice), taken + given), (GAINS, -taken - given)]
    _keep(books, f"Allocation:{record['AllocationID']}", record["Date"], postings)


def no_allocation(books: Books, id_: str) -> None:
    """Takes the posting of an allocation away."""
    _take_away(books, f"Allocation:{id_}")


def balances(books: Books, upto: date) -> dict[str, Decimal]:
    """Code of an account -> its balance at the end of a day; a debit is above zero."""
    found: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for journal in books.state.table("Journals").values():
        if journal["Date"] <= upto:
            for posting in journal["Lines"]:
                found[posting["Account"]] += posting["Amount"]
    return dict(found)


def trial_balance(call: Call) -> dict[str, Any]:
    """GET /Reports/TrialBalance."""
    books = call.books
    upto = read_date(call.query["date"], "date") if call.query.get("date") else call.now.date()
    found = balances(books, upto)
    accounts = {account["Code"]: account for account in books.accounts.values()}
    rows: list[Record] = [{"RowType": "Header", "Cells": [{"Value": one} for one in
                           ("Account", "Debit", "Credit", "YTD Debit", "YTD Credit")]}]  # fmt: skip
    for class_, title in _SECTIONS.items():
        codes = sorted(code for code in found if found[code] and accounts[code]["Class"] == class_)
        if codes:
            rows.append({"RowType": "Section", "Title": title,
                         "Rows": [_row(accounts[code], found[code]) for code in codes]})  # fmt: skip
    debits = sum((amount for amount in found.values() if amount > 0), ZERO)
    credits_ = -sum((amount for amount in found.values() if amount < 0), ZERO)
    total = [{"Value": one} for one in ("Total", f"{debits}", f"{credits_}", f"{debits}", f"{credits_}")]
    rows.append({"RowType": "Section", "Title": "", "Rows": [{"RowType": "SummaryRow", "Cells": total}]})
    day = f"{upto.day} {upto:%B %Y}"
    report = {
        "ReportID": "TrialBalance", "ReportName": "Trial Balance", "ReportType": "TrialBalance",
        "ReportTitles": ["Trial Balance", books.setting("organisation_name"), f"As at {day}"], "ReportDate": day,
        "UpdatedDateUTC": call.now, "Fields": [], "Rows": rows,
    }  # fmt: skip
    return {"Reports": [report]}


def _row(account: Record, balance: Decimal) -> Record:
    attributes = [{"Value": account["AccountID"], "Id": "account"}]
    debit, credit = (f"{balance}", "") if balance > 0 else ("", f"{-balance}")
    values = (f"{account['Name']} ({account['Code']})", debit, credit, debit, credit)
    return {"RowType": "Row", "Cells": [{"Value": one, "Attributes": attributes} for one in values]}


def _sign(record: Record) -> int:
    """+1 where it is owed to us or lowers what we owe."""
    kind: str = record["Type"]
    if kind.startswith("ACC"):
        return 1 if kind in ("ACCREC", "ACCPAYCREDIT") else -1
    return -1 if kind.startswith(("RECEIVE", "AR")) else 1


def _control(record: Record) -> str:
    return RECEIVABLE if record["Type"].startswith(("ACCREC", "AR", "RECEIVE")) else PAYABLE


def _keep(books: Books, key: str, on: date, postings: Iterable[Posting]) -> None:
    kept = [{"Account": code, "Amount": amount} for code, amount in postings if amount]
    books.state.table("Journals").put(key, {"Key": key, "Date": on, "Lines": kept})


def _take_away(books: Books, key: str) -> None:
    if key in books.state.table("Journals"):
        books.state.table("Journals").delete(key)
