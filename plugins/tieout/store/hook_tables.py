"""The tables of webhooks: migration 0011 makes them. Part of the same metadata as store/tables.py."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from tieout.store.tables import metadata

# fmt: off

# What a vendor sent and signed, as the bytes that came. A hint: what is true is read from the vendor afterwards.
hook_inbox = Table(
    "hook_inbox", metadata,
    Column("hook_id", BigInteger, Identity(), primary_key=True),
    Column("connection", Text, nullable=False),
    Column("account", Text),  # of the vendor, that the connection was for when it came: tenant, realm, portal
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("last_received_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("deliveries", Integer, nullable=False, server_default=text("1")),  # how often the same was sent
    Column("body", LargeBinary, nullable=False),
    Column("headers", JSONB, nullable=False, server_default=text("'{}'")),  # those of the signature
    Column("digest", Text, nullable=False),  # sha256 of what makes two deliveries the same
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("not_before", DateTime(timezone=True)),
    Column("message", Text),  # why it was ignored or failed; of a waiting one, what went wrong last
    Column("run_id", UUID(as_uuid=True)),  # the run that read it last
    Column("settled_at", DateTime(timezone=True)),
    UniqueConstraint("connection", "digest", name="hook_inbox_digest"),
    CheckConstraint("state in ('waiting','read','ignored','failed')", name="hook_inbox_state"),
    CheckConstraint("state not in ('ignored','failed') or message is not null", name="hook_inbox_says_why"),
    Index("hook_inbox_waiting", "connection", "hook_id", postgresql_where=text("state = 'waiting'")),
    Index("hook_inbox_failed", "connection", "hook_id", postgresql_where=text("state = 'failed'")),
    Index("hook_inbox_age", "received_at"),
)

# Deliveries that were not taken, counted: a row for each connection and reason, whatever comes.
hook_refusal = Table(
    "hook_refusal", metadata,
    Column("connection", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("times", BigInteger, nullable=False, server_default=text("1")),
    Column("last_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)
