"""What a reconciliation says, as pages and files show it: figures of both sides, classes, roll-forward, sign-offs.

Side A is the CRM, side B the ledger; amounts are whole numbers in 10^-scale of their unit, differences are A - B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

#: Days since a break was first seen: (name, first day, last day), without overlap; None: no end.
AGE_BUCKETS: tuple[tuple[str, int, int | None], ...] = (
    ("0-30", 0, 30),
    ("31-60", 31, 60),
    ("61-90", 61, 90),
    ("over 90", 91, None),
)


def age_bucket(days: int) -> str:
    """The bucket of an age in days; what is dated after today is new."""
    return next(name for name, _, last in AGE_BUCKETS if last is None or days <= last)


def shown(amount: int, scale: int) -> str:
    """An integer in 10^-scale as an exact decimal, with thousands."""
    return f"{Decimal(amount).scaleb(-scale):,.{scale}f}"


@dataclass(frozen=True, slots=True)
class Head:
    """A report without its figures. `state`: running, tied, untied."""

    report_id: int
    link: str
    as_of: date
    known_at: datetime
    run_id: UUID
    previous_report_id: int | None
    rules_hash: str
    mapping_hash: str
    code_version: str
    state: str
    hash: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Total:
    """Both sides of one area in one currency ('' where there is none)."""

    area: str
    currency: str
    scale: int
    a_count: int
    b_count: int
    a_amount: int
    b_amount: int
    explained: int
    unexplained: int

    @property
    def difference(self) -> int:
        """A - B."""
        return self.a_amount - self.b_amount

    def text(self, amount: int) -> str:
        """An amount of this total as an exact decimal, with thousands."""
        return shown(amount, self.scale)


@dataclass(frozen=True, slots=True)
class ClassSum:
    """The items of one class in one area and currency."""

    area: str
    currency: str
    class_: str
    count: int
    amount: int
    new_count: int
    within_tolerance: int
    scale: int


@dataclass(frozen=True, slots=True)
class Roll:
    """Opening + new - cleared + changed = closing."""

    area: str
    currency: str
    opening_count: int
    opening: int
    new_count: int
    new: int
    cleared_count: int
    cleared: int
    changed: int
    closing_count: int
    closing: int
    scale: int


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed which figures; suspended where a later report of the day has others."""

    sign_off_id: int
    report_id: int
    link: str
    as_of: date
    role: str
    person: str
    hash: str
    note: str | None
    signed_at: datetime
    suspended_at: datetime | None
    suspended_by: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """One break as a list shows it. `class_` and `amount` are those of the report that was asked for."""

    break_id: int
    link: str
    area: str
    component: str
    class_: str
    currency: str
    scale: int
    amount: int
    within_tolerance: bool
    a_keys: Sequence[str]
    b_keys: Sequence[str]
    customer_id: str | None
    customer_name: str | None
    numbers: Sequence[str]
    explanation: str
    fix: str | None
    first_seen: date
    last_seen: date
    cleared_on: date | None
    reopened: int
    state: str
    owner: str | None
    reason_code: str | None
    due_on: date | None

    def age(self, day: date) -> int:
        """Days from the day it was first seen."""
        return max((day - self.first_seen).days, 0)


@dataclass(frozen=True, slots=True)
class TieOut:
    """Everything that page one says of a link on a day.

    Attributes:
        reports: of this day, newest first; `head` is one of them.
        signatures: of this day, newest first, suspended ones too.
    """

    head: Head
    totals: Sequence[Total]
    classes: Sequence[ClassSum]
    rolls: Sequence[Roll]
    signatures: Sequence[Signature] = ()
    reports: Sequence[Head] = ()

    @property
    def is_newest(self) -> bool:
        """No later report of the same day."""
        return not self.reports or self.reports[0].report_id == self.head.report_id

    @property
    def items(self) -> int:
        """How many breaks it lists."""
        return sum(one.count for one in self.classes)

    @property
    def new_items(self) -> int:
        """How many of them are new."""
        return sum(one.new_count for one in self.classes)


@dataclass(frozen=True, slots=True)
class SideRecord:
    """One source record of a break, as it was staged when the report was made; `payload` None where it is not kept."""

    system: str
    connection: str
    entity: str
    source_id: str
    version: int | None
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HappenedTo:
    """One entry of a break's history."""

    at: datetime
    actor: str
    event: str
    report_id: int | None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attachment:
    """Evidence on a break, without its content."""

    attachment_id: int
    break_id: int
    name: str
    media_type: str
    size: int
    sha256: str
    added_by: str
    added_at: datetime
