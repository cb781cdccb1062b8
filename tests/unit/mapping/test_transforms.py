"""Each named transform: what it makes, what it refuses, that nulls stay null."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.mapping.frames import DTYPES, demo_link, values
from tieout.mapping import text
from tieout.mapping.registry import Result
from tieout.mapping.transforms import TRANSFORMS

D = Decimal


def column(given: Sequence[Any], kind: str = "text") -> pd.Series[Any]:
    return pd.Series(given, dtype=DTYPES[kind], index=range(10, 10 + len(given)))


def run(name: str, *columns: pd.Series[Any], **settings: Any) -> Result:
    transform = TRANSFORMS[name]
    assert transform.inputs[0] <= len(columns) <= transform.inputs[1]
    result = transform.function(columns, transform.parse(settings), demo_link())
    assert result.values.index.equals(columns[0].index)
    return result


def made(name: str, *columns: pd.Series[Any], **settings: Any) -> list[Any]:
    """The values, for input without problems."""
    result = run(name, *columns, **settings)
    assert result.problems is None or result.problems.isna().all(), result.problems
    return values(result.values)


def refused(name: str, *columns: pd.Series[Any], **settings: Any) -> list[bool]:
    result = run(name, *columns, **settings)
    assert result.problems is not None
    # What is refused has no value that could travel on.
    assert result.values[result.problems.notna()].isna().all()
    return [bool(found) for found in result.problems.notna()]


def test_every_transform_says_what_it_does_and_why_it_refuses() -> None:
    for transform in TRANSFORMS.values():
        assert transform.doc.endswith("."), transform.name
        assert transform.reason and transform.reason == transform.reason.lower(), transform.name


ONE_COLUMN = [
    ("trim", {}), ("collapse_spaces", {}), ("join_lines", {}), ("line", {"number": 1}), ("truncate", {"length": 5}),
    ("strip_characters", {}), ("country_iso2", {}), ("country_name", {}), ("currency_code", {}), ("tax_id", {}),
    ("email", {}), ("lookup", {"values": {"a": "b"}}), ("pick", {"fields": ["a"]}), ("decimal", {}), ("percent", {}),
    ("number_text", {}), ("boolean", {}), ("date", {}), ("instant_to_date", {}), ("iso_instant", {}),
    ("xero_date", {}), ("invert_rate", {}), ("default", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), ONE_COLUMN)
def test_null_stays_null_and_an_empty_frame_is_no_fault(name: str, settings: dict[str, Any]) -> None:
    assert made(name, column([None, None]), **settings) == [None, None]
    assert made(name, column([]), **settings) == []


@pytest.mark.parametrize("name", ["minor_units", "amount", "join_name"])
def test_null_stays_null_in_transforms_of_several_columns(name: str) -> None:
    kinds = {"minor_units": ("decimal", "text"), "amount": ("integer", "text"),
             "join_name": ("text", "boolean", "text", "text")}[name]  # fmt: skip
    assert made(name, *(column([None], kind) for kind in kinds)) == [None]
    assert made(name, *(column([], kind) for kind in kinds)) == []


def test_trim_and_collapse_spaces() -> None:
    assert made("trim", column([" a  b ", "  "])) == ["a  b", None]
    assert made("collapse_spaces", column([" a \n b ", "e\u0301"])) == ["a b", "\u00e9"]


def test_lines_of_an_address() -> None:
    street = column(["1 High St\r\n\nUnit 2 \nYard\nBack", None])
    assert made("join_lines", street) == ["1 High St, Unit 2, Yard, Back", None]
    assert made("join_lines", street, column(["York", "Leeds"]), separator="; ") == [
        "1 High St; Unit 2; Yard; Back; York", "Leeds",
    ]  # fmt: skip
    assert made("line", street, number=2) == ["Unit 2", None]
    assert made("line", street, number=3, rest=True) == ["Yard, Back", None]
    assert made("line", street, number=9) == [None, None]


def test_first_and_last_name_are_joined_for_a_person_only() -> None:
    assert made(
        "join_name",
        column(["Acme Ltd", "Lee, A", "Nobody", "Firm"]), column([False, True, True, None], "boolean"),
        column(["X", " Ann ", None, None]), column(["Y", "Lee", None, None]),
    ) == ["Acme Ltd", "Ann Lee", "Nobody", "Firm"]  # fmt: skip


def test_truncation_is_noted_and_can_keep_texts_apart() -> None:
    names, ids = column(["a" * 300, "a" * 300, "short"]), column(["1", "2", "3"])
    cut = run("truncate", names, length=255)
    assert [len(name) for name in values(cut.values)] == [255, 255, 5]
    assert cut.notes is not None
    assert values(cut.notes) == ["cut from 300 to 255 characters"] * 2 + [None]
    unique = values(run("truncate", names, ids, length=255, unique=True).values)
    assert unique[0] != unique[1]
    assert len(unique[0]) == 255


@given(st.text(max_size=30), st.integers(1, 30))
def test_cut_keeps_to_the_limit_and_is_a_beginning(given: str, limit: int) -> None:
    found = text.cut(given, limit)
    assert text.length(found) <= limit
    assert given.startswith(found)
    found.encode("utf-16", errors="surrogatepass")


def test_cut_never_tears_what_a_reader_sees_as_one_character() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert text.cut("ab" + family, 6) == "ab"
    assert text.cut("e\u0301x", 1) == ""
    assert text.length("\U0001f389") == 2


def test_control_characters_are_taken_out_and_noted() -> None:
    found = run("strip_characters", column(["a\x00b", "\U0001f389 =HYPERLINK(1)", None]))
    assert values(found.values) == ["ab", "\U0001f389 =HYPERLINK(1)", None]
    assert found.notes is not None
    assert values(found.notes) == ["characters were taken out", None, None]
    assert made("strip_characters", column(["a<b>"]), characters="<>") == ["ab"]


def test_countries() -> None:
    assert made("country_iso2", column(["United Kingdom", "uk", "DEU", "fr", "USA"])) == ["GB", "GB", "DE", "FR", "US"]
    assert refused("country_iso2", column(["France", "Atlantis"])) == [False, True]
    assert made("country_iso2", column([" Atlantis "]), otherwise="keep") == ["Atlantis"]
    assert made("country_name", column(["GB", "Atlantis"])) == ["United Kingdom", "Atlantis"]


def test_currencies() -> None:
    assert made("currency_code", column([" eur ", "JPY"])) == ["EUR", "JPY"]
    assert refused("currency_code", column(["XYZ", "EURO", "GBP"])) == [True, True, False]


def test_two_spellings_of_a_tax_id_meet() -> None:
    found = made(
        "tax_id", column(["GB 980 7806 84", "980780684", "094259216", "EL094259216", "be0403019261"]),
        column([None, "United Kingdom", "GR", None, "France"]),
    )  # fmt: skip
    assert found == ["GB980780684", "GB980780684", "EL094259216", "EL094259216", "BE0403019261"]


def test_tax_id_with_wrong_check_digits_is_refused_or_kept() -> None:
    wrong = column(["DE136695977", "DE136695976", "x"])
    assert refused("tax_id", wrong) == [True, False, True]
    assert made("tax_id", wrong, otherwise="keep") == ["DE136695977", "DE136695976", "x"]


def test_email() -> None:
    assert made("email", column([" a.b@example.com "])) == ["a.b@example.com"]
    assert refused("email", column(["a@b", "a b@example.com", "@example.com", "a@example.com"])) == [True] * 3 + [False]


def test_look_up_in_the_mappings_table() -> None:
    status = column(["Activated", "Draft", None])
    assert made("lookup", status, values={"Activated": True}, otherwise="default", default=False) == [
        True,
        False,
        False,
    ]
    assert made("lookup", status, values={"Activated": "A"}, otherwise="keep") == ["A", "Draft", None]
    assert made("lookup", status, values={"Activated": "A"}, otherwise="null") == ["A", None, None]
    assert refused("lookup", status, values={"Activated": "A"}) == [False, True, False]
    assert made("lookup", column(["ACTIVATED"]), values={"Activated": 1}, fold=True) == [1]


def test_look_up_in_the_links_table() -> None:
    assert made("lookup", column(["standard", "zero"]), table="tax_codes") == ["OUTPUT2", "ZERORATEDOUTPUT"]
    assert refused("lookup", column(["lunar"]), table="tax_codes") == [True]


def test_default_takes_the_first_value_there_is() -> None:
    assert made("default", column(["a", None, None]), column(["x", "b", None]), value="c") == ["a", "b", "c"]
    assert made("default", column([None]), link="base_currency") == ["GBP"]


def test_pick_from_a_json_list() -> None:
    addresses = column(['[{"AddressType":"STREET","City":"A"},{"AddressType":"POBOX","City":"B","L":"x"}]', "[]", "{}"])
    assert made("pick", addresses, fields=["City"], where={"AddressType": "POBOX"}) == ["B", None, None]
    assert made("pick", addresses, fields=["L", "Z", "City"], where={"AddressType": "POBOX"}) == ["x\nB", None, None]


def test_decimal_reads_text_exactly() -> None:
    found = made("decimal", column(["123456789012345678.90", "1e3", "-.5"]))
    assert found == [D("123456789012345678.90"), D(1000), D("-0.5")]
    assert refused("decimal", column(["twelve", "NaN", "1,5", "1e30", "1e-30", "1"])) == [True] * 5 + [False]


def test_floats_are_no_exact_numbers() -> None:
    assert refused("decimal", pd.Series([0.5, None], index=[1, 2], dtype=object)) == [True, False]


def test_percent() -> None:
    assert made("percent", column([D("12.5"), D(0), D(100)], "decimal")) == [D("12.5"), D(0), D(100)]
    assert made("percent", column([D("0.15")], "decimal"), fraction=True) == [D(15)]
    assert refused("percent", column([D("100.01"), D(-1)], "decimal")) == [True, True]


def test_minor_units_by_currency() -> None:
    currency = column(["EUR", "JPY", "KWD", None])
    assert made("minor_units", column([D("1.5"), D(150), D("1.234"), None], "decimal"), currency) == [
        150,
        150,
        1234,
        None,
    ]
    wrong = run(
        "minor_units", column([D("1.005"), D("1.5"), D(1), D(1)], "decimal"), column(["EUR", "JPY", "XYZ", None])
    )
    assert wrong.problems is not None
    assert wrong.problems.notna().all()
    assert wrong.values.isna().all()
    assert made("minor_units", column([D("1.005"), D("-1.5")], "decimal"), column(["EUR", "JPY"]), rounded=True) == [
        101,
        -2,
    ]


def test_amount_is_the_inverse_of_minor_units() -> None:
    minor = column([123456789012345678, 5, -7], "integer")
    assert made("amount", minor, column(["EUR", "JPY", "KWD"])) == [D("1234567890123456.78"), D(5), D("-0.007")]
    assert refused("amount", column([1], "integer"), column(["XYZ"])) == [True]


def test_number_text() -> None:
    assert made("number_text", column([D("100.00"), D("0.000001"), D(0), D("-1.50")], "decimal")) == [
        "100", "0.000001", "0", "-1.5",
    ]  # fmt: skip


def test_boolean() -> None:
    assert made("boolean", column(["true", "0", "Yes"])) == [True, False, True]
    assert refused("boolean", column(["maybe"])) == [True]


def test_dates() -> None:
    assert made("date", column(["2026-03-29", "2026-03-29T23:30:00+02:00"])) == [date(2026, 3, 29)] * 2
    assert refused("date", column(["29.03.2026", "2026-02-30"])) == [True, True]
    instants = column([pd.Timestamp("2026-03-29", tz="UTC")], "timestamp")
    assert refused("date", instants) == [True]


def test_day_of_an_instant_is_that_of_the_links_zone() -> None:
    # 23:30 UTC in summer is half past midnight of the next day in London.
    instants = column(
        [pd.Timestamp("2026-06-30T23:30", tz="UTC"), pd.Timestamp("2026-12-31T23:30", tz="UTC")], "timestamp"
    )
    assert made("instant_to_date", instants) == [date(2026, 7, 1), date(2026, 12, 31)]
    assert made("instant_to_date", column(["2026-06-30T23:30:00Z"])) == [date(2026, 7, 1)]
    assert refused("instant_to_date", column(["2026-06-30T23:30:00"])) == [True]


def test_iso_instant() -> None:
    assert made("iso_instant", column([pd.Timestamp("2026-06-30T23:30", tz="UTC")], "timestamp")) == [
        "2026-06-30T23:30:00Z"
    ]


def test_dates_as_xero_writes_them() -> None:
    assert made("xero_date", column(["/Date(1774742400000+0000)/", "2026-03-29T00:00:00", "/Date(-86400000)/"])) == [
        date(2026, 3, 29), date(2026, 3, 29), date(1969, 12, 31),
    ]  # fmt: skip
    assert refused("xero_date", column(["/Date(x)/", "/Date(999999999999999)/"])) == [True, True]


def test_rate_in_the_other_direction() -> None:
    assert made("invert_rate", column([D("1.25"), D("0.85")], "decimal")) == [D("0.8"), D("1.1764705882")]
    assert refused("invert_rate", column([D(0), D(-1)], "decimal")) == [True, True]


def test_the_days_of_a_list_in_both_of_xeros_spellings_stand_beside_its_other_fields() -> None:
    texts = column([
        '[{"On": "/Date(1767225600000+0000)/", "Amount": 1.10}, {"Amount": 2}, {"On": "2026-02-28T00:00:00"}]',
        '[{"On": "soon"}]', "[]", None,
    ])  # fmt: skip
    assert made("every", texts, path="On", each_once=False, days=True) == ["2026-01-01\n\n2026-02-28", None, None, None]
    assert made("every", texts, path="Amount", each_once=False) == ["1.10\n2\n", None, None, None]
