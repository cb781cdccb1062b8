"""The tables of closing a fiscal period, in the schema `tieout`: period reports, acts of people, control accounts,
recounts.

Side A is the CRM, side B the ledger; amounts are integers in 10^-scale of their currency, differences A - B. Triggers
(migration 0010) keep everything here as it was written; a newer report of a period replaces the older one for readers.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from tieout.store.tables import metadata

# A column a line, with what it means.
# fmt: off


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _whole(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=False, autoincrement=False)


def _total(name: str) -> Column[object]:
    return Column(name, Numeric(38, 0), nullable=False)


def _texts(name: str) -> Column[object]:
    return Column(name, ARRAY(Text), nullable=False, server_default=text("'{}'"))


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp())


# What is dated in one period on either side, and what the crosswalk joins it to.
period_report = Table(
    "period_report", metadata,
    Column("report_id", BigInteger, Identity(), primary_key=True),
    _text("link"),
    _text("label"),  # FY2026-P05
    Column("first", Date, nullable=False),  # both inclusive, in the link's time zone
    Column("last", Date, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),  # as both systems were staged at this instant
    Column("run_id", UUID(as_uuid=True), nullable=False),
    _text("rules_hash"),
    _text("mapping_hash"),
    _text("code_version"),
    Column("state", Text, nullable=False, server_default="running"),  # untied: something stays unexplained
    Column("hash", Text),  # of totals, items and documents
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("state in ('running','tied','untied')", name="period_report_state"),
    CheckConstraint("first <= last", name="period_report_days"),
    CheckConstraint(
        "(state = 'running') = (hash is null) and (state = 'running') = (finished_at is null)",
        name="period_report_finished",
    ),
    Index("period_report_of", "link", "label", "report_id"),
)

period_report_total = Table(
    "period_report_total", metadata,
    Column("report_id", BigInteger, ForeignKey("tieout.period_report.report_id"), primary_key=True,
           autoincrement=False),
    _text("area", key=True),
    _text("currency", key=True),
    Column("scale", SmallInteger, nullable=False),
    _whole("a_count"),
    _whole("b_count"),
    _total("a_amount"),
    _total("b_amount"),
    _total("explained"),  # the sum of the report's items
    Column("unexplained", Numeric(38, 0), Computed("a_amount - b_amount - explained", persisted=True)),
)

# Component `period`: what is dated in this period on one side and in another one on the other.
period_report_item = Table(
    "period_report_item", metadata,
    _whole("report_id", key=True),
    _text("area"),
    _text("identity", key=True),  # that of the break, where the daily report has the same difference
    _text("component"),
    _text("class"),
    _text("currency"),
    Column("scale", SmallInteger, nullable=False),
    _whole("amount"),
    Column("within_tolerance", Boolean, nullable=False, server_default=text("false")),
    _texts("a_keys"),
    _texts("b_keys"),
    Column("customer_name", Text),
    _texts("numbers"),
    _text("explanation"),
)

# Every document that was counted: what a recount is held against.
period_report_document = Table(
    "period_report_document", metadata,
    _whole("report_id", key=True),
    _text("side", key=True),
    _text("area", key=True),
    _text("key", key=True),  # <entity>:<id>
    _text("currency", key=True),
    Column("scale", SmallInteger, nullable=False),
    _whole("amount"),  # what of it counts in the period
    Column("day", Date, nullable=False),
    Column("label", Text),
    Column("customer_name", Text),
    CheckConstraint("side in ('a','b')", name="period_report_document_side"),
)

# The ledger's control account against the subledger, in the base currency, at the end of the period's last day.
period_control = Table(
    "period_control", metadata,
    Column("control_id", BigInteger, Identity(), primary_key=True),
    _text("link"),
    _text("label"),
    Column("last", Date, nullable=False),
    _now("read_at"),
    Column("run_id", UUID(as_uuid=True), nullable=False),
    _text("account"),  # the ledger's name for it
    _text("currency"),
    Column("scale", SmallInteger, nullable=False),
    _whole("control"),  # as the ledger's own report says it
    _whole("subledger"),  # open documents as staged, at each document's rate
    Column("difference", BigInteger, Computed("control - subledger", persisted=True)),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),  # kind of document -> its part
    Index("period_control_of", "link", "label", "control_id"),
)

# What a person puts down about a fact of the checklist. It counts while what was found is what is found.
period_act = Table(
    "period_act", metadata,
    Column("act_id", BigInteger, Identity(), primary_key=True),
    _text("link"),
    _text("label"),
    _text("act"),
    _text("subject"),  # break:<identity>, variance:<area>:<currency>, fact:<name>
    _text("found"),
    _text("actor"),
    _text("note"),
    _now("at"),
    CheckConstraint("act in ('carried_forward','variance_explained','exception_accepted')", name="period_act_kind"),
    CheckConstraint("btrim(actor) <> '' and btrim(note) <> '' and btrim(subject) <> ''", name="period_act_said"),
    Index("period_act_of", "link", "label", "act_id"),
)

# A closed period's figures as they are now against those that were frozen.
period_recount = Table(
    "period_recount", metadata,
    Column("recount_id", BigInteger, Identity(), primary_key=True),
    _text("link"),
    _text("label"),
    Column("report_id", BigInteger, ForeignKey("tieout.period_report.report_id"), nullable=False),  # the frozen one
    Column("run_id", UUID(as_uuid=True), nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    _whole("moved"),  # documents
    Column("figures", JSONB, nullable=False),  # [{area, currency, scale, a_before, a_after, b_before, b_after}]
    _now("at"),
    Index("period_recount_of", "link", "label", "recount_id"),
)

period_recount_item = Table(
    "period_recount_item", metadata,
    _whole("recount_id", key=True),
    _text("side", key=True),
    _text("area", key=True),
    _text("key", key=True),
    _text("currency", key=True),
    Column("scale", SmallInteger, nullable=False),
    Column("before", BigInteger),  # null: it was not in the period
    Column("after", BigInteger),  # null: it is in the period no more
    Column("before_day", Date),
    Column("after_day", Date),
    Column("label", Text),
    Column("customer_name", Text),
    Column("since", DateTime(timezone=True)),
    _text("actor"),  # a person or program, as Tieout or the ledger tells it
    _text("how"),
    CheckConstraint("side in ('a','b')", name="period_recount_item_side"),
    CheckConstraint("before is not null or after is not null", name="period_recount_item_moved"),
)
