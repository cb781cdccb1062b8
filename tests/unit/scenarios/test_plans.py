"""From a decided step to intents and their exact bytes: no database, no system is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from tieout.connectors.registry import connect
from tieout.mapping.load import apply_overrides, load_system
from tieout.model.connection import Connection
from tieout.model.link import Link, Policies
from tieout.model.settings import load_settings
from tieout.scenarios.billing import Bill, BillLine, Closed, Rules
from tieout.scenarios.customer_book import Party
from tieout.scenarios.making import Intents, plan_intents
from tieout.scenarios.plans import Credited, Plan, Planned, moved, with_original_date
from tieout.scenarios.revisions import Step
from tieout.scenarios.services import Services, Side
from tieout.store.documents import Judgement

LINK = Link(
    name="demo", crm="crm", crm_system="salesforce", ledger="books", ledger_system="xero", base_currency="GBP",
    revenue_account="200", tax_codes={"standard": "OUTPUT2"}, policies=Policies(),
)  # fmt: skip
NOBODY = "http://127.0.0.1:9"
TODAY = date(2026, 3, 31)
LINES = (
    {"product_code": "CHAI", "description": "Chai", "quantity": Decimal(1), "unit_price": Decimal("100.10"),
     "account_code": "200", "tax_code": "OUTPUT2", "net_minor": 10010, "tax_minor": None},
)  # fmt: skip
RULES = Rules(LINK, {}, frozenset({"GBP"}), {}, {}, None, TODAY)
INVOICE_ID, CONTACT_ID = "3f0a5a4e-0000-4000-8000-000000000001", "3f0a5a4e-0000-4000-8000-000000000002"


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """The shipped mappings; both systems and the store are at an address where nobody answers."""
    settings = load_settings()
    with ExitStack() as stack:
        sides = []
        for name, system in (("crm", "salesforce"), ("books", "xero")):
            connector = connect(Connection(name, system, NOBODY, "x", "y", {"allowed_hosts": "127.0.0.1"}))
            stack.callback(connector.close)
            loaded = load_system(settings.include / "mappings", system)
            mappings = {entity: apply_overrides(mapping, LINK) for entity, mapping in loaded.items()}
            sides.append(Side(name, system, connector, mappings, NOBODY))
        engine = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none")
        yield Services(settings, engine, LINK, sides[0], sides[1], "test")


def bill(currency: str = "GBP", net: int = 10010) -> Bill:
    line = BillLine("CHAI", "Chai", Decimal(1), Decimal(net) / 100, Decimal(0), "200", "OUTPUT2", net)
    return Bill(
        source_id="801A", source_number="00000100", account_id="001A", currency=currency,
        posting_date=date(2026, 3, 1), due_date=TODAY, original_date=date(2026, 3, 1), reference=None,
        exchange_rate=None, lines=(line,), net_minor=net, expected_tax_minor=None,
    )  # fmt: skip


def planned(step: Step, source_id: str = "801A", **changes: Any) -> Plan:
    """A plan for an order whose first invoice is confirmed, authorised and has 70.10 due."""
    intent = {
        "doc_uid": f"invoice-of-{source_id}", "state": "CONFIRMED", "revision": 1, "sends": 1, "reversal": None,
        "vendor_id": INVOICE_ID, "natural_key": "INV-00000100", "frozen": {"bill": bill().content()},
        "operation": "invoices.create", "depends_on": [],
        **changes.pop("intent", {}),
    }  # fmt: skip
    invoice = {"status": "AUTHORISED", "standing": "open", "date": date(2026, 3, 1),
               "customer_id": CONTACT_ID, "due_minor": 7010,
               **changes.pop("invoice", {})}  # fmt: skip
    judgement = Judgement(
        source_id, "00000100", "pending", 1, revision=intent["revision"], doc_uid=intent["doc_uid"], currency="GBP"
    )
    return Plan(
        judgement, steps=(step,), bill=bill(), party=Party(CONTACT_ID, "customer"), live=Planned(intent, invoice),
        digest="new", **changes,
    )  # fmt: skip


def made(services: Services, *plans: Plan) -> Intents:
    return plan_intents(services, "order", plans, RULES)


def test_an_allocation_is_the_due_amount_as_an_exact_json_number(services: Services) -> None:
    note, allocation = made(services, planned(Step.CREDIT)).intents
    assert allocation.operation == "credit_notes.allocate" and allocation.depends_on == (note.doc_uid,)
    assert b'"Amount":70.1,' in allocation.body
    content = json.loads(allocation.body, parse_float=Decimal)
    assert content == {
        "Amount": Decimal("70.1"), "Date": "2026-03-31", "Invoice": {"InvoiceID": INVOICE_ID},
        "CreditNote": {"CreditNoteID": "{{vendor_id:" + note.doc_uid + "}}"},
    }  # fmt: skip
    assert allocation.amount_minor == 7010


@pytest.mark.parametrize(("due", "kinds"), [(7010, ["credit_memo", "allocation"]), (0, ["credit_memo"]),
                                            (None, ["credit_memo"])])  # fmt: skip
def test_nothing_is_allocated_where_nothing_is_due(services: Services, due: int | None, kinds: list[str]) -> None:
    result = made(services, planned(Step.CREDIT, invoice={"due_minor": due}))
    assert [intent.kind for intent in result.intents] == kinds


def test_a_credited_order_follows_its_own_credit_note(services: Services) -> None:
    """Both are paid, so there is one intent for each: the second must not be taken for the first."""
    paid = {"due_minor": 0, "status": "PAID", "standing": "settled"}
    result = made(services, *(planned(Step.CREDIT, source_id, invoice=paid) for source_id in ("801A", "801B")))
    notes = {intent.source_id: intent.doc_uid for intent in result.intents}
    assert {key: judgement.doc_uid for key, judgement in result.judgements.items()} == notes


def test_a_credit_note_takes_back_what_was_billed_line_by_line(services: Services) -> None:
    note = made(services, planned(Step.CREDIT)).intents[0]
    content = json.loads(note.body, parse_float=Decimal)
    assert [(line["Quantity"], line["UnitAmount"], line["TaxType"]) for line in content["LineItems"]] == [
        (1, Decimal("100.1"), "OUTPUT2")
    ]
    assert content["Reference"] == note.natural_key and note.amount_minor == 10010


def test_a_rebill_waits_for_the_credit_and_has_a_number_of_its_own(services: Services) -> None:
    note, _, invoice = made(services, planned(Step.CREDIT_AND_REBILL)).intents
    assert (invoice.natural_key, invoice.revision) == ("INV-00000100-2", 2)
    assert note.doc_uid in invoice.depends_on
    assert json.loads(invoice.body)["InvoiceNumber"] == "INV-00000100-2"


def over(services: Services, operation: str, number: str, depends_on: tuple[str, ...] = ()) -> Plan:
    """The second revision of a posted invoice was never sent, and its order changed once more."""
    first = planned(Step.SUPERSEDE)
    assert first.live is not None
    unsent = {
        **first.live.intent, "doc_uid": "second", "state": "READY", "revision": 2, "sends": 0, "vendor_id": None,
        "natural_key": number, "operation": operation, "depends_on": list(depends_on),
    }  # fmt: skip
    judgement = replace(first.judgement, revision=2, doc_uid="second")
    return replace(first, judgement=judgement, live=Planned(unsent, None, first.live))


def test_what_replaces_an_unsent_update_updates_the_same_draft(services: Services) -> None:
    result = made(services, over(services, "invoices.update", "INV-00000100"))
    (update,) = result.intents
    assert (result.cancel, update.operation, update.revision) == (["second"], "invoices.update", 3)
    assert json.loads(update.body)["InvoiceID"] == INVOICE_ID


def test_what_replaces_an_unsent_rebill_waits_for_the_same_credit(services: Services) -> None:
    note, _, rebill = made(services, planned(Step.CREDIT_AND_REBILL)).intents
    plan = over(services, "invoices.create", rebill.natural_key, rebill.depends_on)
    (third,) = made(services, plan).intents
    assert (third.operation, third.natural_key, third.revision) == ("invoices.create", "INV-00000100-2", 3)
    assert third.depends_on == (note.doc_uid,), "the credited invoice is in force until then"


@pytest.mark.parametrize(
    ("step", "intent", "number"),
    [
        (Step.UPDATE, {"natural_key": "INV-7"}, "INV-7"),
        (Step.SUPERSEDE, {"state": "READY", "natural_key": "INV-7"}, "INV-7"),
        # The first was never in the ledger: its number is free.
        (Step.CREATE, {"state": "CANCELLED"}, "INV-00000100"),
        (Step.CREATE, {"state": "REJECTED"}, "INV-00000100"),
        # The second was not, but the first was.
        (Step.CREATE, {"state": "CANCELLED", "revision": 2}, "INV-00000100-3"),
        (Step.CREATE, {"state": "CONFIRMED"}, "INV-00000100-2"),
    ],
)
def test_no_number_is_given_twice(services: Services, step: Step, intent: dict[str, Any], number: str) -> None:
    result = made(services, planned(step, intent=intent))
    assert result.intents[-1].natural_key == number


def test_a_document_that_was_never_sent_is_cancelled_and_replaced(services: Services) -> None:
    result = made(services, planned(Step.SUPERSEDE, intent={"state": "READY", "sends": 0}))
    assert result.cancel == ["invoice-of-801A"]
    judgement = result.judgements["801A"]
    assert (judgement.revision, judgement.doc_uid, judgement.content_hash) == (2, result.intents[0].doc_uid, "new")


@pytest.mark.parametrize(("standing", "sent"), [("open", "VOIDED"), ("draft", "DELETED")])
def test_a_void_is_a_deletion_only_of_a_draft(services: Services, standing: str, sent: str) -> None:
    (void,) = made(services, planned(Step.VOID, invoice={"standing": standing})).intents
    assert json.loads(void.body) == {"InvoiceID": INVOICE_ID, "Status": sent}
    assert (void.operation, void.natural_key) == ("invoices.void", INVOICE_ID)


def shut(today: date, policy: str) -> Rules:
    """The rules where March is closed and the link says `policy`."""
    link = LINK.model_copy(update={"policies": Policies(closed_period=policy)})  # type: ignore[arg-type] # a literal
    march = Closed(date(2026, 3, 1), date(2026, 3, 31), "FY2026-P03", "Rex", datetime(2026, 4, 2, tzinfo=UTC))
    return replace(RULES, link=link, today=today, closed=(march,))


def test_every_document_of_a_credit_and_a_rebill_is_kept_with_its_date(services: Services) -> None:
    credited = Credited(CONTACT_ID, INVOICE_ID, "GBP", 7010, LINES, refund_minor=3000, refund_account="090")
    plan = replace(planned(Step.CREDIT_AND_REBILL), credited=credited)
    result = plan_intents(services, "order", [plan], shut(TODAY, "next_open"))
    dates = {intent.kind: (intent.posting_date, json.loads(intent.body)["Date"]) for intent in result.intents}
    april = (date(2026, 4, 1), "2026-04-01")
    assert dates == {
        "credit_memo": april, "allocation": april, "refund": april, "invoice": (date(2026, 3, 1), "2026-03-01")
    }  # fmt: skip
    note = result.intents[0]
    assert note.frozen["original_date"] == "2026-03-31", "the day on which it was to be dated"


def test_a_credit_that_cannot_be_dated_today_waits_where_the_link_says_so(services: Services) -> None:
    result = plan_intents(services, "order", [planned(Step.CREDIT)], shut(TODAY, "hold"))
    (stopped,) = result.stopped
    assert (result.intents, stopped.judgement.outcome, stopped.judgement.reason) == ([], "held", "period_closed")
    assert plan_intents(services, "order", [planned(Step.CREDIT)], shut(date(2026, 4, 1), "hold")).intents


def test_a_void_is_kept_with_the_date_of_what_it_takes_back_and_that_of_a_draft_has_none(services: Services) -> None:
    (void,) = made(services, planned(Step.VOID)).intents
    assert void.posting_date == date(2026, 3, 1)
    (deleted,) = made(services, planned(Step.VOID, invoice={"standing": "draft"})).intents
    assert deleted.posting_date is None


def test_an_invoice_that_is_not_dated_as_its_order_says_of_which_day_it_is(services: Services) -> None:
    late = replace(bill(), original_date=date(2026, 2, 27), reference="PO 7")
    plan = replace(planned(Step.CREATE, intent={"state": "CANCELLED"}), bill=late)
    (invoice,) = made(services, plan).intents
    assert json.loads(invoice.body)["Reference"] == "PO 7 (of 2026-02-27)"
    assert moved(invoice.frozen) == (
        "dated 2026-03-01 in the ledger: the period of 2026-02-27 was closed when it was billed"
    )
    assert with_original_date(None, late) == "(of 2026-02-27)" and with_original_date("PO 7", bill()) == "PO 7"


def test_a_new_customer_is_named_by_its_document_and_waited_for(services: Services) -> None:
    plan = planned(Step.CREATE, intent={"state": "CANCELLED"})
    plan = Plan(plan.judgement, plan.steps, plan.bill, Party(None, "customer-uid"), plan.live, plan.digest)
    (invoice,) = made(services, plan).intents
    assert invoice.depends_on == ("customer-uid",)
    assert json.loads(invoice.body)["Contact"] == {"ContactID": "{{vendor_id:customer-uid}}"}
