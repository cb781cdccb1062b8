"""What the pages of limits show: customers as credit-sync last worked them out, each with the limit in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy import Connection

from tieout.model.link import Link
from tieout.scenarios.credit_sync import NAME
from tieout.store import credit, credit_positions, runs
from tieout.store.credit import Limit
from tieout.store.credit_positions import Choice, Standing


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer and its limit; `shares_with` is the name of the account whose limit it shares, else its id."""

    standing: Standing
    limit: Limit | None
    shares_with: str | None = None


def links(conn: Connection) -> list[str]:
    """Links that have anything to do with credit."""
    return list(
        conn.execute(
            sa.text("select link from tieout.credit_position union select link from tieout.credit_change order by 1")
        ).scalars()
    )


def customers(
    conn: Connection, link: Link, choice: Choice, words: str, skip: int, most: int
) -> tuple[list[Customer], int]:
    """A page of customers by name, and how many there are in all; see credit_positions.listing."""
    found, count = credit_positions.listing(conn, link.name, choice, words, skip, most)
    return _with_limits(conn, link, found), count


def customer(conn: Connection, link: Link, account_id: str) -> Customer | None:
    """One customer."""
    found = credit_positions.get(conn, link.name, account_id)
    return None if found is None else _with_limits(conn, link, [found])[0]


def as_of(conn: Connection, link: Link) -> datetime | None:
    """Until when the ledger had been read when the figures were worked out last."""
    for run in runs.latest(conn, link.name, NAME, limit=20):
        numbers = run.steps.get("transform", {}).get("numbers") or {}
        if numbers.get("as_of"):
            return datetime.fromisoformat(numbers["as_of"])
    return None


def today(conn: Connection, link: Link) -> date:
    """The day by the database's clock, in the link's time zone."""
    now: datetime = conn.execute(sa.text("select now()")).scalar_one()
    return now.astimezone(ZoneInfo(link.time_zone)).date()


def _with_limits(conn: Connection, link: Link, found: Sequence[Standing]) -> list[Customer]:
    limits = credit.in_force(conn, link.name, today(conn, link), [one.account_id for one in found])
    above = [limit.shares_with for limit in limits.values() if limit.shares_with]
    names = credit_positions.names(conn, link.name, above)
    made = []
    for one in found:
        limit = limits.get(one.account_id)
        shared = limit.shares_with if limit else None
        made.append(Customer(one, limit, names.get(shared, shared) if shared else None))
    return made
