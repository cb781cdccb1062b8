"""Returns made from Northwind's orders by a seeded plan, and what they are worth, in plain Decimal arithmetic.

Nothing of the product is imported here. A line is worth unitPrice * quantity * (1 - discount), rounded half up to
cents; what of it came back up to and with a return is worth its share, rounded once; a return is worth the difference,
less the restocking fee. Of the credit, as much as is due on the invoice is set against it, the rest is paid back.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from tests.proofs.northwind_arithmetic import CENT, Expected, line_net, rows

SEED = 19980506
#: Of a plan's returns: the share of orders that come back twice, with a fee, and of lines that are damaged, in percent.
TWICE, FEES, DAMAGED = 30, 25, 20


@dataclass(frozen=True)
class Part:
    """Of a line of an order: `product` is the file's productID."""

    product: str
    quantity: Decimal
    damaged: bool


@dataclass(frozen=True)
class Back:
    """One return; `key` is unique, returns of one order come in the order of the plan."""

    key: str
    order: str
    parts: tuple[Part, ...]
    fee: Decimal


@dataclass(frozen=True)
class Credits:
    """What must be in the books, in USD. By return: `credited`, and of it `allocated` and `refunded`.

    `restocked`: productID -> quantity that is on hand again.
    """

    credited: Mapping[str, Decimal]
    allocated: Mapping[str, Decimal]
    refunded: Mapping[str, Decimal]
    by_customer: Mapping[str, Decimal]
    restocked: Mapping[str, Decimal]

    @property
    def total(self) -> Decimal:
        return sum(self.credited.values(), Decimal(0))


@dataclass(frozen=True)
class Line:
    quantity: Decimal
    net: Decimal


def sold_lines(folder: Path, expected: Expected) -> dict[str, dict[str, Line]]:
    """order -> productID -> the line, of the orders that are billed."""
    found: dict[str, dict[str, Line]] = defaultdict(dict)
    for _, row in rows(folder / "order-details.csv", []):
        if row["orderID"] in expected.orders:
            found[row["orderID"]][row["productID"]] = Line(Decimal(row["quantity"]), line_net(row))
    return dict(found)


def plan(sold: Mapping[str, Mapping[str, Line]], count: int) -> list[Back]:
    """Returns of `count` orders, always the same ones."""
    draw = random.Random(SEED)
    backs: list[Back] = []
    for order in draw.sample(sorted(sold), count):
        left = {product: line.quantity for product, line in sold[order].items() if line.net >= 1}
        for turn in range(1 + (draw.randrange(100) < TWICE)):
            chosen = [product for product, quantity in sorted(left.items()) if quantity and draw.randrange(100) < 70]
            parts = []
            for product in chosen:
                quantity = left[product] if draw.randrange(3) == 0 else Decimal(draw.randint(1, int(left[product])))
                left[product] -= quantity
                parts.append(Part(product, quantity, draw.randrange(100) < DAMAGED))
            fee = Decimal(draw.randint(1, 99)) / 100 if draw.randrange(100) < FEES else Decimal(0)
            if parts:
                backs.append(Back(f"{order}-{turn + 1}", order, tuple(parts), fee))
    return backs


def credits(
    backs: Sequence[Back], sold: Mapping[str, Mapping[str, Line]], expected: Expected, paid: Mapping[str, Decimal]
) -> Credits:
    """What the returns come to, one after the other. `paid`: what came in on each order's invoice before."""
    gone: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    due = {order: net - paid.get(order, Decimal(0)) for order, net in expected.orders.items()}
    credited, allocated, refunded = {}, {}, {}
    by_customer: dict[str, Decimal] = defaultdict(Decimal)
    restocked: dict[str, Decimal] = defaultdict(Decimal)
    for back in backs:
        worth = -back.fee
        for part in back.parts:
            line, before = sold[back.order][part.product], gone[back.order, part.product]
            after = before + part.quantity
            assert after <= line.quantity, "the plan returns no more than was sold"
            worth += _share(line, after) - _share(line, before)
            gone[back.order, part.product] = after
            if not part.damaged:
                restocked[part.product] += part.quantity
        assert worth > 0, "the plan has no return that is worth nothing"
        credited[back.key] = worth
        allocated[back.key] = min(worth, due[back.order])
        refunded[back.key] = worth - allocated[back.key]
        due[back.order] -= allocated[back.key]
        by_customer[expected.customer_of[back.order]] += worth
    return Credits(credited, allocated, refunded, dict(by_customer), dict(restocked))


def _share(line: Line, quantity: Decimal) -> Decimal:
    return (line.net * quantity / line.quantity).quantize(CENT, ROUND_HALF_UP)
