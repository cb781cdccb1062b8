"""Bodies are canonical JSON whose numbers are exact to the last digit."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mapping.frames import common, demo_link, mappings
from tieout.mapping.columns import DECIMAL, plain
from tieout.mapping.compile import compile_write
from tieout.mapping.payload import bodies
from tieout.model.identity import canonical_json

D = Decimal
GOLDEN = Path(__file__).parent / "golden"


def parsed(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal, parse_int=Decimal)


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def text(*values: str | None) -> pd.Series[Any]:
    return pd.Series(values, dtype="string")


def number(*values: Decimal | None) -> pd.Series[Any]:
    return pd.Series(values, dtype=DECIMAL)


def test_invoice_with_lines_is_the_golden_body() -> None:
    xero = mappings("xero")
    heads = common({
        "_key": "801", "number": "INV-00000100", "customer_id": "{{vendor_id:4f1c}}", "date": date(2026, 1, 5),
        "due_date": date(2026, 2, 4), "currency": "EUR", "exchange_rate": D("1.165000"), "status": "AUTHORISED",
        "reference": '=HYPERLINK("http://x") \U0001f389 \u0645\u0631\u062d\u0628\u0627 "quoted" \\ back',
        "source_url": "https://acme.example.com/801",
    })  # fmt: skip
    lines = common(
        {"_key": "801", "description": "Chair\nof oak", "quantity": D("2.5"), "unit_price": D("1234567890123456.7891"),
         "discount_percent": D("12.50"), "account_code": "200", "tax_code": "OUTPUT2", "product_code": "CHAIR-OAK",
         "net_minor": 270061726, "currency": "EUR"},
        {"_key": "801", "description": "Freight", "quantity": D(1), "unit_price": D("0.0001"), "account_code": "200",
         "tax_code": "OUTPUT2"},
    )  # fmt: skip
    head = compile_write(xero["invoice"], demo_link())(heads)
    line = compile_write(xero["invoice_line"], demo_link())(lines)
    assert head.rejections == line.rejections == []
    made = bodies(head.frame, line.frame, "LineItems")
    assert made.index.tolist() == ["801"]
    assert made["801"] + b"\n" == (GOLDEN / "invoice_body.json").read_bytes()


def test_customer_is_the_golden_body() -> None:
    heads = common({
        "_key": "001", "crm_id": "001000000000001AAA", "name": "Ann Lee", "currency": "GBP",
        "street": "1 High St\nUnit 2", "city": "York", "country": "GB", "tax_id": "GB980780684",
    })  # fmt: skip
    outcome = compile_write(mappings("xero")["account"], demo_link())(heads)
    assert bodies(outcome.frame)["001"] + b"\n" == (GOLDEN / "contact_body.json").read_bytes()


def test_nulls_and_what_is_empty_for_them_are_left_out() -> None:
    header = frame(
        **{
            "_key": text("a", "b"),
            "Contact.Name": text("x", None),
            "List[0].City": text(None, None),
            "N": text(None, "n"),
        }
    )
    assert bodies(header).tolist() == [b'{"Contact":{"Name":"x"}}', b'{"N":"n"}']


def test_named_nulls_are_written() -> None:
    header = frame(_key=text("a", "b"), Paid_On=text(None, "2026-01-05"), Amount=number(None, D("1.50")))
    assert bodies(header, null={"Paid_On", "Amount"}).tolist() == [
        b'{"Amount":null,"Paid_On":null}', b'{"Amount":1.5,"Paid_On":"2026-01-05"}',
    ]  # fmt: skip


def test_lists_of_objects_keep_their_order() -> None:
    columns = {"_key": text("a")} | {f"A[{at}].V": text(str(at)) for at in (10, 2, 0)}
    assert bodies(frame(**columns))["a"] == b'{"A":[{"V":"0"},{"V":"2"},{"V":"10"}]}'


def test_lines_keep_their_order_and_find_their_header() -> None:
    header = frame(_key=text("a", "b", "c"))
    lines = frame(_key=text("b", "a", "b"), N=text("1", "2", "3"), _source_id=text("x", "y", "z"))
    assert bodies(header, lines, "L").tolist() == [
        b'{"L":[{"N":"2"}]}', b'{"L":[{"N":"1"},{"N":"3"}]}', b"{}",
    ]  # fmt: skip


def test_a_line_without_header_is_never_dropped() -> None:
    with pytest.raises(ValueError, match="'z', which has no header"):
        bodies(frame(_key=text("a")), frame(_key=text("z"), N=text("1")), "L")


def test_a_key_may_not_repeat() -> None:
    with pytest.raises(ValueError, match="_key repeats"):
        bodies(frame(_key=text("a", "a")), frame(_key=text("a"), N=text("1")), "L")


@pytest.mark.parametrize("value", [1.5, date(2026, 1, 5), D("NaN")])
def test_what_is_not_exact_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="exact number"):
        bodies(frame(_key=text("a"), V=pd.Series([value], dtype=object)))


def test_a_name_cannot_be_a_value_and_an_object() -> None:
    with pytest.raises(ValueError, match="a value and an object"):
        bodies(frame(**{"_key": text("a"), "A": text("x"), "A.B": text("y")}))


@pytest.mark.parametrize(
    ("value", "written"),
    [("100", "100"), ("0.000000000000000001",) * 2, ("-0.50", "-0.5"), ("0E-18", "0"), ("1E+3", "1000"),
     ("99999999999999999999.999999999999999999",) * 2, ("1234567890123456.78",) * 2],
)  # fmt: skip
def test_numbers_have_every_digit_and_no_exponent(value: str, written: str) -> None:
    for column in (number(D(value)), pd.Series([D(value)], dtype=object)):
        assert bodies(frame(_key=text("a"), V=column))["a"] == f'{{"V":{written}}}'.encode()


leaves = st.one_of(
    st.none(), st.text(max_size=8), st.booleans(), st.integers(-(2**63), 2**63 - 1),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(leaves, leaves, leaves), min_size=1, max_size=8))
def test_bytes_are_those_of_canonical_json(rows: list[tuple[Any, Any, Any]]) -> None:
    columns = {
        name: pd.Series([row[at] for row in rows], dtype=object) for at, name in enumerate(("b", "a.\u00e9", "a.z"))
    }
    header = frame(_key=text(*map(str, range(len(rows)))), **columns)
    for (b, e, z), body in zip(rows, bodies(header), strict=True):
        inner = {key: value for key, value in (("\u00e9", e), ("z", z)) if value is not None}
        wanted = {key: value for key, value in (("b", b), ("a", inner)) if value is not None and value != {}}
        assert parsed(body) == wanted
        # The oracle takes numbers as texts; written the same way, the bytes are the same.
        quoted = json.loads(body, parse_float=lambda found: f"#{found}", parse_int=lambda found: f"#{found}")
        assert canonical_json(quoted) == canonical_json(_marked(wanted))


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _marked(inner) for key, inner in value.items()}
    if isinstance(value, bool | str):
        return value
    return f"#{plain(Decimal(value))}"
