"""Dead letters: records that could not go on, kept with the reason, what was expected, what was found, what to do.

An open one is unique by (connection, entity, id, stage, reason, link): the same fault in the next run counts up. It
closes by itself when the record passes, or by a person; replaying gives the record another try.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection

from tieout.model.errors import Rejection
from tieout.store import audit
from tieout.store.encoding import clean_text
from tieout.store.staging_tables import bump_table
from tieout.store.tables import dead_letter

#: Rejections in one statement.
BATCH = 2_000
#: Stages at which a row of staging itself is bad: such a row is in quarantine.
QUARANTINE = ("extract", "check")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row of `tieout.dead_letter`."""

    dead_letter_id: int
    link: str | None
    connection: str
    system: str
    entity: str
    source_id: str
    stage: str
    reason: str
    message: str
    expected: str
    found: str
    remedy: str
    payload: Any
    state: str
    owner: str | None
    run_id: UUID
    times_seen: int
    first_seen: datetime
    last_seen: datetime
    closed_at: datetime | None
    closed_by: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters; None is no condition. `after` is the last id of the page before."""

    link: str | None = None
    connection: str | None = None
    entity: str | None = None
    stage: str | None = None
    reason: str | None = None
    state: str | None = "open"
    source_id: str | None = None
    run_id: UUID | None = None
    after: int = 0
    limit: int = 200


_COLUMNS = [dead_letter.c[name] for name in DeadLetter.__dataclass_fields__]


def record(
    conn: Connection,
    rejections: Sequence[Rejection],
    *,
    connection: str,
    stage: str,
    run_id: UUID,
    link: str | None = None,
    owner: str | None = None,
    payloads: Sequence[str | None] | None = None,
) -> int:
    """Keeps rejections: opens dead letters, or counts up those that are open (once a run). Returns how many records.

    Args:
        rejections: of one connection.
        connection: the source's connection name.
        stage: `extract`, `check`, `transform`, `ready`, `deliver`, `write_back`.
        link: None for what was found at staging, which concerns every link on the connection.
        owner: who is to mend it.
        payloads: JSON text for each rejection; without it the staged row's payload can be shown.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for number, rejection in enumerate(rejections):
        row: dict[str, Any] = {name: clean_text(value) for name, value in asdict(rejection).items()}
        row["found"] = row["found"][:500]
        row["payload"] = payloads[number] if payloads is not None else None
        # A statement cannot meet a row twice: of one record and reason the last sentence counts.
        rows[rejection.entity, rejection.source_id, rejection.reason] = row
    everything = list(rows.values())
    for start in range(0, len(everything), BATCH):
        conn.execute(
            _RECORD,
            {
                "rows": json.dumps(everything[start : start + BATCH]),
                "connection": connection, "stage": stage, "run_id": run_id, "link": link, "owner": owner,
            },
        )  # fmt: skip
    return len(everything)


_RECORD = sa.text(
    """
    insert into tieout.dead_letter as d
        (link, connection, system, entity, source_id, stage, reason, message, expected, found, remedy,
        payload, owner, run_id)
    select :link, :connection, system, entity, source_id, :stage, reason, message, expected, found, remedy,
        payload::jsonb, :owner, :run_id
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(
        system text, entity text, source_id text, reason text, message text, expected text, found text, remedy text,
        payload text)
    order by entity, source_id, reason
    on conflict (connection, entity, source_id, stage, reason, coalesce(link, '')) where state = 'open' do update set
        message = excluded.message, expected = excluded.expected, found = excluded.found, remedy = excluded.remedy,
        payload = coalesce(excluded.payload, d.payload), owner = coalesce(excluded.owner, d.owner),
        times_seen = d.times_seen + (d.run_id <> excluded.run_id)::int, run_id = excluded.run_id, last_seen = now()
    """
)


def close_passed(
    conn: Connection,
    *,
    connection: str,
    entity: str,
    stage: str,
    passed: Sequence[str],
    link: str | None = None,
    failing: Collection[tuple[str, str]] = (),
    closed_by: str = "passed its checks",
) -> int:
    """Resolves open dead letters of records that were judged again; how many.

    Args:
        passed: ids of the records that were judged.
        link: None for those that concern every link.
        failing: (source id, reason) of what is still so.
        closed_by: a person's name, or what closed them.
    """
    return close_mended(
        conn,
        connection=connection,
        link=link,
        entity=entity,
        stages=[stage],
        source_ids=passed,
        failing=failing,
        closed_by=closed_by,
    )


def close_mended(
    conn: Connection,
    *,
    connection: str,
    link: str | None,
    entity: str,
    stages: Sequence[str],
    source_ids: Sequence[str],
    failing: Collection[tuple[str, str]] = (),
    closed_by: str = "went through",
) -> int:
    """As `close_passed`, for several stages at once."""
    if not source_ids:
        return 0
    return conn.execute(
        sa.text(
            """
            update tieout.dead_letter d set state = 'resolved', closed_at = now(), closed_by = :closed_by
            where d.state = 'open' and d.link is not distinct from :link and d.connection = :connection
            and d.entity = :entity and d.stage = any(:stages) and d.source_id = any(:ids)
            and not exists (
                select from jsonb_to_recordset(cast(:failing as jsonb)) as f(i text, r text)
                where f.i = d.source_id and f.r = d.reason)
            """
        ),
        {
            "connection": connection, "link": link, "entity": entity, "stages": list(stages), "ids": list(source_ids),
            "closed_by": closed_by,
            "failing": json.dumps([{"i": source_id, "r": reason} for source_id, reason in failing]),
        },
    ).rowcount  # fmt: skip


def open_keys(conn: Connection, connection: str, entity: str, stages: Sequence[str] = QUARANTINE) -> dict[str, str]:
    """source_id -> reason (the first in the alphabet) of records that an open dead letter of these stages names."""
    rows = conn.execute(
        sa.text(
            "select source_id, min(reason) from tieout.dead_letter where state = 'open' and connection = :connection "
            "and entity = :entity and stage = any(:stages) group by source_id"
        ),
        {"connection": connection, "entity": entity, "stages": list(stages)},
    )
    return {row[0]: row[1] for row in rows}


def listing(conn: Connection, which: Filter = Filter()) -> Sequence[DeadLetter]:
    """Dead letters in the order in which they were opened, a page at a time."""
    query = sa.select(*_COLUMNS).where(dead_letter.c.dead_letter_id > which.after)
    for name in ("link", "connection", "entity", "stage", "reason", "state", "source_id", "run_id"):
        if (value := getattr(which, name)) is not None:
            query = query.where(dead_letter.c[name] == value)
    rows = conn.execute(query.order_by(dead_letter.c.dead_letter_id).limit(which.limit))
    return [DeadLetter(*row) for row in rows]


def get(conn: Connection, dead_letter_id: int) -> DeadLetter | None:
    """The dead letter; None when there is none of that id. Without a payload of its own it shows the staged row's."""
    row = conn.execute(sa.select(*_COLUMNS).where(dead_letter.c.dead_letter_id == dead_letter_id)).one_or_none()
    if row is None:
        return None
    letter = DeadLetter(*row)
    if letter.payload is not None:
        return letter
    return DeadLetter(**{**asdict(letter), "payload": _staged_payload(conn, letter)})


def counts_by_reason(conn: Connection, connection: str | None = None) -> Mapping[tuple[str, str, str], int]:
    """(entity, stage, reason) -> open dead letters."""
    query = sa.select(dead_letter.c.entity, dead_letter.c.stage, dead_letter.c.reason, sa.func.count()).where(
        dead_letter.c.state == "open"
    )
    if connection is not None:
        query = query.where(dead_letter.c.connection == connection)
    rows = conn.execute(query.group_by(dead_letter.c.entity, dead_letter.c.stage, dead_letter.c.reason))
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def replay(conn: Connection, ids: Sequence[int], by: str) -> int:
    """Closes dead letters as `replayed` and gives their staged rows a new version, so that the next run checks and
    judges them again; audited. Ids that are not open are passed over. How many were replayed."""
    letters = _close(conn, ids, "replayed", by)
    tables: dict[tuple[str, str], set[str]] = {}
    for letter in letters:
        tables.setdefault((f"{letter.system}_{letter.entity}", letter.connection), set()).add(letter.source_id)
    for (table, connection), source_ids in sorted(tables.items()):
        bump_table(conn, table, connection, sorted(source_ids))
    _note(conn, letters, "dead_letter.replayed", by, None)
    return len(letters)


def resolve(conn: Connection, ids: Sequence[int], by: str, note: str) -> int:
    """Closes dead letters that a person says need no more work (a record without id, a test record); audited."""
    letters = _close(conn, ids, "resolved", by)
    _note(conn, letters, "dead_letter.resolved", by, note)
    return len(letters)


def _close(conn: Connection, ids: Sequence[int], state: str, by: str) -> list[DeadLetter]:
    rows = conn.execute(
        sa.update(dead_letter)
        .where(
            dead_letter.c.dead_letter_id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.BigInteger))),
            dead_letter.c.state == "open",
        )
        .values(state=state, closed_at=sa.func.now(), closed_by=by)
        .returning(*_COLUMNS)
    )
    return sorted((DeadLetter(*row) for row in rows), key=lambda letter: letter.dead_letter_id)


def _note(conn: Connection, letters: Sequence[DeadLetter], event: str, by: str, note: str | None) -> None:
    chains: dict[str, list[audit.Event]] = {}
    for letter in letters:
        name = f"link:{letter.link}" if letter.link else f"connection:{letter.connection}"
        detail = {
            "entity": letter.entity, "source_id": letter.source_id, "stage": letter.stage, "reason": letter.reason,
            "note": note,
        }  # fmt: skip
        chains.setdefault(name, []).append(audit.Event(by, event, f"dead_letter:{letter.dead_letter_id}", detail))
    for name in sorted(chains):
        audit.append(conn, name, chains[name])


def _staged_payload(conn: Connection, letter: DeadLetter) -> Any:
    table = f"{letter.system}_{letter.entity}"
    if conn.execute(sa.select(sa.func.to_regclass(f"staging.{table}"))).scalar_one() is None:
        return None
    staged = sa.table(table, schema="staging")
    payload = sa.column("_payload", JSONB)
    connection, source_id = sa.column("_connection", sa.Text), sa.column("_source_id", sa.Text)
    return conn.execute(
        sa.select(payload).select_from(staged).where(connection == letter.connection, source_id == letter.source_id)
    ).scalar_one_or_none()
