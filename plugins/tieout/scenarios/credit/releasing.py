"""A person lets one order go that the gate holds: found by its number or id, released for what it comes to now."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from tieout.model.errors import ConfigurationFault
from tieout.store import credit

#: Reasons for which the gate holds.
REASONS = ("credit_exceeded", "credit_limit_missing", "credit_data_stale", "credit_unknown")


@dataclass(frozen=True, slots=True)
class Held:
    """An order or deal that waits for room in its customer's credit. `released_by`: who let it go for the next run."""

    object: str
    source_id: str
    source_number: str | None
    currency: str | None
    source_minor: int | None
    reason: str
    message: str | None
    released_by: str | None


@dataclass(frozen=True, slots=True)
class Released:
    """What was released. `amount_minor`: net, in minor units of `currency`."""

    link: str
    object: str
    source_number: str | None
    currency: str
    amount_minor: int


def held(conn: Connection, link: str, most: int = 200) -> list[Held]:
    """What waits for its customer's credit, by number."""
    rows = conn.execute(
        text(
            "select d.object, d.source_id, d.source_number, d.currency, d.source_minor, d.reason, d.message, "
            "(select max(r.released_by) from tieout.credit_release r where r.link = d.link and r.object = d.object "
            "and r.source_id = d.source_id and r.used_at is null and r.currency = d.currency "
            "and r.amount_minor >= d.source_minor) as released_by from tieout.document d "
            "where d.link = :link and d.outcome = 'held' and d.reason = any(:reasons) "
            "order by d.source_number, d.source_id limit :most"
        ),
        {"link": link, "reasons": list(REASONS), "most": most},
    )
    return [Held(*row) for row in rows]


def release(
    conn: Connection, order: str, by: str, note: str, link: str | None = None, seen: tuple[str, int] | None = None
) -> Released:
    """Releases the held order (or deal) of that number or CRM id; the next run bills it.

    Args:
        link: needed where several links hold an order of that number.
        seen: currency and net in minor units as the person saw them; None where nothing was shown.

    Raises:
        ConfigurationFault: no order of that name is held for its credit, or several are.
        NotAllowed: nobody's name or no reason is given, it is released already, or it comes to something else than
            what was seen.
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
    if seen is not None and seen != (row.currency, row.source_minor):
        raise credit.NotAllowed(f"order {order!r} comes to something else now than what you saw: look at it again")
    credit.release(conn, row.link, row.object, row.source_id, row.source_number,
                   (row.currency, row.source_minor), by, note)  # fmt: skip
    return Released(row.link, row.object, row.source_number, row.currency, row.source_minor)
