"""What can be done to take a posted invoice back: void, credit, or nothing; never twice, not in a closed period."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tieout.model.link import Link, Policies
from tieout.scenarios.billing import Closed, Hold, Rules
from tieout.scenarios.plans import Planned
from tieout.scenarios.reversal import in_open_period, reversal
from tieout.scenarios.revisions import Step

LINK = Link(
    name="acme", crm="crm", crm_system="salesforce", ledger="books", ledger_system="xero", base_currency="GBP",
    revenue_account="200",
)  # fmt: skip
NEXT_OPEN = LINK.model_copy(update={"policies": Policies(closed_period="next_open")})
INVOICE = {
    "status": "AUTHORISED",
    "standing": "open",
    "paid_minor": 0,
    "credited_minor": 0,
    "date": date(2026, 3, 10),
    "total_minor": 100,
}
INTENT = {"doc_uid": "uid", "state": "CONFIRMED", "revision": 1, "reversal": None}
MARCH_CLOSED, TODAY_CLOSED = date(2026, 3, 31), date(2026, 4, 30)


def rules(locked_until: date | None, link: Link = LINK) -> Rules:
    return Rules(
        link=link, items={}, currencies=frozenset(), tax_rates={}, aliases={}, locked_until=locked_until,
        today=date(2026, 4, 15),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("invoice", "locked_until", "link", "step", "reason"),
    [
        ({}, None, LINK, Step.VOID, "unpaid"),
        ({"standing": "draft"}, None, LINK, Step.VOID, "draft"),
        ({"standing": "draft"}, MARCH_CLOSED, LINK, Step.VOID, "draft"),  # a draft is in no period's books
        ({"paid_minor": 1}, None, LINK, Step.CREDIT, "paid"),
        ({"standing": "settled", "paid_minor": 100}, None, LINK, Step.CREDIT, "paid"),
        ({"credited_minor": 1}, None, LINK, None, "credited_in_ledger"),
        ({"standing": "void"}, None, LINK, None, "already_voided"),
        ({"standing": "void"}, None, LINK, None, "already_voided"),
        ({}, MARCH_CLOSED, LINK, None, "period_locked"),
        ({"paid_minor": 1}, MARCH_CLOSED, LINK, None, "period_locked"),
        ({}, MARCH_CLOSED, NEXT_OPEN, Step.CREDIT, "period_locked"),
        ({"paid_minor": 1}, MARCH_CLOSED, NEXT_OPEN, Step.CREDIT, "paid"),
        ({}, TODAY_CLOSED, NEXT_OPEN, Step.CREDIT, "period_locked"),  # dated on the first open day
        ({"date": date(2026, 4, 1), "paid_minor": 1}, TODAY_CLOSED, LINK, None, "period_locked"),
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


BY_US = (Closed(date(2026, 3, 1), date(2026, 3, 31), "FY2026-P03", "Rex", datetime(2026, 4, 3, tzinfo=UTC)),)


@pytest.mark.parametrize(
    ("invoice", "link", "step", "reason"),
    [
        ({}, LINK, None, "period_closed"),
        ({"paid_minor": 1}, LINK, None, "period_closed"),
        ({}, NEXT_OPEN, Step.CREDIT, "period_closed"),
        ({"paid_minor": 1}, NEXT_OPEN, Step.CREDIT, "paid"),
        ({"standing": "draft"}, LINK, Step.VOID, "draft"),
        ({"date": date(2026, 2, 27)}, LINK, Step.VOID, "unpaid"),  # February was never closed
        ({"date": date(2026, 4, 1)}, LINK, Step.VOID, "unpaid"),
    ],
)
def test_a_period_that_the_link_has_closed_counts_as_one_that_the_ledger_has_locked(
    invoice: dict[str, Any], link: Link, step: Step | None, reason: str
) -> None:
    can = reversal(Planned(INTENT, {**INVOICE, **invoice}), "uid", {}, replace(rules(None, link), closed=BY_US))
    assert (can.step, can.reason) == (step, reason)
    assert reason != "period_closed" or "FY2026-P03, which Rex closed on 2026-04-03" in can.why


@pytest.mark.parametrize(
    ("step", "standing", "link", "expected"),
    [
        (Step.VOID, "open", NEXT_OPEN, Step.CREDIT),
        (Step.CREDIT, "settled", NEXT_OPEN, Step.CREDIT),
        (Step.CREDIT_AND_REBILL, "open", NEXT_OPEN, Step.CREDIT_AND_REBILL),
        (Step.VOID, "draft", LINK, Step.VOID),
        (Step.UPDATE, "draft", LINK, Step.UPDATE),
        (Step.NOTHING, "open", LINK, Step.NOTHING),
        (Step.VOID, "open", LINK, "period_closed"),
        (Step.CREDIT_AND_REBILL, "open", LINK, "period_closed"),
    ],
)
def test_what_a_changed_record_does_to_an_invoice_of_a_closed_period(
    step: Step, standing: str, link: Link, expected: Step | str
) -> None:
    invoice = {**INVOICE, "standing": standing, "number": "INV-1"}
    found = in_open_period(step, invoice, replace(rules(None, link), closed=BY_US))
    assert (found.reason if isinstance(found, Hold) else found) == expected


def test_what_the_ledger_does_not_show_is_left_alone() -> None:
    assert reversal(Planned(INTENT, None), "uid", {}, rules(None)).reason == "not_in_ledger"


def test_a_void_that_was_refused_is_not_made_twice_and_does_not_stand_in_a_credits_way() -> None:
    failed = {"void": "REJECTED"}
    intent = {**INTENT, "reversal": "REJECTED"}
    assert reversal(Planned(intent, INVOICE), "uid", failed, rules(None)).reason == "reversal_failed"
    assert reversal(Planned(intent, {**INVOICE, "paid_minor": 1}), "uid", failed, rules(None)).step is Step.CREDIT
