"""Rollback of what a run posted: void where the ledger lets us, else a credit note, as a set, once, with approval."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from multiprocessing import get_context
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import text

from tests.scenarios.format import Given, Step
from tests.scenarios.world import World, services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tests.unit.scenarios.conftest import BeginWith
from tieout.model.link import Link
from tieout.scenarios import approval, quote_to_cash, rollback, taken_back
from tieout.scenarios.rollback import Which
from tieout.scenarios.services import Services
from tieout.scenarios.trace import trace
from tieout.store import proposals
from tieout.store.engine import connect
from tieout.store.proposals import NotAllowed, Proposal

ACCOUNT = {"name": "Acme Ltd", "tax_id": "GB980780684", "street": "1 High Street", "city": "Leeds",
           "postcode": "LS1 4DY", "country": "United Kingdom"}  # fmt: skip
TODAY = date(2026, 3, 31)

pytestmark = pytest.mark.slow


def pay(world: World, name: str, amount: str) -> None:
    world.happen(Step(pay=name, amount=Decimal(amount), date=TODAY))


def change(world: World, name: str, **changes: Any) -> None:
    world.happen(Step(change_order=name, set=changes))


def order(name: str, price: str, day: int = 10, currency: str = "GBP") -> dict[str, Any]:
    line = {"product": "CHAIR", "quantity": 3, "price": Decimal(price), "discount": Decimal(7)}
    return {"order": name, "account": "Acme Ltd", "date": date(2026, 3, day), "currency": currency, "lines": [line]}


def given(*orders: Mapping[str, Any], **more: Any) -> Given:
    crm = {"accounts": [ACCOUNT], "orders": list(orders)}
    return Given.model_validate({"story": "rollback", "today": TODAY, "crm": crm, **more})


def approved(services: Services, found: Proposal) -> Proposal:
    approval.approve(services.engine, found.proposal_id, "Ben", found.items_hash)
    return found


def outcomes(services: Services) -> dict[str, tuple[str, str | None]]:
    with services.engine.connect() as conn:
        rows = conn.execute(text("select source_id, outcome, reason from tieout.document where object = 'order'"))
        return {row.source_id: (row.outcome, row.reason) for row in rows}


def reversals(services: Services) -> list[tuple[str, str]]:
    with services.engine.connect() as conn:
        rows = conn.execute(
            text("select kind, state from tieout.intent where kind in ('void', 'credit_memo') order by intent_id")
        )
        return [(row.kind, row.state) for row in rows]


def test_a_run_is_taken_back_to_the_cent_and_not_billed_again(begin_with: BeginWith) -> None:
    world, services = begin_with(given(order("A-1", "33.33"), order("A-2", "0.05"), order("A-3", "10", currency="EUR")))
    numbers = quote_to_cash.run(services)
    pay(world, "A-2", "0.01")
    before = {one["InvoiceNumber"]: one["Total"] for one in world.hand.all("Invoices")}

    found = rollback.propose(services, Which(run_id=UUID(numbers["run_id"])), by="Ann", reason="wrong price list")
    assert {item.vendor_number: (item.action, item.reason) for item in found.items} == {
        invoice["InvoiceNumber"]: ("credit", "paid") if invoice["Total"] < 1 else ("void", "unpaid")
        for invoice in world.hand.all("Invoices")
    }
    with pytest.raises(NotAllowed, match="another person"):
        approval.approve(services.engine, found.proposal_id, "Ann", found.items_hash)
    approved(services, found)
    assert outcomes(services) == {i.source_id: ("pending", "rolled_back") for i in found.items}

    done = taken_back.deliver(services, found.proposal_id)
    sums = found.sums()
    for currency, part in done["closing"].items():
        assert part["original"] == part["reversed"] == sums[currency]["void"] + sums[currency]["credit"]
        assert part["waiting"] == part["refused"] == part["difference"] == 0
    assert sum(Decimal(part["original"]) / 100 for part in done["closing"].values()) == sum(before.values())
    notes = world.hand.all("CreditNotes")
    assert [note["Total"] for note in notes] == [total for total in before.values() if total < 1]
    assert sorted(one["Status"] for one in world.hand.all("Invoices")) == ["PAID", "VOIDED", "VOIDED"]
    assert set(outcomes(services).values()) == {("reversed", "rolled_back")}
    shown = {row["Tieout_Invoice_Status__c"] for row in world.crm.rows("Order", ["Tieout_Invoice_Status__c"])}
    assert shown == {"PAID", "VOIDED"}

    steps = [step.title for step in trace(services.engine, world.ids["order:A-1"]) if step.step == "proposal"]
    assert steps == ["rollback by Ann: void, done"]

    # Again and again: nothing more is reversed, nothing is billed by itself, the books close.
    approved(services, found)
    taken_back.deliver(services, found.proposal_id)
    closed = quote_to_cash.run(services)
    assert (closed["read"], closed["reversed"], closed["posted"]) == (3, 3, 0)
    assert sorted(reversals(services)) == [("credit_memo", "CONFIRMED"), ("void", "CONFIRMED"), ("void", "CONFIRMED")]
    assert len(world.hand.all("Invoices")) == 3
    with services.engine.connect() as conn:
        now = proposals.get(conn, found.proposal_id)
        assert now is not None and now.state == "done"
    again = rollback.propose(services, Which(run_id=UUID(numbers["run_id"])), by="Ann", reason="once more")
    assert {item.reason for item in again.items} == {"already_reversed"}
    with pytest.raises(NotAllowed, match="nothing in it can be done"):
        approved(services, again)


def test_a_reversed_order_is_billed_anew_when_it_changes_or_a_person_says_so(begin_with: BeginWith) -> None:
    world, services = begin_with(given(order("A-1", "50"), order("A-2", "60"), order("A-3", "70")))
    quote_to_cash.run(services)
    found = rollback.propose(services, Which(numbers=[world.ids[f"order:A-{n}"] for n in (1, 2, 3)]), by="Ann",
                             reason="test")  # fmt: skip
    approved(services, found)
    # The link's own next run delivers it as well as `deliver` does.
    assert quote_to_cash.run(services)["reversed"] == 3

    change(world, "A-1", price=Decimal(40))
    assert taken_back.bill_again(services, found.proposal_id, by="Ann", numbers=[world.ids["order:A-2"]]) == 1
    numbers = quote_to_cash.run(services)
    assert (numbers["posted"], numbers["reversed"]) == (2, 1)
    live = {one["SubTotal"] for one in world.hand.all("Invoices") if one["Status"] == "AUTHORISED"}
    assert live == {Decimal("111.60"), Decimal("167.40")}

    change(world, "A-3", activated=False)
    numbers = quote_to_cash.run(services)
    assert outcomes(services)[world.ids["order:A-3"]] == ("not_billable", None)
    assert (numbers["read"], numbers["held"], numbers["reversed"]) == (2, 0, 0)


def test_an_order_that_changes_while_its_reversal_is_on_its_way_is_billed_anew(begin_with: BeginWith) -> None:
    world, services = begin_with(given(order("A-1", "50")))
    run_id = quote_to_cash.run(services)["run_id"]
    found = rollback.propose(services, Which(run_id=UUID(run_id)), by="Ann", reason="test")
    approved(services, found)
    change(world, "A-1", price=Decimal(40))
    second = quote_to_cash.run(services)  # judges the change before it delivers the void
    assert second["in_flight"] == 1
    third = quote_to_cash.run(services)
    assert (third["posted"], third["in_flight"]) == (1, 0)
    assert sorted((one["Status"], one["SubTotal"]) for one in world.hand.all("Invoices")) == [
        ("AUTHORISED", Decimal("111.60")), ("VOIDED", Decimal("139.50")),
    ]  # fmt: skip


def test_what_changed_since_the_proposal_is_not_approved(begin_with: BeginWith) -> None:
    world, services = begin_with(given(order("A-1", "50"), order("A-2", "60")))
    run_id = UUID(quote_to_cash.run(services)["run_id"])
    found = rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test")
    pay(world, "A-1", "1")
    quote_to_cash.run(services)
    with pytest.raises(NotAllowed, match="changed in the ledger since"):
        approved(services, found)
    assert reversals(services) == []
    again = rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test")
    assert {item.reason for item in again.items} == {"proposed_already"}
    with services.engine.begin() as conn:
        proposals.refuse(conn, found.proposal_id, "Ann", "out of date")
    again = rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test")
    assert sorted(item.reason for item in again.items) == ["paid", "unpaid"]

    # Nor what is being credited and billed anew, even before that is delivered.
    change(world, "A-2", price=Decimal(40))
    opened = quote_to_cash.start(services)
    for step in (quote_to_cash.extract, quote_to_cash.check, quote_to_cash.transform):
        step(services, opened)
    with pytest.raises(NotAllowed, match="billed anew or reversed"):
        approved(services, again)
    with services.engine.connect() as conn:
        still = proposals.get(conn, again.proposal_id)
    assert still is not None and still.state == "proposed"
    assert reversals(services) == [("credit_memo", "READY")]


def test_a_payment_after_the_approval_leaves_the_invoice_in_force_and_says_so(begin_with: BeginWith) -> None:
    world, services = begin_with(given(order("A-1", "50")))
    run_id = UUID(quote_to_cash.run(services)["run_id"])
    found = approved(services, rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test"))
    pay(world, "A-1", "1")
    done = taken_back.deliver(services, found.proposal_id)
    assert done["closing"]["GBP"]["refused"] == done["closing"]["GBP"]["original"] == 16740
    assert reversals(services) == [("void", "REJECTED")]
    quote_to_cash.run(services)
    assert outcomes(services)[world.ids["order:A-1"]][0] == "posted"
    # Proposed anew it is a credit note: the void that was refused does not stand in the way.
    second = approved(services, rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test"))
    assert [item.action for item in second.items] == ["credit"]
    assert taken_back.deliver(services, second.proposal_id)["closing"]["GBP"]["difference"] == 0
    assert outcomes(services)[world.ids["order:A-1"]] == ("reversed", "rolled_back")


def test_lost_answers_and_two_approvers_at_once_reverse_nothing_twice(
    begin_with: BeginWith, sandbox: SandboxProcess
) -> None:
    world, services = begin_with(given(order("A-1", "50"), order("A-2", "60"), order("A-3", "70")))
    run_id = UUID(quote_to_cash.run(services)["run_id"])
    pay(world, "A-3", "10")
    found = rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test")
    together = Barrier(2)

    def attempt(person: str) -> int | None:
        together.wait()
        try:
            return approval.approve(services.engine, found.proposal_id, person, found.items_hash).added
        except NotAllowed:
            return None

    with ThreadPoolExecutor(2) as pool:
        assert sorted(map(str, pool.map(attempt, ["Ben", "Cid"]))) == ["4", "None"]
    sandbox.faults(
        {"system": "xero", "method": "POST", "path": "*/Invoices", "fault": "lost_answer", "times": 1},
        {"system": "xero", "method": "PUT", "path": "*/CreditNotes", "fault": "error_500", "times": 1,
         "params": {"applied": True}},
        {"system": "xero", "method": "PUT", "path": "*/Allocations", "fault": "lost_request", "times": 1},
    )  # fmt: skip
    for _ in range(4):  # the void, the note, its allocation twice
        done = taken_back.deliver(services, found.proposal_id)
        with services.engine.begin() as conn:  # the quiet period passes
            conn.execute(text("update tieout.intent set not_before = now() where state = 'UNKNOWN'"))
    assert len(sandbox.hits()) == 3
    assert done["closing"]["GBP"]["difference"] == done["closing"]["GBP"]["waiting"] == 0
    (note,) = world.hand.all("CreditNotes")
    assert [allocation["Amount"] for allocation in note["Allocations"]] == [note["Total"] - 10]
    assert sorted(one["Status"] for one in world.hand.all("Invoices")) == ["PAID", "VOIDED", "VOIDED"]
    assert len(reversals(services)) == 3 and {state for _, state in reversals(services)} == {"CONFIRMED"}
    assert set(outcomes(services).values()) == {("reversed", "rolled_back")}
    swept = quote_to_cash.run(services)["sweep"]
    assert (swept["found"], swept["waiting"]) == (0, 0)


def test_a_closed_period_is_left_alone_or_credited_as_the_links_policy_says(begin_with: BeginWith) -> None:
    world, services = begin_with(given(order("A-1", "50"), order("A-2", "60")))
    run_id = UUID(quote_to_cash.run(services)["run_id"])
    world.happen(Step(lock_until=TODAY))
    quote_to_cash.run(services)
    held = rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test")
    assert {(item.action, item.reason) for item in held.items} == {("none", "period_locked")}
    policies = services.link.policies.model_copy(update={"closed_period": "next_open"})
    open_ = replace(services, link=services.link.model_copy(update={"policies": policies}))
    found = approved(open_, rollback.propose(open_, Which(run_id=run_id), by="Ann", reason="test"))
    closed = taken_back.deliver(open_, found.proposal_id)["closing"]["GBP"]
    assert closed["original"] == closed["reversed"] == found.sums()["GBP"]["credit"] == 36828
    assert {one["Status"] for one in world.hand.all("Invoices")} == {"PAID"}
    assert {note["RemainingCredit"] for note in world.hand.all("CreditNotes")} == {Decimal(0)}


def test_what_was_proposed_before_its_period_was_closed_is_not_approved_after_it(begin_with: BeginWith) -> None:
    world, services = begin_with(given(order("A-1", "50")))
    run_id = UUID(quote_to_cash.run(services)["run_id"])
    found = rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test")
    assert [item.action for item in found.items] == ["void"]
    march = {"label": "FY2026-P03", "first": date(2026, 3, 1), "last": TODAY, "by": "Rex"}
    world.happen(Step(close_period=march))
    with pytest.raises(NotAllowed, match=r"is dated 2026-03-10, in period FY2026-P03 .* propose anew"):
        approved(services, found)
    assert reversals(services) == []
    world.happen(Step(reopen_period="FY2026-P03"))
    taken_back.deliver(services, approved(services, found).proposal_id)
    assert reversals(services) == [("void", "CONFIRMED")]


def _deliver_elsewhere(database_url: str, sandbox_url: str, link: Link, proposal_id: int) -> None:
    """In a process of its own, to be killed."""
    there = cast(SandboxProcess, SimpleNamespace(url=sandbox_url))
    engine = connect(database_url)
    with services_of(link, crm_connection(there, "crm"), ledger_connection(there, "ledger"), engine) as services:
        taken_back.deliver(services, proposal_id)


def test_a_delivery_that_is_killed_after_it_sent_reverses_nothing_twice(
    begin_with: BeginWith, sandbox: SandboxProcess, database_url: str
) -> None:
    world, services = begin_with(given(order("A-1", "50"), order("A-2", "60")))
    run_id = UUID(quote_to_cash.run(services)["run_id"])
    pay(world, "A-2", "10")
    found = approved(services, rollback.propose(services, Which(run_id=run_id), by="Ann", reason="test"))
    sandbox.faults({"system": "xero", "method": "P*", "path": "*/CreditNotes", "fault": "slow", "times": 1,
                    "params": {"seconds": 60}})  # fmt: skip
    worker = get_context("spawn").Process(
        target=_deliver_elsewhere, args=(database_url, sandbox.url, services.link, found.proposal_id)
    )
    worker.start()
    try:
        end = time.monotonic() + 120
        while not sandbox.hits():
            assert worker.is_alive() and time.monotonic() < end
            time.sleep(0.05)
    finally:
        worker.kill()
        worker.join()
    for _ in range(3):
        with services.engine.begin() as conn:  # leases end, quiet periods pass
            conn.execute(text("update tieout.intent set not_before = now() where state = 'UNKNOWN'"))
            conn.execute(text("update tieout.intent set lease_until = now() where state in ('CLAIMED', 'IN_FLIGHT')"))
        done = taken_back.deliver(services, found.proposal_id)
    assert done["closing"]["GBP"]["reversed"] == done["closing"]["GBP"]["original"] == 36828
    assert len(world.hand.all("CreditNotes")) == 1
    assert sorted(reversals(services)) == [("credit_memo", "CONFIRMED"), ("void", "CONFIRMED")]
