"""The words in which limits are stated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["foreign_per_base", "base_per_foreign"]


@dataclass(frozen=True, slots=True)
class Limit:
    """What one native field takes; None where the vendor states nothing.

    Attributes:
        length: greatest number of UTF-16 units of a text.
        precision: greatest number of decimals of a number.
        rate: it is an exchange rate of this direction.
        required: a new document needs it.
        read_only: the vendor computes it; writing it is ignored or refused.
    """

    length: int | None = None
    precision: int | None = None
    rate: Direction | None = None
    required: bool = False
    read_only: bool = False


def texts(length: int, *names: str, required: bool = False) -> dict[str, Limit]:
    return {name: Limit(length=length, required=required) for name in names}


def plain(*names: str, required: bool = False) -> dict[str, Limit]:
    return {name: Limit(required=required) for name in names}


def computed(*names: str) -> dict[str, Limit]:
    return {name: Limit(read_only=True) for name in names}


def numbers(precision: int, *names: str) -> dict[str, Limit]:
    return {name: Limit(precision=precision) for name in names}
