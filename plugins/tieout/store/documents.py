"""The last judgement on each source record that could become a document: what the summary counts, what a run skips.

Not here: the judging itself (scenarios/), the posting (delivery/).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, text

from tieout.store.engine import join_whole_tables

#: `reversed`: posted, and taken back by an approved proposal; not billed again until its source changes.
Outcome = Literal["posted", "pending", "held", "quarantined", "cancelled", "not_billable", "reversed"]
#: Outcomes that every run judges again, changed or not: something outside the record may have mended them.
OPEN: tuple[Outcome, ...] = ("pending", "held", "quarantined")


@dataclass(frozen=True, slots=True)
class Judgement:
    """One row of `tieout.document` without link, object and run. Amounts in minor units of `currency`, before tax."""

    source_id: str
    source_number: str | None
    outcome: Outcome
    seen_version: int
    reason: str | None = None
    message: str | None = None
    revision: int = 0
    content_hash: str | None = None
    doc_uid: str | None = None
    currency: str | None = None
    source_minor: int | None = None
    posted_minor: int | None = None


_COLUMNS = (
    "source_id text, source_number text, outcome text, reason text, message text, revision int, content_hash text, "
    "seen_version bigint, doc_uid text, currency text, source_minor bigint, posted_minor bigint"
)
_NAMES = ", ".join(column.split()[0] for column in _COLUMNS.split(", "))
_JUDGED = ("source_number", "outcome", "reason", "message", "revision", "content_hash", "doc_uid", "currency",
           "source_minor", "posted_minor")  # fmt: skip
_UPSERT = text(
    f"""
    insert into tieout.document as d (link, object, run_id, {_NAMES})
    select :link, :object, :run_id, {_NAMES} from jsonb_to_recordset(cast(:rows as jsonb)) as x({_COLUMNS})
    on conflict (link, object, source_id) do update set
        {", ".join(f"{name} = excluded.{name}" for name in _JUDGED)}, seen_version = excluded.seen_version,
        run_id = case when ({", ".join(f"d.{name}" for name in _JUDGED)})
            is distinct from ({", ".join(f"excluded.{name}" for name in _JUDGED)})
            then excluded.run_id else d.run_id end,
        updated_at = now()
    where excluded.seen_version >= d.seen_version and (d.seen_version, {", ".join(f"d.{name}" for name in _JUDGED)})
        is distinct from (excluded.seen_version, {", ".join(f"excluded.{name}" for name in _JUDGED)})
    """  # noqa: S608 - names come from the constants above
)


def upsert(conn: Connection, link: str, object_: str, judgements: Sequence[Judgement], run_id: UUID) -> int:
    """Writes what was judged; returns the rows written.

    A row that says the same again is not written, and neither is one that another run judged from newer records (S14).
    """
    if not judgements:
        return 0
    rows = json.dumps([asdict(judgement) for judgement in judgements])
    return conn.execute(_UPSERT, {"link": link, "object": object_, "run_id": run_id, "rows": rows}).rowcount


def latest(conn: Connection, link: str, object_: str, source_ids: Sequence[str]) -> dict[str, Judgement]:
    """The last judgement on each of these records that was judged before."""
    rows = conn.execute(
        text(
            f"select {_NAMES} from tieout.document where link = :link and object = :object and source_id = any(:ids)"  # noqa: S608
        ),
        {"link": link, "object": object_, "ids": list(source_ids)},
    )
    return {row.source_id: Judgement(**row._mapping) for row in rows}


def waiting(conn: Connection, link: str, object_: str) -> list[Judgement]:
    """Judgements whose document is on its way: `pending`, with a doc_uid."""
    rows = conn.execute(
        text(
            f"select {_NAMES} from tieout.document where link = :link and object = :object and doc_uid is not null "  # noqa: S608
            "and outcome = 'pending'"
        ),
        {"link": link, "object": object_},
    )
    return [Judgement(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the rows stand that make up one document: the head's table and its lines' table and parent column."""

    head: str
    lines: str | None
    parent_column: str | None


def to_judge(conn: Connection, link: str, object_: str, connection: str, parts: Parts) -> dict[str, int]:
    """source id -> highest staging version, of the records that are new, changed, or open from an earlier run.

    Table and column names come from StagedEntity, never from data.
    """
    lines = (
        f"""left join (select {parts.parent_column} as parent, max(_version) as version from staging.{parts.lines}
                where _connection = :connection group by 1) l on l.parent = h._source_id"""  # noqa: S608
        if parts.lines
        else "cross join (select null::bigint as version) l"
    )
    join_whole_tables(conn)
    rows = conn.execute(
        text(
            f"""
            select h._source_id, greatest(h._version, coalesce(l.version, 0)) as version
            from staging.{parts.head} h {lines}
            left join tieout.document d on d.link = :link and d.object = :object and d.source_id = h._source_id
            where h._connection = :connection
              and (d.source_id is null or greatest(h._version, coalesce(l.version, 0)) > d.seen_version
                   or d.outcome = any(:open))
            order by h._source_id
            """  # noqa: S608
        ),
        {"link": link, "object": object_, "connection": connection, "open": list(OPEN)},
    )
    return {row._source_id: row.version for row in rows}


def totals(conn: Connection, link: str, object_: str, run_id: UUID) -> Iterator[Mapping[str, Any]]:
    """(outcome, currency, fresh, count, source_minor, posted_minor): `fresh` where this run changed the judgement."""
    found = conn.execute(
        text(
            """
            select outcome, currency, run_id = :run_id as fresh, count(*) as count,
                   sum(source_minor) as source_minor, sum(posted_minor) as posted_minor
            from tieout.document where link = :link and object = :object group by 1, 2, 3 order by 1, 2, 3
            """
        ),
        {"link": link, "object": object_, "run_id": run_id},
    )
    for row in found.mappings():
        yield dict(row)


@dataclass(frozen=True, slots=True)
class Difference:
    """A posted document whose net in the ledger is not its source's. Amounts in minor units, None where unknown."""

    object: str
    source_id: str
    source_number: str | None
    invoice_number: str | None
    currency: str | None
    source_minor: int | None
    posted_minor: int | None

    @property
    def difference_minor(self) -> int:
        """What the ledger has too much; an amount that is not known counts as nothing."""
        return (self.posted_minor or 0) - (self.source_minor or 0)


def differences(conn: Connection, link: str, object_: str | None = None) -> list[Difference]:
    """Posted documents whose two amounts differ, one by one: too much here does not make up for too little there."""
    rows = conn.execute(
        text(
            """
            select d.object, d.source_id, d.source_number, i.vendor_number, d.currency, d.source_minor, d.posted_minor
            from tieout.document d left join lateral (
                select vendor_number from tieout.intent
                where link = d.link and doc_uid = d.doc_uid order by intent_id desc limit 1) i on true
            where d.link = :link and (cast(:object as text) is null or d.object = :object)
              and d.outcome = 'posted' and d.source_minor is distinct from d.posted_minor
            order by d.object, d.source_number, d.source_id
            """
        ),
        {"link": link, "object": object_},
    )
    return [Difference(*row) for row in rows]


def reasons(conn: Connection, link: str, object_: str) -> list[tuple[str, str, int]]:
    """(outcome, reason, count) of all that is held, quarantined or pending: what a person has to look at."""
    rows = conn.execute(
        text(
            "select outcome, coalesce(reason, 'in_flight') as reason, count(*) as count from tieout.document "
            "where link = :link and object = :object and outcome = any(:open) group by 1, 2 order by 3 desc, 1, 2"
        ),
        {"link": link, "object": object_, "open": list(OPEN)},
    )
    return [(outcome, reason, count) for outcome, reason, count in rows]
