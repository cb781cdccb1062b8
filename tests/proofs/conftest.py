"""Companies of the proofs: a small made-up one that needs no data from elsewhere, loaded once."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.proofs.company import Company, Loaded, company_of, load_company
from tests.proofs.northwind_arithmetic import Expected, expected_northwind
from tieout.scenarios import quote_to_cash

CUSTOMERS, PRODUCTS, ORDERS = 6, 5, 120
DISCOUNTS = ("0", "0.05", "0.15")


@pytest.fixture(autouse=True)
def _quick_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home of the test's own; what is due later is left to the next run instead of being slept for."""
    monkeypatch.setenv("TIEOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(quote_to_cash, "PATIENCE_SECONDS", 0.0)


@pytest.fixture(scope="session")
def made_up_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as Northwind's: 120 orders of 6 customers, prices and discounts that do not come out even."""
    folder = tmp_path_factory.mktemp("made_up")
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
        [(n, f"C{n % CUSTOMERS}", 1, "2026-03-02 00:00:00.000", "", "", 1, f"{n % 7}.0{n % 9 + 1}", *[""] * 6)
         for n in range(1, ORDERS + 1)],
    )  # fmt: skip
    _write(
        folder / "order-details.csv",
        "orderID,productID,unitPrice,quantity,discount",
        [(n, (n + line) % PRODUCTS, f"{n % 11 + 1}.{(n * 7) % 90 + 10}", n % 13 + 1, DISCOUNTS[(n + line) % 3])
         for n in range(1, ORDERS + 1) for line in range(2)],
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def expected(made_up_folder: Path) -> Expected:
    """What the made-up company must bill."""
    return expected_northwind(made_up_folder)


@pytest.fixture(scope="session")
def made_up(made_up_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The small company as it is loaded."""
    return load_company(made_up_folder, "northwind", tmp_path_factory.mktemp("loaded") / "made_up")


@pytest.fixture
def company(made_up: Loaded, database_url: str, tmp_path: Path) -> Iterator[Company]:
    """The small company: 120 activated orders, nothing posted yet."""
    with company_of(made_up, database_url, tmp_path / "sandbox") as company:
        yield company


def _write(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
