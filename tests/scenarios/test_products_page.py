"""The page of products over a real run: prices, stock, what waits and why, what was put back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from fastapi import Header, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from tests.support.products import Shop, item
from tests.support.sandbox import SandboxProcess
from tieout.model.settings import PROJECT, Settings
from tieout.web.app import Visitor, create_app
from tieout.web.sources import Sources

pytestmark = pytest.mark.slow

VERA = {"x-person": "vera"}


def authorize(method: str) -> Callable[..., Visitor]:
    """vera may look, nobody else may."""

    def visitor(x_person: str = Header("")) -> Visitor:
        if x_person != "vera":
            raise HTTPException(403, "Not yours")
        return Visitor(x_person, may_edit=False)

    return visitor


@pytest.fixture
def client(sandbox: SandboxProcess, engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    shop = Shop(sandbox, engine)
    try:
        shop.raw_items(item("CHAIR", "1250.5", Name="A <b>chair</b>", QuantityOnHand=Decimal(7)))
        shop.items(item("DESK", None), item("LAMP", "9.99"), {**item("PAPER"), "IsSold": False})
        shop.run()
        shop.update("Product2", Id=shop.product("CHAIR")["Id"], Name="Sale!")
        lamp = next(one["ItemID"] for one in shop.hand.all("Items") if one["Code"] == "LAMP")
        shop.hand.change("Items", {"ItemID": lamp, "Code": "LAMP", "IsSold": False})
        shop.run()
    finally:
        shop.close()
    include = tmp_path / "include"
    (include / "links").mkdir(parents=True)
    (include / "mappings").symlink_to(PROJECT / "include" / "mappings")
    link = yaml.safe_dump(shop.link.model_dump(mode="json", exclude_defaults=True))
    (include / "links" / f"{shop.link.name}.yaml").write_text(link, encoding="utf-8")
    sources = Sources(
        open_engine=lambda: engine, matrix=lambda crm, ledger: [], docs_home=tmp_path, page_size=2,
        settings=lambda: Settings(tmp_path, tmp_path, None),
    )  # fmt: skip
    with TestClient(create_app(authorize, sources, b"a secret of the test", lambda asked: "/login")) as client:
        yield client


def test_products_are_shown_with_prices_stock_and_why_they_wait(client: TestClient) -> None:
    assert client.get("/products").status_code == 403
    page = client.get("/products", headers=VERA)
    rows = _rows(page.text)
    assert [row[0] for row in rows] == ["CHAIR", "DESK"]
    name, prices, stock, active, _, waits, put_back = rows[0][1:]
    assert (name, prices, stock, active, waits) == ("A &lt;b&gt;chair&lt;/b&gt;", "1,250.50 GBP", "7", "yes", "")
    assert put_back.endswith("Name Sale! to A &lt;b&gt;chair&lt;/b&gt;")
    assert rows[1][1:6] == ["", "", "", "not there", ""]
    assert rows[1][6] == "price missing: item DESK has no sales price"
    # What was never sold is no product; what is not sold any more is inactive.
    (more,) = re.findall(r'href="(/products\?[^"]*after=[^"]*)"', page.text)
    (lamp,) = _rows(client.get(more.replace("&amp;", "&"), headers=VERA).text)
    assert (lamp[0], lamp[2], lamp[4]) == ("LAMP", "9.99 GBP", "no")
    for query, codes in (("which=waiting", ["DESK"]), ("which=put_back", ["CHAIR"]), ("which=ended", ["LAMP"]),
                         ("begins=ch", ["CHAIR"]), ("which=sold", ["CHAIR"])):  # fmt: skip
        assert [row[0] for row in _rows(client.get(f"/products?{query}", headers=VERA).text)] == codes, query
    assert client.get("/products?link=another", headers=VERA).status_code == 404
    assert client.get("/products?which=free", headers=VERA).status_code == 404


def _rows(page: str) -> list[list[str]]:
    """The cells of the table's body as text, as they stand in HTML."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)
    ]
