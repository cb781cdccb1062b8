"""The shape of the demo's books: records to load, and what must become of each order. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

import yaml

from tieout.model.settings import PROJECT
from tieout.scenarios.crm_load import CrmRecord

Outcome = Literal["posted", "quarantined", "held", "not_billable"]

#: Where the demo's words and prices are.
DEMO_FOLDER = PROJECT / "include" / "demo"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must become of one order in the first run of the demo's link.

    Attributes:
        order: key of the order.
        outcome: `not_billable` is an order that nobody activated.
        reason: the stable code of a hold; None where it is posted, or where the suite names the reason.
        dirt: the kind of bad input that is in it; None for a clean order.
        currency: as the clean record would have it.
        net, tax: amounts in `currency` that the invoice must show, None unless it is posted.
    """

    order: str
    outcome: Outcome
    reason: str | None
    dirt: str | None
    currency: str
    net: Decimal | None
    tax: Decimal | None


@dataclass(frozen=True, slots=True)
class DemoBooks:
    """All of the demo: `records` per Salesforce object in the order of loading, `expectations` per order key.

    `activate` names the orders that become Activated once their lines are in. `locked_until` is the ledger's lock date,
    `taken_number` the order whose invoice number somebody in finance uses before us.
    """

    seed: int
    today: date
    locked_until: date
    records: Mapping[str, tuple[CrmRecord, ...]]
    activate: tuple[str, ...]
    expectations: Mapping[str, Expectation]
    taken_number: str

    def record(self, object_name: str, key: str) -> CrmRecord:
        """One record by its key. Raises KeyError."""
        for record in self.records[object_name]:
            if record.key == key:
                return record
        raise KeyError(key)


@dataclass(frozen=True, slots=True)
class Product:
    """One product of include/demo/products.yaml. `price` in GBP."""

    code: str
    name: str
    price: Decimal
    tax: str


@dataclass(frozen=True, slots=True)
class PriceList:
    """include/demo/products.yaml, parsed. `rates` are (currency, days before today, foreign units per GBP)."""

    products: tuple[Product, ...]
    factors: Mapping[str, Decimal]
    decimals: Mapping[str, int]
    rates: tuple[tuple[str, int, Decimal], ...]
    tax_percent: Mapping[str, Decimal]
    tax_type: Mapping[str, str]

    def price(self, product: Product, currency: str) -> Decimal:
        """List price in `currency`, rounded half up to its unit."""
        return round_half_up(product.price * self.factors[currency], self.decimals[currency])


def round_half_up(amount: Decimal, decimals: int) -> Decimal:
    """The demo's own rounding, so that its expectations do not rest on the code that they are held against."""
    return amount.quantize(Decimal(1).scaleb(-decimals), "ROUND_HALF_UP")


def load_price_list(path: Path = DEMO_FOLDER / "products.yaml") -> PriceList:
    """Parses the price list; amounts are written as text in it and become Decimal here."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return PriceList(
        products=tuple(Product(row["code"], row["name"], Decimal(row["price"]), row["tax"]) for row in raw["products"]),
        factors={code: Decimal(factor) for code, factor in raw["factors"].items()},
        decimals=raw["decimals"],
        rates=tuple((row["currency"], row["days_before"], Decimal(row["rate"])) for row in raw["rates"]),
        tax_percent={code: Decimal(tax["percent"]) for code, tax in raw["tax"].items()},
        tax_type={code: tax["type"] for code, tax in raw["tax"].items()},
    )
