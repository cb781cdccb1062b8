"""What can be done to take a posted invoice back: void, credit, or nothing; never twice, not in a closed period."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tieout.model.link import Link, Policies
from tieout.scenarios.billing import Rules
from tieout.scenarios.plans import Planned
from tieout.scenarios.reversal import reversal
from tieout.scenarios.revisions import Step

LINK = Link(
    name="acme", crm="crm", crm_system="salesforce", ledger="books", ledger_system="xero", base_currency="GBP",
    revenue_account="200",
)  # fmt: skip
NEXT_OPEN = LINK.model_copy(update={"policies": Policies(closed_period="next_open")})
INVOICE = {"status": "AUTHORISED", "paid_minor": 0, "credited_minor": 0, "date": date(2026, 3, 10), "total_minor": 100}
INTENT = {"doc_uid": "uid", "state": "CONFIRMED", "revision": 1, "reversal": None}
MARCH_CLOSED, TODAY_CLOSED = date(2026, 3, 31), date(2026, 4, 30)


def rules(locked_until: date | None, link: Link = LINK) -> Rules:
    return Rules(
        link=link, items=frozenset(), currencies=frozenset(), tax_rates={}, aliases={}, locked_until=locked_until,
        today=date(2026, 4, 15),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("invoice", "locked_until", "link", "step", "reason"),
    [
        ({}, None, LINK, Step.VOID, "unpaid"),
        ({"status": "DRAFT"}, None, LINK, Step.VOID, "draft"),
        ({"status": "SUBMITTED"}, MARCH_CLOSED, LINK, Step.VOID, "draft"),  # a draft is in no period's books
        ({"paid_minor": 1}, None, LINK, Step.CREDIT, "paid"),
        ({"status": "PAID", "paid_minor": 100}, None, LINK, Step.CREDIT, "paid"),
        ({"credited_minor": 1}, None, LINK, None, "credited_in_ledger"),
        ({"status": "VOIDED"}, None, LINK, None, "already_voided"),
        ({"status": "DELETED"}, None, LINK, None, "already_voided"),
        ({}, MARCH_CLOSED, LINK, None, "period_locked"),
        ({"paid_minor": 1}, MARCH_CLOSED, LINK, None, "period_locked"),
        ({}, MARCH_CLOSED, NEXT_OPEN, Step.CREDIT, "period_locked"),
        ({"paid_minor": 1}, MARCH_CLOSED, NEXT_OPEN, Step.CREDIT, "paid"),
        ({}, TODAY_CLOSED, NEXT_OPEN, None, "period_locked"),
        ({"date": date(2026, 4, 1)}, MARCH_CLOSED, LINK, Step.VOID, "unpaid"),
    ],
)
def test_by_what_the_ledger_says(
    invoice: dict[str, Any], locked_until: date | None, link: Link, step: Step | None, reason: str
) -> None:
    can = reversal(Planned(INTENT, {**INVOICE, **invoice}), "uid", {}, rules(locked_until, link))
    assert (can.step, can.reason) == (step, reason)


@pytest.mark.parametrize(
    ("intent", "reason"),
    [
        ({"doc_uid": "another"}, "later_revision"),
        ({"state": "UNKNOWN"}, "not_posted"),
        ({"reversal": "READY"}, "already_reversed"),
        ({"reversal": "UNKNOWN"}, "already_reversed"),
        ({"reversal": "HELD"}, "already_reversed"),
        ({"reversal": "CONFIRMED"}, "already_reversed"),
    ],
)
def test_by_what_we_know_of_it(intent: dict[str, Any], reason: str) -> None:
    can = reversal(Planned({**INTENT, **intent}, INVOICE), "uid", {}, rules(None))
    assert (can.step, can.reason) == (None, reason)


def test_what_the_ledger_does_not_show_is_left_alone() -> None:
    assert reversal(Planned(INTENT, None), "uid", {}, rules(None)).reason == "not_in_ledger"


def test_a_void_that_was_refused_is_not_made_twice_and_does_not_stand_in_a_credits_way() -> None:
    failed = {"void": "REJECTED"}
    intent = {**INTENT, "reversal": "REJECTED"}
    assert reversal(Planned(intent, INVOICE), "uid", failed, rules(None)).reason == "reversal_failed"
    assert reversal(Planned(intent, {**INVOICE, "paid_minor": 1}), "uid", failed, rules(None)).step is Step.CREDIT
