"""The inbox of webhooks: kept as they came, taken by one reader at a time, settled, tried again, forgotten in time.

What a body says is connectors/hooks' business; that the record is read again is scenarios/hooks_inbox.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_into
from sqlalchemy.engine import Connection

from tieout.store import audit
from tieout.store.encoding import clean_text
from tieout.store.hook_tables import hook_inbox, hook_refusal

#: Rows whose bodies are in memory at once.
CHUNK = 500
#: So long a reader may be at the vendor with its rows locked; then the database ends its session and they wait again.
LONGEST_READING_SECONDS = 7200
#: Characters of a message that are kept.
LONGEST_MESSAGE = 1000

State = Literal["waiting", "read", "ignored", "failed"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A waiting row that this transaction has locked."""

    hook_id: int
    connection: str
    account: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class End:
    """What became of a row. `attempts` as they are now; `wait_seconds`: a waiting one is not taken again before."""

    hook_id: int
    state: State
    message: str | None = None
    attempts: int = 0
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """A row without its body: nothing of a person is in it."""

    hook_id: int
    connection: str
    received_at: datetime
    last_received_at: datetime
    deliveries: int
    state: str
    attempts: int
    not_before: datetime | None
    message: str | None
    run_id: UUID | None
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One connection's inbox. `refused`: reason -> how often a delivery was not taken."""

    connection: str
    waiting: int
    failed: int
    read: int
    ignored: int
    oldest_waiting: datetime | None
    last_received: datetime | None
    refused: Mapping[str, int]


_COLUMNS = [hook_inbox.c[name] for name in Hook.__dataclass_fields__]


def keep(
    conn: Connection,
    connection: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    identity: bytes | None = None,
    account: str | None = None,
) -> bool:
    """Puts a delivery into the inbox; one that is there already is counted on its row. Whether it is new.

    Args:
        identity: the bytes that make two deliveries the same one; default the body.
        account: of the vendor, that the connection is for.
    """
    digest = hashlib.sha256(body if identity is None else identity).hexdigest()
    row = insert_into(hook_inbox).values(
        connection=connection, account=account, body=body, headers=dict(headers), digest=digest
    )
    new = row.on_conflict_do_nothing(constraint="hook_inbox_digest").returning(hook_inbox.c.hook_id)
    if conn.execute(new).scalar_one_or_none() is not None:
        return True
    # A reader may have the row for minutes, and the vendor waits for seconds: then it is not counted.
    free = (
        sa.select(hook_inbox.c.hook_id)
        .where(hook_inbox.c.connection == connection, hook_inbox.c.digest == digest)
        .with_for_update(skip_locked=True)
    )
    conn.execute(
        sa.update(hook_inbox)
        .where(hook_inbox.c.hook_id.in_(free))
        .values(deliveries=hook_inbox.c.deliveries + 1, last_received_at=sa.func.clock_timestamp())
    )
    return False


def refuse(conn: Connection, connection: str, reason: str) -> None:
    """Counts a delivery that was not taken."""
    row = insert_into(hook_refusal).values(connection=connection, reason=reason)
    conn.execute(
        row.on_conflict_do_update(
            index_elements=["connection", "reason"],
            set_={"times": hook_refusal.c.times + 1, "last_at": sa.func.clock_timestamp()},
        )
    )


def due(conn: Connection, connections: Collection[str]) -> int:
    """How many rows of these connections a reader would take now."""
    query = sa.select(sa.func.count()).select_from(hook_inbox).where(_due(connections))
    return int(conn.execute(query).scalar_one())


def take(conn: Connection, connections: Collection[str], most: int) -> Sequence[Taken]:
    """Waiting rows, oldest first, locked until the transaction ends; what another reader has is left to it.

    A reader that is killed loses its locks with its session, so that its rows wait as before.
    """
    conn.execute(sa.text(f"set local idle_in_transaction_session_timeout = '{LONGEST_READING_SECONDS}s'"))
    columns = [hook_inbox.c[name] for name in Taken.__dataclass_fields__]
    query = (
        sa.select(*columns)
        .where(_due(connections))
        .order_by(hook_inbox.c.hook_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return [Taken(*row) for row in conn.execute(query)]


def bodies(conn: Connection, ids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """(id, body), a few at a time."""
    for start in range(0, len(ids), CHUNK):
        query = sa.select(hook_inbox.c.hook_id, hook_inbox.c.body).where(
            hook_inbox.c.hook_id.in_(ids[start : start + CHUNK])
        )
        for row in conn.execute(query):
            yield row.hook_id, bytes(row.body)


def settle(conn: Connection, ends: Sequence[End], run_id: UUID) -> None:
    """Writes down what became of rows that this transaction has taken."""
    statement = (
        sa.update(hook_inbox)
        .where(hook_inbox.c.hook_id == sa.bindparam("id"))
        .values(
            state=sa.bindparam("new_state"),
            message=sa.bindparam("why"),
            attempts=sa.bindparam("tried"),
            run_id=run_id,
            not_before=sa.func.clock_timestamp()
            + sa.func.make_interval(0, 0, 0, 0, 0, 0, sa.bindparam("wait", type_=sa.Double)),
            settled_at=sa.case((sa.bindparam("done"), sa.func.clock_timestamp())),
        )
    )
    rows: list[dict[str, Any]] = [
        {
            "id": end.hook_id, "new_state": end.state, "tried": end.attempts, "wait": end.wait_seconds,
            "why": clean_text(end.message)[:LONGEST_MESSAGE] if end.message else None, "done": end.state != "waiting",
        }
        for end in ends
    ]  # fmt: skip
    if rows:
        conn.execute(statement, rows)


def retry(conn: Connection, ids: Sequence[int], *, by: str, connections: Collection[str] | None = None) -> int:
    """Has failed rows read again, and waiting ones at once; audited under the person's name. How many.

    Args:
        connections: only rows of these.
    """
    query = (
        sa.update(hook_inbox)
        .where(hook_inbox.c.hook_id.in_(ids), hook_inbox.c.state.in_(("failed", "waiting")))
        .values(state="waiting", attempts=0, not_before=None, settled_at=None)
        .returning(hook_inbox.c.connection, hook_inbox.c.hook_id)
    )
    if connections is not None:
        query = query.where(hook_inbox.c.connection.in_(connections))
    chains: dict[str, list[audit.Event]] = {}
    for row in sorted(conn.execute(query), key=lambda row: (row.connection, row.hook_id)):
        chains.setdefault(row.connection, []).append(audit.Event(by, "hook.tried_again", f"hook:{row.hook_id}"))
    for name, events in chains.items():
        audit.append(conn, f"connection:{name}", events)
    return sum(len(events) for events in chains.values())


def forget(conn: Connection, days: int) -> tuple[int, int]:
    """Removes what came more than `days` ago, whatever became of it: (rows, of them never read)."""
    old = hook_inbox.c.received_at < sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, days)
    gone = conn.execute(sa.delete(hook_inbox).where(old).returning(hook_inbox.c.state)).scalars().all()
    return len(gone), sum(state in ("waiting", "failed") for state in gone)


def standings(conn: Connection, connections: Collection[str] | None = None) -> Sequence[Standing]:
    """The inbox of each connection that got or was refused anything, by name; or of those named."""
    inbox = sa.select(
        hook_inbox.c.connection,
        *(
            sa.func.count().filter(hook_inbox.c.state == state).label(state)
            for state in ("waiting", "failed", "read", "ignored")
        ),
        sa.func.min(hook_inbox.c.received_at).filter(hook_inbox.c.state == "waiting").label("oldest_waiting"),
        sa.func.max(hook_inbox.c.last_received_at).label("last_received"),
    ).group_by(hook_inbox.c.connection)
    found: dict[str, Mapping[str, Any]] = {row["connection"]: dict(row) for row in conn.execute(inbox).mappings()}
    refused: dict[str, dict[str, int]] = {}
    for row in conn.execute(sa.select(hook_refusal).order_by(hook_refusal.c.reason)):
        refused.setdefault(row.connection, {})[row.reason] = row.times
    names = sorted({*found, *refused}) if connections is None else sorted(connections)
    nothing = {"waiting": 0, "failed": 0, "read": 0, "ignored": 0, "oldest_waiting": None, "last_received": None}
    return [
        Standing(**{**nothing, "connection": name, **found.get(name, {}), "refused": refused.get(name, {})})
        for name in names
    ]


def listing(
    conn: Connection, connections: Collection[str] | None = None, states: Collection[str] = (), limit: int = 200
) -> Sequence[Hook]:
    """Rows, newest first, without their bodies."""
    query = sa.select(*_COLUMNS).order_by(hook_inbox.c.hook_id.desc()).limit(limit)
    if connections is not None:
        query = query.where(hook_inbox.c.connection.in_(connections))
    if states:
        query = query.where(hook_inbox.c.state.in_(states))
    return [Hook(*row) for row in conn.execute(query)]


def _due(connections: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(
        hook_inbox.c.state == "waiting",
        hook_inbox.c.connection.in_(connections),
        sa.or_(hook_inbox.c.not_before.is_(None), hook_inbox.c.not_before <= sa.func.clock_timestamp()),
    )
