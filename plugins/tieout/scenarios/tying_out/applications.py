"""Which open invoices the money that is set against nothing most likely settles: suggested, never posted."""

from __future__ import annotations

from sqlalchemy import Connection, text

from tieout.model.money import from_minor
from tieout.model.standing import OPEN
from tieout.reconcile import suggestions
from tieout.reconcile.payments import Match, OpenInvoice, Payment, match
from tieout.reconcile.suggestions import Suggestion
from tieout.scenarios.frames import rows
from tieout.scenarios.tying_out.payments import AREA, unapplied
from tieout.scenarios.tying_out.reading import Books


def suggest(conn: Connection, books: Books, report_id: int) -> int:
    """Keeps a suggestion for each such payment that fits an invoice. Returns how many are new or made again.

    Call it in the transaction of the items: an invoice is named by its record of the CRM, where it has one.
    """
    frame = books.ledger("invoice").frame
    live = frame[(frame["kind"] == "invoice") & (frame["standing"] == OPEN)]
    money = unapplied(books)
    if live.empty or money.empty:
        return 0
    invoices = [
        OpenInvoice(f"invoice:{row['invoice_id']}", row["customer_id"] or "", row["currency"], row["due_minor"],
                    row["number"] or "", row["date"])
        for row in rows(live[["invoice_id", "customer_id", "currency", "due_minor", "number", "date"]])
        if row["due_minor"] and row["date"]
    ]  # fmt: skip
    payments = [
        Payment(f"{row['entity']}:{row['id']}", row["customer_id"], row["currency"], row["remaining_minor"],
                row["date"], row["reference"] or "")
        for row in rows(money[["entity", "id", "customer_id", "currency", "remaining_minor", "date", "reference"]])
        if row["remaining_minor"] and row["date"]
    ]  # fmt: skip
    found = match(payments, invoices)
    records = _records(conn, [key for each in found for key, _ in each.applied])
    by_key = {invoice.key: invoice for invoice in invoices}
    money_by_key = {payment.key: payment for payment in payments}
    made = [_suggestion(each, money_by_key[each.payment], by_key, records) for each in found if each.applied]
    return suggestions.suggest(conn, books.services.link.name, made, report_id)


def _suggestion(
    found: Match, payment: Payment, invoices: dict[str, OpenInvoice], records: dict[str, str]
) -> Suggestion:
    """`a` and `b` of the evidence are facts by record, as the board shows them."""
    settled = {
        records.get(key, key): {
            "invoice": invoices[key].number, "dated": invoices[key].date.isoformat(),
            "open": _text(invoices[key].open_minor, payment.currency), "settled": _text(minor, payment.currency),
        }
        for key, minor in found.applied
    }  # fmt: skip
    money = {"amount": _text(payment.amount_minor, payment.currency), "dated": payment.date.isoformat(),
             "reference": payment.reference}  # fmt: skip
    evidence = {
        "why": found.why, "sure": "yes" if found.certain else "a person has to look", "a": settled,
        "b": {found.payment: money}, "others that fit": [invoices[key].number for key in found.alternatives],
    }  # fmt: skip
    return Suggestion(AREA, list(settled), [found.payment], f"payment_{found.tier}", found.score, evidence)


def _text(minor: int, currency: str) -> str:
    return f"{from_minor(minor, currency)} {currency}"


def _records(conn: Connection, keys: list[str]) -> dict[str, str]:
    """The ledger's invoice -> what it is matched by."""
    found = conn.execute(
        text("select key, match_key from recon_b where area = 'invoices' and key = any(:keys)"), {"keys": keys}
    )
    return {row.key: row.match_key for row in found}
