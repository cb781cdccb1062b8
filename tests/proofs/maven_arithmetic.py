"""What the Maven CRM files say must be billed, in plain csv and Decimal arithmetic; nothing of the product is imported.

A won deal is billed at its close_value. The pipeline writes a product as GTXPro that the product list calls GTX Pro:
those deals cannot be billed before a person has said that the two are one. `python -m tests.proofs.maven_arithmetic
FOLDER` prints it.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True)
class Expected:
    """Deal id -> amount in USD, each won deal in exactly one of the first three; totals over them.

    with_account: can be billed as it stands. alias: has an account, but names a product that is not in the product
    list (`alias_products` counts them by that name). without_account: names no account, or one that is not listed.
    """

    with_account: dict[str, Decimal]
    alias: dict[str, Decimal]
    without_account: dict[str, Decimal]
    alias_products: dict[str, int]
    by_account: dict[str, Decimal]
    total_with_account: Decimal
    total_alias: Decimal
    total_without_account: Decimal
    open_without_account: int
    broken: list[tuple[str, int, str]]


def read(path: Path, broken: list[tuple[str, int, str]]) -> list[dict[str, str]]:
    """Rows with as many fields as the header; the others go to `broken`."""
    good = []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        for row in reader:
            if len(row) == len(header):
                good.append(dict(zip(header, row, strict=True)))
            else:
                broken.append((path.name, reader.line_num, f"{len(row)} fields, expected {len(header)}"))
    return good


def expected_maven(folder: Path) -> Expected:
    """What must be billed from accounts.csv, products.csv and sales_pipeline.csv in `folder`.

    by_account counts what can be billed once the alias is approved: with_account and alias together.
    """
    broken: list[tuple[str, int, str]] = []
    accounts = {row["account"] for row in read(folder / "accounts.csv", broken)}
    products = {row["product"] for row in read(folder / "products.csv", broken)}
    deals = read(folder / "sales_pipeline.csv", broken)
    won = [row for row in deals if row["deal_stage"] == "Won"]
    with_account: dict[str, Decimal] = {}
    alias: dict[str, Decimal] = {}
    without: dict[str, Decimal] = {}
    alias_products: dict[str, int] = defaultdict(int)
    by_account: dict[str, Decimal] = defaultdict(Decimal)
    for row in won:
        amount = Decimal(row["close_value"])
        if row["account"] not in accounts:
            without[row["opportunity_id"]] = amount
            continue
        by_account[row["account"]] += amount
        if row["product"] in products:
            with_account[row["opportunity_id"]] = amount
        else:
            alias[row["opportunity_id"]] = amount
            alias_products[row["product"]] += 1
    return Expected(
        with_account=with_account,
        alias=alias,
        without_account=without,
        alias_products=dict(alias_products),
        by_account=dict(by_account),
        total_with_account=sum(with_account.values(), Decimal(0)),
        total_alias=sum(alias.values(), Decimal(0)),
        total_without_account=sum(without.values(), Decimal(0)),
        open_without_account=sum(1 for row in deals if row["deal_stage"] != "Won" and not row["account"]),
        broken=broken,
    )


if __name__ == "__main__":
    books = expected_maven(Path(sys.argv[1]))
    print(f"won, account and product known: {len(books.with_account)} deals, {books.total_with_account} USD")
    print(f"won, product under another name {books.alias_products}: {books.total_alias} USD")
    print(f"won, without an account: {len(books.without_account)} deals, {books.total_without_account} USD")
    print(f"open or lost, without an account: {books.open_without_account}; broken rows: {len(books.broken)}")
