"""Breaks propose what mends them; another person approves; the next run delivers, the next reconciliation clears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import Step
from tests.scenarios.test_reconciliation import GIVEN, Tied
from tests.scenarios.world import services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.model.link import Link
from tieout.reconcile import people
from tieout.scenarios import approval, credit_sync, fixes, product_sync, quote_to_cash, returns, steps, taken_back
from tieout.scenarios.ledger_hand import line
from tieout.scenarios.mending import Fix
from tieout.store import audit, proposals
from tieout.store.engine import connect
from tieout.store.proposals import NotAllowed, Proposal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "what mends a break is proposed, approved by another person, and delivered once",
        scenario="reconciliation",
        pair=("salesforce", "xero"),
    ),
]
DAY = date(2026, 3, 12)
COMPANY = {**GIVEN, "link": {"reconciliation": {"cut_off_hours": 0, "write_off_account": "404",
                                                "areas": ["invoices", "payments"]}}}  # fmt: skip


class Company(Tied):
    """What finance does in it."""

    def invoice(self, name: str) -> dict[str, Any]:
        """The invoice in force of an order."""
        return self.world._open_invoice(name)

    def invoices(self, name: str) -> list[tuple[str, str, Decimal]]:
        """Number, status, net of everything that an order was billed by."""
        return sorted((one["InvoiceNumber"], one["Status"], one["SubTotal"]) for one in self.world._invoices(name))

    def one(self, class_: str) -> dict[str, Any]:
        """The only break of a class."""
        (found,) = (one for one in self.breaks() if one["class"] == class_)
        return found

    def propose(self, break_id: int, kind: Fix | None = None) -> Proposal:
        with self.services() as services:
            return fixes.propose(services, [break_id], by="Ann", reason="found by the tie-out", kind=kind)

    def approve(self, found: Proposal, by: str = "Ben") -> int:
        return approval.approve(self.engine, found.proposal_id, by, found.items_hash).added

    def history(self, break_id: int) -> list[str]:
        with self.engine.connect() as conn:
            return [event.event for event in people.history(conn, break_id)]

    def tie_out(self) -> list[tuple[str, str, str, int]]:
        self.reconcile()
        return self.found()

    def state(self, found: Proposal) -> str:
        with self.engine.connect() as conn:
            now = proposals.get(conn, found.proposal_id)
        assert now is not None
        return now.state


@pytest.fixture
def company(sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    for module in (credit_sync, product_sync, quote_to_cash, returns, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    made = Company(sandbox, engine, COMPANY)
    yield made
    made.world.close()


def test_a_voided_invoice_is_sent_again_under_another_number_once_somebody_else_approves(company: Company) -> None:
    company.world.hand.void(company.invoice("A-1")["InvoiceID"])
    assert [one[2:] for one in company.tie_out()] == [("voided_or_deleted", 10000)]
    found = company.one("voided_or_deleted")
    made = company.propose(found["break_id"])
    assert [(item.action, item.amount_minor, item.break_id) for item in made.items] == [
        ("resend", 10000, found["break_id"])
    ]
    with pytest.raises(NotAllowed, match=r"proposal \d+ is proposed and would mend it"):
        company.propose(found["break_id"], "resend")
    with pytest.raises(NotAllowed, match="another person"):
        company.approve(made, by="Ann")
    assert company.approve(made) == 1
    company.sync(quote_to_cash)
    (number, _, _), (again, status, net) = company.invoices("A-1")
    assert (again, status, net) == (f"{number}-2", "AUTHORISED", Decimal("100.00"))
    assert company.tie_out() == []
    assert company.history(found["break_id"]) == ["opened", "fix_proposed", "fix_approved", "cleared"]
    assert company.state(made) == "done"
    company.sync(quote_to_cash)
    assert len(company.invoices("A-1")) == 2
    with company.engine.connect() as conn:
        assert {audit.verify(conn, chain) for chain in audit.chains(conn)} == {None}


def test_a_crash_between_approval_and_answer_sends_nothing_twice(company: Company, sandbox: SandboxProcess) -> None:
    company.world.hand.void(company.invoice("A-1")["InvoiceID"])
    company.tie_out()
    made = company.propose(company.one("voided_or_deleted")["break_id"], "resend")
    company.approve(made)
    sandbox.faults({"system": "xero", "method": "PUT", "path": "*/Invoices", "fault": "lost_answer", "times": 1})
    for _ in range(2):
        with company.services() as services:
            taken_back.deliver(services, made.proposal_id)
        with company.engine.begin() as conn:  # the quiet period passes
            conn.execute(sa.text("update tieout.intent set not_before = now() where state = 'UNKNOWN'"))
    assert len(sandbox.hits()) == 1
    company.sync(quote_to_cash)
    assert [status for _, status, _ in company.invoices("A-1")] == ["VOIDED", "AUTHORISED"]
    assert company.tie_out() == []
    assert company.state(made) == "done"


def test_what_is_in_force_or_was_entered_by_hand_is_not_sent_again(company: Company) -> None:
    gone = company.invoice("A-1")
    company.world.hand.void(gone["InvoiceID"])
    company.tie_out()
    found = company.one("voided_or_deleted")
    company.world.hand.invoice("HAND-1", {"ContactID": gone["Contact"]["ContactID"]}, Decimal("100.00"), DAY)
    with pytest.raises(NotAllowed, match="HAND-1 of the same customer over the same amount"):
        company.propose(found["break_id"], "resend")
    assert proposals_of(company) == 0


def proposals_of(company: Company) -> int:
    with company.engine.connect() as conn:
        return int(conn.execute(sa.text("select count(*) from tieout.proposal")).scalar_one())


def test_a_voided_and_re_entered_invoice_is_linked_and_nothing_is_sent(company: Company) -> None:
    gone = company.invoice("A-1")
    company.world.hand.void(gone["InvoiceID"])
    company.world.hand.invoice(
        "HAND-1", {"ContactID": gone["Contact"]["ContactID"]}, Decimal("100.00"), date(2026, 3, 10)
    )
    company.tie_out()
    found = company.one("unlinked")
    made = company.propose(found["break_id"])
    assert [(item.action, item.vendor_number) for item in made.items] == [("relink", "HAND-1")]
    before = len(company.world.hand.all("Invoices"))
    company.approve(made)
    company.sync(quote_to_cash)
    assert len(company.world.hand.all("Invoices")) == before
    with company.engine.connect() as conn:
        rows = conn.execute(
            sa.text("select origin, decided_by from tieout.crosswalk where entity = 'invoice' and source_id = :id "
                    "order by crosswalk_id"), {"id": company.world.ids["order:A-1"]},
        ).all()  # fmt: skip
    assert [tuple(row) for row in rows] == [("created", None), ("approved", "Ben")]
    assert company.tie_out() == []
    assert company.history(found["break_id"])[-1] == "cleared"
    assert company.state(made) == "done"


def test_an_invoice_by_hand_is_linked_to_the_record_that_a_person_names(company: Company) -> None:
    gone = company.invoice("A-1")
    company.world.hand.void(gone["InvoiceID"])
    # Too late for a rule to match it; and one of another amount, which is nobody's.
    for number, net in (("HAND-1", "100.00"), ("HAND-2", "95.00")):
        company.world.hand.invoice(number, {"ContactID": gone["Contact"]["ContactID"]}, Decimal(net), date(2026, 3, 25))
    assert sorted(one[2:] for one in company.tie_out()) == [
        ("missing_in_crm", -10000), ("missing_in_crm", -9500), ("voided_or_deleted", 10000),
    ]  # fmt: skip
    first, other = (
        next(one["break_id"] for one in company.breaks() if one["amount"] == amount) for amount in (-10000, -9500)
    )
    with pytest.raises(NotAllowed, match="say which one it belongs to"):
        company.propose(first)
    with company.services() as services:
        of_a1 = {"by": "Ann", "reason": "by hand", "record": company.world.ids["order:A-1"]}
        with pytest.raises(NotAllowed, match="HAND-2 is over another amount"):
            fixes.propose(services, [other], **of_a1)
        made = fixes.propose(services, [first], **of_a1)
    company.approve(made)
    company.sync(quote_to_cash)
    assert [one[2:] for one in company.tie_out() if one[1] == "presence"] == [("missing_in_crm", -9500)]
    assert company.history(first)[-1] == "cleared"


def test_a_cent_too_much_is_credited_to_the_account_of_the_link(company: Company) -> None:
    _reprice(company, "100.01")
    assert [one[2:] for one in company.tie_out()] == [("rounding", -1)]
    made = company.propose(company.one("rounding")["break_id"])
    assert [(item.action, item.amount_minor) for item in made.items] == [("write_off", 1)]
    company.approve(made)
    company.sync(quote_to_cash)
    (note,) = company.world.hand.all("CreditNotes")
    assert (note["Total"], note["LineItems"][0]["AccountCode"], note["Status"]) == (Decimal("0.01"), "404", "PAID")
    assert company.invoice("A-1")["AmountDue"] == Decimal("120.00")
    company.sync(quote_to_cash)  # shows the CRM what is due now
    assert company.tie_out() == []
    assert company.state(made) == "done"


def _deliver_elsewhere(database_url: str, sandbox_url: str, link: Link, proposal_id: int) -> None:
    """In a process of its own, to be killed."""
    there = cast(SandboxProcess, SimpleNamespace(url=sandbox_url))
    engine = connect(database_url)
    with services_of(link, crm_connection(there, "crm"), ledger_connection(there, "ledger"), engine) as services:
        taken_back.deliver(services, proposal_id)


def test_a_write_off_that_is_killed_after_it_sent_is_booked_once(
    company: Company, sandbox: SandboxProcess, database_url: str
) -> None:
    _reprice(company, "100.01")
    company.tie_out()
    made = company.propose(company.one("rounding")["break_id"])
    company.approve(made)
    sandbox.faults({"system": "xero", "method": "P*", "path": "*/CreditNotes", "fault": "slow", "times": 1,
                    "params": {"seconds": 60}})  # fmt: skip
    worker = get_context("spawn").Process(
        target=_deliver_elsewhere, args=(database_url, sandbox.url, company.world.link, made.proposal_id)
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
        with company.engine.begin() as conn:  # leases end, quiet periods pass
            conn.execute(sa.text("update tieout.intent set not_before = now() where state = 'UNKNOWN'"))
            conn.execute(
                sa.text("update tieout.intent set lease_until = now() where state in ('CLAIMED', 'IN_FLIGHT')")
            )
        with company.services() as services:
            taken_back.deliver(services, made.proposal_id)
    assert [note["Total"] for note in company.world.hand.all("CreditNotes")] == [Decimal("0.01")]
    assert company.tie_out() == []
    assert company.state(made) == "done"


def test_a_cent_too_little_is_billed(company: Company) -> None:
    _reprice(company, "99.99")
    assert [one[2:] for one in company.tie_out()] == [("rounding", 1)]
    made = company.propose(company.one("rounding")["break_id"])
    company.approve(made)
    company.sync(quote_to_cash)
    company.sync(quote_to_cash)
    assert [net for _, _, net in company.invoices("A-1")] == [Decimal("99.99"), Decimal("0.01")]
    assert company.tie_out() == []
    with company.engine.connect() as conn:
        shown = conn.execute(sa.text("select count(*) from tieout.intent where operation = 'ledger_invoices.upsert'"))
        assert shown.scalar_one() == 0  # it is no invoice that finance raised by hand


def _reprice(company: Company, net: str) -> None:
    """Finance changes what A-1 was billed."""
    changed = {"InvoiceID": company.invoice("A-1")["InvoiceID"],
               "LineItems": [line("Chairs, as agreed", Decimal(net), "OUTPUT2")]}  # fmt: skip
    company.world.hand.change("Invoices", changed)
    company.sync(quote_to_cash)


def test_a_double_is_voided(company: Company) -> None:
    billed = company.invoice("A-1")
    company.world.hand.invoice(
        "TWICE-1", {"ContactID": billed["Contact"]["ContactID"]}, Decimal("100.00"), date(2026, 3, 10)
    )
    assert [one[2:] for one in company.tie_out()] == [("duplicate", -10000)]
    made = company.propose(company.one("duplicate")["break_id"])
    company.approve(made)
    company.sync(quote_to_cash)
    statuses = {one["InvoiceNumber"]: one["Status"] for one in company.world.hand.all("Invoices")}
    assert (statuses["TWICE-1"], statuses[billed["InvoiceNumber"]]) == ("VOIDED", "AUTHORISED")
    assert company.tie_out() == []


def test_a_payment_that_was_booked_twice_is_taken_back(company: Company) -> None:
    """The controller approves it at 8:10; of two that are alike the one that was entered last goes."""
    billed = company.invoice("A-1")["InvoiceID"]
    company.world.hand.pay(billed, Decimal("30.00"), DAY)
    company.sync(quote_to_cash)
    assert company.tie_out() == []
    company.world.hand.pay(billed, Decimal("30.00"), DAY)
    assert company.tie_out() == [("payments", "paid", "duplicate", -3000)]
    made = company.propose(company.one("duplicate")["break_id"])
    assert [(item.entity, item.action, item.amount_minor) for item in made.items] == [("payment", "void", 3000)]
    with pytest.raises(NotAllowed):
        company.approve(made, by="Ann")
    company.approve(made)
    for _ in range(2):  # the second run has nothing to do
        company.sync(quote_to_cash)
        states = sorted(one["Status"] for one in company.world.hand.all("Payments"))
        assert states == ["AUTHORISED", "DELETED"]
    assert company.invoice("A-1")["AmountPaid"] == Decimal("30.00")
    assert company.tie_out() == [] and company.state(made) == "done"


def test_payments_that_are_not_alike_are_left_to_finance(company: Company) -> None:
    billed = company.invoice("A-1")["InvoiceID"]
    company.world.hand.pay(billed, Decimal("30.00"), DAY)
    company.sync(quote_to_cash)
    company.world.hand.pay(billed, Decimal("30.00"), DAY)
    company.tie_out()
    twice = company.one("duplicate")["break_id"]
    payment = max(company.world.hand.all("Payments"), key=lambda one: one["UpdatedDateUTC"])
    company.world.hand.change(f"Payments/{payment['PaymentID']}", {"Status": "DELETED"})
    with pytest.raises(NotAllowed, match="1 payments of that amount"):
        company.propose(twice)


def test_in_a_closed_period_nothing_is_voided_and_nothing_written_off(company: Company) -> None:
    """Both the month of the documents and today are closed, after the tie-out had found what is wrong."""
    billed = company.invoice("A-1")
    company.world.hand.invoice(
        "TWICE-1", {"ContactID": billed["Contact"]["ContactID"]}, Decimal("100.01"), date(2026, 3, 10)
    )
    _reprice(company, "100.01")
    company.tie_out()
    double, cent = company.one("duplicate")["break_id"], company.one("rounding")["break_id"]
    for first, last in ((date(2026, 3, 1), date(2026, 3, 31)), (date(2026, 4, 1), date(2099, 12, 31))):
        company.world.happen(Step.model_validate({"close_period": {"label": str(first), "first": first, "last": last}}))
    with pytest.raises(NotAllowed, match=r"2026-03-10 is in 2026-03-01, which a controller closed .*: finance credits"):
        company.propose(double)
    with pytest.raises(NotAllowed, match=r"it cannot be dated today: .* is in 2026-04-01, which a controller closed"):
        company.propose(cent)


def test_a_break_that_cleared_before_the_approval_is_not_mended(company: Company) -> None:
    _reprice(company, "100.01")
    company.tie_out()
    made = company.propose(company.one("rounding")["break_id"])
    _reprice(company, "100.00")
    assert company.tie_out() == []
    with pytest.raises(NotAllowed, match="cleared or changed since"):
        company.approve(made)


def test_what_the_ledger_refused_is_sent_again_once_its_cause_is_mended(
    sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (credit_sync, product_sync, quote_to_cash, returns, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    company = Company(sandbox, engine, {**COMPANY, "link": {**COMPANY["link"], "revenue_account": "207"}})
    try:
        company.tie_out()
        refused = [one for one in company.breaks() if one["class"] == "rejected_or_held"]
        assert len(refused) == 3
        company.world.hand.create("Accounts", [{"Code": "207", "Name": "Chairs", "Type": "REVENUE"}])
        with company.services() as services:
            made = fixes.propose(
                services, [one["break_id"] for one in refused], by="Ann", reason="the account is there now"
            )
        assert {item.action for item in made.items} == {"resend"}
        company.approve(made)
        company.sync(quote_to_cash)
        assert [status for _, status, _ in company.invoices("A-1")] == ["AUTHORISED"]
        assert company.tie_out() == []
        assert company.state(made) == "done"
    finally:
        company.world.close()


def test_each_fix_is_for_its_classes(company: Company) -> None:
    _reprice(company, "140.00")
    company.tie_out()
    found = company.one("amount")
    for kind in ("resend", "write_off", "void_duplicate", "relink"):
        with pytest.raises(NotAllowed, match="is amount in invoices"):
            company.propose(found["break_id"], kind)  # type: ignore[arg-type]  # the literals above
    with pytest.raises(NotAllowed, match="propose no fix"):
        company.propose(found["break_id"])
