"""`tieout trace KEY`: all that is known of one record, from the CRM's field to the ledger's line, in order of time.

KEY is any id or number: the CRM's id or order number, the ledger's id or invoice number, a doc_uid. Read-only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text

#: Greatest number of records that one key may lead to; a number that fits more is too vague to trace.
MOST_SUBJECTS = 20

_SUBJECTS = text(
    """
    select distinct source_id from (
        select source_id from tieout.document where source_id = :key or source_number = :key
        union all
        select source_id from tieout.intent
        where source_id = :key or natural_key = :key or vendor_id = :key or vendor_number = :key or doc_uid = :key
        union all
        select source_id from tieout.crosswalk where vendor_id = :key or vendor_number = :key or source_id = :key
        union all
        select source_id from tieout.dead_letter where source_id = :key
        union all
        select account_id from tieout.credit_limit where account_id = :key
    ) found order by 1 limit :most
    """
)
_CROSSED = text("select vendor_id, vendor_number from tieout.crosswalk where source_id = any(:ids)")
_STEPS: tuple[tuple[str, str], ...] = (
    (
        "judgement",
        "select updated_at as at, outcome || coalesce(': ' || reason, '') as title, * from tieout.document "
        "where source_id = any(:ids)",
    ),
    (
        "link",
        "select created_at as at, entity || ' ' || origin || ' as ' || coalesce(vendor_number, vendor_id) as title, * "
        "from tieout.crosswalk where source_id = any(:ids)",
    ),
    (
        "intent",
        "select i.created_at as at, "
        "i.kind || ' revision ' || i.revision || ': ' || i.operation || ' is ' || i.state as title, "
        "i.intent_id, i.link, i.target, i.doc_uid, i.natural_key, i.idempotency_key, i.posting_date, i.currency, "
        "i.amount_minor, i.frozen, i.state, i.sends, i.vendor_id, i.vendor_number, i.reason, i.message, i.run_id, "
        "r.mapping_hash, r.suite_hash, r.code_version, encode(i.body, 'escape') as body "
        "from tieout.intent i left join tieout.sync_run r using (run_id) where i.source_id = any(:ids)",
    ),
    (
        "attempt",
        "select a.sent_at as at, a.kind || ': ' || coalesce(a.outcome, 'no answer yet') as title, "
        "a.attempt_id, a.intent_id, a.fence, a.worker, a.batch, a.request_hash, a.http_status, a.detail, a.answered_at "
        "from tieout.attempt a join tieout.intent i using (intent_id) where i.source_id = any(:ids)",
    ),
    (
        "dead letter",
        "select first_seen as at, stage || ': ' || reason || ' (' || state || ')' as title, "
        "dead_letter_id, entity, message, expected, found, remedy, times_seen, last_seen, closed_at, closed_by "
        "from tieout.dead_letter where source_id = any(:ids)",
    ),
    (
        "proposal",
        "select p.proposed_at as at, "
        "p.kind || ' by ' || p.proposed_by || ': ' || m.action || ', ' || p.state as title, p.proposal_id, "
        "p.reason, p.decided_by, p.decided_at, p.note, m.vendor_id, m.vendor_number, m.currency, m.amount_minor, m.why "
        "from tieout.proposal_item m join tieout.proposal p using (proposal_id) where m.source_id = any(:ids)",
    ),
    (
        "credit limit",
        "select c.proposed_at as at, 'limit from ' || l.valid_from || ' by ' || c.proposed_by || ': ' || c.state "
        "as title, c.change_id, c.link, c.source, l.line, l.currency, l.limit_minor, l.shares_with, l.valid_from, "
        "c.decided_by, c.decided_at, c.note "
        "from tieout.credit_limit l join tieout.credit_change c using (change_id) where l.account_id = any(:ids)",
    ),
    (
        "credit release",
        "select released_at as at, 'released by ' || released_by || case when used_at is null then '' else ', used' "
        "end as title, release_id, link, source_number, currency, amount_minor, note, used_at, used_doc_uid "
        "from tieout.credit_release where source_id = any(:ids)",
    ),
)


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One fact. `at` is UTC; `facts` are plain values by name."""

    step: str
    at: Any
    title: str
    facts: Mapping[str, Any]


def trace(engine: Engine, key: str) -> list[TraceStep]:
    """All steps of the records that `key` names, oldest first; an empty list when nothing carries it."""
    with engine.connect() as conn:
        subjects = [row.source_id for row in conn.execute(_SUBJECTS, {"key": key, "most": MOST_SUBJECTS})]
        staged = _staged(conn, {*subjects, key}, "_source_id")
        if not subjects and not staged:
            return []
        steps = list(staged)
        for name, query in _STEPS:
            steps.extend(_step(name, dict(row)) for row in conn.execute(text(query), {"ids": subjects}).mappings())
        crossed = conn.execute(_CROSSED, {"ids": subjects}).all()
        ledger_ids = {row.vendor_id for row in crossed}
        notes = _credit_notes(conn, ledger_ids | {key}, {row.vendor_number for row in crossed} - {None})
        steps.extend(_staged(conn, (ledger_ids | notes) - {key}, "_source_id"))
        steps.extend(_payments_of_several(conn, ledger_ids | notes | {key}))
        for column in ("invoice_id", "credit_memo_id"):  # a refund may name its credit note in either
            steps.extend(_staged(conn, ledger_ids | notes | {key}, column, only="payment"))
    unique = {(step.step, step.title, str(step.at)): step for step in steps}
    return sorted(unique.values(), key=lambda step: (step.at is None, step.at, step.step))


def _step(name: str, row: Mapping[str, Any]) -> TraceStep:
    facts = {key: value for key, value in row.items() if key not in ("at", "title") and value is not None}
    return TraceStep(name, row["at"], row["title"], facts)


def _credit_notes(conn: Connection, ids: Iterable[str], numbers: Iterable[str]) -> set[str]:
    """Ids of credits of any kind that are set against one of these invoices, or name the number of one.

    How a ledger writes an allocation is its mapping's affair: the invoice's id somewhere in it is what counts here.
    """
    found: set[str] = set()
    for table in _tables(conn, "allocations", None):
        query = text(
            f"""select _source_id from staging."{table}" where reference = any(:numbers) or
                jsonb_path_exists(allocations, '$.** ? (@ == $ids[*])', jsonb_build_object('ids', cast(:ids as text[])))
            """  # noqa: S608 - the name comes from the catalogue
        )
        found |= set(conn.execute(query, {"ids": sorted(ids), "numbers": sorted(numbers)}).scalars())
    return found


def _tables(conn: Connection, column: str, only: str | None) -> list[str]:
    """Staging tables of current images that have the column; `only` those of one entity."""
    tables = conn.execute(
        text(
            "select table_name from information_schema.columns "
            "where table_schema = 'staging' and column_name = :column "
            "and table_name not like '%\\_version' and table_name not like '%\\_superseded' order by 1"
        ),
        {"column": column},
    ).scalars()
    return [table for table in tables if only is None or table.endswith(f"_{only}")]


def _payments_of_several(conn: Connection, ids: Iterable[str]) -> list[TraceStep]:
    """Payments that name the documents which they pay in a list."""
    found: set[str] = set()
    for table in _tables(conn, "applications", "payment"):
        query = text(
            f"""select _source_id from staging."{table}" where
                jsonb_path_exists(applications, '$.** ? (@ == $ids[*])',
                    jsonb_build_object('ids', cast(:ids as text[])))
            """  # noqa: S608 - the name comes from the catalogue
        )
        found |= set(conn.execute(query, {"ids": sorted(ids)}).scalars())
    return _staged(conn, found, "_source_id", only="payment")


def _staged(conn: Connection, ids: Iterable[str], column: str, only: str | None = None) -> list[TraceStep]:
    """Current images that carry one of these ids in this column, from every staging table that has the column."""
    wanted = sorted(ids)
    if not wanted:
        return []
    steps = []
    for table in _tables(conn, column, only):
        # Names come from the catalogue, never from the key.
        query = text(f'select * from staging."{table}" where "{column}" = any(:ids)')  # noqa: S608
        for row in conn.execute(query, {"ids": wanted}).mappings():
            system, _, entity = table.partition("_")
            gone = " (deleted)" if row["_deleted"] else ""
            facts = {name: value for name, value in row.items() if value is not None and name != "_payload"}
            steps.append(
                TraceStep("record", row["_modified_at"], f"{system}: {entity} {row['_source_id']}{gone}", facts)
            )
    return steps
