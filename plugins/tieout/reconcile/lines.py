"""What a report says, line by line: for the command line, and for whoever closes a run. Pages have their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from tieout.model.tie_out import Total


@dataclass(frozen=True, slots=True)
class ClassLine:
    """How many differences of a class an area has in one currency, and what they come to."""

    area: str
    currency: str
    class_: str
    scale: int
    count: int
    amount: int
    new_count: int
    within_tolerance: int


def totals(conn: Connection, report_id: int) -> list[Total]:
    """Every area and currency of a report."""
    rows = conn.execute(
        text(
            "select area, currency, scale, a_count, b_count, a_amount, b_amount, explained, unexplained "
            "from tieout.report_total where report_id = :report order by area, currency"
        ),
        {"report": report_id},
    )
    return [Total(row[0], row[1], *(int(value) for value in row[2:])) for row in rows]


def classes(conn: Connection, report_id: int) -> list[ClassLine]:
    """The classes of a report, the largest of each area and currency first."""
    rows = conn.execute(
        text(
            "select c.area, c.currency, c.class, t.scale, c.count, c.amount, c.new_count, c.within_tolerance "
            "from tieout.report_class c join tieout.report_total t using (report_id, area, currency) "
            "where report_id = :report order by c.area, c.currency, abs(c.amount) desc, c.class"
        ),
        {"report": report_id},
    )
    return [ClassLine(row[0], row[1], row[2], *(int(value) for value in row[3:])) for row in rows]


def breaks(
    conn: Connection, link: str, *, area: str | None = None, class_: str | None = None, most: int = 100
) -> Sequence[Mapping[str, Any]]:
    """What is there now, the largest first."""
    rows = conn.execute(
        text(
            "select break_id, area, component, class, currency, scale, amount, within_tolerance, customer_name, "
            "numbers, explanation, first_seen, state, owner from tieout.break "
            "where link = :link and cleared_on is null and (cast(:area as text) is null or area = :area) "
            "and (cast(:class as text) is null or class = :class) "
            "order by abs(amount) desc, break_id limit :most"
        ),
        {"link": link, "area": area, "class": class_, "most": most},
    ).mappings()
    return [dict(row) for row in rows]
