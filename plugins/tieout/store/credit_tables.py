"""The tables of credit, in the schema `tieout`: limits with their changes, releases, positions as last worked out.

Amounts in minor units of the row's currency. Triggers (migration 0004) keep what was proposed, decided and released.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)

from tieout.store.tables import metadata

# fmt: off


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


# Credit limits that somebody proposed together; another person approves. Triggers keep it so (migration 0004).
credit_change = Table(
    "credit_change", metadata,
    Column("change_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("source", Text, nullable=False),  # the file's name
    Column("proposed_by", Text, nullable=False),
    _now("proposed_at"),
    Column("state", Text, nullable=False, server_default="proposed"),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("note", Text),
    CheckConstraint("state in ('proposed','approved','refused')", name="credit_change_state"),
    CheckConstraint(
        "btrim(proposed_by) <> '' and btrim(coalesce(decided_by, '?')) <> ''", name="credit_change_named"
    ),
    CheckConstraint(
        "(state = 'proposed') = (decided_by is null) and (decided_by is null) = (decided_at is null)",
        name="credit_change_decided",
    ),
    CheckConstraint(
        "state <> 'approved' or lower(btrim(decided_by)) <> lower(btrim(proposed_by))", name="credit_change_four_eyes"
    ),
    Index("credit_change_open", "link", "change_id", postgresql_where=text("state = 'proposed'")),
)

# What one customer may owe from a day on: an amount of its own, or a share of another customer's. Never changed.
credit_limit = Table(
    "credit_limit", metadata,
    Column("change_id", BigInteger, ForeignKey("tieout.credit_change.change_id"), primary_key=True),
    Column("account_id", Text, primary_key=True),  # the CRM's
    Column("valid_from", Date, primary_key=True),
    Column("currency", Text),
    Column("limit_minor", BigInteger),
    Column("shares_with", Text),  # the account whose limit it shares
    Column("line", Integer, nullable=False),  # of the file
    CheckConstraint(
        "(shares_with is null) = (limit_minor is not null) and (limit_minor is null) = (currency is null)",
        name="credit_limit_own_or_shared",
    ),
    CheckConstraint("limit_minor >= 0", name="credit_limit_not_negative"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="credit_limit_currency"),
    CheckConstraint("shares_with <> account_id", name="credit_limit_of_another"),
    Index("credit_limit_account", "account_id", "valid_from"),
)

# A person lets one order of one amount go, once, although its customer's credit does not cover it.
credit_release = Table(
    "credit_release", metadata,
    Column("release_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("object", Text, nullable=False),  # order, opportunity
    Column("source_id", Text, nullable=False),
    Column("source_number", Text),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),  # net, as it was judged
    Column("released_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    _now("released_at"),
    Column("used_at", DateTime(timezone=True)),
    Column("used_doc_uid", Text),
    CheckConstraint("btrim(released_by) <> '' and btrim(note) <> ''", name="credit_release_named"),
    CheckConstraint("(used_at is null) = (used_doc_uid is null)", name="credit_release_used"),
    Index("credit_release_source", "source_id"),
)

# What credit-sync last made of each customer of the CRM; no figures where `reason` says why nothing can be said.
credit_position = Table(
    "credit_position", metadata,
    Column("link", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),  # the CRM's
    Column("name", Text),
    Column("currency", Text),
    Column("limit_minor", BigInteger),
    Column("open_minor", BigInteger),
    Column("overdue_minor", BigInteger),
    Column("available_minor", BigInteger),
    Column("rates", Text),
    Column("reason", Text),
    Column("message", Text),
    _now("changed_at"),
)
