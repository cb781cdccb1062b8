"""What the Northwind CSV files say must be billed, in plain csv and Decimal arithmetic.

Nothing of the product is imported here: the product's books are held against these few lines.

A good order is one whose own row, whose customer's row and all of whose lines can be read as they stand. A row with
more fields than its header (an address with a bare comma) cannot: nobody can know which comma is the wrong one.
Net of an order = sum over its lines of unitPrice * quantity * (1 - discount), each line rounded half up to cents,
plus the order's freight. `python -m tests.proofs.northwind_arithmetic FOLDER` prints it.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Expected:
    """orders: order number -> net in USD; by_customer: customerID -> net; broken: (file, line, reason)."""

    orders: dict[str, Decimal]
    freight: dict[str, Decimal]
    by_customer: dict[str, Decimal]
    customer_of: dict[str, str]
    total: Decimal
    broken: list[tuple[str, int, str]]


def rows(path: Path, broken: list[tuple[str, int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of each row that has as many fields as the header; the others go to `broken`."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        for row in reader:
            if len(row) == len(header):
                yield reader.line_num, dict(zip(header, row, strict=True))
            else:
                broken.append((path.name, reader.line_num, f"{len(row)} fields, expected {len(header)}"))


def line_net(row: dict[str, str]) -> Decimal:
    """Net of one order line in cents."""
    exact = Decimal(row["unitPrice"]) * Decimal(row["quantity"]) * (1 - Decimal(row["discount"]))
    return exact.quantize(CENT, ROUND_HALF_UP)


def expected_northwind(folder: Path) -> Expected:
    """What must be billed from the four Northwind files in `folder`."""
    broken: list[tuple[str, int, str]] = []
    customers = {row["customerID"] for _, row in rows(folder / "customers.csv", broken)}
    products = {row["productID"] for _, row in rows(folder / "products.csv", broken)}
    order_rows = {row["orderID"]: (line, row) for line, row in rows(folder / "orders.csv", broken)}
    lines: dict[str, Decimal] = defaultdict(Decimal)
    spoilt: set[str] = set()
    for line, row in rows(folder / "order-details.csv", broken):
        order = row["orderID"]
        try:
            if order not in order_rows:
                broken.append(("order-details.csv", line, f"order {order} has no readable row"))
            elif row["productID"] not in products:
                raise InvalidOperation
            else:
                lines[order] += line_net(row)
        except InvalidOperation:
            broken.append(("order-details.csv", line, "cannot be read"))
            spoilt.add(order)
    orders: dict[str, Decimal] = {}
    freight: dict[str, Decimal] = {}
    by_customer: dict[str, Decimal] = defaultdict(Decimal)
    for order, (line, row) in order_rows.items():
        if row["customerID"] not in customers:
            broken.append(("orders.csv", line, f"customer {row['customerID']} has no readable row"))
        elif order in spoilt or order not in lines:
            broken.append(("orders.csv", line, "a line is missing or broken"))
        else:
            freight[order] = Decimal(row["freight"])
            orders[order] = lines[order] + freight[order]
            by_customer[row["customerID"]] += orders[order]
    return Expected(
        orders=orders,
        freight=freight,
        by_customer=dict(by_customer),
        customer_of={order: order_rows[order][1]["customerID"] for order in orders},
        total=sum(orders.values(), Decimal(0)),
        broken=broken,
    )


def order_days(folder: Path, expected: Expected) -> dict[str, date]:
    """Good order -> its orderDate."""
    found = {row["orderID"]: date.fromisoformat(row["orderDate"][:10]) for _, row in rows(folder / "orders.csv", [])}
    return {order: found[order] for order in expected.orders}


def order_months(folder: Path, expected: Expected) -> dict[str, list[str]]:
    """`1997-05` -> the good orders of that month."""
    months: dict[str, list[str]] = defaultdict(list)
    for order, day in order_days(folder, expected).items():
        months[f"{day:%Y-%m}"].append(order)
    return dict(months)


#: Lengths in weeks from the seventh period of fiscal 1996 on: 4-4-5, and 1997 has 53 weeks (it ends on 3 January 1998,
#: which is nearer to the end of December than the Saturday before).
WEEKS = [4, 4, 5] * 5 + [4, 4, 6] + [4, 4, 5] * 2


def order_weeks(folder: Path, expected: Expected) -> dict[str, list[str]]:
    """`FY1996-P07` and the 23 periods after it, in a 4-4-5 calendar -> the good orders of its days."""
    days, first = order_days(folder, expected), date(1996, 6, 30)
    found: dict[str, list[str]] = {}
    for number, weeks in enumerate(WEEKS, start=6):
        after = first + timedelta(weeks=weeks)
        label = f"FY{1996 + number // 12}-P{number % 12 + 1:02}"
        found[label] = [order for order, day in days.items() if first <= day < after]
        first = after
    assert sum(len(orders) for orders in found.values()) == len(expected.orders)
    return found


if __name__ == "__main__":
    books = expected_northwind(Path(sys.argv[1]))
    print(f"{len(books.orders)} good orders of {len(books.by_customer)} customers, net {books.total} USD")
    print(f"of which freight {sum(books.freight.values())} USD; {len(books.broken)} broken rows")
