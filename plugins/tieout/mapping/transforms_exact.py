"""The named transforms for numbers, money, dates and instants; transforms.py has the others. No floats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from tieout.mapping.columns import as_boolean, as_date, as_decimal, as_instant, as_text
from tieout.mapping.registry import Result, Settings, Unacceptable, each, transform
from tieout.model import money
from tieout.model.link import Link

Columns = Sequence["pd.Series[Any]"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_XERO_DATE = re.compile(r"^/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/$")


class Nothing(Settings):
    """No settings."""


def _exponents(currencies: pd.Series[Any]) -> pd.Series[Any]:
    """Decimals of each row's currency, null where it is missing or unknown."""

    def decimals(code: Any) -> int | None:
        try:
            return money.exponent(str(code))
        except ValueError:
            return None

    return each(currencies, decimals, dtype="Int64").values


@transform("decimal", reason="no_number", expected="a decimal number")
def decimal(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """Exact numbers, from texts as well."""
    return as_decimal(columns[0])


class Percent(Settings):
    """`with: {fraction: true}` where the source says 0.15 for 15 %."""

    fraction: bool = False


@transform("percent", settings=Percent, reason="percent_out_of_range", expected="a percentage from 0 to 100")
def percent(columns: Columns, settings: Percent, link: Link | None) -> Result:
    """Percentages from 0 to 100, exact."""
    made = as_decimal(columns[0])

    def check(value: Decimal) -> Decimal:
        scaled = value.scaleb(2) if settings.fraction else value
        if not 0 <= scaled <= 100:
            raise Unacceptable("expected a percentage from 0 to 100")
        return scaled

    ranged = each(money.decimal_objects(made.values), check, dtype=object)
    problems = ranged.problems if made.problems is None else made.problems.fillna(ranged.problems)
    return Result(as_decimal(ranged.values).values, problems)


class Rounded(Settings):
    """`with: {rounded: true}` where the source computes with more decimals than the currency has."""

    rounded: bool = False


@transform(
    "minor_units", inputs=2, settings=Rounded, reason="amount_not_in_currency",
    expected="an amount with the decimals of its currency",
    remedy="correct the amount or the currency at its source",
)  # fmt: skip
def minor_units(columns: Columns, settings: Rounded, link: Link | None) -> Result:
    """From [amount, currency]: integer minor units; more decimals than the currency has are refused, or rounded."""
    made = as_decimal(columns[0])
    exponents = _exponents(columns[1])
    minor, inexact = money.minor_column(made.values, exponents)
    problems = pd.Series(pd.NA, index=minor.index, dtype="string")
    if not settings.rounded:
        problems = problems.mask(inexact & exponents.notna(), "expected no more decimals than the currency has")
    problems = problems.mask(made.values.notna() & exponents.isna(), "expected an amount in a known currency")
    if made.problems is not None:
        problems = made.problems.fillna(problems)
    return Result(minor.mask(problems.notna()), problems)


@transform("amount", inputs=2, reason="amount_without_currency", expected="minor units with their currency")
def amount(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """From [minor units, currency]: the amount as an exact number; the inverse of minor_units."""
    minor = columns[0].astype("Int64")
    exponents = _exponents(columns[1])
    lost = minor.notna() & exponents.isna()
    problems = pd.Series(pd.NA, index=minor.index, dtype="string").mask(lost, "expected an amount in a known currency")
    return Result(money.amount_column(minor, exponents), problems if lost.any() else None)


@transform("number_text", reason="no_number", expected="a decimal number")
def number_text(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """Exact numbers as text, without exponent and without zeros at the end."""
    made = as_decimal(columns[0])
    return Result(as_text(made.values).values, made.problems)


@transform("boolean", reason="not_boolean", expected="true or false")
def boolean(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """True and false, from texts and 0 and 1 as well."""
    return as_boolean(columns[0])


@transform("date", reason="no_date", expected="a date YYYY-MM-DD")
def to_date(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """Posting dates from ISO dates; the day of an ISO time as it is written."""
    return as_date(columns[0])


@transform("instant_to_date", reason="no_instant", expected="a point in time with its zone")
def instant_to_date(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """The day on which an instant falls in the link's time zone."""
    if link is None:
        raise ValueError("instant_to_date needs a link: the day depends on its time zone")
    made = as_instant(columns[0])
    local = made.values.dt.tz_convert(ZoneInfo(link.time_zone)).dt.tz_localize(None)
    return Result(as_date(local).values, made.problems)


@transform("iso_instant", reason="no_instant", expected="a point in time with its zone")
def iso_instant(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """Instants as ISO 8601 text in UTC."""
    made = as_instant(columns[0])
    return Result(as_text(made.values).values, made.problems)


@transform("xero_date", reason="no_date", expected="a date of Xero, /Date(milliseconds+0000)/")
def xero_date(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """Days from Xero's `/Date(ms+0000)/` (UTC midnight is the day) and from ISO dates."""

    def parse(value: Any) -> date:
        if isinstance(value, date):
            return value if not isinstance(value, datetime) else value.date()
        if found := _XERO_DATE.match(str(value)):
            try:
                return (_EPOCH + timedelta(milliseconds=int(found[1]))).date()
            except OverflowError:
                raise Unacceptable("expected a date of Xero") from None
        try:
            return date.fromisoformat(str(value)[:10])
        except ValueError:
            raise Unacceptable("expected a date of Xero") from None

    return each(columns[0].astype(object), parse, dtype=pd.ArrowDtype(pa.date32()))


class Invert(Settings):
    """`with` the decimals that the result is rounded to."""

    places: int = 10


@transform("invert_rate", settings=Invert, reason="no_rate", expected="an exchange rate above zero")
def invert_rate(columns: Columns, settings: Invert, link: Link | None) -> Result:
    """1 / rate, for a vendor whose rates run the other way."""

    def invert(value: Decimal) -> Decimal:
        if value <= 0:
            raise Unacceptable("expected an exchange rate above zero")
        try:
            return money.inverse_rate(value, settings.places)
        except InvalidOperation:
            raise Unacceptable("expected an exchange rate whose inverse can be written") from None

    made = as_decimal(columns[0])
    turned = each(money.decimal_objects(made.values), invert, dtype=object)
    problems = turned.problems if made.problems is None else made.problems.fillna(turned.problems)
    return Result(as_decimal(turned.values).values, problems)
