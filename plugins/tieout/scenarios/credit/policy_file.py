"""The file in which finance writes limits: read line by line, refused as a whole with each line's number and reason.

    customer,currency,limit,valid_from,shares_with
    Acme Ltd,GBP,10000.00,2026-01-01,
    Acme Leeds,,,2026-01-01,Acme Ltd

`customer` and `shares_with` are the CRM account's id, its account number, or its name where only one account has it.
A row has a limit with its currency, or names a customer above it in the CRM whose limit it shares.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from tieout.model.money import to_minor
from tieout.store.credit import MOST_ROWS, Limit

COLUMNS = ("customer", "currency", "limit", "valid_from", "shares_with")
#: Steps from a child to the account whose limit it shares: more is a circle in the CRM.
MOST_LEVELS = 50


@dataclass(frozen=True, slots=True)
class Customer:
    """An account of the CRM, as far as a limit needs it."""

    account_id: str
    name: str | None
    number: str | None
    currency: str | None
    parent_id: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line is refused."""

    line: int
    reason: str
    message: str


class _Bad(Exception):
    """One line cannot be taken."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Read:
    """What a file says: all its limits, or why it is refused."""

    limits: tuple[Limit, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def read(lines: Iterable[str], customers: Sequence[Customer], in_force: Mapping[str, Limit]) -> Read:
    """Reads a policy file.

    Args:
        lines: of the file, with the header first.
        customers: every account of the CRM.
        in_force: limits that are approved, by account id: whose limit is shared must have one, here or in the file.
    """
    rows = csv.reader(lines)
    refusals: list[Refusal] = []
    header = tuple(name.strip().lower() for name in next(_cells(rows, refusals), []))
    if header != COLUMNS:
        words = f"expected the header {','.join(COLUMNS)}; found {','.join(header)[:200] or 'nothing'}"
        return Read(refusals=(Refusal(1, "wrong_header", words),))
    book = _Customers(customers)
    limits: list[Limit] = []
    for row in _cells(rows, refusals):
        line = rows.line_num
        if not any(cell.strip() for cell in row):
            continue
        if len(limits) + len(refusals) >= MOST_ROWS:
            refusals.append(Refusal(line, "too_many_rows", f"more than {MOST_ROWS} rows; split the file"))
            break
        try:
            limits.append(_limit(row, line, book))
        except _Bad as bad:
            refusals.append(Refusal(line, bad.reason, str(bad)))
    refusals += _duplicates(limits)
    refusals += _shares(limits, book, in_force)
    refusals.sort(key=lambda one: one.line)
    return Read(refusals=tuple(refusals)) if refusals else Read(tuple(limits))


def _cells(rows: Any, refusals: list[Refusal]) -> Iterator[list[str]]:
    """The rows of a csv.reader; what is no CSV ends them with a refusal."""
    try:
        yield from rows
    except csv.Error as error:
        refusals.append(Refusal(rows.line_num, "not_csv", f"the file cannot be read as CSV from here on: {error}"))


class _Customers:
    """Accounts by what people call them."""

    def __init__(self, customers: Sequence[Customer]) -> None:
        self.by_id = {one.account_id: one for one in customers}
        self._named: dict[str, list[Customer]] = {}
        for one in customers:
            for name in {one.account_id, one.account_id[:15], one.number, (one.name or "").casefold()} - {None, ""}:
                self._named.setdefault(str(name), []).append(one)

    def find(self, name: str) -> Customer:
        found = self._named.get(name) or self._named.get(name.casefold()) or []
        if not found:
            raise _Bad("unknown_customer", f"the CRM has no customer {name!r}: neither id, number nor name")
        if len(found) > 1:
            raise _Bad("ambiguous_customer", f"{len(found)} customers are called {name!r}: give the account's id")
        return found[0]

    def is_above(self, upper: str, lower: str) -> bool:
        """Whether `upper` is a parent of `lower`, at any height."""
        here = self.by_id.get(lower)
        for _ in range(MOST_LEVELS):
            if here is None or here.parent_id is None:
                return False
            if here.parent_id == upper:
                return True
            here = self.by_id.get(here.parent_id)
        return False


def _limit(row: Sequence[str], line: int, book: _Customers) -> Limit:
    if len(row) != len(COLUMNS):
        raise _Bad("wrong_columns", f"expected {len(COLUMNS)} cells, found {len(row)}")
    name, currency, amount, day, shares = (cell.strip() for cell in row)
    if not name:
        raise _Bad("unknown_customer", "no customer is named")
    customer = book.find(name)
    try:
        valid_from = date.fromisoformat(day)
    except ValueError:
        raise _Bad("no_date", f"valid_from: expected a date YYYY-MM-DD, found {day!r}") from None
    if shares:
        if amount or currency:
            raise _Bad("limit_and_share", "a row has a limit of its own, or shares another's, not both")
        other = book.find(shares)
        if other.account_id == customer.account_id:
            raise _Bad("shares_with_itself", f"{name!r} shares its own limit: give the limit instead")
        return Limit(customer.account_id, valid_from, shares_with=other.account_id, line=line)
    return Limit(customer.account_id, valid_from, currency, _amount(amount, currency, customer), line=line)


def _amount(amount: str, currency: str, customer: Customer) -> int:
    """The limit in minor units of the customer's currency."""
    if currency != customer.currency:
        raise _Bad("limit_in_other_currency", f"the limit is in {currency or 'no currency'}; "
                                              f"the customer is in {customer.currency or 'none'}")  # fmt: skip
    try:
        minor = to_minor(Decimal(amount), currency)
    except InvalidOperation:
        raise _Bad("no_amount", f"limit: expected an amount such as 10000.00, found {amount!r}") from None
    except ValueError as error:
        raise _Bad("no_amount", f"limit: {error}") from None
    if minor < 0:
        raise _Bad("negative_limit", f"limit: expected zero or more, found {amount}")
    return minor


def _duplicates(limits: Sequence[Limit]) -> Iterator[Refusal]:
    first: dict[tuple[str, date], int] = {}
    for limit in limits:
        line = first.setdefault((limit.account_id, limit.valid_from), limit.line)
        if line != limit.line:
            words = f"line {line} has a limit of the same customer from the same day"
            yield Refusal(limit.line, "duplicate_row", words)


def _shares(limits: Sequence[Limit], book: _Customers, in_force: Mapping[str, Limit]) -> Iterator[Refusal]:
    """Shared limits belong to an account above in the CRM that has one of its own, in the same currency."""
    own = {one.account_id: one.currency for one in (*in_force.values(), *limits) if one.shares_with is None}
    for limit in limits:
        if limit.shares_with is None:
            continue
        upper, lower = book.by_id[limit.shares_with], book.by_id[limit.account_id]
        if not book.is_above(upper.account_id, lower.account_id):
            words = f"{upper.name} is not above {lower.name} in the CRM: only a parent's limit is shared"
            yield Refusal(limit.line, "not_a_parent", words)
        elif upper.account_id not in own:
            yield Refusal(limit.line, "no_limit_to_share", f"{upper.name} has no limit of its own")
        elif own[upper.account_id] != lower.currency:
            words = f"the limit of {upper.name} is in {own[upper.account_id]}; {lower.name} is in {lower.currency}"
            yield Refusal(limit.line, "limit_in_other_currency", words)
