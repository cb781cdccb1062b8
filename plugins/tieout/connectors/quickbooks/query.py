"""Statements of Intuit's query language: quoting, windows, pages. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

STAMP = "MetaData.LastUpdatedTime"
PAGE_SIZE = 1000  # Intuit's most
#: Lists of names: what is not active is left out of an answer unless it is asked for.
WITH_ACTIVE = frozenset({"Customer", "Item", "Account", "TaxCode", "TaxRate", "Term", "CompanyCurrency"})


def select(obj: str, conditions: Sequence[str] = (), *, order: str = "", start: int = 1, most: int = PAGE_SIZE) -> str:
    """One page of an entity: `start` is the place of its first record, from 1."""
    every = [*conditions, *(["Active IN (true, false)"] if obj in WITH_ACTIVE else [])]
    where = f" WHERE {' AND '.join(every)}" if every else ""
    by = f" ORDERBY {order}" if order else ""
    return f"SELECT * FROM {obj}{where}{by} STARTPOSITION {start} MAXRESULTS {most}"  # noqa: S608 - quoted


def among(field: str, values: Sequence[str]) -> str:
    """The condition that a field is one of these."""
    return f"{field} IN ({', '.join(quoted(value) for value in values)})"


def quoted(value: str) -> str:
    """A text as it stands in a statement."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def at(moment: datetime) -> str:
    """An instant as it stands in a statement: whole seconds, UTC."""
    return quoted(moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def on(day: date) -> str:
    """A day as it stands in a statement."""
    return quoted(day.isoformat())
