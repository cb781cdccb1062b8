"""A year of invoices and of the money that came in for them, with the truth: which payment was for which invoices.

Seeded. Nothing of the matching is used to make it. The mix is what accounts-receivable clerks know: most payments name
their invoice, some with a typo or by its digits alone, some name nothing, some are parts, some settle several
invoices, a few are for nothing that was billed; three payers in a hundred cannot be told from the bank's line.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

from tieout.reconcile.payments import OpenInvoice, Payment

BEGIN = date(2025, 1, 1)
PRICES = (995, 1450, 1999, 2500, 4900, 7550, 9900, 12500, 19900, 34900, 59900, 99000)
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


@dataclass(frozen=True, slots=True)
class Remittances:
    """What was billed, what was paid, and what was meant: payment -> the invoices it was for (none: for nothing)."""

    invoices: list[OpenInvoice]
    payments: list[Payment]
    meant: dict[str, frozenset[str]]


def remittances(payments: int, seed: int = 1) -> Remittances:
    """About that many payments."""
    rng = random.Random(seed)
    invoices = _billed(rng, round(payments * 1.12))
    groups = _paid_together(rng, invoices)
    made: list[Payment] = []
    meant: dict[str, frozenset[str]] = {}
    for group in groups:
        if len(made) >= payments:
            break
        for payment in _paid(rng, group, len(made)):
            made.append(payment)
            meant[payment.key] = frozenset(one.key for one in group)
    for _ in range(round(payments * 0.01)):
        stray = _stray(rng, rng.choice(invoices), len(made))
        made.append(stray)
        meant[stray.key] = frozenset()
    rng.shuffle(made)
    return Remittances(invoices, made, meant)


def _billed(rng: random.Random, count: int) -> list[OpenInvoice]:
    customers = max(count // 14, 1)
    monthly = {c: rng.choice(PRICES) * rng.randint(1, 9) for c in range(customers) if rng.random() < 0.04}
    invoices = []
    for number in range(count):
        customer = rng.randrange(customers)
        amount = monthly.get(customer) or sum(rng.choice(PRICES) * rng.randint(1, 12) for _ in range(rng.randint(1, 5)))
        if customer not in monthly:
            amount = round(amount * rng.choice((1.0, 1.2, 1.19, 1.055)) * (1 - rng.choice((0, 0, 0.02, 0.05))))
        day = BEGIN + timedelta(days=number * 365 // count)
        currency = "EUR" if customer % 5 else "GBP"
        invoices.append(OpenInvoice(f"i{number}", f"c{customer}", currency, amount, f"INV-{number + 100_000:07}", day))
    return invoices


def _paid_together(rng: random.Random, invoices: list[OpenInvoice]) -> list[list[OpenInvoice]]:
    """Each customer's invoices in the groups in which they are paid, in the order of time; nine in ten are paid."""
    of_customer: dict[str, list[OpenInvoice]] = defaultdict(list)
    for invoice in invoices:
        of_customer[invoice.customer].append(invoice)
    groups = []
    for own in of_customer.values():
        at = 0
        while at < len(own):
            size = rng.randint(2, 4) if rng.random() < 0.05 else 1
            if rng.random() < 0.93:
                groups.append(own[at : at + size])
            at += size
    groups.sort(key=lambda group: group[-1].date)
    return groups


def _paid(rng: random.Random, group: list[OpenInvoice], serial: int) -> list[Payment]:
    first = group[0]
    total = sum(one.open_minor for one in group)
    day = group[-1].date + timedelta(days=rng.randint(5, 45))
    parts = [total]
    if len(group) == 1 and rng.random() < 0.06:
        parts = [part := total * rng.randint(2, 8) // 10, total - part]
        if rng.random() < 0.4:
            parts.pop()
    payer = None if rng.random() < 0.03 else first.customer
    return [
        Payment(
            f"p{serial + at}", payer, first.currency, amount, day + timedelta(days=at * rng.randint(1, 30)),
            _reference(rng, group, len(parts) > 1 or amount != total),
        )
        for at, amount in enumerate(parts)
    ]  # fmt: skip


def _reference(rng: random.Random, group: list[OpenInvoice], is_part: bool) -> str:
    numbers = [one.number for one in group]
    kind = rng.random()
    if len(group) > 1:
        if kind < 0.7:
            return rng.choice((", ", " ", " + ")).join(numbers)
        return " ".join(number.removeprefix("INV-").lstrip("0") for number in numbers) if kind < 0.9 else ""
    number = numbers[0]
    if is_part and kind > 0.93:
        return _typo(rng, number)
    if kind < 0.6 or is_part:
        return rng.choice((number, number, number.lower(), number.replace("-", ""), number.replace("-", " ")))
    if kind < 0.75:
        return rng.choice((f"Payment of {number}, thank you", f"RE {number} / 2025", f"{number} cust 4711"))
    if kind < 0.84:
        return rng.choice((number.removeprefix("INV-"), f"invoice {number.removeprefix('INV-').lstrip('0')}"))
    if kind < 0.92:
        return _typo(rng, number)
    return rng.choice(("", "", "payment", "monthly transfer", "goods"))


def _typo(rng: random.Random, number: str) -> str:
    at = rng.randrange(3, len(number) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return number[:at] + number[at + 1 :]
    if kind == 1:
        return number[:at] + rng.choice(LETTERS) + number[at + 1 :]
    if kind == 2:
        return number[:at] + rng.choice(LETTERS) + number[at:]
    return number[:at] + number[at + 1] + number[at] + number[at + 2 :]


def _stray(rng: random.Random, near: OpenInvoice, serial: int) -> Payment:
    """Money for what is not billed yet, or not ours."""
    customer = near.customer if rng.random() < 0.7 else None
    amount = rng.choice(PRICES) * rng.randint(1, 40)
    return Payment(
        f"p{serial}",
        customer,
        near.currency,
        amount,
        near.date + timedelta(days=9),
        rng.choice(("", "PO 7731", "deposit")),
    )
