"""HubSpot's mapping files, its connector and its set-up name the same things."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.connectors.wires import item
from tests.support.sandbox import ROOT
from tests.unit.mapping.frames import common, demo_link, mappings
from tieout.connectors.hubspot.bodies import Item, item_of, price_of
from tieout.connectors.hubspot.needs import STANDARD
from tieout.connectors.hubspot.objects import VIRTUAL, kind_of, wanted
from tieout.connectors.hubspot.operations import SHAPES
from tieout.mapping.compile import compile_write
from tieout.mapping.payload import bodies

SETUP = json.loads((ROOT / "include" / "crm_setup" / "hubspot.json").read_text(encoding="utf-8"))
MADE = {obj: {one["name"]: one for one in listed} for obj, listed in SETUP["properties"].items()}
MADE |= {one["name"]: {prop["name"]: prop for prop in one["properties"]} for one in SETUP["objects"]}
INVOICED = {
    "currency": "EUR", "invoice_id": "i-1", "invoice_number": "INV-1", "invoice_status": "PAID",
    "invoice_total_minor": 1050, "invoice_due_minor": 0, "invoice_paid_minor": 1050,
    "invoice_paid_on": date(2026, 1, 5), "message": "paid",
}  # fmt: skip
#: entity -> (operation, common fields, what is sent among others).
WRITTEN: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "account": ("accounts.write_back", {"account_id": "77", "ledger_id": "L-1"}, {"tieout_ledger_id": "L-1"}),
    "order": (
        "orders.write_back", {"order_id": "77", **INVOICED},
        {"tieout_invoice_total": "10.5", "tieout_paid_on": "2026-01-05", "tieout_refunded": ""},
    ),
    "opportunity": ("opportunities.write_back", {"order_id": "77", **INVOICED}, {"tieout_amount_due": "0"}),
    "quote": ("quotes.write_back", {"quote_id": "77", "price_outdated": True}, {"tieout_price_outdated": "true"}),
    "return_order": ("return_orders.write_back", {"return_id": "77", "credit_id": "c"}, {"tieout_credit_id": "c"}),
    "credit": (
        "accounts.write_back",
        {"account_id": "77", "credit_currency": "GBP", "credit_limit_minor": 100_000, "available_minor": -1,
         "credit_as_of": datetime(2026, 1, 5, 8, 0, tzinfo=UTC)},
        {"tieout_credit_limit": "1000", "tieout_available_credit": "-0.01", "tieout_open_balance": ""},
    ),
    "product": (
        "products.upsert",
        {"ledger_id": "item-1", "code": "TEA", "name": "Tea", "active": True, "stock": Decimal("1.5")},
        {"tieout_item_id": "item-1", "hs_sku": "TEA", "tieout_active": "true", "tieout_stock": "1.5"},
    ),
}  # fmt: skip


def body_of(entity: str, fields: dict[str, Any]) -> bytes:
    mapping = mappings("hubspot")[entity]
    outcome = compile_write(mapping, demo_link())(common({"_key": "k", **fields}))
    assert outcome.rejections == []
    return bytes(bodies(outcome.frame, null=mapping.sent_nulls)["k"])


@pytest.mark.parametrize("entity", WRITTEN)
def test_what_a_mapping_writes_is_what_the_operation_takes(entity: str) -> None:
    operation, fields, expected = WRITTEN[entity]
    made = item_of(SHAPES[operation], item(1, operation, body_of(entity, fields)))
    assert made.key == fields.get("ledger_id" if operation == "products.upsert" else "", "77")
    assert expected.items() <= dict(made.properties).items()


def test_an_invoice_of_finance_is_associated_with_its_company() -> None:
    fields = {"invoice_id": "i-1", "account_id": "55", "number": "INV-1", "currency": "JPY", "total_minor": 1200}
    request = item(1, "ledger_invoices.upsert", body_of("ledger_invoice", fields))
    made = item_of(SHAPES["ledger_invoices.upsert"], request)
    assert (made.key, dict(made.links)) == ("i-1", {"companies": "55"})
    assert (made.properties["tieout_total"], made.properties["tieout_paid_on"]) == ("1200", "")


@pytest.mark.parametrize(("active", "value"), [(True, "3.5"), (False, "")])
def test_a_price_becomes_its_products_property(active: bool, value: str) -> None:
    fields = {"product_id": "5", "price_book_id": "standard", "currency": "EUR", "unit_price": Decimal("3.50")}
    made: Item = price_of(item(1, "prices.create", body_of("price", {**fields, "active": active})), "USD")
    assert (made.key, dict(made.properties), made.vendor_id) == ("5", {"hs_price_eur": value}, "5:EUR")


def test_every_property_of_ours_that_a_mapping_names_is_made_by_the_set_up() -> None:
    for mapping in mappings("hubspot").values():
        if mapping.object in VIRTUAL:
            continue
        kind = kind_of(mapping.object)
        wanted(mapping.staged_entity(), kind)  # knows every path
        for path in (*(column.path for column in mapping.staged.values()), *mapping.write):
            name = path.removeprefix("properties.")
            if name.startswith("tieout_"):
                assert name in MADE[kind.object], f"{mapping.entity}: {path}"


def test_the_doctor_asks_for_what_the_set_up_makes() -> None:
    for obj, needs in STANDARD.fields.items():
        for name, need in needs.items():
            if not name.startswith("tieout_"):
                continue
            made = MADE[obj][name]
            assert need.type in (None, made["type"]), f"{obj}.{name}"
            assert need.unique == (made.get("unique") is True), f"{obj}.{name}"
    unique = {shape.unique for shape in SHAPES.values() if shape.unique}
    assert unique <= {name for made in MADE.values() for name, one in made.items() if one.get("unique")}
