"""What became of pending documents, with both systems: the ledger's answers are staged once, its figures are judged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from tests.unit.scenarios.conftest import Begin
from tieout.model.errors import SuiteStopped
from tieout.scenarios import checking, quote_to_cash, settlement
from tieout.scenarios.services import Services

pytestmark = pytest.mark.slow


def one(engine: Engine, query: str) -> Any:
    with engine.begin() as conn:
        return conn.execute(text(query)).one()


def delivered(services: Services) -> UUID:
    """A whole run; the order's document is made pending again, as delivery leaves it."""
    run_id = UUID(quote_to_cash.run(services)["run_id"])
    pending = "update tieout.document set outcome = 'pending', posted_minor = null where object = 'order' returning 1"
    one(services.engine, pending)
    return run_id


OUTCOME = "select outcome, posted_minor from tieout.document where object = 'order'"


def test_a_confirmed_document_is_posted_at_what_the_ledger_says(begin: Begin, engine: Engine) -> None:
    _, services = begin("order_becomes_invoice")
    run_id = delivered(services)
    assert settlement.settle(services, run_id) == {"posted": 1, "tax_differs": 0}
    assert one(engine, OUTCOME) == ("posted", 10000)


def test_what_is_not_staged_yet_stays_pending_until_it_is(begin: Begin, engine: Engine) -> None:
    _, services = begin("order_becomes_invoice")
    run_id = delivered(services)
    one(engine, "delete from staging.xero_invoice returning 1")
    assert settlement.settle(services, run_id) == {"pending": 1, "tax_differs": 0}
    since = one(engine, "select timestamptz '2000-01-01'")[0]
    assert settlement.stage_answers(services, since, run_id) == 2  # the customer and the invoice
    assert settlement.settle(services, run_id)["posted"] == 1
    assert one(engine, OUTCOME) == ("posted", 10000)


def test_answers_that_are_staged_already_change_no_row(begin: Begin, engine: Engine) -> None:
    _, services = begin("order_becomes_invoice")
    run_id = UUID(quote_to_cash.run(services)["run_id"])
    version = "select _version, _run_id from staging.xero_invoice"
    before = one(engine, version)
    settlement.stage_answers(services, one(engine, "select timestamptz '2000-01-01'")[0], run_id)
    assert one(engine, version) == before


def test_another_tax_than_the_crm_expects_is_told_and_not_held(begin: Begin, engine: Engine) -> None:
    world, services = begin("order_becomes_invoice")
    world.crm.update("Order", [{"Id": world.ids["order:A-1"], "Expected_Tax__c": 17}])
    quote_to_cash.run(services)
    assert one(engine, OUTCOME) == ("posted", 10000)
    letter = one(engine, "select reason, expected, found, state from tieout.dead_letter")
    assert letter == ("tax_differs", "17.00 GBP, within 1 minor units", "20.00 GBP", "open")


@pytest.mark.parametrize("state", ["HELD", "REJECTED"])
def test_what_the_ledger_refused_is_held_with_its_words(begin: Begin, engine: Engine, state: str) -> None:
    _, services = begin("order_becomes_invoice")
    run_id = delivered(services)
    one(
        engine,
        f"update tieout.intent set state = '{state}', reason = 'validation', message = 'no such account', "
        "owner = 'ann' where kind = 'invoice' returning 1",
    )
    assert settlement.settle(services, run_id)["held"] == 1
    assert one(engine, "select outcome, reason, message from tieout.document where object = 'order'") == (
        "held", "validation", "no such account",
    )  # fmt: skip


def test_a_suite_that_stops_the_answers_ends_the_run_after_everything_is_recorded_and_written_back(
    begin: Begin, engine: Engine, tmp_path: Path
) -> None:
    world, services = begin("order_becomes_invoice")
    shutil.copytree(services.settings.expectations, tmp_path / "expectations")
    suite = tmp_path / "expectations" / "xero" / "invoice.json"
    content = json.loads(suite.read_text())
    content["expectations"].append(
        {
            "type": "unexpected_rows_expectation",
            "kwargs": {"unexpected_rows_query": "select _source_id from {batch} where total > 100"},
            "meta": {"severity": "stop", "reason": "large", "expected": "small invoices", "remedy": "Ask finance."},
        }
    )
    suite.write_text(json.dumps(content))
    (tmp_path / "include").symlink_to(services.settings.include)
    strict = replace(services, settings=replace(services.settings, project=tmp_path, home=tmp_path / "home"))
    with pytest.raises(SuiteStopped, match=r"written back, but the ledger's answers failed .* stopped by large"):
        quote_to_cash.run(strict)
    state, counts, posted = one(engine, "select state, counts, counts ->> 'posted' from tieout.sync_run")
    assert (state, posted) == ("partial", "1") and "Ask finance." in counts["answers_stopped"]
    assert one(engine, OUTCOME) == ("posted", 10000)
    (order,) = world.crm.rows("Order", ["Tieout_Invoice_Status__c"])
    assert order["Tieout_Invoice_Status__c"] == "AUTHORISED"
    run_id = one(engine, "select run_id from tieout.sync_run")[0]
    folder = checking.docs_folder(strict.settings.home, run_id)
    assert list(checking.docs_pages(folder).values()) == ["index.html", "answers/index.html"]
    assert "stopped" in (folder / "answers" / "index.html").read_text()
    # Corrected, the same run is closed by doing the two steps again: nothing is posted a second time.
    quote_to_cash.deliver(services, str(run_id))
    assert quote_to_cash.summarise(services, str(run_id))["posted"] == 1
    assert one(engine, "select state, counts ->> 'answers_stopped' from tieout.sync_run") == ("succeeded", None)
    assert len(world.hand.all("Invoices")) == 1
