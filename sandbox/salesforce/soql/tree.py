"""The tree of a SOQL query. Columns are counted from 1 and are there for messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Literal as Word


@dataclass(frozen=True, slots=True)
class Path:
    """`Account.Owner.Name`."""

    parts: tuple[str, ...]
    column: int = 0


@dataclass(frozen=True, slots=True)
class Literal:
    """A value. For `dateliteral` the value is (name, n or None)."""

    kind: Word["string", "number", "date", "datetime", "boolean", "null", "dateliteral"]
    value: Any


@dataclass(frozen=True, slots=True)
class Compare:
    path: Path
    operator: str  # = != < <= > >= like
    value: Literal


@dataclass(frozen=True, slots=True)
class In:
    path: Path
    negated: bool
    values: tuple[Literal, ...] | Query


@dataclass(frozen=True, slots=True)
class Junction:
    """All (`and`) or at least one (`or`) of the parts hold."""

    word: str
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


Condition = Compare | In | Junction | Not


@dataclass(frozen=True, slots=True)
class CountAll:
    """`COUNT()`."""


@dataclass(frozen=True, slots=True)
class AllFields:
    """`FIELDS(ALL)`; kind is all, standard or custom."""

    kind: str


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`SUM(Amount) total`; function is count, count_distinct, sum, min, max or avg."""

    function: str
    path: Path
    alias: str | None


@dataclass(frozen=True, slots=True)
class Sort:
    path: Path
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT."""

    select: tuple[Path | CountAll | AllFields | Aggregate | Query, ...]
    source: str
    column: int
    alias: str | None = None
    where: Condition | None = None
    group: tuple[Path, ...] = ()
    order: tuple[Sort, ...] = ()
    limit: int | None = None
    offset: int = 0
