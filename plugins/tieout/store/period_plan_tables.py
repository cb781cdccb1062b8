"""The tables of the plans of fiscal periods, in the schema `tieout`. Triggers (migration 0009) keep what was planned,
let nobody decide it who may not, and let nothing be applied that is not approved where that is needed.

Amounts in minor units of the row's currency, before tax.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from tieout.store.tables import metadata

# fmt: off

# What one run would post for one period of a link. The newest of a run counts.
period_plan = Table(
    "period_plan", metadata,
    Column("plan_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("label", Text, nullable=False),  # of the period in the link's calendar
    Column("first", Date, nullable=False),
    Column("last", Date, nullable=False),
    Column("run_id", UUID(as_uuid=True), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("state", Text, nullable=False, server_default="planned"),
    Column("hash", Text, nullable=False),  # SHA-256 over all that its lines say
    Column("records", Integer, nullable=False),  # judged: lines, unchanged and in flight
    Column("unchanged", Integer, nullable=False),
    Column("in_flight", Integer, nullable=False),  # a run is at work on them
    Column("new_customers", Integer, nullable=False),  # that the ledger would get with the documents
    Column("needs_approval", Boolean, nullable=False),
    Column("approval_reason", Text, nullable=False),  # why it does, or does not
    Column("approvers", ARRAY(Text), nullable=False, server_default="{}"),  # nobody named: whoever has the right
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_hash", Text),
    Column("note", Text),
    Column("applied_at", DateTime(timezone=True)),
    CheckConstraint(
        "state in ('planned','approved','sent_back','replaced','applied','dry')", name="period_plan_state"
    ),
    CheckConstraint("first <= last", name="period_plan_days"),
    CheckConstraint("btrim(coalesce(decided_by, '?')) <> ''", name="period_plan_named"),
    Index("period_plan_of_link", "link", "label", "plan_id"),
    Index("period_plan_of_run", "run_id", "plan_id"),
    Index("period_plan_waiting", "link", "plan_id", postgresql_where=text("state = 'planned' and needs_approval")),
)

# One record of a plan that is not as it should be: what would be done, or why it is held.
period_plan_line = Table(
    "period_plan_line", metadata,
    Column("plan_id", BigInteger, ForeignKey("tieout.period_plan.plan_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("object", Text, nullable=False),  # order, opportunity
    Column("source_id", Text, nullable=False),
    Column("source_number", Text),
    Column("action", Text, nullable=False),
    Column("customer_id", Text),  # the CRM's account
    Column("vendor_customer_id", Text),  # the ledger's; null: it would get one
    Column("customer", Text),  # its name in the CRM
    Column("document", Text),  # number of the ledger's document that it is about
    Column("currency", Text),
    Column("before_minor", BigInteger, nullable=False),  # what the ledger has of it
    Column("after_minor", BigInteger, nullable=False),  # what it would have
    Column("held_minor", BigInteger, nullable=False),  # what a held record comes to
    Column("posting_date", Date),
    Column("credit_date", Date),  # of the credit note, where there would be one
    Column("reason", Text),
    Column("message", Text),
    Column("digest", Text, nullable=False),  # of the verdict: another one is not applied
    Column("state", Text, nullable=False, server_default="planned"),  # applied; changed: it was judged otherwise
    Column("found", Text),  # how it was judged when the plan was applied
    UniqueConstraint("plan_id", "source_id", name="period_plan_line_once"),
    CheckConstraint(
        "action in ('create','change','credit_and_rebill','credit','void','cancel','hold')",
        name="period_plan_line_action",
    ),
    CheckConstraint("state in ('planned','applied','changed')", name="period_plan_line_state"),
    CheckConstraint("(state = 'changed') = (found is not null)", name="period_plan_line_found"),
)
