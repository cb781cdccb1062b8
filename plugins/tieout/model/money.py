"""Minor units, the one place where money is rounded, apportioning. Exact throughout: no float passes through here.

Rounding is half away from zero, because Xero computes so: it rounds each line's amount and each line's tax to the
currency's decimals and sums the rounded figures (developer.xero.com, "Rounding in Xero"); its community managers give
2.165 -> 2.17 and 2.164 -> 2.16. That negative amounts mirror positive ones (-2.165 -> -2.17) is an assumption.

Frames hold amounts as nullable Int64 in minor units, prices and rates as pyarrow decimal128. pandas and pyarrow are
imported inside the functions, so that a DAG file may import this module. Which currency a row has is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# decimal calls half away from zero ROUND_HALF_UP, pyarrow half_towards_infinity.
_ROUNDING = ROUND_HALF_UP
_ARROW_ROUNDING = "half_towards_infinity"
# As many digits as decimal256 holds: nothing of ours comes near it, and what does is an error, not a rounded figure.
_EXACT = Context(prec=76, rounding=_ROUNDING, traps=[InvalidOperation])
_MAX_MINOR = 2**63 - 1

# ISO 4217 where CLDR (babel) counts the decimals in daily use instead of those of the books.
_ISO_EXPONENTS = {
    "AFN": 2, "ALL": 2, "IQD": 3, "IRR": 2, "KPW": 2, "LAK": 2, "LBP": 2, "MGA": 2, "MMK": 2, "RSD": 2, "SOS": 2,
    "SYP": 2, "YER": 2,
}  # fmt: skip
# ISO 4217 codes without minor units: metals, funds, testing.
_NO_MONEY = frozenset({"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"})


@lru_cache(maxsize=512)
def exponent(currency: str) -> int:
    """Decimals of a currency: 2 for EUR, 0 for JPY, 3 for KWD.

    Args:
        currency: ISO 4217 code in capitals, of a currency in use.

    Raises:
        ValueError: there is no such currency.
    """
    import pycountry
    from babel.numbers import get_currency_precision

    known = isinstance(currency, str) and pycountry.currencies.get(alpha_3=currency)
    # pycountry matches without regard to case; the books do not.
    if not known or known.alpha_3 != currency or currency in _NO_MONEY:
        raise ValueError(f"expected an ISO 4217 currency code such as EUR, found {currency!r}")
    return _ISO_EXPONENTS.get(currency, int(get_currency_precision(currency)))


def to_minor(amount: Decimal, currency: str) -> int:
    """Minor units of an amount that has no more decimals than its currency: 12.30 EUR -> 1230.

    Raises:
        ValueError: more decimals than the currency has (use `round_to_minor`), no finite number, or no such currency.
    """
    minor = round_to_minor(amount, currency)
    if from_minor(minor, currency) != amount:
        raise ValueError(f"expected at most {exponent(currency)} decimals for {currency}, found {amount}")
    return minor


def round_to_minor(amount: Decimal, currency: str) -> int:
    """Minor units of an amount, rounded half away from zero.

    Raises:
        ValueError: no finite number, beyond 64 bits, or no such currency.
    """
    if not isinstance(amount, Decimal) or not amount.is_finite():
        raise ValueError(f"expected a finite Decimal, found {amount!r}")
    try:
        scaled = _EXACT.scaleb(amount, exponent(currency))
        minor = int(_EXACT.quantize(scaled, Decimal(1)))
    except InvalidOperation as error:
        raise ValueError(f"amount {amount} {currency} has more digits than money can have here") from error
    if abs(minor) > _MAX_MINOR:
        raise ValueError(f"amount {amount} {currency} is beyond 64 bits of minor units")
    return minor


def from_minor(minor: int, currency: str) -> Decimal:
    """The amount with all its decimals: 1230 EUR -> Decimal('12.30')."""
    return Decimal(minor).scaleb(-exponent(currency), _EXACT)


def line_net(quantity: Decimal, unit_price: Decimal, discount_percent: Decimal | None, currency: str) -> int:
    """Net amount of one document line in minor units, rounded once; `line_net_minor` does it for columns.

    Raises:
        ValueError: as `round_to_minor`.
    """
    return round_to_minor(_line_product(quantity, unit_price, discount_percent), currency)


def line_amount(quantity: Decimal, unit_price: Decimal, discount_percent: Decimal | None, decimals: int) -> Decimal:
    """Net amount of one document line with so many decimals, for a system that does not round by the currency.

    Raises:
        ValueError: more digits than money can have here.
    """
    product = _line_product(quantity, unit_price, discount_percent)
    try:
        return _EXACT.quantize(product, Decimal(1).scaleb(-decimals))
    except InvalidOperation as error:
        raise ValueError(f"amount {product} has more digits than money can have here") from error


def _line_product(quantity: Decimal, unit_price: Decimal, discount_percent: Decimal | None) -> Decimal:
    factor = _EXACT.subtract(Decimal(100), discount_percent or Decimal(0))
    return _EXACT.scaleb(_EXACT.multiply(_EXACT.multiply(quantity, unit_price), factor), -2)


def inverse_rate(rate: Decimal, places: int) -> Decimal:
    """1 / rate, rounded to so many decimals: a rate in the other direction."""
    return _EXACT.quantize(_EXACT.divide(Decimal(1), rate), Decimal(1).scaleb(-places))


def apportion(total_minor: int, weights: Sequence[Decimal | int]) -> list[int]:
    """Divides an amount by weights so that the parts sum to it exactly (largest remainder).

    A heavier weight wins a tie of remainders, then the earlier place; so the same weights in another order give each
    weight the same part, up to the order among equal weights.

    Args:
        total_minor: may be negative.
        weights: at least one, none negative, not all zero.

    Returns:
        One part for each weight, in their order, with the sign of the total; a zero weight gets zero.

    Raises:
        ValueError: weights that break the rules above.
    """
    from fractions import Fraction

    exact = [Fraction(weight) for weight in weights]
    whole = sum(exact)
    if whole <= 0 or min(exact) < 0:
        raise ValueError(f"expected weights of at least zero with a sum above zero, found {list(weights)}")
    shares = [abs(total_minor) * weight / whole for weight in exact]
    parts = [int(share) for share in shares]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - shares[i], -exact[i], i))
    for i in order[: abs(total_minor) - sum(parts)]:
        parts[i] += 1
    return parts if total_minor >= 0 else [-part for part in parts]


def proportion(amount_minor: int, part: Decimal, whole: Decimal) -> int:
    """The share of an amount, rounded once: 2 of 3 pieces of 10.00 are 6.67. A negative amount mirrors a positive one.

    Raises:
        ValueError: `whole` is not above zero.
    """
    from fractions import Fraction

    if whole <= 0:
        raise ValueError(f"expected a whole above zero, found {whole}")
    share = int(Fraction(abs(amount_minor)) * Fraction(part) / Fraction(whole) + Fraction(1, 2))
    return share if amount_minor >= 0 else -share


def tax_minor(net_minor: pd.Series[Any] | int, rate_percent: pd.Series[Any] | Decimal) -> Any:
    """Tax on a rounded net amount, rounded once: int for two plain numbers, else an Int64 Series.

    Args:
        net_minor: minor units.
        rate_percent: 20 for 20 %; a Series (of Decimals or decimal128) or one rate for all rows.
    """
    import pandas as pd

    if not isinstance(net_minor, pd.Series):
        if isinstance(rate_percent, pd.Series):
            raise TypeError("one net amount with a Series of rates: give both as Series")
        return int(_EXACT.quantize(_EXACT.scaleb(_EXACT.multiply(Decimal(net_minor), rate_percent), -2), Decimal(1)))
    rates = rate_percent if isinstance(rate_percent, pd.Series) else pd.Series([rate_percent] * len(net_minor))
    product = _product(_arrow_decimal(net_minor), _arrow_decimal(rates))
    minor = _whole(_shift(product, 2), 0)
    return _int64(minor, net_minor.index)


def line_net_minor(
    quantity: pd.Series[Any],
    unit_price: pd.Series[Any],
    discount_percent: pd.Series[Any] | None,
    exponents: pd.Series[Any] | int,
) -> pd.Series[Any]:
    """Net amount of document lines: quantity x unit price x (1 - discount), each line rounded once.

    Args:
        quantity, unit_price: Decimals or decimal128; null where either is null.
        discount_percent: 15 for 15 %, null means none; None when no line has any.
        exponents: decimals of each line's currency (`exponent`), or one for all.

    Returns:
        Int64 minor units on the index of `quantity`.

    Raises:
        ValueError: a product beyond 76 digits, or an amount beyond 64 bits.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    factors = [_arrow_decimal(quantity), _arrow_decimal(unit_price)]
    percent = 0
    if discount_percent is not None:
        discount = pc.fill_null(_arrow_decimal(discount_percent), Decimal(0))
        factors.append(pc.subtract(pa.scalar(Decimal(100)).cast(pa.decimal256(4, 0)), discount.cast(_wide(discount))))
        percent = 2
    product = _shift(_product(*factors), percent)
    return _per_exponent(quantity.index, exponents, lambda rows, decimals: _whole(_take(product, rows), decimals))


def minor_column(amounts: pd.Series[Any], exponents: pd.Series[Any] | int) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Amounts in minor units, and where they had to be rounded.

    Args:
        amounts: Decimals or decimal128.
        exponents: decimals of each row's currency, or one for all; null gives null.

    Returns:
        Int64 minor units, rounded half away from zero; boolean, True where decimals were lost.
    """
    import pandas as pd
    import pyarrow.compute as pc

    values = _arrow_decimal(amounts)
    minor = _per_exponent(amounts.index, exponents, lambda rows, decimals: _whole(_take(values, rows), decimals))
    back = _arrow_decimal(amount_column(minor, exponents))
    same = pc.fill_null(pc.equal(back.cast(_wide(back)), values.cast(_wide(values))), True)
    return minor, pd.Series(pc.invert(same).to_pandas().to_numpy(dtype=bool), index=amounts.index)


def amount_column(minor: pd.Series[Any], exponents: pd.Series[Any] | int) -> pd.Series[Any]:
    """decimal128(38, 4) amounts of Int64 minor units; the inverse of `minor_column`."""
    import pandas as pd
    import pyarrow as pa

    def scaled(rows: Any, decimals: int) -> Any:
        return _shift(_take(_arrow_decimal(minor), rows), decimals).cast(pa.decimal128(38, 4))

    pieces = _by_exponent(minor.index, exponents, scaled, pa.decimal128(38, 4))
    return pd.Series(pieces, index=minor.index, dtype=pd.ArrowDtype(pa.decimal128(38, 4)))


def decimal_column(values: pd.Series[Any], scale: int | None = None) -> pd.Series[Any]:
    """The same numbers as decimal128(38, scale); the scale is that of the values unless one is named.

    Args:
        values: Decimals, ints or None in an object Series, an integer Series, or any decimal Series; never floats.

    Raises:
        ValueError: more than 38 digits, or decimals beyond `scale`.
        TypeError: floats or text among the values.
    """
    import pandas as pd
    import pyarrow as pa

    exact = _arrow_decimal(values)
    kind = pa.decimal128(38, exact.type.scale if scale is None else scale)
    try:
        return pd.Series(pd.arrays.ArrowExtensionArray(exact.cast(kind)), index=values.index)
    except pa.ArrowInvalid as error:
        raise ValueError(f"expected numbers of at most 38 digits and {kind.scale} decimals: {error}") from error


def decimal_objects(values: pd.Series[Any]) -> pd.Series[Any]:
    """The same numbers as plain Decimals (None for null) in an object Series."""
    import pandas as pd

    return pd.Series(_arrow_decimal(values).to_pylist(), index=values.index, dtype=object)


# Below: pyarrow arrays. Every array has the narrowest precision that its values need, because a product's precision is
# the sum of its factors' (plus one each) and pyarrow refuses what could exceed 38 (decimal128) or 76 (decimal256).


def _arrow_decimal(values: pd.Series[Any]) -> Any:
    import pyarrow as pa

    if values.dtype.kind == "f" and not values.isna().all():
        raise TypeError("expected exact numbers, found floats")
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ValueError(f"expected finite decimal numbers: {error}") from error
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_null(array.type) or pa.types.is_floating(array.type):
        return pa.nulls(len(array), pa.decimal128(1, 0))
    if pa.types.is_integer(array.type):
        array = array.cast(pa.decimal128(20, 0))
    if not pa.types.is_decimal(array.type):
        raise TypeError(f"expected exact numbers, found {array.type}")
    return array


def _fit(array: Any) -> Any:
    """The same values in the narrowest type: trailing zeros beyond need and leading room are given up."""
    import pyarrow as pa
    import pyarrow.compute as pc

    low, high = (value for value in pc.min_max(array).as_py().values())
    if low is None:
        return array.cast(pa.decimal128(1, 0))
    scale = array.type.scale
    if array.type.precision > 18:
        scale = _needed_scale(array)
    digits = max(
        len(Decimal(value).scaleb(scale, _EXACT).to_integral_value().as_tuple().digits) for value in (low, high)
    )
    precision = max(digits, scale, 1)
    kind = pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return array.cast(kind)


def _needed_scale(array: Any) -> int:
    import pyarrow as pa

    low, high = 0, array.type.scale
    while low < high:
        middle = (low + high) // 2
        try:
            array.cast(pa.decimal256(76, middle) if array.type.precision > 38 else pa.decimal128(38, middle))
            high = middle
        except pa.ArrowInvalid:
            low = middle + 1
    return low


def _wide(array: Any) -> Any:
    import pyarrow as pa

    return pa.decimal256(min(76, array.type.precision + 1), array.type.scale)


def _product(*factors: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    fitted = [_fit(factor) for factor in factors]
    # One more digit for each multiplication and one that rounding may carry into.
    digits = sum(factor.type.precision for factor in fitted) + len(fitted)
    if digits > 76:
        raise ValueError(f"a product of {digits} digits is beyond exact arithmetic (76)")
    if digits > 38:
        fitted = [factor.cast(pa.decimal256(factor.type.precision, factor.type.scale)) for factor in fitted]
    product = fitted[0]
    for factor in fitted[1:]:
        product = pc.multiply(product, factor)
    return product


def _shift(array: Any, places: int) -> Any:
    """The values divided by 10^places, by another reading of the same integers."""
    import pyarrow as pa

    if places == 0:
        return array
    scale = array.type.scale + places
    precision = max(array.type.precision, scale)
    kind = pa.decimal128(precision, scale) if pa.types.is_decimal128(array.type) else pa.decimal256(precision, scale)
    return pa.Array.from_buffers(kind, len(array), array.buffers(), offset=array.offset)


def _whole(array: Any, decimals: int) -> Any:
    """int64 of the values times 10^decimals, rounded. The only rounding of columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    room = min(76, array.type.precision + decimals + 1)
    wide = pa.decimal256(room, array.type.scale) if room > 38 else pa.decimal128(room, array.type.scale)
    rounded = pc.round(array.cast(wide), ndigits=decimals, round_mode=_ARROW_ROUNDING)
    scale = array.type.scale
    try:
        exact = rounded.cast(pa.decimal256(76, decimals)) if scale != decimals else rounded
        return _shift(exact, -decimals).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise ValueError(f"an amount is beyond 64 bits of minor units: {error}") from error


def _take(array: Any, rows: Any) -> Any:
    return array if rows is None else array.take(rows)


def _by_exponent(index: Any, exponents: pd.Series[Any] | int, piece: Callable[[Any, int], Any], kind: Any) -> Any:
    """One array over all rows from a function of (rows or None, decimals); rows without decimals are null."""
    import numpy as np
    import pyarrow as pa

    if isinstance(exponents, int):
        return piece(None, exponents)
    found = exponents.dropna().unique()
    if len(found) == 1 and not exponents.isna().any():
        return piece(None, int(found[0]))
    parts, places = [], []
    for decimals in found:
        rows = np.flatnonzero((exponents == decimals).fillna(False).to_numpy(dtype=bool))
        parts.append(piece(pa.array(rows), int(decimals)))
        places.append(rows)
    where = np.full(len(index), -1)
    at = np.concatenate(places) if places else np.array([], dtype=int)
    where[at] = np.arange(len(at))
    joined = pa.chunked_array(parts, type=kind).combine_chunks()
    return joined.take(pa.array(where, mask=where < 0))


def _per_exponent(index: Any, exponents: pd.Series[Any] | int, piece: Callable[[Any, int], Any]) -> pd.Series[Any]:
    import pyarrow as pa

    return _int64(_by_exponent(index, exponents, piece, pa.int64()), index)


def _int64(array: Any, index: Any) -> pd.Series[Any]:
    import pandas as pd
    import pyarrow.compute as pc

    values = pc.fill_null(array, 0).to_numpy()
    missing = pc.is_null(array).to_numpy(zero_copy_only=False)
    return pd.Series(pd.arrays.IntegerArray(values.copy(), missing), index=index)
