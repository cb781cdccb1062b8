"""A person lets one order go that the gate holds: found by its number or id, released for what it comes to now."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from tieout.model.errors import ConfigurationFault
from tieout.store import credit

#: Reasons for which the gate holds.
REASONS = ("credit_exceeded", "credit_limit_missing", "credit_data_stale", "credit_unknown")


@dataclass(frozen=True, slots=True)
class Released:
    """What was released. `amount_minor`: net, in minor units of `currency`."""

    link: str
    object: str
    source_number: str | None
    currency: str
    amount_minor: int


def release(conn: Connection, order: str, by: str, note: str, link: str | None = None) -> Released:
    """Releases the held order (or deal) of that number or CRM id; the next run bills it.

    Args:
        link: needed where several links hold an order of that number.

    Raises:
        ConfigurationFault: no order of that name is held for its credit, or several are.
        NotAllowed: nobody's name or no reason is given, or it is released already.
    """
    rows = conn.execute(
        text(
            "select link, object, source_id, source_number, currency, source_minor from tieout.document "
            "where outcome = 'held' and reason = any(:reasons) and (source_id = :order or source_number = :order) "
            "and (cast(:link as text) is null or link = :link) order by link, object, source_id"
        ),
        {"reasons": list(REASONS), "order": order, "link": link},
    ).all()
    if len(rows) != 1:
        where = f" on link {link}" if link else ""
        found = f"{len(rows)} are: {', '.join(f'{row.link} {row.source_id}' for row in rows)}" if rows else "none is"
        raise ConfigurationFault(f"order {order!r}{where}: expected one that is held for its credit; {found}")
    row = rows[0]
    if row.currency is None or row.source_minor is None:
        raise ConfigurationFault(f"order {order!r}: its amount is not known; run quote-to-cash first")
    credit.release(conn, row.link, row.object, row.source_id, row.source_number,
                   (row.currency, row.source_minor), by, note)  # fmt: skip
    return Released(row.link, row.object, row.source_number, row.currency, row.source_minor)
