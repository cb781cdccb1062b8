"""The items of a reconciliation: one temporary table a side, of one shape, whatever the system.

An item is a record of one side as one area counts it. `recon_a` is the CRM's, `recon_b` the ledger's. Items of both
sides belong together when they have the same area and `match_key`. Made for one transaction; filled by COPY of frames.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

from psycopg import sql
from sqlalchemy import Connection, text

from tieout.store.engine import driver

if TYPE_CHECKING:
    import pandas as pd

Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")

#: What has to be the same on both sides for a pair to tie; the second ones where the CRM states them.
TIES_BY = ("amount", "currency", "number", "status", "total", "due", "paid_on")
TIES_BY_WHERE_STATED = ("customer", "date", "rate")
_SAME = (
    f"case when live and alone then hash_record_extended(row({', '.join((*TIES_BY, *TIES_BY_WHERE_STATED))}), 0) end"
)

#: Column -> type and, where there is one, what is taken for none.
COLUMNS: dict[str, str] = {
    # The one join of everything is done by these two (match.py): numbers are quicker than texts, and the first columns
    # quicker to read than later ones. h: of area and match_key; same: of all that has to be the same for a pair to tie.
    "h": "bigint generated always as (hashtextextended(match_key, hashtext(area)::bigint)) stored",
    "same": f"bigint generated always as ({_SAME}) stored",
    # What the totals need comes next.
    "live": "boolean not null default true",  # it counts; else it is known and its amount is 0
    "scale": "smallint not null",
    "amount": "bigint not null default 0",  # as it counts: a credit is below zero
    "currency": "text not null default ''",
    "area": "text not null",
    "key": "text not null",  # <entity>:<source_id>
    "match_key": "text not null",  # the CRM's key where the crosswalk or a person names it, else its own
    "measure": "text not null default 'amount'",  # what its amount is: amount, price, stock, balance, limit, available
    "alone": "boolean not null default true",  # no other item of its side has the match_key
    "linked": "boolean not null default false",  # a crosswalk row names it
    "main": "boolean not null default true",  # its fields stand for the match_key, and not only its amount
    "ordinal": "bigint not null default 0",  # of several, the last one's fields are compared
    # What is compared beside the amount; null on the CRM's side is not stated.
    "customer": "text",  # the CRM's account id on both sides; of the ledger's own customers `ledger:<id>`
    "date": "date",
    "number": "text",
    "status": "text",
    "total": "bigint",
    "paid": "bigint",
    "due": "bigint",
    "paid_on": "date",
    "rate": "numeric",
    # What rules match by (rules.KEYS).
    "mark": "text",
    "match_number": "text",
    "reference": "text",
    # What is told and decided by.
    "label": "text",  # order 00000101
    "title": "text",  # the record's own number or name
    "customer_name": "text",
    "state": "text",  # of what does not count: void, cancelled, later, draft ...; of what counts: unapplied
    "later_days": "integer",  # dated so many days after the report's day
    "day": "date",  # in a period's report: the day that puts its amount into a period
    "reason": "text",  # why its amount cannot be read
    "changed_at": "timestamptz",
    "as_of": "timestamptz",  # when the CRM's figures of a customer's credit were made
    "version": "bigint",
}

#: Columns that PostgreSQL fills.
GENERATED = ("h", "same")
#: What a null means in a column that has none.
DEFAULTS: dict[str, str | int | bool] = {
    "measure": "amount", "live": True, "alone": True, "linked": False, "main": True, "ordinal": 0, "currency": "",
    "amount": 0,
}  # fmt: skip


def create(conn: Connection) -> None:
    """The two empty tables, gone at the end of the transaction."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    for side in ("a", "b"):
        conn.execute(text(f"create temp table recon_{side} ({columns}) on commit drop"))


def fill(conn: Connection, side: Side, frame: pd.DataFrame) -> int:
    """Adds the rows of a frame; columns that it lacks get their defaults. Returns how many."""
    import pyarrow as pa
    from pyarrow import csv

    names = [name for name in COLUMNS if name in frame.columns and name not in GENERATED]
    if frame.empty:
        return 0
    table = pa.table({name: _column(frame[name], DEFAULTS.get(name)) for name in names})
    out = io.BytesIO()
    csv.write_csv(table, out, csv.WriteOptions(include_header=False, quoting_style="needed"))
    statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
        sql.Identifier(f"recon_{side}"), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with driver(conn) as raw, raw.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(out.getbuffer())
    return len(frame)


def ready(conn: Connection) -> None:
    """Tells the planner what is there; call it once both sides are filled."""
    for side in SIDES:
        # Of all columns it would take longer than the join that it is for.
        conn.execute(text(f"analyze recon_{side} (area, match_key, h)"))


def _column(values: pd.Series[Any], default: str | int | bool | None) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    made = pa.array(values, from_pandas=True)
    if isinstance(made, pa.ChunkedArray):
        made = made.combine_chunks()
    if default is not None and made.null_count:
        return pc.fill_null(made, default)
    return made.cast(pa.string()) if pa.types.is_null(made.type) or pa.types.is_decimal(made.type) else made
