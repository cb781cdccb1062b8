"""What staging converts in Python is what PostgreSQL makes of it: column by column, digit by digit, hash by hash."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy.engine import Engine

from tieout.connectors import exact_json
from tieout.model.staged import StagedEntity, StagedField
from tieout.store import encoding, staging
from tieout.store.engine import driver
from tieout.store.staging_chunks import Row, chunks, notes_of
from tieout.store.staging_insert import look_up
from tieout.store.staging_merge import merge
from tieout.store.staging_usual import split

KINDS = ("text", "integer", "decimal", "boolean", "date", "timestamp", "json")
ENTITY = StagedEntity(
    "vendor", "usual", "Thing", "Id", "Modified",
    (
        StagedField("id", "Id", "text"),
        *(StagedField(f"c_{kind}", f"C_{kind}", kind) for kind in KINDS),  # type: ignore[arg-type]
        StagedField("name", "Account.Name", "text"),
        StagedField("ours", "Ours", "text", echo=True),
        StagedField("modified", "Modified", "timestamp"),
    ),
)  # fmt: skip
COLUMNS = [field.column for field in ENTITY.fields]
RUN = UUID(int=1)

words = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["", " ", "null", "NULL", "nUlL", "a,b", 'a"b', "a\\b", "{", "}", "[1]", "a b", "a\tb", "a\vb", "a\u00a0b", "\x00",
     "\ud800", "é", "🚀", "NaN", "1E+2", "true", "12.50", "-0.00"]
)  # fmt: skip
dates = st.dates().map(str) | st.sampled_from(["2026-02-29", "2024-02-29", "0999-01-01", "3000-01-01", "٢٠٢٦-01-01"])
offsets = st.sampled_from(["", "Z", "z", "+0000", "+02:00", "-1259", "+1359", "+14:00", "+15:59", "+16:00", "+24:00"])
fractions = st.sampled_from(["", ".0", ".000", ".123456", ".1234567", ".", ",5"])
clocks = st.times().map(lambda t: f"{t:%H:%M:%S}") | st.sampled_from(["24:00:00", "23:59:60", "25:00:00", "10:00"])
times = st.builds("{}T{}{}{}".format, dates, clocks, fractions, offsets) | dates | st.just("/Date(1518685950940+0000)/")
numbers = (
    st.decimals(-(10**21), 10**21, places=2)
    | st.decimals(-(10**19), 10**19, places=18)
    | st.decimals(-(10**25), 10**25, places=20)
    | st.decimals(allow_nan=True, allow_infinity=True)
    | st.integers()
    | st.sampled_from([0, Decimal("0.00"), Decimal("-0.00"), Decimal("-0"), Decimal("0E-7"), Decimal("1E+2"), 1.5,
                       Decimal("-0.5"), Decimal("12.0"), Decimal("-12.00"), Decimal("5."), 2**63, -(2**63), 10**400,
                       Decimal("0." + "0" * 17 + "1"), Decimal("1." + "0" * 30), Decimal("9" * 20), Decimal("9" * 21)])
)  # fmt: skip
odd = words | dates | times | numbers | st.booleans() | st.none() | st.just({"a": [1, "b"]}) | st.just([])
records = st.fixed_dictionaries(
    {
        "Id": st.uuids().map(str) | st.builds("{}{}".format, st.uuids(), words),
        "Modified": times | st.none() | odd,
        "C_text": words | odd,
        "C_integer": st.integers(-(2**65), 2**65) | numbers | odd,
        "C_decimal": numbers | odd,
        "C_boolean": st.booleans() | st.none() | odd,
        "C_date": dates | odd,
        "C_timestamp": times | odd,
        "C_json": st.none() | odd,
    },
    optional={"Account": st.fixed_dictionaries({"Name": words | odd}) | odd, "Ours": words, "Other": odd},
)
batches = st.lists(records, max_size=8, unique_by=lambda record: encoding.clean_text(str(record["Id"])))


def by_postgresql(engine: Engine, connection: str, records: Sequence[dict[str, Any]]) -> None:
    """The records as staging brings in those that are not usual: converted and hashed inside PostgreSQL."""
    rows = {}
    for record in records:
        body, replaced = encoding.encode(record)
        notes = notes_of(replaced, {tuple(f.path.split(".")): f.column for f in ENTITY.fields})
        rows[encoding.clean_text(str(record["Id"]))] = Row(body, notes)
    with engine.begin() as conn, driver(conn) as raw:
        merge(raw, ENTITY, connection, rows, RUN)


def images(engine: Engine, connection: str) -> list[dict[str, Any]]:
    columns = ", ".join([f"{name}::text" for name in COLUMNS])
    statement = f"""select _source_id, {columns}, _payload::text, _hash, _modified_at, _deleted, _problems, _run_id
        from staging.vendor_usual where _connection = :connection order by _source_id"""
    with engine.connect() as conn:
        return [dict(row) for row in conn.execute(sa.text(statement), {"connection": connection}).mappings()]


def as_page(batch: Sequence[dict[str, Any]], escape: bool) -> Sequence[Mapping[str, Any]]:
    """The records as a connector gives them: in the vendor's JSON, where it is JSON."""
    text = json.dumps(
        {"records": batch}, ensure_ascii=escape, default=lambda number: f"#{number}#", separators=(", ", ":")
    )
    body = re.sub(r'"#(.*?)#"', r"\1", text).encode(errors="surrogatepass")
    found: Sequence[Mapping[str, Any]] = exact_json.page(body, "records")["records"]
    return found


def is_json(batch: Sequence[dict[str, Any]]) -> bool:
    """No NaN among the numbers, and no text that looks as if `as_page` had made it."""
    return not re.search(r"NaN|Infinity|#", repr(batch))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=batches)
def test_both_ways_give_the_same_rows(engine: Engine, batch: list[dict[str, Any]]) -> None:
    one, other = f"python {uuid4().hex}", f"postgresql {uuid4().hex}"
    with engine.begin() as conn:
        staging.ensure(conn, ENTITY)
    staging.stage(engine, ENTITY, one, [batch], RUN)
    by_postgresql(engine, other, batch)
    assert images(engine, one) == images(engine, other)
    assert staging.stage(engine, ENTITY, other, [batch], RUN).unchanged == len(batch), "the hashes are the same"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=batches.filter(is_json), escape=st.booleans())
def test_a_page_as_it_came_gives_the_same_rows(engine: Engine, batch: list[dict[str, Any]], escape: bool) -> None:
    """Nobody parses it whole and writes it again, and still each column, hash, payload and problem is the same."""
    one, other = f"page {uuid4().hex}", f"postgresql {uuid4().hex}"
    with engine.begin() as conn:
        staging.ensure(conn, ENTITY)
    page = as_page(batch, escape)
    staging.stage(engine, ENTITY, one, [page], RUN)
    by_postgresql(engine, other, list(page))
    assert images(engine, one) == images(engine, other)
    assert staging.stage(engine, ENTITY, one, [batch], RUN).unchanged == len(batch), "the hashes are the same"
    assert staging.stage(engine, ENTITY, other, [page], RUN).unchanged == len(batch), "the hashes are the same"


def usual_ones(*records: dict[str, Any], page: bool = False) -> Sequence[str]:
    (chunk,) = chunks(ENTITY, [as_page(records, False) if page else records])
    assert len(chunk.as_they_came) == (len(records) if page else 0)
    return split(ENTITY, chunk, lambda bodies: [body.decode() for body in bodies])[0].ids


@pytest.mark.parametrize(
    "record",
    [
        {"Id": "a"},
        {"Id": "a", "Modified": "2026-03-01T10:00:00.123+0000", "C_timestamp": "2026-03-01T10:00:00Z"},
        {"Id": "a", "C_text": 'Müller, "Söhne" \\ {null}', "Account": {"Name": "NULL"}, "Ours": ""},
        {"Id": "a", "C_decimal": Decimal("-12345678901234567890.123456789012345678"), "C_integer": Decimal("2.0")},
        {"Id": "a", "C_decimal": 5, "C_integer": -(2**63), "C_boolean": False, "C_date": "2024-02-29", "Account": None},
        {"Id": "a", "C_json": [{"Amount": Decimal("12.50"), "Name": "Müller"}], "C_decimal": None},
        {"Id": "a", "C_json": {}, "C_decimal": Decimal("-0.5")},
    ],
)
@pytest.mark.parametrize("page", [False, True])
def test_what_vendors_usually_send_is_usual(record: dict[str, Any], page: bool) -> None:
    """Else every record would take the slow way, and no other test would tell."""
    assert usual_ones(record, page=page) == ["a"]


def test_a_number_that_postgresql_does_not_hold_is_a_text(engine: Engine) -> None:
    """In a page as it came nobody looks for it, so that PostgreSQL refuses the whole chunk at first."""
    with engine.begin() as conn:
        staging.ensure(conn, ENTITY)
    body = b'{"records": [{"Id": "a", "C_decimal": 1.50, "Other": 1e200000}, {"Id": "b", "C_json": [1e200000]}]}'
    page = exact_json.page(body, "records")["records"]
    assert staging.stage(engine, ENTITY, "vendor", [page], RUN) == staging.Counts(read=2, inserted=2)
    assert [(row["c_decimal"], row["c_json"], row["_problems"]) for row in images(engine, "vendor")] == [
        ("1.50", None, []), (None, '["1E+200000"]', []),
    ]  # fmt: skip
    assert staging.stage(engine, ENTITY, "vendor", [page], RUN).unchanged == 2


def test_one_odd_record_leaves_the_others_usual(engine: Engine) -> None:
    batch = [{"Id": "a", "C_date": "2026-02-30"}, {"Id": "b", "C_decimal": "12.50"}, {"Id": "c", "C_text": "x"}]
    assert usual_ones(*batch) == ["c"]
    with engine.begin() as conn:
        staging.ensure(conn, ENTITY)
    assert staging.stage(engine, ENTITY, "vendor", [batch], RUN) == staging.Counts(read=3, inserted=3)
    assert [(row["c_date"], row["c_decimal"], row["c_text"]) for row in images(engine, "vendor")] == [
        (None, None, None), (None, "12.50", None), (None, None, "x"),
    ]  # fmt: skip
    assert [len(row["_problems"]) for row in images(engine, "vendor")] == [1, 0, 0]


def test_a_path_into_a_list_is_left_to_postgresql(engine: Engine) -> None:
    entity = StagedEntity("vendor", "listed", "T", "Id", None, (StagedField("first", "Lines.0.Amount", "decimal"),))
    with engine.begin() as conn:
        staging.ensure(conn, entity)
    staging.stage(engine, entity, "vendor", [[{"Id": "a", "Lines": [{"Amount": Decimal("1.50")}]}]], RUN)
    assert staging.read(engine, entity, "vendor")["first"].tolist() == [Decimal("1.50")]


def test_ids_of_any_letters_are_found_again(engine: Engine) -> None:
    with engine.begin() as conn:
        staging.ensure(conn, ENTITY)
    batch = [{"Id": text} for text in ('a"b', "a\\b", "a,b", "{}", "NULL", "null", " a", "é🚀", "'", "%s", "a\tb\nc")]
    assert staging.stage(engine, ENTITY, "it's", [batch], RUN).inserted == len(batch)
    assert staging.stage(engine, ENTITY, "it's", [batch], RUN).unchanged == len(batch)
    assert [json.loads(row["_payload"])["Id"] for row in images(engine, "it's")] == sorted(r["Id"] for r in batch)


def test_the_look_up_takes_the_key_whatever_the_planner_believes(engine: Engine) -> None:
    """VACUUM amid an uncommitted load says that the table has pages but no row: then any index seems as good, and by
    the other one each record read the whole table."""
    with engine.begin() as conn:
        staging.ensure(conn, ENTITY)
    with engine.connect() as loading, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
        loading.exec_driver_sql(
            "insert into staging.vendor_usual (_connection, _source_id, _payload, _hash, _deleted, _problems, _run_id,"
            " _staged_at, _version) select 'vendor', n::text, '{}', '', false, '{}', gen_random_uuid(), now(),"
            " nextval('staging.version') from generate_series(1, 2000) n"
        )
        other.exec_driver_sql("vacuum staging.vendor_usual")
        loading.commit()
        believed = other.scalar(sa.text("select reltuples from pg_class where relname = 'vendor_usual'"))
        assert believed == 0, "the trap is set"
    with engine.begin() as conn, driver(conn) as raw:
        query = sql.SQL("explain ") + look_up(ENTITY, "vendor", [str(n) for n in range(500)], ["0" * 64] * 500)
        plan = "\n".join(row[0] for row in raw.execute(query))
    assert "Index Scan using vendor_usual_pkey" in plan


def test_the_newest_image_of_a_record_counts_wherever_it_came() -> None:
    """In whole parts of usual records and in parts that are gone through one by one."""

    def one(source_id: str, day: int, text: str = "x") -> dict[str, Any]:
        return {"Id": source_id, "Modified": f"2026-03-{day:02d}T00:00:00Z", "C_text": text}

    pages = [
        [one("a", 2), one("b", 2, "\x00"), one("c", 2)],
        [one("d", 2), one("e", 2)],
        [one("a", 1), one("b", 3), one("c", 3, "\x00"), one("d", 3), one("f", 1)],
        [one("a", 3)],
    ]
    (chunk,) = chunks(ENTITY, pages)
    assert chunk.read == 11
    assert {source_id: chunk.columns[-2][place][8:10] for source_id, place in chunk.places.items()} == {
        "a": "03", "b": "03", "c": "03", "d": "03", "e": "02", "f": "01",
    }  # fmt: skip
    assert [json.loads(chunk.bodies[place])["Id"] for place in chunk.places.values()] == list(chunk.places)
    assert list(chunk.notes) == [chunk.places["c"]], "what was replaced in an image that is gone is no problem"
