"""Staging on real PostgreSQL: counts close, unchanged rows write nothing, old images stay, dirt is kept and named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tieout.model.errors import ConfigurationFault
from tieout.model.staged import ColumnType, StagedEntity, StagedField
from tieout.store import dead_letters, staging, staging_chunks

RUN = uuid4()
ORDER = StagedEntity(
    system="salesforce",
    entity="order",
    object="Order",
    key="Id",
    modified="SystemModstamp",
    fields=(
        StagedField("order_id", "Id", "text"),
        StagedField("number", "OrderNumber", "text"),
        StagedField("account_name", "Account.Name", "text"),
        StagedField("total", "TotalAmount", "decimal"),
        StagedField("lines", "Lines", "integer"),
        StagedField("active", "Active", "boolean"),
        StagedField("effective", "EffectiveDate", "date"),
        StagedField("modified_at", "SystemModstamp", "timestamp"),
        StagedField("extra", "Extra", "json"),
        StagedField("invoice_status", "Tieout_Invoice_Status__c", "text", echo=True),
    ),
)


def order(number: int, **more: object) -> dict[str, object]:
    return {
        "Id": f"801{number:012d}AAA",
        "OrderNumber": f"{number:08d}",
        "Account": {"Name": "Blauer See"},
        "TotalAmount": Decimal("12.30"),
        "Lines": 2,
        "Active": True,
        "EffectiveDate": "2026-03-01",
        "SystemModstamp": "2026-03-01T10:00:00.123+0000",
        "Extra": {"a": [1, Decimal("2.50")]},
        "Tieout_Invoice_Status__c": None,
    } | more


@pytest.fixture
def staged(engine: Engine) -> Engine:
    with engine.begin() as conn:
        staging.ensure(conn, ORDER)
    return engine


def stage(engine: Engine, *records: dict[str, object], entity: StagedEntity = ORDER) -> staging.Counts:
    counts = staging.stage(engine, entity, "crm", [records], RUN)
    assert counts.read == counts.inserted + counts.updated + counts.unchanged + counts.rejected == len(records)
    return counts


def row(engine: Engine, number: int, table: str = "salesforce_order") -> sa.RowMapping:
    with engine.connect() as conn:
        return (
            conn.execute(sa.text(f"select * from staging.{table} where _source_id = :i"), {"i": order(number)["Id"]})
            .mappings()
            .one()
        )


def write_position(engine: Engine) -> str:
    with engine.connect() as conn:
        return conn.execute(sa.text("select sum(n_tup_ins + n_tup_upd) from pg_stat_xact_user_tables")).scalar_one()


def test_a_record_is_staged_with_its_types(staged: Engine) -> None:
    assert stage(staged, order(1)) == staging.Counts(read=1, inserted=1)
    found = row(staged, 1)
    assert found["account_name"] == "Blauer See"
    assert found["total"] == Decimal("12.30")
    assert (found["lines"], found["active"], found["effective"]) == (2, True, date(2026, 3, 1))
    assert found["modified_at"] == found["_modified_at"] == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
    assert found["extra"] == {"a": [1, Decimal("2.50")]}
    assert found["_problems"] == []
    assert found["_payload"]["TotalAmount"] == Decimal("12.30")
    assert found["_run_id"] == RUN


def test_an_unchanged_record_writes_nothing(staged: Engine) -> None:
    stage(staged, order(1), order(2))
    with staged.connect() as conn:
        before = conn.execute(sa.text("select ctid, xmin, * from staging.salesforce_order order by 3")).all()
    again = staging.stage(staged, ORDER, "crm", [[order(1)], [order(2)]], uuid4())
    assert again == staging.Counts(read=2, unchanged=2)
    with staged.connect() as conn:
        assert conn.execute(sa.text("select ctid, xmin, * from staging.salesforce_order order by 3")).all() == before
        assert conn.execute(sa.text("select count(*) from staging.salesforce_order_superseded")).scalar_one() == 0


def test_what_tieout_wrote_itself_is_no_change(staged: Engine) -> None:
    stage(staged, order(1))
    echo = order(1, Tieout_Invoice_Status__c="PAID", SystemModstamp="2026-03-02T00:00:00.000+0000")
    assert stage(staged, echo) == staging.Counts(read=1, unchanged=1)


def test_a_change_keeps_the_image_before(staged: Engine) -> None:
    stage(staged, order(1))
    first = row(staged, 1)
    assert stage(staged, order(1, TotalAmount=Decimal("13.00"))).updated == 1
    second = row(staged, 1)
    assert second["total"] == Decimal("13.00")
    assert second["_version"] > first["_version"]
    assert row(staged, 1, "salesforce_order_superseded") == first
    with staged.connect() as conn:
        both = conn.execute(sa.text("select total from staging.salesforce_order_version order by _version")).scalars()
        assert list(both) == [Decimal("12.30"), Decimal("13.00")]


def test_an_older_image_never_takes_the_place_of_a_newer_one(staged: Engine) -> None:
    stage(staged, order(1, TotalAmount=Decimal("13.00"), SystemModstamp="2026-03-02T00:00:00Z"))
    assert stage(staged, order(1)) == staging.Counts(read=1, unchanged=1)
    assert row(staged, 1)["total"] == Decimal("13.00")


def test_a_modification_time_in_the_future_does_not_lock_a_record(staged: Engine) -> None:
    stage(staged, order(1, SystemModstamp="2999-01-01T00:00:00Z"))
    assert stage(staged, order(1, TotalAmount=Decimal("14.00"))).updated == 1


def test_of_one_id_in_a_chunk_the_last_by_modification_wins(staged: Engine) -> None:
    newest = order(1, TotalAmount=Decimal("3"), SystemModstamp="/Date(1772500000000+0000)/")
    counts = stage(
        staged,
        order(1, TotalAmount=Decimal("1")),
        newest,
        order(1, TotalAmount=Decimal("2"), SystemModstamp="2026-03-01T10:00:01.000Z"),
    )
    assert counts == staging.Counts(read=3, inserted=1, unchanged=2)
    assert row(staged, 1)["total"] == 3


def test_equal_modification_times_leave_it_to_the_last(staged: Engine) -> None:
    stage(staged, order(1, TotalAmount=Decimal("1")), order(1, TotalAmount=Decimal("2")))
    assert row(staged, 1)["total"] == 2


def test_deleted_records_are_marked_once_and_come_back_when_newer(staged: Engine) -> None:
    stage(staged, order(1))
    ids = [str(order(1)["Id"]), "never seen"]
    assert staging.mark_deleted(staged, ORDER, "crm", [ids], RUN) == staging.Counts(deleted=1)
    assert staging.mark_deleted(staged, ORDER, "crm", [ids], RUN) == staging.Counts()
    assert row(staged, 1)["_deleted"] is True
    assert stage(staged, order(1)).unchanged == 1, "a page that is older than the deletion"
    assert row(staged, 1)["_deleted"] is True
    assert stage(staged, order(1, SystemModstamp="2026-03-05T00:00:00Z")).updated == 1
    assert row(staged, 1)["_deleted"] is False


def test_connections_do_not_see_each_other(staged: Engine) -> None:
    stage(staged, order(1))
    assert staging.stage(staged, ORDER, "other", [[order(1)]], RUN).inserted == 1
    assert len(staging.read(staged, ORDER, "crm")) == 1


def test_a_record_without_id_is_a_dead_letter_at_once(staged: Engine) -> None:
    bad = [order(1, Id=None), order(2, Id="  "), order(3, Id={"x": 1}), {"TotalAmount": Decimal(1)}]
    assert stage(staged, *bad, order(4)).rejected == 4
    stage(staged, *bad)
    with staged.connect() as conn:
        letters = dead_letters.listing(conn)
    assert [letter.reason for letter in letters] == ["record_without_id"] * 4
    assert {letter.times_seen for letter in letters} == {1}, "the same run again counts once"
    assert letters[0].payload["OrderNumber"] == "00000001"
    assert letters[0].stage == "extract"


DIRT: list[tuple[str, object, str, object, str | None]] = [
    ("TotalAmount", "abc", "total", None, "total: expected a decimal number"),
    ("TotalAmount", " 12.5 ", "total", Decimal("12.5"), None),
    ("TotalAmount", "1,234.50", "total", None, "found '1,234.50'"),
    ("TotalAmount", Decimal("123456789012345678.12"), "total", Decimal("123456789012345678.12"), None),
    ("TotalAmount", Decimal("1E+2"), "total", Decimal(100), None),
    ("TotalAmount", Decimal("NaN"), "total", None, "found 'NaN'"),
    ("TotalAmount", Decimal("Infinity"), "total", None, "found 'Infinity'"),
    ("TotalAmount", Decimal("1E+200000"), "total", None, "found '1E+200000'"),
    ("TotalAmount", Decimal(10) ** 20, "total", None, "up to 20 digits before"),
    ("TotalAmount", True, "total", None, "found 'true'"),
    ("TotalAmount", {"value": 1}, "total", None, "total: expected"),
    ("TotalAmount", "", "total", None, None),
    ("Lines", 2**63, "lines", None, "lines: expected a whole number"),
    ("Lines", -(2**63), "lines", -(2**63), None),
    ("Lines", Decimal("5.0"), "lines", 5, None),
    ("Lines", Decimal("5.5"), "lines", None, "found '5.5'"),
    ("Active", "TRUE", "active", True, None),
    ("Active", 1, "active", None, "active: expected true or false, found '1'"),
    ("EffectiveDate", "2026-02-30", "effective", None, "effective: expected a date"),
    ("EffectiveDate", "yesterday", "effective", None, "found 'yesterday'"),
    ("EffectiveDate", "2018-02-15T00:00:00", "effective", date(2018, 2, 15), None),
    ("EffectiveDate", "/Date(1518685950940+1300)/", "effective", date(2018, 2, 15), None),
    ("EffectiveDate", "/Date(253402300800000)/", "effective", None, "effective: expected"),
    ("EffectiveDate", "/Date(-99999999999999)/", "effective", None, "effective: expected"),
    ("OrderNumber", 17, "number", "17", None),
    ("OrderNumber", "", "number", None, None),
    ("OrderNumber", {"a": 1}, "number", None, "number: expected a text"),
    ("OrderNumber", "{not an object", "number", "{not an object", None),
    ("OrderNumber", "a\x00b", "number", "a\N{REPLACEMENT CHARACTER}b", "number: held characters"),
    ("OrderNumber", "\ud83d half", "number", "\N{REPLACEMENT CHARACTER} half", "number: held characters"),
    ("OrderNumber", "tab\tnew\nline\\N \\u0000", "number", "tab\tnew\nline\\N \\u0000", None),
    ("OrderNumber", "מזרח 🚀 =SUM(A1)", "number", "מזרח 🚀 =SUM(A1)", None),
    ("Extra", None, "extra", None, None),
    ("Account", "no object", "account_name", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "column", "expected", "problem"), DIRT)
def test_dirt(staged: Engine, name: str, value: object, column: str, expected: object, problem: str | None) -> None:
    assert stage(staged, order(1, **{name: value})).inserted == 1
    found = row(staged, 1)
    assert found[column] == expected
    if problem is None:
        assert found["_problems"] == []
    else:
        assert len(found["_problems"]) == 1
        assert problem in found["_problems"][0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T10:00:00.000+0000", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00.1234567+02:00", datetime(2026, 3, 1, 8, 0, 0, 123457, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("/Date(1518685950940+0000)/", datetime(2018, 2, 15, 9, 12, 30, 940000, tzinfo=UTC)),
        ("/Date(-1)/", datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        ("9999-12-31T23:59:59-12:00", None),
        ("now", None),
        ("infinity", None),
        ("01/02/2026", None),
    ],
)
def test_times(staged: Engine, text: str, expected: datetime | None) -> None:
    stage(staged, order(1, SystemModstamp=text))
    found = row(staged, 1)
    assert found["modified_at"] == found["_modified_at"] == expected
    assert bool(found["_problems"]) == (expected is None)


def test_nul_in_an_undeclared_field_is_no_problem(staged: Engine) -> None:
    stage(staged, order(1, Description="a\x00b"))
    assert row(staged, 1)["_problems"] == []
    assert row(staged, 1)["_payload"]["Description"] == "a\N{REPLACEMENT CHARACTER}b"


def test_many_chunks_and_pages(staged: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_chunks, "CHUNK_RECORDS", 7)
    monkeypatch.setattr(staging_chunks, "PART_RECORDS", 3)
    pages = [[order(i) for i in range(start, start + 10)] for start in range(0, 50, 10)]
    assert staging.stage(staged, ORDER, "crm", iter(pages), RUN) == staging.Counts(read=50, inserted=50)
    assert staging.stage(staged, ORDER, "crm", iter(pages), RUN) == staging.Counts(read=50, unchanged=50)


def test_no_records_at_all(staged: Engine) -> None:
    assert staging.stage(staged, ORDER, "crm", [], RUN) == staging.Counts()
    assert staging.stage(staged, ORDER, "crm", [[], []], RUN) == staging.Counts()


def test_staging_without_a_table_says_so(engine: Engine) -> None:
    with pytest.raises(ConfigurationFault, match=r"staging\.salesforce_order does not exist"):
        staging.stage(engine, ORDER, "crm", [[order(1)]], RUN)


def replaced(field: StagedField, **kwargs: object) -> StagedEntity:
    changed = StagedField(**{n: getattr(field, n) for n in field.__slots__} | kwargs)  # type: ignore[arg-type]
    return StagedEntity(
        ORDER.system, ORDER.entity, ORDER.object, ORDER.key, ORDER.modified,
        tuple(changed if f.column == field.column else f for f in ORDER.fields),
    )  # fmt: skip


def test_a_new_column_is_filled_from_what_is_staged(staged: Engine) -> None:
    stage(staged, order(1, Memo="hello"), order(2))
    stage(staged, order(1, Memo="hello", TotalAmount=Decimal(5)))
    before = row(staged, 1)
    wider = StagedEntity(
        ORDER.system, ORDER.entity, ORDER.object, ORDER.key, ORDER.modified,
        (*ORDER.fields, StagedField("memo", "Memo", "text")),
    )  # fmt: skip
    with staged.begin() as conn:
        staging.ensure(conn, wider)
    after = row(staged, 1)
    assert after["memo"] == "hello"
    assert after["_version"] > before["_version"], "it is checked and judged again"
    assert after["_staged_at"] == before["_staged_at"]
    assert row(staged, 1, "salesforce_order_superseded")["memo"] == "hello"
    assert stage(staged, order(1, Memo="hello", TotalAmount=Decimal(5)), order(2), entity=wider).unchanged == 2


def test_ensure_twice_touches_nothing(staged: Engine) -> None:
    stage(staged, order(1))
    before = row(staged, 1)
    with staged.begin() as conn:
        staging.ensure(conn, ORDER)
    assert row(staged, 1) == before


def test_a_changed_path_is_read_again_from_the_payload(staged: Engine) -> None:
    stage(staged, order(1, Other="x", OrderNumber="n\x00l"))
    with staged.begin() as conn:
        staging.ensure(conn, replaced(ORDER.fields[2], path="Other"))
    assert row(staged, 1)["account_name"] == "x"
    assert len(row(staged, 1)["_problems"]) == 1, "what was replaced before staging is still known"


@pytest.mark.parametrize("kind", ["text", "integer", "json"])
def test_a_type_is_never_changed_in_place(staged: Engine, kind: ColumnType) -> None:
    with staged.begin() as conn, pytest.raises(ConfigurationFault, match=r"total.*numeric.*another column name"):
        staging.ensure(conn, replaced(ORDER.fields[3], type=kind))


@pytest.mark.parametrize("column", ["Total", "a-b", "1st", 'x"; drop table y', "_hash"])
def test_a_name_that_is_no_column_is_refused(engine: Engine, column: str) -> None:
    entity = StagedEntity("s", "e", "E", "Id", None, (StagedField(column, "Id", "text"),))
    with engine.begin() as conn, pytest.raises(ConfigurationFault, match="cannot be a staging table or column"):
        staging.ensure(conn, entity)


def test_paths_with_strange_letters(engine: Engine) -> None:
    odd = """we'ird "na\\me" %s {x},y"""
    entity = StagedEntity(
        "s", "e", "E", "Id", None,
        (StagedField("plain", odd, "text"), StagedField("nested", f"{odd}2.{odd}", "decimal")),
    )  # fmt: skip
    with engine.begin() as conn:
        staging.ensure(conn, entity)
    staging.stage(engine, entity, "it's", [[{"Id": 5, odd: "a", odd + "2": {odd: Decimal("1.5")}}]], RUN)
    frame = staging.read(engine, entity, "it's", values=["5"])
    assert frame["plain"].tolist() == ["a"]
    assert frame["nested"].tolist() == [Decimal("1.5")]


def test_bump_gives_a_new_version_and_nothing_else(staged: Engine) -> None:
    stage(staged, order(1), order(2))
    before = row(staged, 1)
    with staged.begin() as conn:
        assert staging.bump(conn, ORDER, "crm", [str(order(1)["Id"]), "unknown"]) == 1
    after = row(staged, 1)
    assert after["_version"] > before["_version"]
    assert {**after, "_version": 0} == {**before, "_version": 0}


def test_read_gives_exact_types(staged: Engine) -> None:
    stage(staged, order(1, TotalAmount=Decimal("123456789012345678.123456789")), order(2, TotalAmount=None, Lines=None))
    frame = staging.read(staged, ORDER, "crm")
    assert frame["total"].tolist()[0] == Decimal("123456789012345678.123456789000000000")
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "_source_id": "string", "_version": "Int64", "order_id": "string", "number": "string",
        "account_name": "string", "total": "decimal128(38, 18)[pyarrow]", "lines": "Int64", "active": "boolean",
        "effective": "date32[day][pyarrow]", "modified_at": "datetime64[us, UTC]", "extra": "string",
        "invoice_status": "string", "_modified_at": "datetime64[us, UTC]",
    }  # fmt: skip
    assert frame["effective"].tolist() == [date(2026, 3, 1)] * 2
    assert frame["total"].isna().tolist() == [False, True]
    assert frame["modified_at"].tolist()[0] == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)


def test_read_filters(staged: Engine) -> None:
    stage(staged, order(1), order(2, OrderNumber='quo"te,\n'), order(3))
    staging.mark_deleted(staged, ORDER, "crm", [[str(order(3)["Id"])]], RUN)
    first, second = (row(staged, n)["_version"] for n in (1, 2))
    assert staging.read(staged, ORDER, "crm", ["number"])["number"].tolist() == ["00000001", 'quo"te,\n']
    assert len(staging.read(staged, ORDER, "crm", include_deleted=True)) == 3
    assert len(staging.read(staged, ORDER, "crm", values=[str(order(2)["Id"])])) == 1
    assert len(staging.read(staged, ORDER, "crm", column="number", values=["00000001", "x"])) == 1
    assert staging.read(staged, ORDER, "crm", after_version=first, upto_version=second)["_version"].tolist() == [second]
    assert len(staging.read(staged, ORDER, "crm", where="total > %(least)s", parameters={"least": 100})) == 0
    assert len(staging.read(staged, ORDER, "nobody")) == 0
    assert list(staging.read(staged, ORDER, "nobody", ["total"]).columns) == ["_source_id", "_version", "total"]
    with pytest.raises(ConfigurationFault, match="no column totall"):
        staging.read(staged, ORDER, "crm", ["totall"])


def test_as_of_gives_each_image_at_its_time(staged: Engine) -> None:
    def now() -> datetime:
        with staged.connect() as conn:
            return conn.execute(sa.select(sa.func.clock_timestamp())).scalar_one()  # type: ignore[no-any-return]

    start = now()
    stage(staged, order(1))
    one = now()
    stage(staged, order(1, TotalAmount=Decimal("99")), order(2))
    two = now()
    staging.mark_deleted(staged, ORDER, "crm", [[str(order(1)["Id"])]], RUN)
    totals = [staging.as_of(staged, ORDER, "crm", at, ["total"])["total"].tolist() for at in (start, one, two, now())]
    assert totals == [[], [Decimal("12.30")], [Decimal("99"), Decimal("12.30")], [Decimal("12.30")]]
    assert staging.as_of(staged, ORDER, "crm", now() + timedelta(days=1))["total"].tolist() == [Decimal("12.30")]
