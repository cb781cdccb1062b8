"""What the CRM is to show of one account's credit, or why nothing can be said. Pure: from the book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.credit.balances import RateUnknown, balance, rates_in_words
from tieout.scenarios.credit.ledger_book import Book
from tieout.scenarios.credit.policy import Shared


@dataclass(frozen=True, slots=True)
class Position:
    """One account's credit in minor units of `currency`.

    Attributes:
        limit_minor: of the account, or the one that it shares; None where it has none.
        open_minor, overdue_minor: the account's own.
        available_minor: the limit less what all who share it owe; below zero when they owe more.
        rates: the rates that were used, in words; None where nothing was converted.
    """

    currency: str
    limit_minor: int | None
    open_minor: int
    overdue_minor: int
    available_minor: int | None
    rates: str | None

    def shown(self) -> dict[str, int | str | None]:
        """The common fields of `credit` but for the time."""
        return {
            "credit_limit_minor": self.limit_minor, "open_balance_minor": self.open_minor,
            "overdue_minor": self.overdue_minor, "available_minor": self.available_minor,
            "credit_currency": self.currency, "credit_rates": self.rates,
        }  # fmt: skip


def position(book: Book, account_id: str, currency: str, currencies: Mapping[str, str]) -> Position | Hold | None:
    """The account's position; None where there is nothing to say: no limit, and no customer in the ledger.

    Args:
        currency: the account's.
        currencies: account id -> currency, of every account of the CRM; who is not in it is gone or cannot be read.
    """
    shared = book.policy.limits.get(account_id)
    if shared is None and account_id not in book.customers:
        return None
    if (doubt := book.doubt_of(account_id)) is not None:
        return _doubtful(account_id, *doubt)
    try:
        own = balance(book.items_of(account_id), currency, book.today, book.rates)
        if shared is None:
            words = rates_in_words(currency, own.converted, book.rates)
            return Position(currency, None, own.open_minor, own.overdue_minor, None, words)
        if shared.currency != currency:
            return Hold(
                "limit_in_other_currency", f"its limit is in {shared.currency} and the account is in {currency}",
                f"a limit in {currency}", shared.currency,
                "propose a limit in the account's currency, or correct the account's currency in the CRM",
            )  # fmt: skip
        owed = _owed_by_all(book, shared, currencies)
        if isinstance(owed, Hold):
            return owed
        minor, converted = owed
        words = rates_in_words(currency, converted, book.rates)
    except RateUnknown as error:
        return Hold(
            "rate_unknown", str(error), "a document of the ledger, or a dated rate of the CRM, in that currency",
            "none", "enter the rate in the CRM, or wait for the ledger's first document in that currency",
        )  # fmt: skip
    return Position(
        currency, shared.limit_minor, own.open_minor, own.overdue_minor, shared.limit_minor - minor, words
    )  # fmt: skip


def _owed_by_all(book: Book, shared: Shared, currencies: Mapping[str, str]) -> tuple[int, tuple[str, ...]] | Hold:
    """What all who share a limit owe, in its currency, and the currencies that it was converted from."""
    minor, converted = 0, set[str]()
    for member in shared.members:
        if (doubt := book.doubt_of(member)) is not None:
            return _doubtful(member, *doubt)
        other = currencies.get(member)
        if other is not None and other != shared.currency:
            return Hold(
                "limit_in_other_currency", f"account {member} shares a limit in {shared.currency} and is in {other}",
                f"accounts in {shared.currency}", other, "give that account a limit of its own",
            )  # fmt: skip
        theirs = balance(book.items_of(member), shared.currency, book.today, book.rates)
        minor += theirs.open_minor
        converted |= set(theirs.converted)
    return minor, tuple(sorted(converted))


def differs(wanted: Mapping[str, object], row: Row) -> dict[str, tuple[object, object]]:
    """field -> (finance's value, what the CRM shows), where the two are not the same."""
    return {name: (value, row.get(name)) for name, value in wanted.items() if value != row.get(name)}


def _doubtful(account_id: str, reason: str, message: str) -> Hold:
    return Hold(
        reason, f"the balance of account {account_id} cannot be relied on: {message}",
        "documents whose figures agree", message,
        "it is read again with the next run; when it stays, look at the document in the ledger",
    )  # fmt: skip
