"""HubSpot's connector over real HTTP: prices, stages, the loader of CSV files, the set-up and what the doctor says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.connectors.hubspot_portal import ENTITIES, FAR, Portal, Reading
from tests.connectors.vendor_hubspot import SETUP
from tests.connectors.wires import item
from tests.support.sandbox import SandboxProcess
from tieout.cli import app
from tieout.connectors.requirements import Required
from tieout.model.errors import ConfigurationFault, PermissionDenied

pytestmark = pytest.mark.slow
PRICES = ENTITIES["price"]


@pytest.fixture
def portal(sandbox: SandboxProcess) -> Iterator[Portal]:
    made = Portal(sandbox)
    yield made
    made.close()


def test_prices_are_properties_of_products_in_each_currency_of_the_portal(portal: Portal) -> None:
    connector = portal.connector()
    tea = portal.make("products", name="Tea", hs_sku="TEA", price="50", hs_price_eur="45.5")
    portal.make("products", name="Free")
    reading = Reading(portal, connector, PRICES)
    assert reading.run() == [f"{tea}:USD", f"{tea}:EUR"]
    assert {id_: (one["currency"], one["unit_price"], one["active"]) for id_, one in reading.known.items()} == {
        f"{tea}:USD": ("USD", "50", True), f"{tea}:EUR": ("EUR", "45.5", True),
    }  # fmt: skip
    portal.later(600)
    portal.change("products", tea, price="", hs_price_gbp="40", tieout_active="false")
    portal.later(61)
    assert reading.run() == [f"{tea}:EUR", f"{tea}:GBP"] or set(reading.known) >= {f"{tea}:GBP"}
    assert reading.known[f"{tea}:GBP"]["active"] is False
    assert f"{tea}:USD" in reading.gone and f"{tea}:GBP" not in reading.gone
    asked = [f"{tea}:GBP", f"{tea}:USD", "1:GBP"]
    assert [one["id"] for page in connector.fetch(PRICES, asked) for one in page.records] == [f"{tea}:GBP"]
    portal.archive("products", tea)
    portal.later(61)
    reading.run()
    assert {f"{tea}:{code}" for code in ("USD", "EUR", "GBP")} <= reading.gone


def test_prices_are_written_into_their_product(portal: Portal) -> None:
    connector = portal.connector()
    tea = portal.make("products", name="Tea", hs_price_gbp="1")

    def price(number: int, code: str, amount: str, *, active: bool = True) -> Any:
        made = {"product_id": tea, "currency": code, "unit_price": Decimal(amount), "active": active}
        return item(number, "prices.create", made, f"{tea}:{code}")

    requests = [price(1, "USD", "3.50"), price(2, "EUR", "3.10"), price(3, "GBP", "1", active=False)]
    answers = connector.send(connector.operation("prices.create"), requests)
    assert [(one.outcome, one.vendor_id) for one in answers] == [
        ("applied", f"{tea}:{code}") for code in ("USD", "EUR", "GBP")
    ]
    shown = portal.api("GET", f"/crm/v3/objects/products/{tea}?properties=price,hs_price_eur,hs_price_gbp")[
        "properties"
    ]
    assert [shown[name] for name in ("price", "hs_price_eur", "hs_price_gbp")] == ["3.50", "3.10", None]
    met = connector.look_up(connector.operation("prices.create"), requests[:2])
    assert [[one.differences for one in met[f"doc-{n}"]] for n in (1, 2)] == [[()], [()]]


def test_rates_and_currencies_are_those_of_the_portal(portal: Portal) -> None:
    connector = portal.connector()
    read = {
        name: [dict(one) for page in connector.changed(ENTITIES[name], None, FAR) for one in page.records]
        for name in ("currency", "exchange_rate")
    }
    assert {one["code"]: (one["rate"], one["is_base"]) for one in read["currency"]} == {
        "USD": ("1", True), "GBP": (Decimal("1.27"), False), "EUR": (Decimal("1.08"), False),
    }  # fmt: skip
    assert {(one["currency"], one["base_currency"]) for one in read["exchange_rate"]} == {
        ("GBP", "USD"),
        ("EUR", "USD"),
    }


def test_a_stage_has_the_words_that_people_see_and_a_new_one_is_known_to_the_next_connector(portal: Portal) -> None:
    order = portal.make("orders", hs_order_name="O", hs_pipeline_stage="shipped")
    connector = portal.connector()

    def label() -> str:
        ((record,),) = (page.records for page in portal.connector().fetch(ENTITIES["order"], [order]))
        return str(record["stage"]["label"])

    assert label() == "Shipped"
    stages = [{"label": name, "displayOrder": at, "metadata": {}} for at, name in enumerate(("Neu", "Versandt"))]
    made = portal.api("POST", "/crm/v3/pipelines/orders", {"label": "Laden", "displayOrder": 5, "stages": stages})
    sent = next(one["id"] for one in made["stages"] if one["label"] == "Versandt")
    portal.change("orders", order, hs_pipeline=made["id"], hs_pipeline_stage=sent)
    assert label() == "Versandt"
    (saved,) = connector.insert("orders", [{"properties": {"hs_order_name": "P"}, "pipeline": "laden", "stage": "NEU"}])
    assert saved.success
    with pytest.raises(ConfigurationFault, match="expected one of the stages Neu, Versandt"):
        connector.insert("orders", [{"properties": {}, "pipeline": "Laden", "stage": "Shipped"}])


FILES = {
    "customers.csv": "customerID,companyName,address,city,region,postalCode,country,phone\n"
    "ANN,Ann Ltd,1 High St,Leeds,NULL,LS1,UK,1\nBO,,2 High St,Leeds,NULL,LS1,UK,2\n",
    "products.csv": "productID,productName,quantityPerUnit,unitPrice\n1,Tea,10 boxes,18.00\n2,Chai,1,dear\n",
    "orders.csv": "orderID,customerID,orderDate,freight\n"
    "O1,ANN,1996-07-04 00:00:00.000,32.38\nO2,BO,1996-07-05 00:00:00.000,1\nO3,ANN,yesterday,1\n"
    "O4,ANN,1996-07-06 00:00:00.000,1\n",
    "order-details.csv": "orderID,productID,unitPrice,quantity,discount\n"
    "O1,1,14.00,12,0.05\nO4,1,1,1,0\nO4,2,9.80,10,0\n",
}  # fmt: skip


def test_csv_files_are_loaded_once_and_what_is_wrong_in_them_is_named(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    fields = {"conn_type": "tieout_hubspot", "host": portal.root, "password": "pat-sandbox",
              "extra": {"allowed_hosts": "127.0.0.1"}}  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(fields))
    reports = []
    for turn in range(2):
        report = tmp_path / f"{turn}.json"
        command = ["sandbox", "load", str(tmp_path), "--profile", "northwind_hubspot", "--connection", "shop",
                   "--report", str(report)]  # fmt: skip
        done = CliRunner().invoke(app, command)
        assert report.is_file(), done.output
        reports.append(json.loads(report.read_text()))
    first, second = reports
    # An order is loaded whole or not at all: of O4 one line names a product that was refused.
    assert first["created"] == {"companies": 1, "products": 1, "orders": 1, "line_items": 1}, first["refused"]
    assert {one["file"] for one in first["refused"]} == set(FILES)
    assert set(second["created"].values()) == {0}
    assert second["unchanged"] == first["created"]
    (order,) = (r for page in portal.connector().changed(ENTITIES["order"], None, FAR) for r in page.records)
    assert order["properties"]["hs_order_name"] == "O1" and order["associations"]["companies"]


def test_the_set_up_completes_what_is_half_there_and_changes_nothing_else(portal: Portal) -> None:
    connector = portal.connector()
    wanted = json.loads(SETUP.read_text(encoding="utf-8"))
    assert connector.set_up(wanted, optional=True) == [], "the fixture has set everything up"
    portal.api("DELETE", "/crm/v3/properties/companies/tieout_tax_id")
    half = {"label": "Returns of shops", "displayOrder": 3, "stages": [{"label": "new", "displayOrder": 0}]}
    portal.api("POST", "/crm/v3/pipelines/tickets", half)
    stages = [{"label": name, "metadata": {"ticketState": "OPEN"}} for name in ("New", "Approved")]
    more = {**wanted, "pipelines": {"tickets": [{"label": "Returns of Shops", "stages": stages}]}}
    assert connector.set_up(more, optional=True) == [
        "property companies.tieout_tax_id", "stage Approved of the pipeline Returns of Shops of tickets",
    ]  # fmt: skip
    assert connector.set_up(more, optional=True) == []


def test_the_doctor_says_what_is_missing(portal: Portal) -> None:
    assert [one for one in portal.connector().findings() if not one.ok] == []
    portal.api("DELETE", "/crm/v3/properties/orders/tieout_message")
    scopes = ["crm.objects.companies.read", "crm.schemas.companies.read", "crm.schemas.orders.read",
              "crm.objects.orders.read", "multi-currency-read"]  # fmt: skip
    portal.settings(scopes=scopes)
    wrong = [one.what for one in portal.connector().findings() if not one.ok]
    assert any("orders" in one and "no property tieout_message" in one for one in wrong)
    assert any("deals" in one and "crm.schemas.deals.read" in one for one in wrong)
    assert not any(one.startswith("companies") for one in wrong)
    portal.settings(scopes=None)
    (missing,) = (
        one for one in portal.connector().findings(Required(currencies=frozenset({"GBP", "CHF"}))) if not one.ok
    )
    assert "CHF" in missing.what and "GBP" not in missing.what


def test_a_read_or_write_without_the_right_names_the_scope(portal: Portal) -> None:
    order = portal.make("orders", hs_order_name="O")
    portal.settings(scopes=["crm.objects.companies.read"])
    connector = portal.connector()
    with pytest.raises(PermissionDenied, match=r"crm\.objects\.orders\.read"):
        list(connector.changed(ENTITIES["order"], FAR.replace(year=2020), FAR))
    body = {"id": order, "properties": {"tieout_message": "x"}}
    with pytest.raises(PermissionDenied, match=r"crm\.objects\.orders\.write"):
        connector.send(connector.operation("orders.write_back"), [item(1, "orders.write_back", body, order)])
    with pytest.raises(httpx.HTTPStatusError):
        httpx.get(f"{portal.root}/crm/v3/objects/orders", timeout=30).raise_for_status()
