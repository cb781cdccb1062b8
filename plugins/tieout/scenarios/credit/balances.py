"""What a customer owes, and what is left of its limit: pure arithmetic in minor units, no I/O.

Amounts of one currency are added exactly; the sum of each is converted once, rounded half away from zero, at the rate
that is shown. Where the documents come from is in ledger_book.py, what they are held against in policy.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from tieout.model.money import exponent


class RateUnknown(ValueError):
    """There is no rate for a currency; the message names it."""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """One document of the ledger that is not settled.

    Attributes:
        document_id: the ledger's.
        customer_id: the ledger's.
        open_minor: what is still due, in minor units of `currency`; below zero for credit that is not set against
            anything yet.
        due_date: None for a credit.
        is_draft: not approved yet: nobody owes it, but it will be owed.
    """

    document_id: str
    customer_id: str
    currency: str
    open_minor: int
    due_date: date | None = None
    is_draft: bool = False


@dataclass(frozen=True)
class Rates:
    """Units of each currency for one unit of the base currency; the base itself is 1."""

    base: str
    per_base: Mapping[str, Decimal] = field(default_factory=dict)

    def of(self, currency: str) -> Decimal:
        """Raises RateUnknown."""
        if currency == self.base:
            return Decimal(1)
        rate = self.per_base.get(currency)
        if rate is None or rate <= 0:
            raise RateUnknown(f"there is no rate from {self.base} to {currency}")
        return rate

    def convert(self, minor: int, source: str, target: str) -> int:
        """Minor units of `target`, rounded once, half away from zero. Raises RateUnknown."""
        if source == target or minor == 0:
            return minor
        exact = Fraction(minor) * Fraction(self.of(target)) / Fraction(self.of(source))
        exact *= Fraction(10) ** (exponent(target) - exponent(source))
        whole, rest = divmod(abs(exact.numerator), exact.denominator)
        rounded = whole + (2 * rest >= exact.denominator)
        return rounded if exact >= 0 else -rounded


@dataclass(frozen=True, slots=True)
class Balance:
    """What one customer owes, in minor units of `currency`.

    Attributes:
        open_minor: what is due on approved invoices, less credit that is left.
        overdue_minor: the part of the invoices whose due date is over; credit that is left lowers nothing here.
        draft_minor: invoices that nobody approved yet; not part of `open_minor`.
        converted: the currencies other than `currency` in which it owes.
    """

    currency: str
    open_minor: int = 0
    overdue_minor: int = 0
    draft_minor: int = 0
    converted: tuple[str, ...] = ()


def balance(items: Iterable[OpenItem], currency: str, today: date, rates: Rates) -> Balance:
    """The balance of one customer's documents in one currency.

    Args:
        today: in the link's time zone; an invoice is overdue from the day after its due date.

    Raises:
        RateUnknown: a document is in a currency that cannot be converted.
    """
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for item in items:
        of_currency = sums[item.currency]
        if item.is_draft:
            of_currency[2] += item.open_minor
            continue
        of_currency[0] += item.open_minor
        if item.due_date is not None and item.due_date < today:
            of_currency[1] += item.open_minor
    totals = [0, 0, 0]
    for source, parts in sums.items():
        for place, minor in enumerate(parts):
            totals[place] += rates.convert(minor, source, currency)
    others = tuple(sorted(source for source in sums if source != currency))
    return Balance(currency, totals[0], totals[1], totals[2], others)


def rates_in_words(currency: str, converted: Iterable[str], rates: Rates) -> str | None:
    """`GBP 1 = EUR 1.17, GBP 1 = USD 1.27`: every rate that went into a balance; None where nothing was converted."""
    used = sorted({currency, *converted} - {rates.base}) if tuple(converted) else []
    return ", ".join(f"{rates.base} 1 = {one} {_plain(rates.of(one))}" for one in used) or None


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
