"""The page at the mount's root: what is in the companies, for people."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import islice

from sandbox.quickbooks.books import Books
from sandbox.state import Record

MAX_ROWS = 200  # newest of each table
_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2rem;color:#1b2733}table{border-collapse:collapse;margin:0 0 2rem}"
    "th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #d8dee4}p{color:#57606a}"
)
_TABLES = {
    "Invoice": ("Id", "DocNumber", "CustomerRef", "TxnDate", "CurrencyRef", "TotalAmt", "Balance", "PrivateNote"),
    "CreditMemo": ("Id", "DocNumber", "CustomerRef", "TxnDate", "CurrencyRef", "TotalAmt", "RemainingCredit"),
    "Payment": ("Id", "CustomerRef", "TxnDate", "CurrencyRef", "TotalAmt", "UnappliedAmt", "PaymentRefNum"),
    "RefundReceipt": ("Id", "DocNumber", "CustomerRef", "TxnDate", "TotalAmt"),
    "Purchase": ("Id", "DocNumber", "EntityRef", "TxnDate", "PaymentType", "AccountRef", "TotalAmt", "PrivateNote"),
    "Customer": ("Id", "DisplayName", "CurrencyRef", "Balance", "Active"),
    "Item": ("Id", "Name", "Sku", "Type", "UnitPrice", "QtyOnHand"),
}


def render(companies: Sequence[Books]) -> str:
    """The whole page."""
    parts = ['<!doctype html><html lang="en"><head><meta charset="utf-8"><title>QuickBooks sandbox</title>']
    parts.append(f"<style>{_STYLE}</style></head><body>")
    for books in companies:
        closing = books.company("book_close_date") or "-"
        parts.append(f"<h1>{escape(books.company('name'))}</h1><p>A sandbox. Realm {books.realm}; home currency ")
        parts.append(f"{escape(books.home)}; books closed to {escape(closing)}.</p>")
        parts += [_table(books, entity, fields) for entity, fields in _TABLES.items()]
    return "".join([*parts, "</body></html>"])


def _table(books: Books, entity: str, fields: Sequence[str]) -> str:
    table = books.table(entity)
    head = "".join(f"<th>{field}</th>" for field in fields)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_cell(table[id_], field)}</td>' for field in fields)}</tr>"
        for id_ in islice(reversed(list(table.keys())), MAX_ROWS)
    )
    return f"<h2>{entity} ({len(table)})</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(record: Record, field: str) -> str:
    value = record.get(field)
    if isinstance(value, dict):
        value = value.get("name") or value.get("value")
    return escape("" if value is None else str(value))
