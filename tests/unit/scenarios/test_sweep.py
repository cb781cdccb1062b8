"""A double that no protocol could prevent is found by the sweep, proposed, approved by a person and voided."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from tests.scenarios.format import Given, Step
from tests.support.sandbox import SandboxProcess
from tests.unit.scenarios.conftest import BeginWith
from tieout.scenarios import approval, quote_to_cash, sweep
from tieout.scenarios.services import Services
from tieout.scenarios.stamped import Owned, verdicts
from tieout.store import dead_letters, proposals
from tieout.store.dead_letters import Filter

TODAY = date(2026, 3, 31)
GIVEN = Given.model_validate(
    {
        "story": "a credit note is applied twice",
        "today": TODAY,
        "crm": {
            "accounts": [{"name": "Acme Ltd", "tax_id": "GB980780684", "street": "1 High Street", "city": "Leeds",
                          "postcode": "LS1 4DY", "country": "United Kingdom"}],
            "orders": [{"order": "A-1", "account": "Acme Ltd", "date": date(2026, 3, 10),
                        "lines": [{"product": "CHAIR", "quantity": 2, "price": Decimal(50)}]}],
        },
    }
)  # fmt: skip


def open_letters(services: Services) -> list[tuple[str, str]]:
    with services.engine.connect() as conn:
        found = dead_letters.listing(conn, Filter(stage="sweep"))
    return [(letter.reason, letter.source_id) for letter in found]


@pytest.mark.slow
def test_a_credit_note_applied_past_every_bound_is_found_proposed_and_voided(
    begin_with: BeginWith, sandbox: SandboxProcess
) -> None:
    world, services = begin_with(GIVEN)
    quote_to_cash.run(services)
    assert open_letters(services) == []
    world.happen(Step(pay="A-1", amount=Decimal(50), date=TODAY))
    world.happen(Step(cancel_order="A-1"))
    sandbox.faults({"system": "xero", "method": "PUT", "path": "*/CreditNotes", "fault": "late_apply", "times": 1,
                    "params": {"seconds": 3600}})  # fmt: skip
    assert quote_to_cash.run(services)["sweep"]["found"] == 0
    with services.engine.begin() as conn:  # the quiet period passes
        done = conn.execute(text("update tieout.intent set not_before = now() where state = 'UNKNOWN'"))
        assert done.rowcount == 1
    quote_to_cash.run(services)
    assert len(world.hand.all("CreditNotes")) == 1
    sandbox.settings("xero", idempotency_seconds=0)  # Xero has forgotten the idempotency key
    sandbox.apply_late()
    first, second = (note["CreditNoteID"] for note in world.hand.all("CreditNotes"))

    swept = quote_to_cash.run(services)["sweep"]
    assert (swept["duplicates"], swept["orphans"], swept["overdue"]) == (1, 0, False)
    with services.engine.connect() as conn:
        found = proposals.get(conn, swept["proposal"])
        kept = conn.execute(text("select vendor_id from tieout.crosswalk where entity = 'credit_memo'")).scalar_one()
    assert found is not None
    double = second if kept == first else first
    assert [(item.vendor_id, item.action, item.amount_minor) for item in found.items] == [(double, "void", 12000)]
    assert (found.kind, found.by_machine, found.proposed_by) == ("void_duplicate", True, "tieout")
    assert open_letters(services) == [("duplicate_in_ledger", double)]

    # Until somebody decides it is neither proposed again nor touched.
    assert sweep.run(services)["proposal"] is None
    approval.approve(services.engine, found.proposal_id, "Ann", found.items_hash)
    quote_to_cash.run(services)
    assert quote_to_cash.run(services)["sweep"]["found"] == 0
    assert {note["CreditNoteID"]: note["Status"] for note in world.hand.all("CreditNotes")} == {
        kept: "AUTHORISED", double: "VOIDED",
    }  # fmt: skip
    assert open_letters(services) == []
    with services.engine.connect() as conn:
        done_ = proposals.get(conn, found.proposal_id)
        assert done_ is not None and done_.state == "done"


@pytest.mark.slow
def test_copies_and_strangers_with_our_stamp_are_orphans_and_only_a_person_touches_them(begin_with: BeginWith) -> None:
    world, services = begin_with(GIVEN)
    quote_to_cash.run(services)
    (ours,) = world.hand.all("Invoices")
    line = {"Description": "copy", "Quantity": "1", "UnitAmount": "5", "AccountCode": "200", "TaxType": "NONE"}
    copy = {"Type": "ACCREC", "Status": "AUTHORISED", "InvoiceNumber": "COPY-1", "Url": ours["Url"],
            "Contact": {"ContactID": ours["Contact"]["ContactID"]}, "Date": "2026-03-31", "DueDate": "2026-03-31",
            "LineItems": [line]}  # fmt: skip
    by_hand = {**copy, "InvoiceNumber": "HAND-1", "Url": None}
    note = {**{key: value for key, value in copy.items() if key in ("Status", "Contact", "Date", "LineItems")},
            "Type": "ACCRECCREDIT", "Reference": "tieout:0123456789abcdef0123456789abcdef"}  # fmt: skip
    copied, _ = world.hand.create("Invoices", [copy, {key: value for key, value in by_hand.items() if value}])
    (stranger,) = world.hand.create("CreditNotes", [note])
    swept = sweep.run(services)
    assert (swept["duplicates"], swept["orphans"], swept["proposal"]) == (0, 2, None)
    expected = {("orphan_in_ledger", copied["InvoiceID"]), ("orphan_in_ledger", stranger["CreditNoteID"])}
    assert set(open_letters(services)) == expected
    again = sweep.run(services)
    assert (again["looked_at"], again["found"]) == (0, 0)
    world.hand.void(copied["InvoiceID"])
    sweep.run(services)
    assert set(open_letters(services)) == {("orphan_in_ledger", stranger["CreditNoteID"])}
    with services.engine.connect() as conn:
        last = sweep.last_sweep(conn, services.link)
    assert last is not None
    hours = services.link.sweep_within_hours
    assert not sweep.overdue(services.link, last, last + timedelta(hours=hours))
    assert sweep.overdue(services.link, last, last + timedelta(hours=hours, seconds=1))


INTENT = Owned("uid", "CONFIRMED", "A", "acme", "Order", "801")


def row(id_: str, minute: int = 0) -> dict[str, Any]:
    return {"_source_id": id_, "number": id_, "modified_at": datetime(2026, 3, 1, 12, minute, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("state", "rows", "found"),
    [
        ("CONFIRMED", ["B", "C"], [("duplicate", "B", "A"), ("duplicate", "C", "A")]),
        ("UNKNOWN", ["B", "C"], [("wait", "B", None), ("wait", "C", None)]),
        ("READY", ["B"], [("wait", "B", None)]),
        ("HELD", ["B"], [("wait", "B", None)]),
        ("HELD", ["B", "C"], [("wait", "B", None), ("duplicate", "C", "B")]),
        ("CANCELLED", ["B"], [("unaccounted", "B", None)]),
        ("REJECTED", ["B"], [("unaccounted", "B", None)]),
    ],
)
def test_what_a_stamped_document_is_depends_on_its_intent(state: str, rows: list[str], found: list[Any]) -> None:
    documents = [row(id_, minute) for minute, id_ in enumerate(rows)]
    made = verdicts(documents[::-1] if state == "HELD" else documents, [replace(INTENT, state=state)], "acme")
    assert [(each.what, each.row["_source_id"], each.keeps) for each in made] == found


def test_a_later_revision_of_the_same_number_that_is_confirmed_is_what_counts() -> None:
    earlier = replace(INTENT, state="CANCELLED", vendor_id=None)
    (made,) = verdicts([row("B")], [earlier, INTENT], "acme")
    assert (made.what, made.keeps) == ("duplicate", "A")


def test_documents_of_another_link_are_that_links_to_judge() -> None:
    assert verdicts([row("B")], [INTENT], "other") == []
    assert [each.what for each in verdicts([row("B")], [], "other")] == ["orphan"]
