"""Fields that both sides hold, with both systems: the master's value wins, both values are logged, then it is quiet."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.scenarios.world import World
from tests.unit.scenarios.conftest import Begin
from tieout.scenarios import quote_to_cash

pytestmark = pytest.mark.slow


def overwrites(engine: Engine) -> list[tuple[str, dict[str, Any]]]:
    """(side, field -> both values) of each overwrite, in order."""
    with engine.connect() as conn:
        rows = conn.execute(text("select detail from tieout.audit_event where event = 'master.overwrote' order by seq"))
        return [(row.detail["side"], row.detail["fields"]) for row in rows]


def contact(world: World) -> dict[str, Any]:
    (found,) = world.hand.all("Contacts")
    return world.hand.one("Contacts", found["ContactID"])


def test_the_crms_name_wins_in_the_ledger_and_both_are_logged(begin: Begin, engine: Engine) -> None:
    world, services = begin("customer_is_found_by_tax_id")
    for _ in range(3):
        quote_to_cash.run(services)
    assert contact(world)["Name"] == "Acme Ltd"
    ledger = [fields for side, fields in overwrites(engine) if side == "ledger"]
    assert len(ledger) == 1, "written once, then quiet"
    assert ledger[0]["Name"] == {"master": "Acme Ltd", "overwritten": "ACME (Holdings) Limited"}


def test_the_ledgers_tax_id_wins_in_the_crm(begin: Begin, engine: Engine) -> None:
    world, services = begin("customer_is_found_by_tax_id")
    for _ in range(2):
        quote_to_cash.run(services)
    before = len(overwrites(engine))
    world.hand.change("Contacts", {"ContactID": contact(world)["ContactID"], "TaxNumber": "GB 123 4567 82"})
    for _ in range(2):
        quote_to_cash.run(services)
    (row,) = world.crm.rows("Account", ["Tax_Id__c"])
    assert row["Tax_Id__c"] == "GB123456782"
    ((side, fields),) = overwrites(engine)[before:]
    assert side == "crm"
    assert fields["Tax_Id__c"] == {"master": "GB123456782", "overwritten": "GB980780684"}


def test_an_empty_value_of_the_master_overwrites_nothing(begin: Begin, engine: Engine) -> None:
    world, services = begin("customer_is_found_by_tax_id")
    for _ in range(2):
        quote_to_cash.run(services)
    world.hand.change("Contacts", {"ContactID": contact(world)["ContactID"], "TaxNumber": ""})
    for _ in range(2):
        quote_to_cash.run(services)
    (row,) = world.crm.rows("Account", ["Tax_Id__c"])
    assert row["Tax_Id__c"] == "GB980780684"
