"""What link and ledger say about billing, read once for a run: items, currencies, tax types, lock dates, periods."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from tieout.mapping.spec import Mapping
from tieout.model.standing import ACTIVE
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
        locks = lock_dates(conn, ledger.name, ledger.mappings["organisation"])
    active = [row for row in rates if row.get("status") in (None, ACTIVE)]
    return Rules(
        link=link,
        items={row["code"]: row["product_id"] for row in items if row.get("code")},
        currencies=frozenset(row["code"] for row in currencies if row.get("code")),
        tax_rates={row["tax_code"]: row["rate_percent"] for row in active if row.get("rate_percent") is not None},
        unrated=frozenset(row["tax_code"] for row in active if row.get("rate_percent") is None),
        aliases=approved,
        locked_until=max(locks.values(), default=None),
        today=now.astimezone(ZoneInfo(link.time_zone)).date(),
        closed=closed,
        line_discounts=ledger.capabilities.line_discounts,
        unit_decimals=ledger.capabilities.unit_decimals,
    )


#: The ledger's lock dates in the common model, with the words for them.
LOCK_DATES = {"period_lock_date": "period lock date", "year_lock_date": "year lock date"}


def lock_dates(conn: Connection, connection: str, organisation: Mapping) -> dict[str, date]:
    """name (LOCK_DATES) -> day up to which the ledger is locked, as it was staged last; what is not set is left out.

    Args:
        connection: the ledger's name.
        organisation: its mapping of that entity.
    """
    table = f"staging.{organisation.staged_entity().table}"
    if conn.execute(text("select to_regclass(:name)"), {"name": table}).scalar_one() is None:
        return {}
    named = [name for name in LOCK_DATES if name in organisation.read]
    if not named:
        return {}
    columns = ", ".join(f"max({organisation.read[name].source[0]}) as {name}" for name in named)
    query = text(f"select {columns} from {table} where _connection = :connection and not _deleted")  # noqa: S608
    row = conn.execute(query, {"connection": connection}).one()
    return {name: day for name, day in row._mapping.items() if day is not None}


def closed_periods(conn: Connection, link: str, known_at: datetime | None = None) -> tuple[Closed, ...]:
    """The link's closed periods, by first day; `known_at`: only those that were closed by then."""
    return tuple(
        Closed(one.first, one.last, one.label, one.changed_by, one.changed_at)
        for one in periods.closed(conn, link) if known_at is None or one.changed_at <= known_at
    )  # fmt: skip
