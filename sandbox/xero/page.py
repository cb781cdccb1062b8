"""The page at the mount's root: what is in the organisation, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from sandbox.state import Record
from sandbox.xero.books import CREDIT_NOTE, INVOICE, KINDS, Books, Kind

MAX_ROWS = 200  # newest of each table

_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2rem;color:#1b2733}table{border-collapse:collapse;margin:0 0 2rem}"
    "th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #d8dee4}td.n{text-align:right;"
    "font-variant-numeric:tabular-nums}h2{margin:1.5rem 0 .5rem}p{color:#57606a}"
)


def render(books: Books) -> str:
    """The whole page."""
    name = escape(str(books.setting("organisation_name")))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{name}</title><style>{_STYLE}</style></head><body><h1>{name}</h1>",
        f"<p>A sandbox. Base currency {escape(str(books.setting('base_currency')))};"
        f" period locked to {escape(str(books.setting('period_lock_date') or '-'))},"
        f" year locked to {escape(str(books.setting('end_of_year_lock_date') or '-'))}.</p>",
        _documents(books, INVOICE, "AmountDue", "Due"),
        _documents(books, CREDIT_NOTE, "RemainingCredit", "Remaining"),
        _payments(books),
        _table(
            "Contacts",
            books.contacts.values(),
            ("Name", "Number", "Email", "Status"),
            lambda r: (r["Name"], r.get("ContactNumber"), r.get("EmailAddress"), r["ContactStatus"]),
        ),
        "</body></html>",
    ]
    return "".join(parts)


def _documents(books: Books, kind: Kind, left: str, label: str) -> str:
    def row(record: Record) -> Sequence[Any]:
        number = record.get(kind.number or "")
        contact = books.contacts[record["ContactID"]]["Name"]
        return (
            number,
            record["Type"],
            contact,
            record["Date"],
            record["Status"],
            record["CurrencyCode"],
            record["Total"],
            record[left],
            record.get("Reference"),
        )

    heads = ("Number", "Type", "Contact", "Date", "Status", "Currency", "Total", label, "Reference")
    return _table(kind.key, books.table(kind).values(), heads, row)


def _payments(books: Books) -> str:
    def row(record: Record) -> Sequence[Any]:
        kind = KINDS[record["Target"]]
        number = books.table(kind)[record["TargetID"]].get(kind.number or "")
        return (record["Date"], record["PaymentType"], number, record["Amount"], record["Status"], record["Reference"])

    return _table("Payments", books.payments.values(), ("Date", "Type", "Of", "Amount", "Status", "Reference"), row)


def _table(title: str, records: Iterable[Record], heads: Sequence[str], row: Any) -> str:
    everything = list(records)
    shown = everything[: -MAX_ROWS - 1 : -1]
    cells = "".join(f"<tr>{''.join(_cell(value) for value in row(record))}</tr>" for record in shown)
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>"
    return f"<h2>{escape(title)} ({len(everything)})</h2>{table}"


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    number = ' class="n"' if hasattr(value, "as_tuple") else ""
    return f"<td{number}>{escape(text)}</td>"
