"""Many numbers in the binary form of NUMERIC at once.

It is: how many digits to the base 10,000, the power of the first, a sign, the decimal places, the digits, each in two
bytes; zeros before and behind are left out. Ordinary amounts are made by numpy, all in a few calls, the others by
psycopg one by one; tests/unit/store/test_staging_numerics.py compares both.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import compress

import psycopg
from psycopg.adapt import PyFormat

#: So few are not worth importing numpy for.
FEW = 100
#: Within these the digits are an int64, and those after the point too when they are filled up to whole groups.
_MOST_DIGITS, _MOST_PLACES = 18, 16
_BASE, _WHOLE_GROUPS, _PLACE_GROUPS = 10_000, 5, 4
_NEGATIVE = 0x4000

_dumper = psycopg.adapters.get_dumper(Decimal, PyFormat.BINARY)(Decimal)


def numerics(texts: Sequence[str]) -> list[bytes]:
    """The numbers, which are written in plain digits."""
    if len(texts) <= FEW:
        return list(map(_numeric, texts))
    places = [len(text) - 1 - at if (at := text.find(".")) >= 0 else 0 for text in texts]
    bare = [text.replace(".", "") for text in texts]
    if max(map(len, bare)) <= _MOST_DIGITS and max(places) <= _MOST_PLACES:
        return _at_once(bare, places)
    fits = [len(text) <= _MOST_DIGITS and place <= _MOST_PLACES for text, place in zip(bare, places, strict=True)]
    made = iter(_at_once(list(compress(bare, fits)), list(compress(places, fits))))
    return [next(made) if one else _numeric(text) for text, one in zip(texts, fits, strict=True)]


def _numeric(text: str) -> bytes:
    return bytes(_dumper.dump(Decimal(text)) or b"")


def _at_once(bare: Sequence[str], places: Sequence[int]) -> list[bytes]:
    """The numbers whose digits these are, with so many of them after the point."""
    import numpy as np

    scale = np.array(places, dtype=np.int64)
    digits = np.array(bare, dtype=f"S{_MOST_DIGITS}").astype(np.int64)
    power = 10 ** np.arange(_MOST_PLACES + 1, dtype=np.int64)
    whole, rest = np.divmod(np.abs(digits), power[scale])
    rest *= power[_MOST_PLACES - scale]
    form = np.zeros((len(bare), 4 + _WHOLE_GROUPS + _PLACE_GROUPS), dtype=">i2")
    groups = form[:, 4:]
    for number, part in ((_WHOLE_GROUPS, whole), (_PLACE_GROUPS, rest)):
        for group in range(number):
            at = group if part is whole else _WHOLE_GROUPS + group
            groups[:, at] = part // power[4 * (number - 1 - group)] % _BASE
    filled = groups != 0
    some = filled.any(axis=1)
    first = np.where(some, filled.argmax(axis=1), 0)
    count = np.where(some, groups.shape[1] - filled[:, ::-1].argmax(axis=1) - first, 0)
    form[:, 0] = count
    form[:, 1] = np.where(some, _WHOLE_GROUPS - 1 - first, 0)
    form[:, 2] = np.where(digits < 0, _NEGATIVE, 0)
    form[:, 3] = scale
    place = np.arange(groups.shape[1])
    kept = np.ones(form.shape, dtype=bool)
    kept[:, 4:] = (place >= first[:, None]) & (place < (first + count)[:, None])
    ends = np.cumsum(8 + 2 * count).tolist()
    made = form[kept].tobytes()
    return [made[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
