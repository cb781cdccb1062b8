"""The tables of fiscal periods, in the schema `tieout`: their states, what happened to them, how they are reopened.

Triggers (migration 0008) keep the order of the states, keep documents out of closed periods, and want two people for
a reopening.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from tieout.store.tables import metadata

# fmt: off


def _of_period(name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["link", "label"], ["tieout.period.link", "tieout.period.label"], name=name)


# A period without a row is open. Days are inclusive, in the link's time zone; periods of a link do not overlap.
period = Table(
    "period", metadata,
    Column("link", Text, primary_key=True),
    Column("label", Text, primary_key=True),  # FY2026-P05
    Column("first", Date, nullable=False),
    Column("last", Date, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),  # of the state
    Column("changed_by", Text, nullable=False),
    CheckConstraint("state in ('open','closing','closed')", name="period_state"),
    CheckConstraint("first <= last", name="period_days"),
    CheckConstraint("btrim(label) <> '' and btrim(changed_by) <> ''", name="period_named"),
)

# Append-only.
period_event = Table(
    "period_event", metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),  # note, reason, and what a close froze
    _of_period("period_event_period"),
    CheckConstraint("btrim(actor) <> ''", name="period_event_named"),
    CheckConstraint(
        "event in ('closing_begun','closing_stopped','closed','reopening_asked','reopening_refused','reopened')",
        name="period_event_kind",
    ),
    Index("period_event_of", "link", "label", "event_id"),
)

# One person asks, another one decides; agreeing opens the period (a trigger). Nothing else does.
period_reopening = Table(
    "period_reopening", metadata,
    Column("reopening_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("closed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),  # which closing it undoes
    Column("asked_by", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("reason", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("agreed", Boolean),
    Column("note", Text),
    _of_period("period_reopening_period"),
    CheckConstraint("btrim(asked_by) <> '' and btrim(reason) <> ''", name="period_reopening_said"),
    CheckConstraint(
        "(agreed is null) = (decided_by is null) and (decided_by is null) = (decided_at is null)",
        name="period_reopening_decided",
    ),
    CheckConstraint(
        "agreed is not true or (btrim(decided_by) <> '' and not tieout.same_person(asked_by, decided_by))",
        name="period_reopening_four_eyes",
    ),
    Index("period_reopening_open", "link", "label", unique=True, postgresql_where=text("agreed is null")),
)
