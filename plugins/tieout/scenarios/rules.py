"""What the link and the ledger say about billing, read once for a run: items, currencies, tax types, lock dates."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text

from tieout.scenarios.billing import Rules
from tieout.scenarios.frames import common_rows
from tieout.scenarios.services import Services
from tieout.store import aliases


def load_rules(services: Services) -> Rules:
    """Rules from the staged ledger and the approved aliases."""
    ledger, link = services.ledger, services.link
    items, _ = common_rows(services, ledger, "product")
    currencies, _ = common_rows(services, ledger, "currency")
    rates, _ = common_rows(services, ledger, "tax_rate")
    organisations, _ = common_rows(services, ledger, "organisation")
    locks = [
        row[name]
        for row in organisations
        for name in ("period_lock_date", "year_lock_date")
        if row.get(name) is not None
    ]
    with services.engine.connect() as conn:
        approved = aliases.resolve(conn, link.name, "product")
        now: datetime = conn.execute(text("select now()")).scalar_one()
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
        locked_until=max(locks, default=None),
        today=now.astimezone(ZoneInfo(link.time_zone)).date(),
    )
