"""What belongs together although no crosswalk says so: kept as suggestions, decided by people, remembered.

A pair is two sorted lists of record keys (`<entity>:<source_id>`), A's and B's; there is one row for it, whatever the
number of reports that find it. Who confirmed or refused it can change their mind; the audit trail keeps both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.store import audit
from tieout.store.encoding import clean_text
from tieout.store.engine import dumps
from tieout.store.reconcile_tables import matching, report

Decision = Literal["confirmed", "refused"]

#: Suggestions in one statement.
BATCH = 5_000


class NotDecided(ValueError):
    """The decision cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Records of both sides that seem to belong together. `tier`: the rule that says so; `score`: 0 to 1.

    `evidence`: JSON facts that a person compares: amounts, dates, numbers, other candidates.
    """

    area: str
    a_keys: Sequence[str]
    b_keys: Sequence[str]
    tier: str
    score: float
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A suggestion as it stands."""

    match_id: int
    link: str
    area: str
    a_keys: tuple[str, ...]
    b_keys: tuple[str, ...]
    tier: str
    score: Decimal
    state: str
    evidence: Mapping[str, Any]
    suggested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str | None


_ADD = sa.text(
    """
    insert into tieout.matching (link, area, a_keys, b_keys, tier, score, evidence, report_id)
    select :link, s.area, s.a_keys, s.b_keys, s.tier, s.score, s.evidence, :report_id
    from jsonb_to_recordset(cast(:rows as jsonb))
        as s (area text, a_keys text[], b_keys text[], tier text, score numeric(5,4), evidence jsonb)
    on conflict (link, area, a_keys, b_keys) do update
        set tier = excluded.tier, score = excluded.score, evidence = excluded.evidence, report_id = excluded.report_id
        where matching.state = 'suggested'
            and (matching.tier, matching.score, matching.evidence, matching.report_id)
                is distinct from (excluded.tier, excluded.score, excluded.evidence, excluded.report_id)
    """
)


def suggest(conn: Connection, link: str, suggestions: Sequence[Suggestion], report_id: int | None = None) -> int:
    """Keeps them; what a person has decided stays as it is. Returns how many rows were written."""
    changed = 0
    for start in range(0, len(suggestions), BATCH):
        rows = [
            {
                "area": each.area,
                "a_keys": sorted(each.a_keys),
                "b_keys": sorted(each.b_keys),
                "tier": each.tier,
                "score": f"{each.score:.4f}",
                "evidence": each.evidence,
            }
            for each in suggestions[start : start + BATCH]
        ]
        changed += conn.execute(_ADD, {"link": link, "rows": dumps(rows), "report_id": report_id}).rowcount
    return changed


def withdraw(conn: Connection, link: str, report_id: int) -> int:
    """Closes the open suggestions of earlier reports that this one did not make again: their records found their match.

    Nothing where there is a report of a later day. A row is never removed: they become `refused` by `tieout`, and a
    person can still confirm them.
    """
    as_of = sa.select(report.c.as_of).where(report.c.report_id == report_id).scalar_subquery()
    done = conn.execute(
        sa.update(matching)
        .where(
            matching.c.link == link,
            matching.c.state == "suggested",
            matching.c.report_id.is_not(None),
            matching.c.report_id < report_id,
            ~sa.exists().where(report.c.link == link, report.c.as_of > as_of),
        )
        .values(state="refused", decided_by="tieout", decided_at=sa.func.clock_timestamp(), note="not found any more")
    )
    return done.rowcount


def decide(conn: Connection, match_id: int, decision: Decision, by: str, note: str = "") -> Kept:
    """A person confirms or refuses; audited. The next reconciliation keeps to it.

    Raises:
        NotDecided: nobody is named; there is no such match; or a record of it is confirmed in another match already.
    """
    if not by.strip():
        raise NotDecided("a decision needs the name of the person who makes it")
    conn.execute(sa.text("select pg_advisory_xact_lock(hashtextextended('tieout.matching', 0))"))
    kept = get(conn, match_id)
    if kept is None:
        raise NotDecided(f"there is no match {match_id}")
    if decision == "confirmed":
        _require_free(conn, kept)
    words = clean_text(note).strip() or None
    conn.execute(
        sa.update(matching)
        .where(matching.c.match_id == match_id)
        .values(state=decision, decided_by=by.strip(), decided_at=sa.func.clock_timestamp(), note=words)
    )
    detail = {"area": kept.area, "a": list(kept.a_keys), "b": list(kept.b_keys), "note": words, "was": kept.state}
    audit.append(conn, f"link:{kept.link}", [audit.Event(by.strip(), f"match.{decision}", f"match:{match_id}", detail)])
    decided = get(conn, match_id)
    assert decided is not None
    return decided


def get(conn: Connection, match_id: int) -> Kept | None:
    """One of them."""
    row = conn.execute(sa.select(*_COLUMNS).where(matching.c.match_id == match_id)).mappings().one_or_none()
    return None if row is None else _kept(row)


def listing(
    conn: Connection, link: str | None = None, state: str | None = "suggested", *, skip: int = 0, limit: int = 100
) -> list[Kept]:
    """The surest first."""
    query = sa.select(*_COLUMNS).order_by(matching.c.score.desc(), matching.c.match_id).offset(skip).limit(limit)
    if link is not None:
        query = query.where(matching.c.link == link)
    if state is not None:
        query = query.where(matching.c.state == state)
    return [_kept(row) for row in conn.execute(query).mappings()]


def counts(conn: Connection, link: str | None = None) -> dict[str, int]:
    """State -> how many."""
    query = sa.select(matching.c.state, sa.func.count()).group_by(matching.c.state)
    if link is not None:
        query = query.where(matching.c.link == link)
    return dict(conn.execute(query).all())


_COLUMNS = tuple(matching.c[name] for name in Kept.__dataclass_fields__)


def _kept(row: Any) -> Kept:
    values = dict(row)
    return Kept(**{**values, "a_keys": tuple(values["a_keys"]), "b_keys": tuple(values["b_keys"])})


def _require_free(conn: Connection, kept: Kept) -> None:
    other = conn.execute(
        sa.select(matching.c.match_id).where(
            matching.c.link == kept.link,
            matching.c.area == kept.area,
            matching.c.state == "confirmed",
            matching.c.match_id != kept.match_id,
            matching.c.a_keys.overlap(list(kept.a_keys)) | matching.c.b_keys.overlap(list(kept.b_keys)),
        )
    ).scalars().first()  # fmt: skip
    if other is not None:
        raise NotDecided(
            f"a record of match {kept.match_id} is confirmed in match {other} already: refuse that one first"
        )
