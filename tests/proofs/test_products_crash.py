"""Product sync under kill -9: whenever the worker dies, no product and no price is there twice, and none is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.support.products import Shop, item
from tests.support.sandbox import SandboxProcess
from tieout.model.settings import PROJECT
from tieout.scenarios import product_sync

pytestmark = [
    pytest.mark.long,
    pytest.mark.proves(
        "a killed product sync makes nothing twice and loses nothing", scenario="crash", pair=("salesforce", "xero")
    ),
]

#: Seconds after which a worker hangs.
PATIENCE = 90
#: More than a batch of Salesforce's, which takes 200.
ITEMS = 230
BOOKS = ("Standard Price Book", "Wholesale")
Prices = dict[tuple[str, str, str], Decimal]


@pytest.fixture
def shop(sandbox: SandboxProcess, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A price book of its own beside the standard one; what the CRM is told it does at once and answers late."""
    monkeypatch.setattr(product_sync, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setenv("TIEOUT_HOME", str(tmp_path))
    shop = Shop(sandbox, engine, price_book=BOOKS[1])
    shop.insert("Pricebook2", Name=BOOKS[1], IsActive=True)
    try:
        yield shop
    finally:
        shop.close()


def test_a_worker_killed_again_and_again_makes_nothing_twice_and_loses_nothing(shop: Shop, tmp_path: Path) -> None:
    made = shop.raw_items(*(item(f"P-{number:03d}", f"{number}.35") for number in range(ITEMS)))
    wanted = {f"P-{number:03d}": Decimal(f"{number}.35") for number in range(ITEMS)}
    run_id = _until_deliver(shop)
    for moment in (
        lambda: bool(_codes(shop)),
        lambda: any(book == BOOKS[1] for _, book, _ in _prices(shop)),
    ):
        _kill(shop, tmp_path, run_id, "deliver", moment)
    assert len(_prices(shop)) < ITEMS * len(BOOKS), "the last worker was done before it was killed"
    numbers = _finish(shop, run_id)
    assert (numbers["read"], numbers["posted"], numbers["held"]) == (ITEMS, ITEMS, 0)
    assert _codes(shop) == Counter(wanted.keys())
    assert _prices(shop) == _everywhere(wanted)

    # Every price is another one: each is changed in its place, whenever the worker dies.
    changed = {code: price + 1 for code, price in wanted.items()}
    shop.raw_items(*(
        {**item(code, str(price)), "ItemID": id_} for id_, (code, price) in zip(made, changed.items(), strict=True)
    ))  # fmt: skip
    quote = _quote_of(shop, "P-007")
    run_id = _until_deliver(shop)
    _kill(shop, tmp_path, run_id, "deliver", lambda: _prices(shop) != _everywhere(wanted))
    assert _prices(shop) != _everywhere(changed), "the worker was done before it was killed"
    with shop.services() as services:
        product_sync.deliver(services, run_id)
    _kill(shop, tmp_path, run_id, "write_back", lambda: _flagged(shop) == {quote})
    numbers = _finish(shop, run_id)
    assert (numbers["read"], numbers["posted"], numbers["put_back"]) == (ITEMS, ITEMS, 0)
    assert numbers["outdated_quotes"] == 1
    assert _codes(shop) == Counter(wanted.keys())
    assert _prices(shop) == _everywhere(changed)
    assert _flagged(shop) == {quote}

    # And then there is nothing left to do.
    before = shop.rows("select count(*), sum(sends) from tieout.intent")
    numbers = shop.run()
    assert (numbers["posted"], numbers["unchanged"], numbers["in_flight"]) == (0, ITEMS, 0)
    assert shop.rows("select count(*), sum(sends) from tieout.intent") == before


def _until_deliver(shop: Shop) -> str:
    with shop.services() as services:
        run_id = product_sync.start(services)
        for name in ("extract", "check", "transform"):
            getattr(product_sync, name)(services, run_id)
    return run_id


def _kill(shop: Shop, folder: Path, run_id: str, step: str, happened: Callable[[], bool]) -> None:
    """A worker does the step and is killed as soon as it happened, while it waits for an answer."""
    link = folder / "link.yaml"
    link.write_text(json.dumps(shop.link.model_dump(mode="json")), encoding="utf-8")
    shop.sandbox.faults(
        {"system": "salesforce", "path": "*/composite/sobjects*", "fault": "slow", "params": {"seconds": 1}}
    )
    url = shop.engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proofs.steps", url, shop.sandbox.url, str(link), run_id, step, product_sync.NAME],
        cwd=PROJECT, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])},
    )  # fmt: skip
    try:
        end = time.monotonic() + PATIENCE
        while not happened():
            assert process.poll() is None, "the worker was done before it could be killed"
            assert time.monotonic() < end, "the worker never came that far"
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait(PATIENCE)
    shop.sandbox.faults()
    shop.later()


def _finish(shop: Shop, run_id: str) -> dict[str, Any]:
    """The run goes on where it was killed, as Airflow's retry does it."""
    with shop.services() as services:
        for _ in range(2):
            for name in ("deliver", "write_back"):
                getattr(product_sync, name)(services, run_id)
            shop.later()
        return product_sync.summarise(services, run_id)


def _codes(shop: Shop) -> Counter[str]:
    return Counter(str(row["ProductCode"]) for row in shop.crm.rows("Product2", ("ProductCode",)))


def _prices(shop: Shop) -> Prices:
    """(code, price book, currency) -> active price. Fails where there are two."""
    codes = {row["Id"]: row["ProductCode"] for row in shop.crm.rows("Product2", ("ProductCode",))}
    books = {row["Id"]: row["Name"] for row in shop.crm.rows("Pricebook2", ("Name",))}
    fields = ("Product2Id", "Pricebook2Id", "CurrencyIsoCode", "UnitPrice", "IsActive")
    found: Prices = {}
    for row in shop.crm.rows("PricebookEntry", fields):
        place = (codes.get(row["Product2Id"], "made meanwhile"), books[row["Pricebook2Id"]], row["CurrencyIsoCode"])
        assert row["IsActive"] and (place not in found or place[0] == "made meanwhile"), f"{place} is there twice"
        found[place] = row["UnitPrice"]
    return found


def _everywhere(prices: dict[str, Decimal]) -> Prices:
    return {(code, book, "GBP"): price for code, price in prices.items() for book in BOOKS}


def _quote_of(shop: Shop, code: str) -> str:
    book = next(row["Id"] for row in shop.crm.rows("Pricebook2", ("IsStandard",)) if row["IsStandard"])
    product = shop.product(code)["Id"]
    entry = next(
        row["Id"] for row in shop.crm.rows("PricebookEntry", ("Product2Id", "Pricebook2Id"))
        if (row["Product2Id"], row["Pricebook2Id"]) == (product, book)
    )  # fmt: skip
    head = {"Name": code, "Pricebook2Id": book, "CurrencyIsoCode": "GBP"}
    deal = shop.insert("Opportunity", **head, StageName="Prospecting", CloseDate="2026-12-31")
    quote = shop.insert("Quote", **head, OpportunityId=deal)
    shop.insert("QuoteLineItem", QuoteId=quote, PricebookEntryId=entry, Quantity=1, UnitPrice=Decimal(1))
    return quote


def _flagged(shop: Shop) -> set[str]:
    return {
        row["Id"] for row in shop.crm.rows("Quote", ("Tieout_Price_Outdated__c",)) if row["Tieout_Price_Outdated__c"]
    }
