"""Northwind's products: what the CRM shows against the file itself, to the cent and the unit, by plain arithmetic."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.products import PRODUCT, Shop
from tests.support.sandbox import SandboxProcess
from tests.support.shared import require_shared
from tieout.scenarios.trace import trace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared,
    pytest.mark.proves(
        "price and stock of each product of Northwind are the file's, to the cent and the unit",
        scenario="product_sync",
        pair=("salesforce", "xero"),
    ),
]


@dataclass(frozen=True)
class Line:
    """A row of products.csv."""

    name: str
    price: Decimal
    stock: int
    sold: bool


def test_the_crm_has_the_price_and_stock_of_each_product(sandbox: SandboxProcess, engine: Engine) -> None:
    file = _file(require_shared("data", "northwind") / "products.csv")
    shop = Shop(sandbox, engine, base_currency="USD")
    try:
        # Sales has every third product already, at prices of its own.
        (book,) = (row["Id"] for row in shop.crm.rows("Pricebook2", ("IsStandard",)) if row["IsStandard"])
        for code, line in list(file.items())[::3]:
            product = shop.insert("Product2", Name=line.name, ProductCode=code, IsActive=True)
            shop.insert("PricebookEntry", Pricebook2Id=book, Product2Id=product, UnitPrice=line.price + 1,
                        CurrencyIsoCode="USD", IsActive=True)  # fmt: skip
        items = shop.raw_items(*(
            {"Code": code, "Name": line.name, "SalesDetails": {"UnitPrice": line.price}, "QuantityOnHand": line.stock}
            for code, line in file.items()
        ))  # fmt: skip
        first = shop.run()
        assert (first["read"], first["posted"]) == (len(file), len(file))
        assert _shown(shop) == {code: (line.name, line.price, line.stock, True) for code, line in file.items()}

        # Finance ends what the file calls discontinued.
        for item, (code, line) in zip(items, file.items(), strict=True):
            if not line.sold:
                shop.hand.change("Items", {"ItemID": item, "Code": code, "IsSold": False})
        second = shop.run()
        assert (second["unchanged"], second["cancelled"]) == (
            sum(line.sold for line in file.values()), sum(not line.sold for line in file.values())
        )  # fmt: skip
        shown = _shown(shop)
        assert shown == {code: (line.name, line.price, line.stock, line.sold) for code, line in file.items()}
        value = sum(price * stock for _, price, stock, _ in shown.values())
        assert value == sum(line.price * line.stock for line in file.values()) > 0
        third = shop.run()
        assert (third["posted"], third["unchanged"], third["cancelled"]) == (
            0, second["unchanged"], second["cancelled"]
        )  # fmt: skip
        titles = [step.title for step in trace(engine, items[0])]
        assert "product revision 1: products.update is CONFIRMED" in titles
        assert "price:USD revision 1: prices.update is CONFIRMED" in titles
    finally:
        shop.close()


def _file(path: Path) -> dict[str, Line]:
    with path.open(encoding="utf-8", newline="") as file:
        return {
            f"NW-{row['productID']}": Line(
                " ".join(row["productName"].split()), Decimal(row["unitPrice"]), int(row["unitsInStock"]),
                row["discontinued"] == "0",
            )
            for row in csv.DictReader(file)
        }  # fmt: skip


def _shown(shop: Shop) -> Mapping[str, tuple[str, Decimal, int, bool]]:
    """code -> name, price in USD, stock and whether it is active, as the CRM's API gives them."""
    fields = ("Product2Id", "CurrencyIsoCode", "UnitPrice", "IsActive")
    prices = {row["Product2Id"]: row["UnitPrice"] for row in shop.crm.rows("PricebookEntry", fields) if row["IsActive"]}
    products = list(shop.crm.rows("Product2", PRODUCT))
    assert len(prices) == len(products)
    return {
        row["ProductCode"]: (row["Name"], prices[row["Id"]], row["Tieout_Stock__c"], row["IsActive"])
        for row in products
    }
