"""The tables of the reconciliation, in the schema `tieout`: reports, breaks, matches, sign-offs.

Side A is the CRM, side B the ledger. Amounts are integers in 10^-scale of their unit: minor units for money (scale as
the currency has it), ten-thousandths for prices and quantities (scale 4). Differences are A - B. Triggers (migration
0005) keep a finished report, a break's history and a sign-off as they were.
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
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from tieout.store.tables import metadata

# A column a line, with what it means.
# fmt: off


def _at(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _of_report(name: str = "report_id", *, primary_key: bool = False, nullable: bool = True) -> Column[int]:
    nullable = nullable and not primary_key
    return Column(name, BigInteger, ForeignKey("tieout.report.report_id"), primary_key=primary_key, nullable=nullable)


def _total(name: str) -> Column[object]:
    return Column(name, Numeric(38, 0), nullable=False)


# One reconciliation of a link as of a day. A rerun makes a new one; the newest of (link, as_of) counts.
report = Table(
    "report", metadata,
    Column("report_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("as_of", Date, nullable=False),  # documents dated until then, in the link's time zone
    Column("known_at", DateTime(timezone=True), nullable=False),  # as they were staged at this instant
    Column("run_id", UUID(as_uuid=True), nullable=False),
    # The newest finished report of the newest day before `as_of`: the roll-forward opens with its closing, and a rerun
    # of a day replaces that day's roll-forward.
    _of_report("previous_report_id"),
    Column("rules_hash", Text, nullable=False),
    Column("mapping_hash", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="running"),  # untied: something stays unexplained
    Column("hash", Text),  # of totals, classes and items: what is signed
    _at("started_at"),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("state in ('running','tied','untied')", name="report_state"),
    CheckConstraint(
        "(state = 'running') = (hash is null) and (state = 'running') = (finished_at is null)", name="report_finished"
    ),
    Index("report_of_day", "link", "as_of", "report_id"),
    Index("report_run", "run_id"),
)

# The tie-out: both sides of an area in one currency ('' where there is none), summed from the records themselves.
report_total = Table(
    "report_total", metadata,
    _of_report(primary_key=True),
    Column("area", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("scale", SmallInteger, nullable=False),
    Column("a_count", BigInteger, nullable=False),
    Column("b_count", BigInteger, nullable=False),
    _total("a_amount"),
    _total("b_amount"),
    _total("explained"),  # the sum of the report's items
    Column("unexplained", Numeric(38, 0), Computed("a_amount - b_amount - explained", persisted=True)),
)

report_class = Table(
    "report_class", metadata,
    _of_report(primary_key=True),
    Column("area", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("class", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    _total("amount"),
    Column("new_count", BigInteger, nullable=False),
    Column("within_tolerance", BigInteger, nullable=False, server_default=text("0")),  # of count; listed all the same
)

# Opening + new - cleared + changed = closing. `cleared` holds the amounts as they stood in the previous report.
report_roll = Table(
    "report_roll", metadata,
    _of_report(primary_key=True),
    Column("area", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("opening_count", BigInteger, nullable=False),
    _total("opening"),
    Column("new_count", BigInteger, nullable=False),
    _total("new"),
    Column("cleared_count", BigInteger, nullable=False),
    _total("cleared"),
    _total("changed"),  # of breaks that stayed
    Column("closing_count", BigInteger, nullable=False),
    _total("closing"),
    CheckConstraint("opening + new - cleared + changed = closing", name="report_roll_closes"),
    CheckConstraint("opening_count + new_count - cleared_count = closing_count", name="report_roll_counts"),
)

# A discrepancy with an identity that survives reruns. Reports are named without a foreign key: migration 0005 says why.
break_ = Table(
    "break", metadata,
    Column("break_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("area", Text, nullable=False),  # invoices, tax, payments, credit_memos, balances, prices, stock, credit
    Column("identity", Text, nullable=False),  # sha256 of area, component and the record that it hangs on
    Column("component", Text, nullable=False),  # what of the record differs: presence, amount, tax, date, customer ...
    Column("class", Text, nullable=False),  # reconcile/classes.py
    Column("currency", Text, nullable=False),
    Column("scale", SmallInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),  # A - B, as the newest report has it
    Column("within_tolerance", Boolean, nullable=False, server_default=text("false")),
    Column("a_keys", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # `<entity>:<source_id>`
    Column("b_keys", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("customer_id", Text),  # the CRM account's where it is known, else the ledger contact's
    Column("customer_name", Text),
    Column("numbers", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # of documents, both sides: for search
    # {"records": [{"system", "connection", "entity", "source_id", "version"}], "shown": {field: value}}
    Column("a", JSONB),
    Column("b", JSONB),
    Column("fields", JSONB, nullable=False, server_default=text("'[]'")),  # names of `shown` that differ
    Column("explanation", Text, nullable=False),  # one sentence: what was expected, what was found
    Column("fix", Text),  # resend, relink, void_duplicate, write_off: what its class can propose
    Column("first_seen", Date, nullable=False),  # the report's as_of; a break is aged from here
    Column("first_report_id", BigInteger, nullable=False),
    Column("last_seen", Date, nullable=False),
    Column("last_report_id", BigInteger, nullable=False),
    Column("cleared_on", Date),
    Column("reopened", Integer, nullable=False, server_default=text("0")),
    Column("state", Text, nullable=False, server_default="open"),
    Column("owner", Text),
    Column("reason_code", Text),
    Column("due_on", Date),
    _at("updated_at"),
    UniqueConstraint("link", "identity", name="break_once"),
    CheckConstraint("cardinality(a_keys) + cardinality(b_keys) > 0", name="break_sides"),
    CheckConstraint("state in ('open','with_preparer','with_reviewer','accepted','closed')", name="break_state"),
    CheckConstraint("state <> 'accepted' or reason_code is not null", name="break_accepted"),
    CheckConstraint("cleared_on is null or state = 'closed'", name="break_cleared"),
    # What a list of breaks is filtered and sorted by, so that 100,000 are looked through without their rows.
    Index(
        "break_live", "link", "area", "class", "currency", postgresql_where=text("cleared_on is null"),
        postgresql_include=[
            "scale", "amount", "first_seen", "state", "owner", "within_tolerance", "due_on", "customer_name",
            "break_id",
        ],
    ),
    Index(
        "break_gone", "link", "cleared_on", postgresql_where=text("cleared_on is not null"),
        postgresql_include=[
            "area", "class", "currency", "scale", "amount", "first_seen", "state", "owner", "within_tolerance",
            "due_on", "customer_name", "break_id",
        ],
    ),
    Index("break_owner", "link", "owner", postgresql_where=text("cleared_on is null and owner is not null")),
    Index("break_customer", "customer_id"),
    Index("break_numbers", "numbers", postgresql_using="gin"),
)

# What each report says of each break: with the totals, what its hash covers.
report_item = Table(
    "report_item", metadata,
    Column("report_id", BigInteger, primary_key=True),
    Column("break_id", BigInteger, ForeignKey("tieout.break.break_id"), primary_key=True),
    Column("class", Text, nullable=False),
    Column("currency", Text),  # as this report had it: the break's may be another one by now. null: the break's
    Column("amount", BigInteger, nullable=False),
    Index("report_item_break", "break_id"),
)

# A break's history, append-only: opened, changed, cleared, reopened, assigned, noted, moved, accepted, attached ...
break_event = Table(
    "break_event", metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column("break_id", BigInteger, ForeignKey("tieout.break.break_id"), nullable=False),
    _at("at"),
    Column("actor", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("report_id", BigInteger),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    CheckConstraint("btrim(actor) <> ''", name="break_event_named"),
    Index("break_event_break", "break_id", "event_id"),
)

break_attachment = Table(
    "break_attachment", metadata,
    Column("attachment_id", BigInteger, Identity(), primary_key=True),
    Column("break_id", BigInteger, ForeignKey("tieout.break.break_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    _at("added_at"),
    CheckConstraint("octet_length(content) between 1 and 5242880", name="break_attachment_size"),  # 5 MiB
    CheckConstraint("btrim(name) <> '' and btrim(added_by) <> ''", name="break_attachment_named"),
    Index("break_attachment_break", "break_id"),
)

# What belongs together although no crosswalk says so: suggested by a tier of rules, confirmed or refused by a person.
matching = Table(
    "matching", metadata,
    Column("match_id", BigInteger, Identity(), primary_key=True),
    Column("link", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("a_keys", ARRAY(Text), nullable=False),  # sorted
    Column("b_keys", ARRAY(Text), nullable=False),  # sorted
    Column("tier", Text, nullable=False),
    Column("score", Numeric(5, 4), nullable=False),  # 0 to 1
    Column("state", Text, nullable=False, server_default="suggested"),
    Column("evidence", JSONB, nullable=False, server_default=text("'{}'")),
    _of_report(),
    _at("suggested_at"),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("note", Text),
    UniqueConstraint("link", "area", "a_keys", "b_keys", name="matching_once"),
    CheckConstraint("cardinality(a_keys) > 0 and cardinality(b_keys) > 0", name="matching_sides"),
    CheckConstraint("state in ('suggested','confirmed','refused')", name="matching_state"),
    CheckConstraint(
        "(state = 'suggested') = (decided_by is null) and (decided_by is null) = (decided_at is null)",
        name="matching_decided",
    ),
    Index("matching_open", "link", "area", postgresql_where=text("state = 'suggested'")),
)

# Who signed which figures of a day. Suspended by the database when a newer report of the day has another hash.
sign_off = Table(
    "sign_off", metadata,
    Column("sign_off_id", BigInteger, Identity(), primary_key=True),
    _of_report(nullable=False),
    Column("link", Text, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("role", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("note", Text),
    _at("signed_at"),
    Column("suspended_at", DateTime(timezone=True)),
    _of_report("suspended_by"),
    CheckConstraint("role in ('preparer','reviewer')", name="sign_off_role"),
    CheckConstraint("btrim(person) <> ''", name="sign_off_named"),
    CheckConstraint("(suspended_at is null) = (suspended_by is null)", name="sign_off_suspended"),
    Index(
        "sign_off_once", "link", "as_of", "role", unique=True, postgresql_where=text("suspended_at is null"),
    ),
)
