"""What is counted in a period now against the documents of a report: which moved, from what to what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.model.calendar import Period
from tieout.model.tie_out import shown
from tieout.reconcile.period_report import DOCUMENTS


@dataclass(frozen=True, slots=True)
class Moved:
    """One document of one side and area; amounts in 10^-scale, None where it does not count in the period."""

    side: str
    area: str
    key: str
    currency: str
    scale: int
    before: int | None
    after: int | None
    before_day: date | None
    after_day: date | None
    label: str | None
    customer_name: str | None
    changed_at: datetime | None

    @property
    def named(self) -> str:
        """The document with both amounts."""
        amounts = ["not there" if one is None else shown(one, self.scale) for one in (self.before, self.after)]
        return f"{self.label or self.key}: {amounts[0]} -> {amounts[1]} {self.currency}"


def moved(conn: Connection, report_id: int, period: Period) -> Sequence[Moved]:
    """What differs between a report's documents and the items of the transaction (report.fill)."""
    rows = conn.execute(sa.text(_MOVED), {"report": report_id, "first": period.first, "last": period.last})
    return [Moved(*row) for row in rows]


_MOVED = f"""
select side, area, key, currency, coalesce(n.scale, p.scale), p.amount, n.amount, p.day, n.day,
    coalesce(n.label, p.label), coalesce(n.customer_name, p.customer_name),
    c.changed_at
from (select * from tieout.period_report_document where report_id = :report) p
full join ({DOCUMENTS}) n using (side, area, key, currency)
left join (select side, area, key, max(changed_at) as changed_at from (
        select 'a' as side, area, key, changed_at from recon_a
        union all select 'b', area, key, changed_at from recon_b) i group by side, area, key) c
    using (side, area, key)
where (p.amount, p.day) is distinct from (n.amount, n.day)
order by side, area, abs(coalesce(n.amount, 0) - coalesce(p.amount, 0)) desc, key, currency
"""  # noqa: S608 - our own text
