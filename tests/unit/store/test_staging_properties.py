"""Whatever a vendor sends is staged: counts close, staging again writes nothing, amounts come back exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID, uuid4

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from tieout.model.staged import StagedEntity, StagedField
from tieout.store import encoding, staging

KINDS = ("text", "integer", "decimal", "boolean", "date", "timestamp", "json")
ENTITY = StagedEntity(
    "vendor", "thing", "Thing", "Id", "Modified",
    (StagedField("id", "Id", "text"), *(StagedField(f"c_{kind}", f"C.{kind}", kind) for kind in KINDS)),  # type: ignore[arg-type]
)  # fmt: skip
RUN = UUID(int=1)

texts = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["", " ", "\x00", "\ud800", "\\", "\\N", "\\u0000", "\t\n\r", "NaN", "infinity", "1e400", "0x1F", "1_000", "now",
     "2026-02-29", "2024-02-29T25:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "0000-01-01",
     "/Date(0)/", "/Date(999999999999999)/", "/Date(-99999999999999+0000)/", "12:00", "2026-01-01T00:00:60Z", "{", "["]
)  # fmt: skip
numbers = (
    st.decimals(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.sampled_from([Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+99999"), Decimal("1E-20"), 10**200, 2**63])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
records = st.fixed_dictionaries(
    {
        "Id": st.sampled_from(["a", "b", "c", 1, None, ""]) | texts | st.just("x" * 501),
        "Modified": texts | st.none() | st.datetimes().map(str),
        "C": st.fixed_dictionaries(dict.fromkeys(KINDS, values)) | values,
    },
    optional={"Other": values},
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(records, max_size=6))
def test_anything_can_be_staged(engine: Engine, batch: list[dict[str, object]]) -> None:
    name = f"connection {uuid4().hex}"
    with engine.begin() as conn:
        staging.ensure(conn, ENTITY)
    counts = staging.stage(engine, ENTITY, name, [batch], RUN)
    assert counts.read == len(batch) == counts.inserted + counts.unchanged + counts.rejected
    assert counts.updated == 0
    again = staging.stage(engine, ENTITY, name, [batch], RUN)
    assert again.inserted == 0
    if len({str(record["Id"]) for record in batch}) == len(batch):
        assert again.updated == 0, "an unchanged record was written"
    frame = staging.read(engine, ENTITY, name, [*(f"c_{kind}" for kind in KINDS), "_payload", "_problems"])
    assert len(frame) == counts.inserted
    for payload, problems in zip(frame["_payload"], frame["_problems"], strict=True):
        assert isinstance(json.loads(payload), dict)
        assert isinstance(json.loads(problems), list)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amount=st.decimals(-(10**20) + 1, 10**20 - 1, places=18), spelled=st.booleans())
def test_every_amount_of_38_digits_comes_back_digit_by_digit(engine: Engine, amount: Decimal, spelled: bool) -> None:
    name = f"connection {uuid4().hex}"
    with engine.begin() as conn:
        staging.ensure(conn, ENTITY)
    value = str(amount) if spelled else amount
    staging.stage(engine, ENTITY, name, [[{"Id": "a", "C": {"decimal": value}}]], RUN)
    assert staging.read(engine, ENTITY, name)["c_decimal"].tolist() == [amount]
    with engine.connect() as conn:
        payload = conn.execute(
            sa.text("select _payload -> 'C' ->> 'decimal' from staging.vendor_thing where _connection = :c"),
            {"c": name},
        ).scalar_one()
    assert Decimal(payload) == amount


@given(value=values)
def test_what_is_encoded_is_json_that_postgresql_takes(value: object) -> None:
    body, _ = encoding.encode({"v": value})
    text = body.decode("utf-8")
    json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    assert "\\u0000" not in text.replace("\\\\", "")


def _refuse(constant: str) -> Callable[[], None]:
    raise AssertionError(f"{constant} is no JSON")
