"""Many amounts at once come out as psycopg writes each of them."""

from __future__ import annotations

import random
from decimal import Decimal

import psycopg
import pytest
from psycopg.adapt import PyFormat

from tieout.store.staging_numerics import FEW, numerics

DUMPER = psycopg.adapters.get_dumper(Decimal, PyFormat.BINARY)(Decimal)


def written(rng: random.Random, most_digits: int) -> str:
    """A number in plain digits: short and long ones, zeros before and behind, with and without a point."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, most_digits)))
    places = rng.choice((0, 0, 1, 2, 2, 4, 9, len(digits) - 1))
    text = f"{digits[:-places] or '0'}.{digits[-places:]}" if 0 < places < len(digits) else digits
    return ("-" if rng.random() < 0.3 and text.strip("0.") else "") + text


@pytest.mark.parametrize("most_digits", [3, 9, 16, 40])
def test_many_numbers_at_once_are_what_psycopg_makes_of_each(most_digits: int) -> None:
    rng = random.Random(most_digits)
    edges = ["0", "0.00", "1", "10000", "9999.9999", "0.0001", "100000000", "-0.5", "999999999999999999"]
    texts = [written(rng, most_digits) for _ in range(20 * FEW)] + edges
    assert numerics(texts) == [bytes(DUMPER.dump(Decimal(text)) or b"") for text in texts]
