"""Companies that somebody merges in HubSpot: a third one, with a new id, takes their place. The customer stays."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from tests.scenarios.hubspot_shop import Shop
from tests.support.sandbox import SandboxProcess
from tieout.scenarios import credit_sync
from tieout.store import aliases

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(sandbox: SandboxProcess, engine: Engine) -> Iterator[Shop]:
    made = Shop(sandbox, engine)
    yield made
    made.close()


def bills(shop: Shop) -> dict[str, str]:
    """Purchase order or number of an invoice -> its customer."""
    return {one["InvoiceNumber"]: one["Contact"]["ContactID"] for one in shop.invoices()}


def test_the_customer_of_a_merged_company_is_billed_on_and_known_everywhere(shop: Shop) -> None:
    ann, other = shop.company("Ann Ltd", tieout_tax_id="GB980780684"), shop.company("Ann Limited (old)")
    shop.order("O-1", ann, 10)
    late, _ = shop.order("O-2", other, 1)
    shop.portal.change("orders", late, hs_pipeline_stage="open")
    assert shop.run()["posted"] == 1
    customer = bills(shop)["INV-O-1"]

    winner = shop.portal.merge("companies", ann, other)
    shop.order("O-3", winner, 2)
    # An order of the company that is gone, which HubSpot moved over.
    shop.portal.change("orders", late, hs_pipeline_stage="processed")
    numbers = shop.run()
    # What was billed stays as it is: that the order is another record's now is no change of it.
    assert (numbers["posted"], numbers["unchanged"], numbers["held"]) == (2, 1, 0)
    assert shop.hand.all("CreditNotes") == []
    assert set(bills(shop).values()) == {customer}
    assert len(shop.rows("select 1 from tieout.crosswalk where entity = 'account'")) == 1
    assert shop.shown("companies", winner, "tieout_ledger_id") == [customer]

    # What sales changes at the new record reaches the customer; the ledger's balance is the new record's.
    shop.portal.change("companies", winner, name="Ann Trading Ltd")
    sent = shop.run()
    assert sent["posted"] == 0
    (contact,) = (one for one in shop.hand.all("Contacts") if one["ContactID"] == customer)
    assert contact["Name"] == "Ann Trading Ltd"
    with shop.services() as services:
        credit_sync.run(services)
    assert shop.shown("companies", winner, "tieout_open_balance") == ["650"]
    numbers = shop.reconcile()
    assert (numbers["state"], {one["unexplained"] for one in numbers["totals"]}) == ("tied", {0})
    before = shop.sends()
    assert (shop.run()["posted"], shop.sends()) == (0, before)


def test_of_two_customers_it_is_the_one_that_the_record_carries_or_a_person_says(shop: Shop) -> None:
    ann, bo, cy, di = (shop.company(f"{name} Ltd") for name in ("Ann", "Bo", "Cy", "Di"))
    for number, company in enumerate((ann, bo, cy, di), start=1):
        shop.order(f"O-{number}", company, number)
    shop.run()
    customers = bills(shop)
    winner = shop.portal.merge("companies", bo, ann)
    shop.order("O-5", winner, 5)
    # Somebody emptied what says whose customer is whose.
    for company in (cy, di):
        shop.portal.change("companies", company, tieout_ledger_id="")
    unknown = shop.portal.merge("companies", cy, di)
    shop.order("O-6", unknown, 6)
    numbers = shop.run()
    assert (numbers["posted"], numbers["unchanged"], numbers["held"]) == (1, 4, 1)
    assert bills(shop)["INV-O-5"] == customers["INV-O-2"], "HubSpot keeps the values of the primary record"
    ((message,),) = shop.rows("select message from tieout.dead_letter where reason = 'merged_customers'")
    assert unknown in message
    with shop.engine.begin() as conn:
        aliases.approve(conn, shop.link.name, "account", unknown, customers["INV-O-3"], by="a clerk")
    assert shop.run()["posted"] == 1
    assert bills(shop)["INV-O-6"] == customers["INV-O-3"]
    assert sorted(one["SubTotal"] for one in shop.invoices()) == [Decimal(50 * n) for n in range(1, 7)]
    assert shop.hand.all("CreditNotes") == []
