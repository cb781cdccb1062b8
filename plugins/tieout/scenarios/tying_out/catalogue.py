"""Prices and stock: what the CRM's standard price book and products show against finance's items and price list.

Only items that the CRM knows by the ledger's id, or by the same code, are compared; a link that never carried products
over has nothing here. Amounts in ten-thousandths. States: as they were staged, whatever the report's day.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tieout.scenarios.frames import rows
from tieout.scenarios.products import price_list
from tieout.scenarios.products.rules import same_price
from tieout.scenarios.tying_out.reading import Books, joined, unreadable

if TYPE_CHECKING:
    import pandas as pd

PRICES, STOCK = "prices", "stock"
SCALE = 4
ACTIVE, INACTIVE = "active", "inactive"


def items(books: Books) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items of `prices` and `stock`: of the CRM, of the ledger."""
    import pandas as pd

    products = [row for row in rows(books.crm("product").frame) if row["ledger_id"] is not None]
    if not products:
        return pd.DataFrame(), pd.DataFrame()
    by_id = {row["product_id"]: row for row in products}
    ledger = rows(books.ledger("product").frame)
    sold = {row["product_id"]: row for row in ledger if row["active"] and row["code"]}
    standard = {row["price_book_id"] for row in rows(books.crm("price_book").frame) if row["is_standard"]}
    entries = [row for row in rows(books.crm("price").frame)
               if row["product_id"] in by_id and row["price_book_id"] in standard and row["active"]]  # fmt: skip
    finance = _finance_prices(books, sold)
    shown = {(by_id[row["product_id"]]["ledger_id"], row["currency"]): row["unit_price"] for row in entries}
    base = books.services.link.base_currency
    # A price in a currency for which finance has none is the CRM's own affair; one in the books' currency never is.
    a = [
        _crm_price(row, by_id[row["product_id"]], books, sold) for row in entries
        if row["currency"] == base or (by_id[row["product_id"]]["ledger_id"], row["currency"]) in finance
    ]  # fmt: skip
    b = [_ledger_price(books, sold[item], currency, price, shown.get((item, currency)))
         for (item, currency), price in finance.items()]  # fmt: skip
    a += [_stock(row, row["ledger_id"], row["product_id"]) for row in products if row["stock"] is not None]
    b += [_stock(row, row["product_id"], row["product_id"]) for row in sold.values() if row["stock"] is not None]
    # What finance does not sell any more is taken out of the CRM by deactivating the product, whatever its prices say.
    gone = {f"{row['ledger_id']}" for row in products if row["ledger_id"] not in sold and not row["active"]}
    kept = [row for row in a if row["match_key"].split("|")[0] not in gone]
    return (
        joined([pd.DataFrame(kept), unreadable(books.crm("price").rejections, PRICES, "price", base)]),
        joined([pd.DataFrame(b), unreadable(books.ledger("product").rejections, PRICES, "product", base)]),
    )


def _finance_prices(books: Books, sold: dict[str, dict[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """(item, currency) -> list price of the day: the item's own, and what finance's price list says."""
    services = books.services
    day = books.known_at.astimezone(ZoneInfo(services.link.time_zone)).date()
    folders = (services.settings.home, services.settings.include)
    listed = price_list.load(price_list.find(services.link.products.price_list, folders), day)
    found: dict[tuple[str, str], Decimal] = {}
    for item, row in sold.items():
        if row["price"] is not None:
            found[item, services.link.base_currency] = row["price"]
        entry = listed.get(str(row["code"]).lower())
        for currency, price in (entry.prices if entry else {}).items():
            found[item, currency] = price
    return found


def _crm_price(
    row: dict[str, Any], product: dict[str, Any], books: Books, sold: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    base = row["currency"] == books.services.link.base_currency and product["ledger_id"] in sold
    return {
        "area": PRICES, "key": f"price:{row['price_id']}", "match_key": f"{product['ledger_id']}|{row['currency']}",
        "measure": "price", "currency": row["currency"], "scale": SCALE, "amount": _ten_thousandths(row["unit_price"]),
        # Whether it is sold is told once for each product, with its price in the books' currency.
        "status": (ACTIVE if product["active"] else INACTIVE) if base else None,
        "label": f"price of product {product['code']}", "title": product["code"],
        "changed_at": max(row["_modified_at"], product["_modified_at"]), "version": row["_version"],
    }  # fmt: skip


def _ledger_price(
    books: Books, item: dict[str, Any], currency: str, price: Decimal, shown: Decimal | None
) -> dict[str, Any]:
    # A price with more decimals than its currency has is rounded by the CRM's field: that is the same price.
    same = shown is not None and same_price(price, shown, currency)
    base = currency == books.services.link.base_currency
    return {
        "area": PRICES, "key": f"product:{item['product_id']}", "match_key": f"{item['product_id']}|{currency}",
        "measure": "price", "currency": currency, "scale": SCALE,
        "amount": _ten_thousandths(shown if same and shown is not None else price),
        "status": ACTIVE if base and shown is not None else None, "label": f"price of item {item['code']}",
        "title": item["code"], "changed_at": item["_modified_at"], "version": item["_version"],
    }  # fmt: skip


def _stock(row: dict[str, Any], item: str, key: str) -> dict[str, Any]:
    return {
        "area": STOCK, "key": f"product:{key}", "match_key": item, "measure": "stock", "currency": "", "scale": SCALE,
        "amount": _ten_thousandths(row["stock"]), "label": f"stock of {row['code']}", "title": row["code"],
        "changed_at": row["_modified_at"], "version": row["_version"],
    }  # fmt: skip


def _ten_thousandths(value: Decimal) -> int:
    """Prices and quantities have at most four decimals in the ledger; what the CRM has beyond is rounded once."""
    return int(value.scaleb(SCALE).to_integral_value(rounding="ROUND_HALF_UP"))
