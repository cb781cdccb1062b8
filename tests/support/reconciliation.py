"""A controller's morning: reconciliations of some days, breaks as the engine hands them over, for tests of the pages.

Everything goes through record.py and report_store.py: what the database refuses there, it refuses here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from tests.support.differences import Difference, opened, put
from tieout.model.staged import StagedEntity, StagedField
from tieout.reconcile import record, report_store
from tieout.reconcile.report_store import Report
from tieout.store import runs, staging_tables
from tieout.store.staging import stage

LINK = "acme_eu"
TODAY = date(2026, 11, 26)

ORDERS = StagedEntity(
    system="salesforce", entity="order", object="Order", key="Id", modified=None,
    fields=(StagedField("number", "OrderNumber", "text"),),
)  # fmt: skip
INVOICES = StagedEntity(
    system="xero", entity="invoice", object="Invoices", key="InvoiceID", modified=None,
    fields=(StagedField("invoice_number", "InvoiceNumber", "text"),),
)  # fmt: skip


@dataclass(frozen=True)
class Break(Difference):
    """A difference that says what was expected and found."""

    explanation: str = "The CRM has 1,204.00, the ledger has 1,200.00."
    scale: int = 2
    a_keys: Sequence[str] | None = None

    def row(self) -> dict[str, Any]:
        keys = [self.key] if self.a_keys is None else list(self.a_keys)
        return super().row() | {"explanation": self.explanation, "scale": self.scale, "a_keys": keys}


@dataclass(frozen=True)
class Sides:
    """Both sides of one area, as they are without any break: what the breaks of a day add to A is added to A."""

    area: str
    currency: str
    amount: int
    count: int
    scale: int = 2


BOOKS = (
    Sides("invoices", "EUR", 120387120, 1204), Sides("invoices", "GBP", 48211050, 377),
    Sides("invoices", "JPY", 9931400, 41, 0), Sides("payments", "EUR", 98550075, 987),
    Sides("balances", "EUR", 22110044, 312), Sides("prices", "EUR", 884210000, 812, 4),
)  # fmt: skip


def reconcile(
    engine: Engine, day: date, breaks: Sequence[Break], *, link: str = LINK, off_by: int = 0,
    books: Sequence[Sides] = BOOKS, run_id: UUID | None = None, rules_hash: str = "r" * 64,
) -> Report:  # fmt: skip
    """A finished report of a day. `off_by`: what side A has in the first of `books` that no break explains."""
    with engine.begin() as conn:
        report = opened(conn, day, link, rules_hash)
        if run_id is not None:
            conn.execute(
                sa.text("update tieout.report set run_id = :run where report_id = :id"),
                {"run": run_id, "id": report.report_id},
            )
        _totals(conn, report, breaks, books, off_by)
        put(conn, breaks)
        record.record(conn, report)
        return report_store.finish(conn, report)


def _totals(conn: Connection, report: Report, breaks: Sequence[Break], books: Sequence[Sides], off_by: int) -> None:
    known = {(one.area, one.currency): one for one in books}
    for one in breaks:
        known.setdefault((one.area, one.currency), Sides(one.area, one.currency, 0, 0, one.scale))
    for place, ((area, currency), sides) in enumerate(known.items()):
        more = sum(one.amount for one in breaks if (one.area, one.currency) == (area, currency))
        conn.execute(
            sa.text(
                "insert into tieout.report_total (report_id, area, currency, scale, a_count, b_count, a_amount, "
                "b_amount, explained) values (:report, :area, :currency, :scale, :count, :count, :a, :b, 0)"
            ),
            {
                "report": report.report_id, "area": area, "currency": currency, "scale": sides.scale,
                "count": sides.count, "a": sides.amount + more + (off_by if place == 0 else 0), "b": sides.amount,
            },
        )  # fmt: skip


def shown(
    system: str, connection: str, entity: str, id_: str, version: int | None = None, **values: Any
) -> dict[str, Any]:
    """One side of a break as the engine keeps it."""
    record_ = {"system": system, "connection": connection, "entity": entity, "source_id": id_, "version": version}
    return {"records": [record_], "shown": values}


DUPLICATE = Break(
    "order:801A", -44000, "duplicate", "payments", "EUR", "presence", numbers=("INV-20418", "801A"),
    b_keys=("payment:p-1", "payment:p-2"), customer_id="001AAA", customer_name="Ålesund Fisk AS", fix="void_duplicate",
    explanation="The CRM shows one payment of 440.00 on INV-20418, the ledger has two of the same day and reference.",
    a=shown("salesforce", "crm", "order", "801A", paid="440.00", number="801A"),
    b=shown("xero", "books", "payment", "p-1", paid="880.00", number="INV-20418"), fields=("paid",),
)  # fmt: skip
EDITED = Break(
    "order:801B", 40000, "amount", "invoices", "EUR", "amount", numbers=("INV-20419",), b_keys=("invoice:i-2",),
    customer_id="001BBB", customer_name="Müller & Söhne GmbH", fix=None,
    explanation="Order 801B comes to 1,640.00 net, invoice INV-20419 to 1,240.00: a price was edited in the ledger.",
    a=shown("salesforce", "crm", "order", "801B", number="801B", date="2026-11-20", currency="EUR", unit_price="82.00",
            quantity="20", net="1,640.00", customer="Müller & Söhne GmbH"),
    b=shown("xero", "books", "invoice", "i-2", number="INV-20419", date="2026-11-20", currency="EUR",
            unit_price="62.00", quantity="20", net="1,240.00", customer="Müller & Söhne GmbH"),
    fields=("unit_price", "net"),
)  # fmt: skip
NO_ACCOUNT = Break(
    "opportunity:006C", 400000, "rejected_or_held", "invoices", "EUR", "presence",
    explanation="Deal 006C of 4,000.00 has no account: it is held, no invoice was made.",
    a=shown("salesforce", "crm", "opportunity", "006C", number="006C", net="4,000.00"), fix="resend",
)  # fmt: skip
ROUNDING = Break(
    "order:801D", 1, "rounding", "invoices", "EUR", "amount", numbers=("INV-20420",), b_keys=("invoice:i-4",),
    customer_id="001DDD", customer_name="東京貿易株式会社", within_tolerance=True, fix="write_off",
    explanation="Order 801D comes to 99.99 net, invoice INV-20420 to 99.98: within one cent.",
    a=shown("salesforce", "crm", "order", "801D", net="99.99"), b=shown("xero", "books", "invoice", "i-4", net="99.98"),
    fields=("net",),
)  # fmt: skip
MISSING = Break(
    "order:801E", 215050, "missing_in_finance", "invoices", "GBP", "presence", numbers=("801E",), fix="resend",
    customer_id="001EEE", customer_name="Kew Gardens Supplies Ltd",
    explanation="Order 801E of 2,150.50 is billable since 2026-10-01; the ledger has no invoice of it.",
    a=shown("salesforce", "crm", "order", "801E", number="801E", net="2,150.50"),
)  # fmt: skip
PRICE = Break(
    "price:01u1", 12500, "amount", "prices", "EUR", "amount", numbers=("FX-100",), b_keys=("product:fx",), scale=4,
    explanation="FX-100 costs 11.2500 in the CRM, 10.0000 in the ledger.",
)  # fmt: skip
OLD = tuple(
    Break(
        f"order:802{n:03}", 1500 * (n % 7 + 1) * (-1 if n % 3 == 0 else 1),
        ("amount", "date", "unapplied_cash", "status", "tax")[n % 5], ("invoices", "payments")[n % 2], "EUR", "amount",
        numbers=(f"INV-19{n:03}",), b_keys=(f"invoice:o-{n}",), customer_id=f"001O{n:02}",
        customer_name=("Nordlicht Handel", "Brasserie du Port", "O'Neill & Daughters", "Żółć Sp. z o.o.")[n % 4],
        explanation=f"INV-19{n:03} differs from its order since it was edited.",
    )
    for n in range(24)
)  # fmt: skip


@dataclass(frozen=True)
class Morning:
    """What a controller finds: the newest report and the one before, and the run that made the newest."""

    today: Report
    before: Report
    run_id: UUID
    breaks: Sequence[Break] = field(default_factory=tuple)


def morning(engine: Engine, extra: Sequence[Break] = (), days: int = 14) -> Morning:
    """Some days with old breaks, then today with three new ones, a rounding cent and a price."""
    stage_records(engine)
    carried = [*OLD, MISSING, PRICE]
    reconcile(engine, TODAY - timedelta(days=100), OLD[:6])
    reconcile(engine, TODAY - timedelta(days=70), OLD[:12])
    reconcile(engine, TODAY - timedelta(days=40), OLD[:16])
    for back in range(days, 1, -1):
        reconcile(engine, TODAY - timedelta(days=back), [*OLD[: 16 + back % 5], MISSING])
    before = reconcile(engine, TODAY - timedelta(days=1), carried)
    with engine.begin() as conn:
        run_id = runs.start(
            conn, link=LINK, scenario="reconciliation", trigger="scheduled", mapping_hash="m" * 64,
            suite_hash="s" * 64, code_version="test", airflow_dag_id=f"reconciliation__{LINK}",
            airflow_run_id="scheduled__1",
        )  # fmt: skip
        runs.finish(conn, run_id, "succeeded", counts={"read": 2891}, amounts={})
    breaks = [*OLD[4:], MISSING, PRICE, DUPLICATE, EDITED, NO_ACCOUNT, ROUNDING, *extra]
    today = reconcile(engine, TODAY, breaks, run_id=run_id)
    return Morning(today, before, run_id, breaks)


def stage_records(engine: Engine) -> None:
    """The records of the edited invoice, as they came."""
    with engine.begin() as conn:
        for entity in (ORDERS, INVOICES):
            staging_tables.ensure(conn, entity)
    run_id = uuid4()
    stage(engine, ORDERS, "crm", [[{"Id": "801B", "OrderNumber": "801B", "TotalAmount": 1640,
                                    "Description": "<script>alert(1)</script>"}]], run_id)  # fmt: skip
    stage(engine, INVOICES, "books", [[{"InvoiceID": "i-2", "InvoiceNumber": "INV-20419", "SubTotal": 1240}]], run_id)


def suggest(engine: Engine, a_keys: Sequence[str], b_keys: Sequence[str], score: str, **evidence: Any) -> int:
    """A match that a rule suggests; its id."""
    with engine.begin() as conn:
        return int(
            conn.execute(
                sa.text(
                    "insert into tieout.matching (link, area, a_keys, b_keys, tier, score, evidence) values "
                    "(:link, 'payments', :a, :b, 'amount_and_date', :score, cast(:evidence as jsonb)) "
                    "returning match_id"
                ),
                {
                    "link": LINK, "a": sorted(a_keys), "b": sorted(b_keys), "score": score,
                    "evidence": json.dumps(evidence),
                },
            ).scalar_one()
        )  # fmt: skip


def many(engine: Engine, count: int, link: str = "big", day: date = TODAY) -> Report:
    """A report of so many breaks, made of numbers inside PostgreSQL: for measuring."""
    with engine.begin() as conn:
        report = opened(conn, day - timedelta(days=1), link)
        record.create_differences(conn)
        _made_up(conn, count - count // 50)
        _count(conn, report)
        record.record(conn, report)
        report_store.finish(conn, report)
    with engine.begin() as conn:
        report = opened(conn, day, link)
        record.create_differences(conn)
        _made_up(conn, count)
        _count(conn, report)
        record.record(conn, report)
        # Ages as they are after a year: a break was first seen on its own day.
        conn.execute(
            sa.text(
                "update tieout.break set first_seen = first_seen - (break_id % 140)::int, "
                "owner = case when break_id % 3 = 0 then 'owner ' || break_id % 20 end, "
                "due_on = case when break_id % 4 = 0 then first_seen + (break_id % 30)::int end where link = :link"
            ),
            {"link": link},
        )
        finished = report_store.finish(conn, report)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("vacuum analyze tieout.break"))
        conn.execute(sa.text("vacuum analyze tieout.report_item"))
    return finished


def _count(conn: Connection, report: Report) -> None:
    conn.execute(
        sa.text(
            "insert into tieout.report_total (report_id, area, currency, scale, a_count, b_count, a_amount, b_amount, "
            "explained) select :report, area, currency, max(scale), 1000000, 1000000, 900000000000 + sum(amount), "
            "900000000000, 0 from recon_difference group by 2, 3"
        ),
        {"report": report.report_id},
    )


def _made_up(conn: Connection, count: int) -> None:
    conn.execute(
        sa.text(
            """
            insert into recon_difference
            select (array['invoices','payments','tax','credit_memos'])[n % 4 + 1],
                encode(sha256(('big' || n)::bytea), 'hex'), 'amount',
                (array['amount','missing_in_finance','duplicate','date','rounding','unapplied_cash','customer'])
                    [n % 7 + 1],
                (array['EUR','GBP','USD'])[n % 3 + 1], 2,
                (hashint4(n)::bigint % 5000000) * (case when n % 2 = 0 then 1 else -1 end), n % 7 = 4,
                array['order:801' || n], array['invoice:' || md5(n::text)], '001' || n % 20000,
                'Customer ' || n % 20000 || ' of ' || (array['Berlin','Lyon','Leeds','Osaka'])[n % 4 + 1],
                array['INV-' || n, '801' || n],
                jsonb_build_object('records', jsonb_build_array(jsonb_build_object('system', 'salesforce',
                    'connection', 'crm', 'entity', 'order', 'source_id', '801' || n, 'version', n)),
                    'shown', jsonb_build_object('number', '801' || n, 'date', '2026-11-20', 'net', n || '.00',
                    'customer', 'Customer ' || n % 20000, 'currency', 'EUR', 'status', 'Activated')),
                jsonb_build_object('records', jsonb_build_array(jsonb_build_object('system', 'xero',
                    'connection', 'books', 'entity', 'invoice', 'source_id', md5(n::text), 'version', n)),
                    'shown', jsonb_build_object('number', 'INV-' || n, 'date', '2026-11-21', 'net', n || '.10',
                    'customer', 'Customer ' || n % 20000, 'currency', 'EUR', 'status', 'AUTHORISED')),
                '["net"]',
                'Order 801' || n || ' comes to ' || n || '.00 net, invoice INV-' || n || ' to ' || n || '.10.',
                case when n % 7 = 1 then 'resend' end
            from generate_series(1, :count) n
            """
        ),
        {"count": count},
    )
