"""A refund that is a document of its own: what is planned for it, in which order, and when a return is done with it."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.mapping.frames import mappings
from tests.unit.scenarios.test_plans import (
    CONTACT_ID,
    INVOICE_ID,
    LINES,
    RULES,
    made,
    planned,
    services,  # noqa: F401 - a fixture
)
from tieout.scenarios.making import plan_intents
from tieout.scenarios.plans import Credited
from tieout.scenarios.returning.planning import _settled
from tieout.scenarios.revisions import Step
from tieout.scenarios.services import Services
from tieout.store.documents import Judgement

ITEMS = {"CHAI": "12"}


def credited(due: int = 7010, currency: str = "GBP", rate: Decimal | None = None) -> Credited:
    return Credited(
        CONTACT_ID, INVOICE_ID, currency, due, LINES, exchange_rate=rate, refund_minor=3000, refund_account="Checking"
    )


def of_quickbooks(services: Services) -> Services:  # noqa: F811 - the fixture
    return replace(services, ledger=replace(services.ledger, system="quickbooks", mappings=mappings("quickbooks")))


@pytest.mark.parametrize(("due", "before"), [(7010, ["credit_memo", "allocation"]), (0, ["credit_memo"])])
def test_a_refund_of_its_own_goes_first_and_is_then_set_against_its_credit_note(
    services: Services,  # noqa: F811
    due: int,
    before: list[str],
) -> None:
    plan = replace(planned(Step.CREDIT), credited=credited(due))
    intents = plan_intents(of_quickbooks(services), "order", [plan], replace(RULES, items=ITEMS)).intents
    assert [one.kind for one in intents] == [*before, "refund", "allocation"]
    assert len({one.doc_uid for one in intents}) == len(intents)
    note, refund, application = intents[0], intents[-2], intents[-1]
    assert refund.depends_on == tuple(one.doc_uid for one in intents[: len(before)])
    assert application.depends_on == (note.doc_uid, refund.doc_uid)
    assert (refund.operation, refund.entity, refund.amount_minor) == ("refunds.create", "refund", 3000)
    assert (application.operation, application.entity) == ("refunds.apply", "payment")
    body = json.loads(refund.body)
    assert (body["DocNumber"], body["AccountRef"]) == ("RF-00000100", {"name": "Checking"})
    assert body["PrivateNote"] == f"tieout:{refund.doc_uid}"
    assert body["CreditMemoRef"] == {"value": f"{{{{vendor_id:{note.doc_uid}}}}}"}
    assert [(one["Amount"], one["LinkedTxn"][0]["TxnType"]) for one in json.loads(application.body)["Line"]] == [
        (30, "Expense"),
        (30, "CreditMemo"),
    ]
    assert f"{{{{vendor_id:{refund.doc_uid}}}}}" in application.body.decode()
    assert refund.posting_date == application.posting_date == note.posting_date


def test_in_another_currency_both_are_at_the_invoices_rate(services: Services) -> None:  # noqa: F811
    plan = replace(planned(Step.CREDIT), credited=credited(0, "EUR", Decimal("1.25")))
    _, refund, application = plan_intents(
        of_quickbooks(services), "order", [plan], replace(RULES, items=ITEMS)
    ).intents  # fmt: skip
    assert [json.loads(one.body)["ExchangeRate"] for one in (refund, application)] == [0.8, 0.8]


def test_elsewhere_a_refund_is_a_payment_of_the_credit_note(services: Services) -> None:  # noqa: F811
    note, refund = made(services, replace(planned(Step.CREDIT), credited=credited(0))).intents
    assert (refund.kind, refund.operation, refund.entity) == ("refund", "refunds.create", "payment")
    assert refund.depends_on == (note.doc_uid,)


def follow(refund: str, application: str) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "operation": operation, "doc_uid": operation, "state": state, "sends": 0, "reason": "r",
         "message": "m"}
        for kind, operation, state in (
            ("refund", "refunds.create", refund), ("allocation", "refunds.apply", application)
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("refund", "application", "left", "outcome", "cancelled"),
    [
        ("CONFIRMED", "CONFIRMED", 0, "posted", []),
        ("CONFIRMED", "READY", 3000, "pending", []),
        ("REJECTED", "HELD", 3000, "held", []),
        # Finance has settled the credit note itself: nothing of ours went out.
        ("REJECTED", "HELD", 0, "posted", ["refunds.apply"]),
        # Ours went out as well: a person has to look, until one gives it up.
        ("CONFIRMED", "REJECTED", 0, "held", []),
        ("CONFIRMED", "CANCELLED", 0, "posted", []),
    ],
)
def test_when_a_return_is_done_with_its_refund(
    refund: str, application: str, left: int, outcome: str, cancelled: list[str]
) -> None:
    cancel: list[str] = []
    note = {"remaining_minor": left, "subtotal_minor": 3000}
    judged = _settled(Judgement("r", "R-1", "held", 1), follow(refund, application), note, cancel)
    assert (judged.judgement.outcome, cancel) == (outcome, cancelled)
