"""The pandas dtype of each type of the common model, and how any column becomes it. Imports pandas.

A value that cannot become the type is a problem of its row, never an exception and never silently null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tieout.mapping.registry import Result, Unacceptable, each
from tieout.model.money import decimal_column

#: 20 digits before the point and 18 after it, as staging reads NUMERIC.
DECIMAL = pd.ArrowDtype(pa.decimal128(38, 18))
DATE = pd.ArrowDtype(pa.date32())
INSTANT = pd.DatetimeTZDtype("us", "UTC")
DTYPES: dict[str, Any] = {
    "text": "string", "minor": "Int64", "decimal": DECIMAL, "date": DATE, "instant": INSTANT, "boolean": "boolean",
    "integer": "Int64",
}  # fmt: skip

_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$")
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


def nulls(index: Any, kind: str) -> pd.Series[Any]:
    """A column of nothing."""
    return pd.Series([None] * len(index), index=index, dtype=DTYPES[kind])


def object_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Plain rows as a frame of object columns, None for what is missing.

    pandas would make floats of whole numbers beside a None, and an amount of 18 digits would lose its last ones.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})


def as_type(values: pd.Series[Any], kind: str) -> Result:
    """The column as a type of the common model, with a problem for each value that is not of it."""
    if values.dtype == DTYPES[kind] or (kind == "text" and isinstance(values.dtype, pd.StringDtype)):
        return Result(values.astype(DTYPES[kind]))
    if values.isna().all():
        return Result(nulls(values.index, kind))
    return _CONVERTERS[kind](values)


def as_text(values: pd.Series[Any]) -> Result:
    """Texts; numbers as exact plain decimals, dates and instants as ISO 8601."""
    if isinstance(values.dtype, pd.StringDtype):
        return Result(values.astype("string"))
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        utc = values.dt.tz_convert("UTC")
        return Result(utc.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("string"))
    if isinstance(values.dtype, pd.ArrowDtype) and pa.types.is_decimal(values.dtype.pyarrow_dtype):
        return Result(pd.Series(number_texts(pa.array(values)), index=values.index, dtype="string"))
    return each(values, _one_text)


def number_texts(array: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Exact numbers as JSON writes them: no exponent, no zeros at the end, no minus before zero."""
    texts: list[str | None] = pc.cast(array, pa.string()).to_pylist()
    if array.type.scale <= 0 and array.type.scale > -1:
        return texts
    return [
        None
        if text is None
        else plain(Decimal(text))
        if "E" in text
        else text.rstrip("0").rstrip(".")
        if "." in text
        else text
        for text in texts
    ]


def plain(value: Decimal) -> str:
    """One exact number as JSON writes it."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def as_decimal(values: pd.Series[Any]) -> Result:
    """decimal128(38, 18). Texts are read; floats are refused, because what they stand for is lost already."""
    if values.isna().all():
        return Result(nulls(values.index, "decimal"))
    if isinstance(values.dtype, pd.ArrowDtype) and pa.types.is_decimal(values.dtype.pyarrow_dtype):
        try:
            return Result(decimal_column(values, 18))
        except ValueError:
            return _decimals(values.astype(object))
    if values.dtype.kind in "iu":
        return Result(decimal_column(values, 18))
    if pd.api.types.infer_dtype(values, skipna=True) == "decimal":
        try:
            return Result(decimal_column(values, 18))
        except ValueError:  # some value does not fit: say which, row by row
            return _decimals(values)
    return _decimals(values)


def _decimals(values: pd.Series[Any]) -> Result:
    def parse(value: Any) -> Decimal:
        if isinstance(value, bool | float):
            raise Unacceptable("expected an exact decimal number")
        text = str(value).strip()
        if not _NUMBER.match(text):
            raise Unacceptable("expected a decimal number")
        number = Decimal(text)
        if number.adjusted() > 19 or (number and number.normalize().as_tuple().exponent < -18):  # type: ignore[operator] # finite: the exponent is an int
            raise Unacceptable("expected at most 20 digits before and 18 after the point")
        return number

    made = each(values.astype(object), parse, dtype=object)
    return Result(decimal_column(made.values.where(made.values.notna(), None), 18), made.problems)


def as_integer(values: pd.Series[Any]) -> Result:
    """Int64, from whole numbers of any kind."""
    if values.dtype.kind in "iu":
        return Result(values.astype("Int64"))

    def parse(value: Any) -> int:
        if isinstance(value, bool | float):
            raise Unacceptable("expected a whole number")
        text = str(value).strip()
        if not _NUMBER.match(text) or Decimal(text) % 1 or abs(Decimal(text)) >= 2**63:
            raise Unacceptable("expected a whole number of at most 64 bits")
        return int(Decimal(text))

    return each(values.astype(object), parse, dtype="Int64")


def as_boolean(values: pd.Series[Any]) -> Result:
    """boolean, from true and false, 1 and 0, yes and no."""
    if values.dtype.kind == "b":
        return Result(values.astype("boolean"))

    def parse(value: Any) -> bool:
        text = str(value).strip().lower()
        if text not in _TRUE and text not in _FALSE:
            raise Unacceptable("expected true or false")
        return text in _TRUE

    return each(values.astype("string"), parse, dtype="boolean")


def as_date(values: pd.Series[Any]) -> Result:
    """date32. An instant is refused: which day it is depends on a time zone (`instant_to_date`)."""
    if isinstance(values.dtype, pd.ArrowDtype) and pa.types.is_date(values.dtype.pyarrow_dtype):
        return Result(values.astype(DATE))
    if values.dtype.kind == "M" and not isinstance(values.dtype, pd.DatetimeTZDtype):
        return Result(values.dt.date.where(values.notna(), None).astype(DATE))

    def parse(value: Any) -> date:
        if isinstance(value, datetime):
            if value.tzinfo is not None:
                raise Unacceptable("expected a date, without time and zone")
            return value.date()
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value).strip()[:10])
        except ValueError:
            raise Unacceptable("expected a date YYYY-MM-DD") from None

    return each(values.astype(object), parse, dtype=DATE)


def as_instant(values: pd.Series[Any]) -> Result:
    """UTC instants. A time without a zone is refused."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return Result(values.dt.tz_convert("UTC").astype(INSTANT))

    def parse(value: Any) -> datetime:
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise Unacceptable("expected a point in time, ISO 8601") from None
        if found.tzinfo is None:
            raise Unacceptable("expected a point in time with its zone")
        return found

    return each(values.astype(object), parse, dtype=INSTANT)


def _one_text(value: Any) -> str:
    if isinstance(value, float):
        raise Unacceptable("expected a text or an exact number")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


_CONVERTERS: dict[str, Callable[[pd.Series[Any]], Result]] = {
    "text": as_text, "minor": as_integer, "decimal": as_decimal, "date": as_date, "instant": as_instant,
    "boolean": as_boolean, "integer": as_integer,
}  # fmt: skip
