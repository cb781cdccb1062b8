"""Which open invoices a payment settles: by what its reference says, by its customer and its amount. Pure functions.

A match is `certain` or it is not. Certain is what a clerk would post without asking; everything else is a suggestion
with its reason, for a person to decide: several invoices fit, a sum could fit by accident, customer and number
disagree. Nothing here posts anything.

The order of the tiers, the surest first; what an earlier one has settled is no candidate for a later one:
1. `named`: the reference holds the invoice's number (or those of several), and the amount is what they leave open.
2. `named_part`: it holds one invoice's number, and the amount is less than that leaves open.
3. `misspelt`: of the candidates with that amount exactly one has a number that is nearly in the reference.
4. `amount`: the customer has exactly one open invoice of that amount.
5. `account`: the amount is all that the customer owes.
6. `sum`: exactly one combination of the customer's invoices comes to the amount, and hardly by accident.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cached_property
from itertools import chain, combinations
from math import comb
from operator import itemgetter
from typing import NamedTuple

from rapidfuzz.distance import OSA

#: A payment may be dated this long before its invoice: dates of two systems, advance notices.
EARLIEST = timedelta(days=3)
#: Invoices of one payment that is matched by a sum, and candidates among which sums are tried.
MOST_IN_A_SUM, MOST_CANDIDATES = 4, 24
#: Greatest chance that a combination comes to the amount by accident for which it still counts as certain: the number
#: of combinations tried over the number of different amounts that they could come to.
ACCIDENT = 0.001
#: Invoice numbers shorter than this (letters and digits) are not looked for inside a text.
SHORTEST_NUMBER = 4
#: Wrong, missing or swapped characters that a misspelt number may have.
MOST_TYPOS = 2
#: Invoices that one reference may name.
MOST_NAMED = 50
#: Kinds of invoice numbers (letters and runs of digits) that are looked for in a text, the most frequent ones.
MOST_SHAPES = 20
#: Alternatives that a suggestion lists.
MOST_ALTERNATIVES = 5

_PART = re.compile(r"[A-Z]+|0")
_DIGIT_RUN = re.compile(r"\d+")
_DIGITS = re.compile(r"\d{3,}")
_NOISE = re.compile(r"[^A-Z0-9]+")
_NAMED = "it names the invoice and is what that leaves open"
_BY_DATE = itemgetter(4, 0)  # of a Payment: date, key


class OpenInvoice(NamedTuple):
    """An invoice of which something is open. `customer`: the ledger's id."""

    key: str
    customer: str
    currency: str
    open_minor: int
    number: str
    date: date


class Payment(NamedTuple):
    """Money that came in and is not set against anything. `customer` is None where the payer is not known."""

    key: str
    customer: str | None
    currency: str
    amount_minor: int
    date: date
    reference: str


class Match(NamedTuple):
    """What one payment most likely settles.

    Attributes:
        payment: its key.
        applied: (invoice's key, minor units) in order; they sum to the payment's amount or, in a suggestion, to less.
        tier: which rule; see the module.
        certain: a person need not look.
        score: 0 to 1.
        why: one sentence.
        alternatives: keys of other invoices that fit as well.
    """

    payment: str
    applied: tuple[tuple[str, int], ...]
    tier: str
    certain: bool
    score: float
    why: str
    alternatives: tuple[str, ...] = ()


def match(payments: Sequence[Payment], invoices: Sequence[OpenInvoice]) -> list[Match]:
    """At most one match for each payment; payments of which nothing can be said are left out.

    Among payments that name their invoice, and are for all that it leaves open, the first one given goes first; all
    others are taken in the order of their dates. Certain matches never apply more to an invoice than it leaves open.
    """
    books = _Books(invoices)
    found: dict[str, Match] = {}
    left_over: list[Payment] = []
    for payment in payments:
        best = books.outright(payment)
        if best is None:
            left_over.append(payment)
        else:
            books.settle(best)
            found[payment.key] = best
    rest: list[tuple[Payment, list[int]]] = []
    for payment in sorted(left_over, key=_BY_DATE):
        named = books.named(payment)
        best = books.by_name(payment, named) if named else None
        if best is not None and best.certain:
            books.settle(best)
            found[payment.key] = best
        else:
            rest.append((payment, named))
    alike = _alike(payment for payment, _ in rest)
    for payment, named in rest:
        best = books.by_amount(payment, named, alike[payment.customer, payment.currency, payment.amount_minor])
        if best is None and named:
            best = books.by_name(payment, named)
        if best is None:
            continue
        if best.certain:
            books.settle(best)
        found[payment.key] = best
    return [found[payment.key] for payment in payments if payment.key in found]


def _alike(payments: Iterable[Payment]) -> dict[tuple[str | None, str, int], int]:
    """How many payments look the same but for their date and reference."""
    counts: dict[tuple[str | None, str, int], int] = defaultdict(int)
    for payment in payments:
        counts[payment.customer, payment.currency, payment.amount_minor] += 1
    return counts


class _Books:
    """The open invoices with what is left of each, and the ways to find one."""

    def __init__(self, invoices: Sequence[OpenInvoice]) -> None:
        self.invoices = invoices
        self.left = [invoice.open_minor for invoice in invoices]
        self.plain = [_NOISE.sub("", invoice.number.upper()) for invoice in invoices]
        self.index = {invoice.key: at for at, invoice in enumerate(invoices)}
        self.as_written = {invoice.number: at for at, invoice in enumerate(invoices)}
        #: Number, letters and digits only -> the invoice that has it alone.
        self.only = {plain: at for at, plain in enumerate(self.plain) if len(plain) >= SHORTEST_NUMBER}
        self.twice: dict[str, list[int]] = {}
        if len(self.only) < len(invoices):
            for at, plain in enumerate(self.plain):
                if self.only.get(plain, at) != at:
                    self.twice.setdefault(plain, [self.only[plain]]).append(at)
            for plain, several in self.twice.items():
                del self.only[plain]
                for at in several:
                    self.as_written.pop(invoices[at].number, None)

    @cached_property
    def like_numbers(self) -> re.Pattern[str]:
        """What looks like one of the numbers, whatever stands between their parts: INV-001 finds `inv 001` too."""
        shapes = Counter(
            _DIGIT_RUN.sub("0", self.invoices[at].number.upper())
            for at in chain(self.only.values(), *self.twice.values())
        )
        patterns = [
            r"[^A-Z0-9]*".join(re.escape(part).replace("0", r"\d+") for part in _PART.findall(shape))
            for shape, _ in shapes.most_common(MOST_SHAPES)
        ]
        patterns.sort(key=len, reverse=True)
        return re.compile("|".join(patterns) or r"(?!)")

    @cached_property
    def still_open(self) -> list[int]:
        """What those that named their invoice outright have left: the tables below are made of these alone."""
        return [at for at, left in enumerate(self.left) if left > 0]

    @cached_property
    def by_digits(self) -> dict[str, list[int]]:
        """The last digits of the number, without zeros in front -> the invoices."""
        found: dict[str, list[int]] = defaultdict(list)
        for at in self.still_open:
            if digits := _DIGITS.findall(self.plain[at]):
                found[digits[-1].lstrip("0")].append(at)
        return found

    @cached_property
    def of_customer(self) -> dict[tuple[str, str], list[int]]:
        """(customer, currency) -> the invoices, oldest first."""
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at in self.still_open:
            invoice = self.invoices[at]
            found[invoice.customer, invoice.currency].append(at)
        for own in found.values():
            own.sort(key=lambda at: (self.invoices[at].date, self.invoices[at].number))
        return found

    @cached_property
    def of_amount(self) -> dict[tuple[str, int], list[int]]:
        """(currency, what is open) -> the invoices."""
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        for at in self.still_open:
            found[self.invoices[at].currency, self.left[at]].append(at)
        return found

    def settle(self, match: Match) -> None:
        """Takes what was applied off its invoices."""
        for key, minor in match.applied:
            self.left[self.index[key]] -= minor

    # -- by what the reference says ------------------------------------------------------------------------------------

    def outright(self, payment: Payment) -> Match | None:
        """The common case: it names one invoice, the amount is what that leaves open, the payer is its customer."""
        key, customer, currency, amount, _, reference = payment
        if not reference:
            return None
        at = self.as_written.get(reference)
        if at is None:
            numbers = self.like_numbers.findall(reference.upper())
            if len(numbers) != 1:
                return None
            at = self.only.get(_NOISE.sub("", numbers[0]))
            if at is None:
                return None
        invoice = self.invoices[at]
        if self.left[at] != amount or currency != invoice.currency or customer not in (None, invoice.customer):
            return None
        return Match(key, ((invoice.key, amount),), "named", True, 1.0, _NAMED)

    def named(self, payment: Payment) -> list[int]:
        """The open invoices whose number the reference holds; by its digits alone only with other support."""
        text = payment.reference.upper()
        if not text:
            return []
        hits: dict[int, None] = {}
        for number in self.like_numbers.findall(text)[:MOST_NAMED]:
            plain = _NOISE.sub("", number)
            at = self.only.get(plain)
            for one in self.twice.get(plain, ()) if at is None else (at,):
                if self.invoices[one].currency == payment.currency:
                    hits[one] = None
        return list(hits) if hits else self._by_digits(payment, text)

    def _by_digits(self, payment: Payment, text: str) -> list[int]:
        """By the digits of the number alone: of the payer's invoices, or those that come to the amount exactly."""
        hits: dict[int, None] = {}
        for digits in _DIGITS.findall(text)[:MOST_NAMED]:
            fits = [at for at in self.by_digits.get(digits.lstrip("0"), ()) if self._may_be(payment, at)]
            if len(fits) == 1:
                hits[fits[0]] = None
        if payment.customer is None and sum(self.left[at] for at in hits) != payment.amount_minor:
            return []
        return list(hits)

    def _may_be(self, payment: Payment, at: int) -> bool:
        invoice = self.invoices[at]
        return (
            self.left[at] > 0 and invoice.currency == payment.currency and payment.customer in (None, invoice.customer)
        )

    def by_name(self, payment: Payment, named: Sequence[int]) -> Match | None:
        """What the named invoices make of the payment."""
        there = [at for at in named if self.left[at] > 0]
        if not there:
            return None
        amount, total = payment.amount_minor, sum(self.left[at] for at in there)
        strangers = [at for at in there if payment.customer not in (None, self.invoices[at].customer)]
        numbers = ", ".join(self.invoices[at].number for at in there[:MOST_ALTERNATIVES])
        if strangers:
            return self._suggest(payment, there, "named", 0.8, f"it names {numbers}, which is another customer's")
        if amount == total:
            return self._certain(payment, there, "named", 1.0, f"it names {numbers} and is what they leave open")
        if len(there) == 1 and amount < total:
            return self._part(payment, there[0])
        if amount < total:
            within = [chosen for size in range(1, len(there)) for chosen in self._sums(there, size, amount)]
            if len(within) == 1 and len(there) <= MOST_CANDIDATES:
                return self._certain(payment, within[0], "named", 0.98, f"some of {numbers} come to it exactly")
        return self._suggest(
            payment, there, "named", 0.7, f"it names {numbers}; the amount is not what they leave open"
        )

    def _part(self, payment: Payment, at: int) -> Match:
        number = self.invoices[at].number
        exact = [one for one in self._candidates(payment) if self.left[one] == payment.amount_minor]
        if near := self._misspelt(payment, exact):
            # A typo may turn one customer's number into another number that exists.
            why = f"it names {number}, but {self.invoices[near[0]].number} is nearly that and leaves this amount open"
            return self._suggest(payment, [at], "named_part", 0.6, why, near)
        applied = ((self.invoices[at].key, payment.amount_minor),)
        why = f"it names {number} and is a part of what that leaves open"
        return Match(payment.key, applied, "named_part", True, 0.99, why)

    # -- by customer and amount ----------------------------------------------------------------------------------------

    def by_amount(self, payment: Payment, named: Sequence[int], alike: int) -> Match | None:
        """What customer and amount say where the reference did not decide; `alike`: payments that look the same."""
        candidates = self._candidates(payment)
        exact = [at for at in candidates if self.left[at] == payment.amount_minor]
        misspelt = self._misspelt(payment, exact) if payment.reference else []
        rivals = self._rivals(payment, named)
        if misspelt and rivals:
            # A typo may turn one number into another that exists: which of the two was meant, a person has to say.
            there, near = (self.invoices[at].number for at in (rivals[0], misspelt[0]))
            why = f"it names {there}, but {near} is nearly that and fits"
            return self._suggest(payment, rivals[:1], "named", 0.6, why, misspelt)
        if len(misspelt) == 1:
            number = self.invoices[misspelt[0]].number
            return self._certain(
                payment, misspelt, "misspelt", 0.99, f"its reference is nearly {number}, which leaves that amount open"
            )
        if payment.customer is None:
            if len(exact) == 1 and alike == 1:
                return self._suggest(
                    payment, exact, "amount", 0.5, "the amount fits one open invoice of all; the payer is unknown"
                )
            return None
        if len(exact) == 1 and alike == 1:
            return self._certain(payment, exact, "amount", 0.97, "the customer has one open invoice of this amount")
        if exact:
            return self._suggest(
                payment, exact[:1], "amount", 0.6,
                f"{len(exact)} open invoices and {alike} payments of the customer have this amount", exact[1:],
            )  # fmt: skip
        part = self._misspelt(payment, [at for at in candidates if self.left[at] > payment.amount_minor])
        if payment.reference and len(part) == 1 and not named:
            return Match(
                payment.key, ((self.invoices[part[0]].key, payment.amount_minor),), "misspelt", True, 0.97,
                f"its reference is nearly {self.invoices[part[0]].number}; it is a part of what that leaves open",
            )  # fmt: skip
        return self._by_sum(payment, candidates, named)

    def _rivals(self, payment: Payment, named: Sequence[int]) -> list[int]:
        """Named invoices that the payment could well be for: the payer's, as a part too; others' by the amount."""
        amount = payment.amount_minor
        return [
            at for at in named
            if self.left[at] == amount
            or (self.left[at] > amount and payment.customer in (None, self.invoices[at].customer))
        ]  # fmt: skip

    def _candidates(self, payment: Payment) -> list[int]:
        latest = payment.date + EARLIEST
        if payment.customer is None:
            fits: Sequence[int] = self.of_amount.get((payment.currency, payment.amount_minor), ())
        else:
            fits = self.of_customer.get((payment.customer, payment.currency), ())
        return [at for at in fits if self.left[at] > 0 and self.invoices[at].date <= latest]

    def _misspelt(self, payment: Payment, candidates: Sequence[int]) -> list[int]:
        """Those whose number stands in the reference but for typos; all equally near ones, so that one is enough."""
        text = _NOISE.sub("", payment.reference.upper())
        if not text:
            return []
        words = [_NOISE.sub("", word) for word in payment.reference.upper().split()]
        near: dict[int, int] = {}
        for at in candidates:
            plain = self.plain[at]
            if len(plain) >= SHORTEST_NUMBER:
                typos = min(OSA.distance(plain, each, score_cutoff=MOST_TYPOS) for each in (text, *words))
                if typos <= min(MOST_TYPOS, len(plain) // 3):
                    near[at] = typos
        best = min(near.values(), default=0)
        return [at for at, typos in near.items() if typos == best]

    def _by_sum(self, payment: Payment, candidates: Sequence[int], named: Sequence[int]) -> Match | None:
        amount = payment.amount_minor
        small = [at for at in candidates if self.left[at] <= amount]
        if len(small) > 1 and sum(self.left[at] for at in candidates) == amount:
            return self._certain(payment, candidates, "account", 0.98, "it is all that the customer owes")
        if not 2 <= len(small) <= MOST_CANDIDATES:
            return None
        tried, found = 0, []
        for size in range(2, min(MOST_IN_A_SUM, len(small)) + 1):
            tried += comb(len(small), size)
            found += self._sums(small, size, amount)
            if len(found) > 1:
                break
        holding = [chosen for chosen in found if set(named) <= set(chosen)] if named else found
        if len(holding) == 1 and (len(found) == 1 or named):
            numbers = ", ".join(self.invoices[at].number for at in holding[0])
            if tried / amount <= ACCIDENT or named:
                return self._certain(payment, holding[0], "sum", 0.96, f"{numbers} come to it, and nothing else does")
            return self._suggest(payment, holding[0], "sum", 0.7, f"{numbers} come to it, perhaps by accident")
        if found:
            return self._suggest(payment, found[0], "sum", 0.5, "several combinations of invoices come to it", found[1])
        return None

    def _sums(self, candidates: Sequence[int], size: int, amount: int) -> list[tuple[int, ...]]:
        """At most two combinations of that size that come to the amount: more is as good as two."""
        found: list[tuple[int, ...]] = []
        left = self.left
        # All but the last one are chosen; whether the last one is there is a look into a table.
        last: dict[int, list[int]] = defaultdict(list)
        for at, one in enumerate(candidates):
            last[left[one]].append(at)
        for chosen in combinations(range(len(candidates)), size - 1):
            rest = amount - sum(left[candidates[at]] for at in chosen)
            for at in last.get(rest, ()):
                if not chosen or at > chosen[-1]:
                    found.append((*(candidates[c] for c in chosen), candidates[at]))
                    if len(found) == 2:
                        return found
        return found

    def _certain(self, payment: Payment, chosen: Sequence[int], tier: str, score: float, why: str) -> Match:
        applied = tuple((self.invoices[at].key, self.left[at]) for at in chosen)
        return Match(payment.key, applied, tier, True, score, why)

    def _suggest(
        self, payment: Payment, chosen: Sequence[int], tier: str, score: float, why: str, others: Sequence[int] = ()
    ) -> Match:
        """Applied oldest first, as far as the money goes."""
        applied, money = [], payment.amount_minor
        for at in chosen:
            if (part := min(money, self.left[at])) > 0:
                applied.append((self.invoices[at].key, part))
                money -= part
        alternatives = tuple(self.invoices[at].key for at in others[:MOST_ALTERNATIVES])
        return Match(payment.key, tuple(applied), tier, False, score, why, alternatives)
