"""Breaks as CSV, and what both files share: the columns, and text that no program takes for a formula.

CSV is UTF-8 with a byte order mark (Excel takes anything else for the machine's own encoding), lines end in CR LF,
amounts are plain decimals with a point. A text that a spreadsheet would take for a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from tieout.model.tie_out import Item, age_bucket
from tieout.reports.present import exact, harmless, words

BYTE_ORDER_MARK = "\ufeff"
#: Rows that are written together.
BATCH = 1_000
#: What begins a formula in Excel, LibreOffice or Google Sheets, the full-width forms too. A tab or a line break before
#: it would not hide it: `harmless` has made a space of them, and spaces are looked through.
FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")
#: Blanks of every kind, and signs without width that `harmless` leaves.
_LOOKED_THROUGH = (
    " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u200c\u200d\u200e\u200f\u202f\u205f\u3000'\""
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of both files. `kind`: amount (exact, in the currency's decimals), number, date, text."""

    name: str
    kind: Literal["amount", "number", "date", "text"]
    value: Callable[[Item, date], Any]
    width: int = 14


def _keys(keys: Iterable[str]) -> str:
    return ", ".join(keys)


COLUMNS: tuple[Column, ...] = (
    Column("Break", "number", lambda item, day: item.break_id, 9),
    Column("Area", "text", lambda item, day: words(item.area)),
    Column("Class", "text", lambda item, day: words(item.class_), 22),
    Column("Currency", "text", lambda item, day: item.currency, 9),
    Column("Amount (A - B)", "amount", lambda item, day: exact(item.amount, item.scale), 16),
    Column("Within tolerance", "text", lambda item, day: "yes" if item.within_tolerance else "no", 9),
    Column("Customer", "text", lambda item, day: item.customer_name, 28),
    Column("Customer id", "text", lambda item, day: item.customer_id, 22),
    Column("Documents", "text", lambda item, day: ", ".join(item.numbers), 24),
    Column("Explanation", "text", lambda item, day: item.explanation, 60),
    Column("First seen", "date", lambda item, day: item.first_seen, 11),
    Column("Age in days", "number", lambda item, day: item.age(day), 8),
    Column("Age", "text", lambda item, day: age_bucket(item.age(day)), 9),
    Column("State", "text", lambda item, day: words(item.state)),
    Column("Owner", "text", lambda item, day: item.owner, 18),
    Column("Reason", "text", lambda item, day: words(item.reason_code) if item.reason_code else None, 18),
    Column("Due", "date", lambda item, day: item.due_on, 11),
    Column("CRM records", "text", lambda item, day: _keys(item.a_keys), 30),
    Column("Ledger records", "text", lambda item, day: _keys(item.b_keys), 30),
)  # fmt: skip


def csv_lines(items: Iterable[Item], day: date) -> Iterator[bytes]:
    """The file in pieces. `day`: ages count up to it."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, dialect="excel")
    buffer.write(BYTE_ORDER_MARK)
    writer.writerow([column.name for column in COLUMNS])
    for place, item in enumerate(items, start=1):
        writer.writerow([_csv_cell(column, column.value(item, day)) for column in COLUMNS])
        if place % BATCH == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8")


def _csv_cell(column: Column, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if column.kind == "text":
        return unlike_a_formula(str(value))
    return str(value)


def unlike_a_formula(text: str) -> str:
    """The text in one line; with an apostrophe in front where a spreadsheet would compute it."""
    plain = harmless(text)
    seen = plain.lstrip(_LOOKED_THROUGH)
    return f"'{plain}" if seen.startswith(FORMULA_STARTS) else plain
