"""Sign-off: a preparer and a reviewer, two people, put their names under the hash of a day's report.

The database keeps the rules, whoever writes: two people, the newest report, tied, the hash of what was seen (migration
0005). A report of the same day with another hash suspends what was signed; here is what changed in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.reconcile import report_store
from tieout.reconcile.people import NotAllowed
from tieout.reconcile.report_store import Report
from tieout.store import audit
from tieout.store.encoding import clean_text
from tieout.store.reconcile_tables import sign_off as table

Role = Literal["preparer", "reviewer"]
#: Characters of a hash that name it well enough for a person to type.
SHORTEST_HASH = 12
#: Items that a difference between two reports lists; the counts and sums are of all of them.
MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class SignOff:
    """One signature. `suspended_by`: the report that changed what was signed; None while it is valid."""

    sign_off_id: int
    report_id: int
    link: str
    as_of: date
    role: Role
    person: str
    hash: str
    note: str | None
    signed_at: datetime
    suspended_at: datetime | None
    suspended_by: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a day stands.

    Attributes:
        report: the one that counts; None where the day was never reconciled.
        preparer, reviewer: valid signatures of that report's hash.
        suspended: what was signed and is valid no more, newest first.
    """

    link: str
    as_of: date
    report: Report | None
    preparer: SignOff | None
    reviewer: SignOff | None
    suspended: tuple[SignOff, ...]

    @property
    def complete(self) -> bool:
        """Whether both have signed what counts."""
        return self.preparer is not None and self.reviewer is not None


@dataclass(frozen=True, slots=True)
class Change:
    """One item that two reports say differently; the amount is None where the report has it not."""

    break_id: int
    what: Literal["added", "gone", "changed"]
    area: str
    scale: int
    before_class: str | None
    before_currency: str | None
    before: int | None
    after_class: str | None
    after_currency: str | None
    after: int | None
    customer_name: str | None
    explanation: str


@dataclass(frozen=True, slots=True)
class Side:
    """Totals of one area and currency that two reports have differently; (count, amount) of each side."""

    area: str
    currency: str
    scale: int
    before_a: tuple[int, int]
    before_b: tuple[int, int]
    after_a: tuple[int, int]
    after_b: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed between two reports. `changes` lists the largest first, at most MOST_LISTED of `count`."""

    before: Report
    after: Report
    count: int
    changes: tuple[Change, ...]
    sides: tuple[Side, ...]
    rules_changed: bool


_COLUMNS = [table.c[name] for name in SignOff.__dataclass_fields__]


def sign(conn: Connection, report_id: int, role: Role, person: str, seen_hash: str, note: str = "") -> SignOff:
    """Signs what a person saw. Audited.

    Args:
        seen_hash: the report's hash as it was shown, or its first characters (SHORTEST_HASH).

    Raises:
        NotAllowed: as the database says it: not the newest report, not tied, not the hash, the same person twice,
            nothing prepared yet, or signed in this role already.
    """
    if not person.strip():
        raise NotAllowed("a sign-off needs the name of the person who signs")
    report = report_store.get(conn, report_id)
    given = seen_hash.strip().lower()
    if report.hash is None:
        raise NotAllowed(f"report {report_id} is not finished")
    if len(given) < SHORTEST_HASH or not report.hash.startswith(given):
        raise NotAllowed(f"report {report_id}: this is not the hash of what it shows; look at it again")
    values = {
        "report_id": report_id, "link": report.link, "as_of": report.as_of, "role": role,
        "person": clean_text(person.strip()), "hash": report.hash, "note": clean_text(note.strip()) or None,
    }  # fmt: skip
    try:
        with conn.begin_nested():
            made = SignOff(*conn.execute(sa.insert(table).values(**values).returning(*_COLUMNS)).one())
    except sa.exc.DBAPIError as error:
        raise NotAllowed(_in_words(error, report, role)) from error
    detail = {"role": role, "as_of": report.as_of, "hash": report.hash, "note": made.note}
    event = audit.Event(made.person, "report.signed", f"report:{report_id}", detail)
    audit.append(conn, f"link:{report.link}", [event])
    return made


def standing(conn: Connection, link: str, as_of: date) -> Standing:
    """Who signed what of a day, and whether it still holds."""
    report = report_store.newest(conn, link, as_of)
    found = history(conn, link, as_of)
    valid = {one.role: one for one in found if one.suspended_at is None and report and one.hash == report.hash}
    suspended = tuple(one for one in found if one.suspended_at is not None)
    return Standing(link, as_of, report, valid.get("preparer"), valid.get("reviewer"), suspended)


def history(conn: Connection, link: str, as_of: date) -> list[SignOff]:
    """All signatures of a day, newest first."""
    query = sa.select(*_COLUMNS).where(table.c.link == link, table.c.as_of == as_of)
    return [SignOff(*row) for row in conn.execute(query.order_by(table.c.sign_off_id.desc()))]


def changes_since(conn: Connection, signed: SignOff) -> Difference:
    """What is different now from what was signed."""
    newest = report_store.newest(conn, signed.link, signed.as_of)
    assert newest is not None  # one was signed
    return difference(conn, report_store.get(conn, signed.report_id), newest)


def difference(conn: Connection, before: Report, after: Report) -> Difference:
    """The items and totals that two reports have differently."""
    values = {"before": before.report_id, "after": after.report_id, "most": MOST_LISTED}
    rows = conn.execute(sa.text(_CHANGES), values).all()
    changes = tuple(Change(*row[:-1]) for row in rows)
    sides = tuple(
        Side(area, currency, scale, *((int(counts[n]), int(counts[n + 1])) for n in range(0, 8, 2)))
        for area, currency, scale, *counts in conn.execute(sa.text(_SIDES), values)
    )
    count = rows[0][-1] if rows else 0
    return Difference(before, after, count, changes, sides, before.rules_hash != after.rules_hash)


_CHANGES = """
select break_id, case when p.break_id is null then 'added' when n.break_id is null then 'gone' else 'changed' end,
    b.area, b.scale, p.class, p.currency, p.amount, n.class, n.currency, n.amount, b.customer_name, b.explanation,
    count(*) over ()
from (select break_id, class, currency, amount from tieout.report_item where report_id = :before) p
full join (select break_id, class, currency, amount from tieout.report_item where report_id = :after) n
    using (break_id)
join tieout.break b using (break_id)
where (p.class, p.currency, p.amount) is distinct from (n.class, n.currency, n.amount)
order by abs(coalesce(n.amount, 0) - coalesce(p.amount, 0)) desc, break_id limit :most
"""
_SIDES = """
select area, currency, coalesce(n.scale, p.scale), coalesce(p.a_count, 0), coalesce(p.a_amount, 0),
    coalesce(p.b_count, 0), coalesce(p.b_amount, 0), coalesce(n.a_count, 0), coalesce(n.a_amount, 0),
    coalesce(n.b_count, 0), coalesce(n.b_amount, 0)
from (select * from tieout.report_total where report_id = :before) p
full join (select * from tieout.report_total where report_id = :after) n using (area, currency)
where (p.a_count, p.a_amount, p.b_count, p.b_amount) is distinct from (n.a_count, n.a_amount, n.b_count, n.b_amount)
order by area, currency
"""


def _in_words(error: sa.exc.DBAPIError, report: Report, role: str) -> str:
    """The database's reason. Any other error than a refusal goes on as it is."""
    state = getattr(error.orig, "sqlstate", None)
    if state == "23505":
        return f"{report.link} as of {report.as_of} is signed by a {role} already"
    if state not in ("42501", "23514"):
        raise error
    diagnosis = getattr(error.orig, "diag", None)
    return str(getattr(diagnosis, "message_primary", None) or error.orig)
