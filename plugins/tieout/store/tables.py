"""The tables of the schema `tieout`. Migrations create them (store/migrations); staging tables are made from mappings.

Nothing of a vendor is here. Times are timestamptz on the database's clock.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData(schema="tieout")

# A column a line, with what it means.
# fmt: off


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


# One run of one scenario for one link. `counts` and `amounts` close: see scenarios/.
sync_run = Table(
    "sync_run", metadata,
    Column("run_id", UUID(as_uuid=True), primary_key=True),
    Column("link", Text, nullable=False),
    Column("scenario", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="running"),
    Column("trigger", Text, nullable=False),  # cli, scheduled, manual, backfill, webhook
    Column("interval_start", DateTime(timezone=True)),
    Column("interval_end", DateTime(timezone=True)),
    Column("airflow_dag_id", Text),
    Column("airflow_run_id", Text),
    Column("mapping_hash", Text, nullable=False),
    Column("suite_hash", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("counts", JSONB, nullable=False, server_default=text("'{}'")),
    Column("amounts", JSONB, nullable=False, server_default=text("'{}'")),
    Column("steps", JSONB, nullable=False, server_default=text("'{}'")),  # step -> {started, ended, numbers}
    _now("started_at"),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("state in ('running','succeeded','partial','failed')", name="sync_run_state"),
    Index("sync_run_link", "link", "scenario", "started_at"),
)

# How far a (connection, entity) has been read ('extract') or checked ('check', value in `version`).
watermark = Table(
    "watermark", metadata,
    Column("connection", Text, primary_key=True),
    Column("entity", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("at", DateTime(timezone=True)),
    Column("version", BigInteger),
    Column("run_id", UUID(as_uuid=True)),
    _now("updated_at"),
)

# Which ledger document or contact stands for which CRM record. One to one per target.
crosswalk = Table(
    "crosswalk", metadata,
    Column("crosswalk_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("target", Text, nullable=False),  # connection name
    Column("entity", Text, nullable=False),  # account, product, invoice, credit_memo
    Column("vendor_id", Text, nullable=False),
    Column("vendor_number", Text),
    Column("doc_uid", Text, nullable=False),
    Column("source", Text, nullable=False),  # connection name
    Column("source_object", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("origin", Text, nullable=False),  # created, found, matched, approved
    Column("evidence", JSONB, nullable=False, server_default=text("'{}'")),
    Column("decided_by", Text),
    _now("created_at"),
    UniqueConstraint("target", "vendor_id", "entity", name="crosswalk_vendor"),
    UniqueConstraint("target", "doc_uid", name="crosswalk_doc"),
    Index("crosswalk_source", "source", "source_object", "source_id"),
)

# What is to be done in a target, exactly once. The body is frozen at creation: delivery.md.
intent = Table(
    "intent", metadata,
    Column("intent_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("target", Text, nullable=False),  # connection name
    Column("doc_uid", Text, nullable=False),
    Column("kind", Text, nullable=False),  # customer, invoice, credit_memo, allocation, void, write_back
    Column("operation", Text, nullable=False),  # the connector's word: contacts.create, invoices.create ...
    Column("entity", Text, nullable=False),  # of the crosswalk row that a creating operation makes
    Column("revision", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_object", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("source_system", Text, nullable=False),  # these two say which staging table holds the source record
    Column("source_entity", Text, nullable=False),
    Column("natural_key", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    # May hold {{vendor_id:<doc_uid>}} for a document that is itself being made; a pure function of the crosswalk.
    Column("body", LargeBinary, nullable=False),
    Column("depends_on", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # doc_uids in the same target
    Column("currency", Text),
    Column("amount_minor", BigInteger),
    Column("frozen", JSONB, nullable=False, server_default=text("'{}'")),  # rate, rate_date, mapping_hash ...
    Column("state", Text, nullable=False, server_default="READY"),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("worker", Text),
    Column("lease_until", DateTime(timezone=True)),
    Column("sent_at", DateTime(timezone=True)),  # of the last send
    Column("sends", Integer, nullable=False, server_default=text("0")),
    Column("not_before", DateTime(timezone=True)),
    Column("vendor_id", Text),
    Column("vendor_number", Text),
    Column("answer", JSONB),  # the vendor's confirmed content, for write-back and comparison
    Column("reason", Text),  # stable code for REJECTED, HELD, UNKNOWN
    Column("message", Text),
    Column("owner", Text),
    Column("run_id", UUID(as_uuid=True), nullable=False),
    _now("created_at"),
    _now("updated_at"),
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),  # 0 is batch work; higher goes first
    Column("posting_date", Date),  # of the document in the books; null: it has none there. Triggers: migration 0008
    UniqueConstraint("target", "doc_uid", name="intent_doc"),
    CheckConstraint(
        "state in ('READY','CLAIMED','IN_FLIGHT','CONFIRMED','REJECTED','UNKNOWN','HELD','CANCELLED')",
        name="intent_state",
    ),
    CheckConstraint("priority >= 0", name="intent_priority"),
    # A void has none where what it takes back is a draft: that is not in the books.
    CheckConstraint(
        "posting_date is not null or kind not in "
        "('invoice','credit_memo','allocation','refund','write_off','write_off_allocation','payment')",
        name="intent_is_dated",
    ),
    CheckConstraint("state <> 'HELD' or (reason is not null and owner is not null)", name="intent_held_has_reason"),
    # Each small set that delivery looks for has an index of its own, so that the settled millions cost nothing.
    Index("intent_ready", "target", "intent_id", postgresql_where=text("state = 'READY'")),
    Index(
        "intent_urgent", "target", "priority", "intent_id",
        postgresql_where=text("state = 'READY' and priority > 0"),
    ),
    Index("intent_unknown", "target", "not_before", postgresql_where=text("state = 'UNKNOWN'")),
    Index("intent_leased", "target", "lease_until", postgresql_where=text("state in ('CLAIMED','IN_FLIGHT')")),
    Index("intent_held", "target", "reason", postgresql_where=text("state = 'HELD'")),
    Index("intent_source", "source", "source_object", "source_id"),
    Index("intent_natural_key", "target", "natural_key"),
    Index("intent_posting", "link", "posting_date", postgresql_where=text("posting_date is not null")),
)

# What is left of a vendor's allowance, shared by all workers on one connection: connectors/pace.py. Nothing here
# decides whether a document is posted: a lost row costs a few refused calls.
pace = Table(
    "pace", metadata,
    Column("connection", Text, primary_key=True),
    Column("calls", ARRAY(DateTime(timezone=True)), nullable=False, server_default=text("'{}'")),  # begun in the window
    Column("slots", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # calls under way, by ticket
    # A slot is a lease: that of a worker that was killed ends by itself.
    Column("slots_until", ARRAY(DateTime(timezone=True)), nullable=False, server_default=text("'{}'")),
    Column("width", Double, nullable=False, server_default=text("2")),  # calls at once that are tried now
    Column("narrowed_at", DateTime(timezone=True)),
    Column("open_at", DateTime(timezone=True)),  # the vendor asked for no call before
    Column("closed_by", Text),  # the limit that it named: window, concurrent, day, other
    Column("urgent_until", DateTime(timezone=True)),  # batch work stands back: a call of higher priority waits
    Column("answer_seconds", Double),  # of late, smoothed
    Column("fastest", JSONB, nullable=False, server_default=text("'{}'")),  # kind of call -> seconds
    Column("strain", Double, nullable=False, server_default=text("1")),  # answers of late beside the fastest of a kind
    Column("has_window", Boolean, nullable=False, server_default=text("true")),  # the answers name the window's limit
    Column("day", Date),  # of day_calls, in UTC
    Column("day_calls", Integer, nullable=False, server_default=text("0")),
    Column("day_left", Integer),  # as the vendor said last
    Column("day_limit", Integer),
    Column("day_heard_at", DateTime(timezone=True)),
    Column("total_calls", BigInteger, nullable=False, server_default=text("0")),
    Column("total_refused", BigInteger, nullable=False, server_default=text("0")),  # answers that asked to wait
    _now("updated_at"),
)

# The refresh token of a connection whose vendor rotates it: delivery/refresh.py. Sealed: the key is not here.
refresh_token = Table(
    "refresh_token", metadata,
    Column("holder", Text, primary_key=True),  # system, app and company: the connection's name may be another one
    Column("sealed", Text, nullable=False),  # the newest one
    Column("before", Text),  # the one before it, sealed: good for a while, should the newest not have been kept
    Column("begun_with", Text, nullable=False),  # SHA-256 of the connection's own token that it began with
    Column("generation", BigInteger, nullable=False, server_default=text("1")),
    Column("kept_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)

# Every time bytes may have gone to a target.
attempt = Table(
    "attempt", metadata,
    Column("attempt_id", BigInteger, Identity(), primary_key=True),
    Column("intent_id", BigInteger, ForeignKey("tieout.intent.intent_id"), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("kind", Text, nullable=False),  # send, look_up
    Column("batch", Text),  # idempotency key of the request that carried it
    Column("request_hash", Text),  # sha256 of the bytes that were sent for this item
    # applied, refused, uncertain, throttled, found_equal, found_different, found_many, found_none
    Column("outcome", Text),
    Column("http_status", Integer),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    _now("sent_at"),
    Column("answered_at", DateTime(timezone=True)),
    Index("attempt_intent", "intent_id"),
)

# The last judgement on each record that could become a document: what the summary counts.
document = Table(
    "document", metadata,
    Column("link", Text, primary_key=True),
    Column("object", Text, primary_key=True),  # common entity: order, opportunity, account
    Column("source_id", Text, primary_key=True),
    Column("source_number", Text),
    Column("outcome", Text, nullable=False),  # posted, pending, quarantined, held, cancelled, not_billable, reversed
    Column("reason", Text),
    Column("message", Text),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    Column("content_hash", Text),  # of the common record and its lines, as last judged
    Column("seen_version", BigInteger, nullable=False),  # highest staging _version judged
    Column("doc_uid", Text),  # of the live document
    Column("currency", Text),
    Column("source_minor", BigInteger),  # the source's own total
    Column("posted_minor", BigInteger),  # the ledger's net (before tax) for the live document
    Column("run_id", UUID(as_uuid=True), nullable=False),
    _now("updated_at"),
    Index("document_outcome", "link", "object", "outcome"),
)

dead_letter = Table(
    "dead_letter", metadata,
    Column("dead_letter_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text),  # null: found at staging, for every link on the connection
    Column("connection", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("stage", Text, nullable=False),  # extract, check, transform, deliver, settle, write_back
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("found", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("payload", JSONB),
    Column("state", Text, nullable=False, server_default="open"),  # open, replayed, resolved
    Column("owner", Text),
    Column("run_id", UUID(as_uuid=True), nullable=False),
    Column("times_seen", Integer, nullable=False, server_default=text("1")),
    _now("first_seen"),
    _now("last_seen"),
    Column("closed_at", DateTime(timezone=True)),
    Column("closed_by", Text),
    CheckConstraint("state in ('open','replayed','resolved')", name="dead_letter_state"),
    Index(
        "dead_letter_open", "connection", "entity", "source_id", "stage", "reason", text("coalesce(link, '')"),
        unique=True, postgresql_where=text("state = 'open'"),
    ),
)

# What a person decided: product or customer aliases, matches among several candidates.
alias = Table(
    "alias", metadata,
    Column("link", Text, primary_key=True),
    Column("entity", Text, primary_key=True),  # product, account
    Column("found", Text, primary_key=True),  # the text or id that was met
    Column("canonical", Text, nullable=False),  # the product code or ledger id it stands for
    Column("approved_by", Text, nullable=False),
    Column("note", Text),
    _now("approved_at"),
)

# Append-only; each chain is a hash chain: hash = sha256(prev_hash + canonical JSON of the event).
audit_event = Table(
    "audit_event", metadata,
    Column("chain", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("event", Text, nullable=False),  # intent.created, intent.state, alias.approved, master.overwrote ...
    Column("subject", Text, nullable=False),  # intent:123, document:order:8010...
    Column("run_id", UUID(as_uuid=True)),
    Column("detail", JSONB, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("audit_subject", "subject"),
)
audit_head = Table(
    "audit_head", metadata,
    Column("chain", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

# A set of reversals or repairs that a person approves or refuses. Triggers (migration 0003) keep it as it was proposed.
proposal = Table(
    "proposal", metadata,
    Column("proposal_id", BigInteger, Identity(), primary_key=True),
    Column("kind", Text, nullable=False),  # rollback, void_duplicate, resend, relink, write_off
    Column("link", Text, nullable=False),
    Column("target", Text, nullable=False),  # connection name
    Column("reason", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("by_machine", Boolean, nullable=False),  # then one person is enough to approve it
    _now("proposed_at"),
    Column("items_hash", Text, nullable=False),  # of the proposal and its items, as they are shown
    Column("state", Text, nullable=False, server_default="proposed"),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_hash", Text),  # what the approver saw
    Column("note", Text),
    Column("run_id", UUID(as_uuid=True), nullable=False),  # the run that proposed it and that its intents belong to
    Column("done_at", DateTime(timezone=True)),
    CheckConstraint(
        "kind in ('rollback','void_duplicate','resend','relink','write_off')", name="proposal_kind"
    ),
    CheckConstraint("state in ('proposed','approved','refused','done')", name="proposal_state"),
    CheckConstraint(
        "(state = 'proposed') = (decided_by is null) and (decided_by is null) = (decided_at is null)",
        name="proposal_decided",
    ),
    CheckConstraint(
        "state in ('proposed','refused') or decided_hash is not distinct from items_hash",
        name="proposal_hash_was_seen",
    ),
    CheckConstraint(
        "by_machine or state not in ('approved','done') or lower(btrim(decided_by)) <> lower(btrim(proposed_by))",
        name="proposal_four_eyes",
    ),
    Index("proposal_open", "link", "proposal_id", postgresql_where=text("state in ('proposed','approved')")),
)

# One document of a proposal, and what is to be done with it.
proposal_item = Table(
    "proposal_item", metadata,
    Column("proposal_id", BigInteger, ForeignKey("tieout.proposal.proposal_id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("entity", Text, nullable=False),  # invoice, credit_memo
    Column("vendor_id", Text, nullable=False),
    Column("vendor_number", Text),
    Column("doc_uid", Text),  # of the document that it is, or is a double of
    Column("source_object", Text),
    Column("source_id", Text),
    Column("source_number", Text),
    Column("currency", Text),
    Column("amount_minor", BigInteger),  # the ledger's total, with tax
    Column("action", Text, nullable=False),  # void, credit, resend, relink, write_off, none
    Column("reason", Text, nullable=False),  # stable code
    Column("why", Text, nullable=False),
    Column("staged_in", Text, nullable=False),  # the staging table that shows the vendor's document
    Column("ledger_version", BigInteger),  # the _version there on which this was decided
    Column("intents", JSONB, nullable=False, server_default=text("'[]'")),  # what an approval adds, bytes included
    Column("break_id", BigInteger, ForeignKey("tieout.break.break_id")),  # what it mends
    CheckConstraint(
        "action in ('void','credit','resend','relink','write_off','none')", name="proposal_item_action"
    ),
    CheckConstraint("(action = 'none') = (intents = '[]')", name="proposal_item_intents"),
    Index("proposal_item_vendor", "vendor_id"),
    Index("proposal_item_break", "break_id", postgresql_where=text("break_id is not null")),
)
