"""Payments: money received, set against invoices, and credit memos set against invoices; links on both sides.

A purchase on accounts receivable is owed as an invoice is; a payment's line names it as Expense, a check as Check.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.quickbooks import postings
from sandbox.quickbooks.books import TABLE_OF, Books, currency_ref, ref_of, reference
from sandbox.quickbooks.errors import bad_number, bad_reference, business, missing, too_long, unsupported
from sandbox.quickbooks.names import customer_of, move_balance
from sandbox.quickbooks.wire import ZERO, cents
from sandbox.state import Record

_LEFT = {"Invoice": "Balance", "CreditMemo": "RemainingCredit", "Purchase": "_open"}
_PURCHASES = {"Cash": "Expense", "Check": "Check"}


def currency_of(books: Books, given: Record, customer: Record, day: str) -> Record:
    """{CurrencyRef, ExchangeRate} of a transaction: the customer's currency, and no other. Raises Refused."""
    code = ref_of(customer, "CurrencyRef") or books.home
    named = ref_of(given, "CurrencyRef")
    if named and named != code:
        raise business(f"The currency of the transaction, {named}, is not the customer's, {code}")
    rate: Decimal | None = given.get("ExchangeRate")
    if code == books.home:
        rate = Decimal(1)
    elif rate is None:
        rate = books.day_rate(code, day)
    if rate is None or rate <= 0:
        raise bad_number("ExchangeRate", rate)
    return {"CurrencyRef": currency_ref(code), "ExchangeRate": rate}


def deposit_account(books: Books, given: Record, required: bool = False) -> Record:
    """Where the money is: a bank account or another current asset. Raises Refused."""
    account = books.referred("Account", given, "DepositToAccountRef")
    if account is None:
        if required:
            raise missing("DepositToAccountRef")
        return books.account(AccountSubType="UndepositedFunds")
    if account["AccountType"] not in ("Bank", "Other Current Asset"):
        raise bad_reference("DepositToAccountRef", account["Id"])
    return account


def save(books: Books, given: Record, old: Record | None) -> Record:
    """Puts the payment with its links. Raises Refused."""
    customer = customer_of(books, given)
    day = given.get("TxnDate") or books.today()
    books.check_open(day, old["TxnDate"] if old else None)
    if old is not None and old.get("_voided"):
        raise business("A voided transaction cannot be changed")
    total = given.get("TotalAmt")
    if total is None:
        raise missing("TotalAmt")
    if total < 0 or total != cents(total):
        raise bad_number("TotalAmt", total)
    if len(given.get("PaymentRefNum") or "") > 21:
        raise too_long("PaymentRefNum", 21, len(given["PaymentRefNum"]))
    if old is not None:
        _take_back(books, old)
    lines = [_line(books, customer, line) for line in given.get("Line") or ()]
    owed, credits = _sums(lines)
    if credits > owed or owed > total + credits:
        raise business(f"Lines of {owed} cannot be paid by {total} and credits of {credits}")
    id_ = old["Id"] if old else books.next_id("Payment")
    record = given | currency_of(books, given, customer, day) | {
        "Id": id_, "TxnDate": day, "CustomerRef": reference(customer), "TotalAmt": cents(total), "Line": lines,
        "UnappliedAmt": cents(total) + credits - owed, "ProcessPayment": False,
        "DepositToAccountRef": reference(deposit_account(books, given)), "LinkedTxn": [],
    }  # fmt: skip
    record["ARAccountRef"] = reference(books.receivables(record["CurrencyRef"]["value"]))
    for line in lines:
        link(books, line, id_)
    move_balance(books, customer["Id"], -record["TotalAmt"])
    postings.payment(books, record)
    if old is not None:
        record |= {"SyncToken": old["SyncToken"], "MetaData": old["MetaData"]}
    return books.put("Payment", record, "Update" if old else "Create")


def _line(books: Books, customer: Record, line: Record) -> Record:
    amount, links = line.get("Amount"), line.get("LinkedTxn") or []
    if amount is None or len(links) != 1:
        raise missing("Line.Amount" if amount is None else "Line.LinkedTxn")
    kind, id_ = links[0].get("TxnType"), links[0].get("TxnId")
    if kind not in TABLE_OF:
        raise unsupported(f"Property Name:TxnType specified is unsupported or invalid. Supplied value:{kind}", "2180")
    table = TABLE_OF[kind]
    document = books.table(table).get(id_ or "")
    if document is None or (table == "Purchase" and _PURCHASES[document["PaymentType"]] != kind):
        raise bad_reference("LinkedTxn.TxnId", id_)
    if ref_of(document, "EntityRef" if table == "Purchase" else "CustomerRef") != customer["Id"]:
        raise business(f"{kind} {id_} is not of customer {customer['Id']}")
    if amount <= 0 or amount != cents(amount):
        raise bad_number("Line.Amount", amount)
    if amount > document[_LEFT[table]]:
        raise business(f"The amount {amount} is more than what is open of {kind} {id_}, {document[_LEFT[table]]}")
    return {"Amount": cents(amount), "LinkedTxn": [{"TxnId": id_, "TxnType": kind}]}


def _sums(lines: list[Record]) -> tuple[Decimal, Decimal]:
    """(of what is owed, of credit memos)."""
    sums = {False: ZERO, True: ZERO}
    for line in lines:
        sums[_is_credit(line)] += line["Amount"]
    return sums[False], sums[True]


def _is_credit(line: Record) -> bool:
    return bool(line["LinkedTxn"][0]["TxnType"] == "CreditMemo")


def link(books: Books, line: Record, payment_id: str, sign: int = -1) -> None:
    """The line's effect on the document it names: less is open (sign -1), or more again (1)."""
    kind, id_ = line["LinkedTxn"][0]["TxnType"], line["LinkedTxn"][0]["TxnId"]
    table = TABLE_OF[kind]
    document = books.table(table)[id_]
    left = document[_LEFT[table]] + sign * line["Amount"]
    if left < 0:
        raise business(f"More is applied to {kind} {id_} than is open of it")
    links = [entry for entry in document["LinkedTxn"] if entry["TxnId"] != payment_id]
    if sign < 0:
        links.append({"TxnId": payment_id, "TxnType": "Payment"})
    changed = document | {_LEFT[table]: left, "LinkedTxn": links}
    if table != "Purchase":
        changed |= {"Balance": left, "HomeBalance": cents(left * document["ExchangeRate"])}
    books.put(table, changed, "Link")


def _take_back(books: Books, old: Record) -> None:
    for line in old["Line"]:
        link(books, line, old["Id"], 1)
    move_balance(books, old["CustomerRef"]["value"], old["TotalAmt"])
    books.postings.delete(old["Id"])


def void(books: Books, old: Record) -> Record:
    """The payment stays with nought; its invoices and credit memos are open again. Raises Refused."""
    books.check_open(old["TxnDate"])
    if old.get("_voided"):
        return old
    _take_back(books, old)
    note = f"Voided - {old['PrivateNote']}" if old.get("PrivateNote") else "Voided"
    nought = {"TotalAmt": ZERO, "UnappliedAmt": ZERO, "Line": [], "PrivateNote": note, "_voided": True}
    return books.put("Payment", old | nought, "Void")


def delete(books: Books, old: Record) -> None:
    books.check_open(old["TxnDate"])
    if not old.get("_voided"):
        _take_back(books, old)
    books.remove("Payment", old["Id"])


def free(books: Books, document: Record) -> None:
    """Takes a document out of the payments that name it; credits that pay for nothing then are free, too (assumed)."""
    for entry in document.get("LinkedTxn", []):
        payment = books.table("Payment").get(entry["TxnId"])
        if payment is None:
            continue
        kept = []
        for line in payment["Line"]:
            if line["LinkedTxn"][0]["TxnId"] == document["Id"]:  # all transactions share one sequence of ids
                link(books, line, payment["Id"], 1)
            else:
                kept.append(line)
        kept = _rebalance(books, payment, kept)
        owed, credits = _sums(kept)
        changed = payment | {"Line": kept, "UnappliedAmt": payment["TotalAmt"] + credits - owed}
        postings.payment(books, changed)
        books.put("Payment", changed, "Link")


def _rebalance(books: Books, payment: Record, lines: list[Record]) -> list[Record]:
    """From the last line on, lowers credits that exceed what is owed, and what is owed that nothing pays any more."""
    owed, credits = _sums(lines)
    excess = {True: max(credits - owed, ZERO), False: max(owed - credits - payment["TotalAmt"], ZERO)}
    kept: list[Record] = []
    for line in reversed(lines):
        less = min(excess[_is_credit(line)], line["Amount"])
        if less:
            excess[_is_credit(line)] -= less
            link(books, line, payment["Id"], 1)
            line = line | {"Amount": line["Amount"] - less}
            if line["Amount"]:
                link(books, line, payment["Id"])
        if line["Amount"]:
            kept.insert(0, line)
    return kept
