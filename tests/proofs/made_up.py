"""A made-up company as a folder of Northwind's shape, for proofs that need no data from elsewhere.

Prices, discounts and quantities that do not come out even. What it has to bill is northwind_arithmetic's to say.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

CUSTOMERS, PRODUCTS = 6, 5
DISCOUNTS = ("0", "0.05", "0.15")
ONE_DAY = ("2026-03-02",)


def write_folder(folder: Path, orders: int, days: Sequence[str] = ONE_DAY) -> None:
    """Writes customers, products, orders and their details as CSV files.

    Args:
        orders: how many, numbered from 1, each of two lines.
        days: ISO 8601; every customer orders on each of them in turn.
    """
    _write(
        folder / "customers.csv",
        "customerID,companyName,contactName,contactTitle,address,city,region,postalCode,country,phone,fax",
        [(f"C{n}", f"Customer {n} Ltd", "", "", f"{n} High Street", "Leeds", "", f"LS{n}", "UK", "", "")
         for n in range(CUSTOMERS)],
    )  # fmt: skip
    _write(
        folder / "products.csv",
        "productID,productName,supplierID,categoryID,quantityPerUnit,unitPrice,unitsInStock,unitsOnOrder,"
        "reorderLevel,discontinued",
        [(n, f"Product {n}", 1, 1, "1 box", f"{n + 3}.35", 1, 0, 0, 0) for n in range(PRODUCTS)],
    )
    _write(
        folder / "orders.csv",
        "orderID,customerID,employeeID,orderDate,requiredDate,shippedDate,shipVia,freight,shipName,shipAddress,"
        "shipCity,shipRegion,shipPostalCode,shipCountry",
        [(n, f"C{n % CUSTOMERS}", 1, f"{days[n // CUSTOMERS % len(days)]} 00:00:00.000", "", "", 1,
          f"{n % 7}.0{n % 9 + 1}", *[""] * 6) for n in range(1, orders + 1)],
    )  # fmt: skip
    _write(
        folder / "order-details.csv",
        "orderID,productID,unitPrice,quantity,discount",
        [(n, (n + line) % PRODUCTS, f"{n % 11 + 1}.{(n * 7) % 90 + 10}", n % 13 + 1, DISCOUNTS[(n + line) % 3])
         for n in range(1, orders + 1) for line in range(2)],
    )  # fmt: skip


def _write(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
