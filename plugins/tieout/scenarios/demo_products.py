"""The demo's prices and stock in the ledger, and a day on which finance and sales change them.

Further currencies are in finance's price list, include/prices/demo.csv.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault, VendorFault
from tieout.scenarios.crm_load import ConnectorCrm
from tieout.scenarios.demo_books import load_price_list
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.ledger_hand import LedgerHand

#: On hand of each product at the beginning: more than the demo's orders take.
STOCK = Decimal(5_000)
NEW_ITEM = {"Code": "STOOL-BAR", "Name": "Bar stool", "IsSold": True, "SalesDetails": {"UnitPrice": Decimal("79.00")}}
DEARER, ENDED, RENAMED, CHEAPER = "DESK-140", "BIN-30", "LAMP-ARC", "LAMP-CLIP"


@dataclass(frozen=True, slots=True)
class ProductDeed:
    """One thing that somebody did to the product of that code."""

    who: Literal["finance", "sales"]
    code: str
    what: str


def setup_products(ledger: Connection, sandbox_url: str) -> int:
    """Gives the ledger's items their prices and stock; those without a price in the demo's list keep none.

    Returns:
        How many items were given one; 0 when they have them already.
    """
    with LedgerHand(ledger) as hand:
        items = {item["Code"]: item for item in hand.all("Items")}
    rows = [
        {"ItemID": items[one.code]["ItemID"], "Code": one.code, "Name": items[one.code]["Name"], "IsSold": True,
         "SalesDetails": {"UnitPrice": one.price}, "QuantityOnHand": STOCK}
        for one in load_price_list().products
        if one.code in items and not items[one.code].get("SalesDetails", {}).get("UnitPrice")
    ]  # fmt: skip
    Doors(sandbox_url).raw_items(rows)
    return len(rows)


def products_day(crm: Connection, ledger: Connection) -> tuple[ProductDeed, ...]:
    """Finance changes a price, ends a product and adds one; sales renames one and lowers a price. Once.

    Raises:
        ConfigurationFault: the CRM does not have the demo's products.
        VendorFault: the sandbox refused something.
    """
    with LedgerHand(ledger) as hand:
        items = {item["Code"]: item["ItemID"] for item in hand.all("Items")}
        if NEW_ITEM["Code"] in items:
            return ()
        hand.create("Items", [NEW_ITEM])
        dearer = {"SalesDetails": {"UnitPrice": Decimal("399.00")}}
        hand.change("Items", {"ItemID": items[DEARER], "Code": DEARER, **dearer})
        hand.change("Items", {"ItemID": items[ENDED], "Code": ENDED, "IsSold": False})
    connector = SalesforceConnector(crm)
    try:
        _sales(ConnectorCrm(connector))
    finally:
        connector.close()
    return (
        ProductDeed("finance", str(NEW_ITEM["Code"]), "new"),
        ProductDeed("finance", DEARER, "costs 399.00 GBP"),
        ProductDeed("finance", ENDED, "is not sold any more"),
        ProductDeed("sales", RENAMED, "renamed in the CRM"),
        ProductDeed("sales", CHEAPER, "1.00 GBP in the CRM"),
    )


def _sales(crm: ConnectorCrm) -> None:
    products = {row["ProductCode"]: row["Id"] for row in crm.rows("Product2", ["ProductCode"])}
    if not {RENAMED, CHEAPER} <= products.keys():
        raise ConfigurationFault("the demo's products are not in the CRM: load the demo's books first")
    entry = next(
        row["Id"]
        for row in crm.rows("PricebookEntry", ["Product2Id", "CurrencyIsoCode"])
        if (row["Product2Id"], row["CurrencyIsoCode"]) == (products[CHEAPER], "GBP")
    )
    changes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("Product2", {"Id": products[RENAMED], "Name": "Arc lamp, last chance"}),
        ("PricebookEntry", {"Id": entry, "UnitPrice": Decimal("1.00")}),
    )
    for name, record in changes:
        answer = crm.update(name, [record])[0]
        if answer.id is None:
            raise VendorFault(f"{name}: {answer.error}")
