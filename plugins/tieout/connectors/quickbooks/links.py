"""What a document's payments and credits come to, which QuickBooks says only in the lines of its Payments.

A Payment's lines link what it settles (Invoice; a Purchase on accounts receivable, as Expense or Check) and what it
uses up (CreditMemo); TotalAmt is the money that came in. A Payment of TotalAmt 0 only sets credit memos against
invoices, or against the Purchases that paid them back. What stands on a record beside Intuit's own fields is
made here, under names that Intuit does not have:

- Invoice, CreditMemo, Payment, RefundReceipt: Standing (open, settled, void; of the last two settled or void), Kind
  (invoice; credit; payment, or `application` where no money moved; refund), Note (PrivateNote without what a void
  puts before it).
- Invoice, CreditMemo: NetAmt (TotalAmt less tax), SalesLines (without the subtotals that Intuit adds).
- Invoice: Credited and Paid; PaidOn, the day of the last payment or credit, once nothing is due.
- CreditMemo: Allocations [{InvoiceId, Amount, Date, PaymentId}].
- Payment: Applications [{InvoiceId, Amount}], the money, and [{CreditMemoId, Amount, Kind `refund`, Key}], what a
  Purchase paid back of a credit memo; Credits [{CreditMemoId, InvoiceId, Amount}];
  UnappliedStanding, UnappliedKind: those of what is not applied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tieout.connectors.base import Record
from tieout.connectors.comparing import number_of
from tieout.connectors.quickbooks.operations import is_void

#: Entities that the connector completes.
LINKED = ("Invoice", "CreditMemo", "Payment", "RefundReceipt")
#: Reads Payments by their ids.
Payments = Callable[[Sequence[str]], Iterable[Record]]
_ZERO = Decimal(0)
#: What a line's TxnType says of a Purchase.
PURCHASES = ("Expense", "Check")
_VOIDED = re.compile(r"^voided\b[\s:-]*", re.IGNORECASE)


def with_links(obj: str, records: Sequence[Record], payments: Payments) -> Sequence[Record]:
    """The records with what their payments say, of an entity that has such; one round of reading for all of them."""
    if obj == "Payment":
        return [with_parts(record) for record in records]
    if obj == "RefundReceipt":
        return [{**one, **_common(one, "refund", _standing(one, _ZERO))} for one in records]
    linked = {str(record.get("Id")): _linked(record) for record in records}
    wanted = list(dict.fromkeys(id_ for ids in linked.values() for id_ in ids))
    known = {str(payment["Id"]): with_parts(payment) for payment in payments(wanted)} if wanted else {}
    made = _invoice if obj == "Invoice" else _credit_memo
    return [made(one, [known[id_] for id_ in linked[str(one.get("Id"))] if id_ in known]) for one in records]


def with_parts(payment: Record) -> Record:
    """A Payment with its parts: credits go to the invoices in the order of the lines, the rest of them is money."""
    due: list[list[Any]] = []  # [invoice, what no credit covers yet]
    credits: list[list[Any]] = []
    paid_back: list[list[Any]] = []
    for line in _list(payment.get("Line")):
        amount = number_of(line.get("Amount")) or _ZERO
        for link in _list(line.get("LinkedTxn")):
            kind, one = link.get("TxnType"), [str(link.get("TxnId")), amount]
            if kind == "CreditMemo":
                credits.append(one)
            elif kind in ("Invoice", *PURCHASES):
                (due if kind == "Invoice" else paid_back).append(one)
    used = [
        {"CreditMemoId": credit, "InvoiceId": invoice, "Amount": part} for credit, invoice, part in _taken(credits, due)
    ]
    applied = [{"InvoiceId": invoice, "Amount": amount} for invoice, amount in due if amount > 0]
    # What of a Purchase no credit covers gave money back that had come in without an invoice: neither is on one then.
    back = [
        {"Key": f"{credit}/{purchase}", "Kind": "refund", "CreditMemoId": credit, "Amount": part}
        for credit, purchase, part in _taken(credits, paid_back)
    ]
    void = is_void(payment)
    is_money = bool(number_of(payment.get("TotalAmt"))) or bool(applied) or void
    return {
        **payment,
        **_common(payment, "payment" if is_money else "application", "void" if void else "settled"),
        "Applications": [*applied, *back],
        "Credits": used,
        "UnappliedKind": "received",
        "UnappliedStanding": "void" if void else "open" if number_of(payment.get("UnappliedAmt")) else "settled",
    }


def _taken(credits: list[list[Any]], due: list[list[Any]]) -> list[tuple[str, str, Decimal]]:
    """(credit, what it covers, how much), in the order of the lines; what is left of both is lowered."""
    found = []
    for credit in credits:
        for one in due:
            part = min(credit[1], one[1])
            if part > 0:
                found.append((credit[0], one[0], part))
                credit[1] -= part
                one[1] -= part
    return found


def _invoice(record: Record, payments: Sequence[Record]) -> Record:
    id_ = str(record.get("Id"))
    credited = _sum(part["Amount"] for one in payments for part in one["Credits"] if part["InvoiceId"] == id_)
    total, due = number_of(record.get("TotalAmt")) or _ZERO, number_of(record.get("Balance")) or _ZERO
    made = {
        **record,
        **_common(record, "invoice", _standing(record, due)),
        **_sales(record),
        "Credited": credited,
        "Paid": total - due - credited,
    }
    days = sorted(str(one.get("TxnDate")) for one in payments if one.get("TxnDate"))
    return {**made, "PaidOn": days[-1]} if days and total > 0 and not due else made


def _credit_memo(record: Record, payments: Sequence[Record]) -> Record:
    id_ = str(record.get("Id"))
    found = [
        {"InvoiceId": part["InvoiceId"], "Amount": part["Amount"], "Date": one.get("TxnDate"), "PaymentId": one["Id"]}
        for one in payments for part in one["Credits"] if part["CreditMemoId"] == id_
    ]  # fmt: skip
    left = number_of(record.get("RemainingCredit", record.get("Balance"))) or _ZERO
    return {
        **record,
        **_common(record, "credit", _standing(record, left)),
        **_sales(record),
        "RemainingCredit": left,
        "Allocations": found,
    }


def _standing(record: Record, left: Decimal) -> str:
    return "void" if is_void(record) else "open" if left else "settled"


def _common(record: Record, kind: str, standing: str) -> dict[str, Any]:
    note = str(record.get("PrivateNote") or "")
    return {"Kind": kind, "Standing": standing, "Note": _VOIDED.sub("", note, count=1).strip() or None}


def _sales(record: Record) -> dict[str, Any]:
    total = number_of(record.get("TotalAmt")) or _ZERO
    tax = number_of((record.get("TxnTaxDetail") or {}).get("TotalTax")) or _ZERO
    lines = [line for line in _list(record.get("Line")) if line.get("DetailType") == "SalesItemLineDetail"]
    return {"NetAmt": total - tax, "SalesLines": lines}


def _linked(record: Record) -> list[str]:
    return [str(link["TxnId"]) for link in _list(record.get("LinkedTxn")) if link.get("TxnType") == "Payment"]


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, _ZERO)
