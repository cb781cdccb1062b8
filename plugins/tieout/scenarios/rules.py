"""What link and ledger say about billing, read once for a run: items, currencies, tax types, lock dates, periods."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from tieout.scenarios.billing import Closed, Rules
from tieout.scenarios.frames import common_rows
from tieout.scenarios.services import Services
from tieout.store import aliases, periods


def load_rules(services: Services) -> Rules:
    """Rules from the staged ledger and the approved aliases."""
    ledger, link = services.ledger, services.link
    items, _ = common_rows(services, ledger, "product")
    currencies, _ = common_rows(services, ledger, "currency")
    rates, _ = common_rows(services, ledger, "tax_rate")
    with services.engine.connect() as conn:
        approved = aliases.resolve(conn, link.name, "product")
        now: datetime = conn.execute(text("select now()")).scalar_one()
        closed = closed_periods(conn, link.name)
    return Rules(
        link=link,
        items=frozenset(row["code"] for row in items if row.get("code")),
        currencies=frozenset(row["code"] for row in currencies if row.get("code")),
        tax_rates={
            row["tax_code"]: row["rate_percent"]
            for row in rates
            if row.get("status") in (None, "ACTIVE") and row.get("rate_percent") is not None
        },
        aliases=approved,
        locked_until=max(lock_dates(services).values(), default=None),
        today=now.astimezone(ZoneInfo(link.time_zone)).date(),
        closed=closed,
    )


#: The ledger's lock dates in the common model, with the words for them.
LOCK_DATES = {"period_lock_date": "period lock date", "year_lock_date": "year lock date"}


def lock_dates(services: Services) -> dict[str, date]:
    """name (LOCK_DATES) -> day up to which the ledger is locked, as it was staged last; what is not set is left out."""
    organisations, _ = common_rows(services, services.ledger, "organisation")
    found: dict[str, date] = {}
    for row in organisations:
        for name in LOCK_DATES:
            if row.get(name) is not None:
                found[name] = max(row[name], found.get(name, row[name]))
    return found


def closed_periods(conn: Connection, link: str, known_at: datetime | None = None) -> tuple[Closed, ...]:
    """The link's closed periods, by first day; `known_at`: only those that were closed by then."""
    return tuple(
        Closed(one.first, one.last, one.label, one.changed_by, one.changed_at)
        for one in periods.closed(conn, link) if known_at is None or one.changed_at <= known_at
    )  # fmt: skip
