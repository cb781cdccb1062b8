"""What becomes of a document that was judged before: never a second bill, never a deletion of what was posted."""

from __future__ import annotations

import pytest

from tieout.model.link import Policies
from tieout.scenarios.billing import Hold
from tieout.scenarios.revisions import Live, Step, decide

POLICIES = Policies()
HOLD = Policies(changed_after_posting="hold", cancelled_after_posting="hold")


@pytest.mark.parametrize(
    ("live", "changed", "cancelled", "step"),
    [
        (Live(None), True, False, Step.CREATE),
        (Live(None), True, True, Step.NOTHING),
        (Live("CONFIRMED", 1, "open"), False, False, Step.NOTHING),
        (Live("READY"), True, False, Step.SUPERSEDE),
        (Live("READY"), False, True, Step.CANCEL),
        (Live("READY", 1), True, False, Step.WAIT),
        (Live("UNKNOWN", 1), True, False, Step.WAIT),
        (Live("UNKNOWN", 1), True, True, Step.WAIT),
        (Live("HELD", 1), True, False, Step.WAIT),
        (Live("REJECTED", 1), True, False, Step.CREATE),
        (Live("REJECTED", 1), False, False, Step.WAIT),
        (Live("CONFIRMED", 1, "draft"), True, False, Step.UPDATE),
        (Live("CONFIRMED", 1, "open"), True, False, Step.CREDIT_AND_REBILL),
        (Live("CONFIRMED", 1, "draft"), False, True, Step.VOID),
        (Live("CONFIRMED", 1, "open"), False, True, Step.VOID),
        (Live("CONFIRMED", 1, "settled", 500), False, True, Step.CREDIT),
        (Live("CONFIRMED", 1, "void"), False, True, Step.NOTHING),
        # Not read back from the ledger yet: nothing is decided on a guess.
        (Live("CONFIRMED", 1, None), True, False, Step.WAIT),
        # We voided or credited it ourselves.
        (Live("CONFIRMED", 1, "void", reversal="CONFIRMED"), False, False, Step.CREATE),
        (Live("CONFIRMED", 1, "settled", 500, "CONFIRMED"), False, False, Step.CREATE),
        (Live("CONFIRMED", 1, "settled", 500, "CONFIRMED"), False, True, Step.NOTHING),
        (Live("CONFIRMED", 1, "open", reversal="UNKNOWN"), True, False, Step.WAIT),
        (Live("CONFIRMED", 1, "open", reversal="CANCELLED"), False, True, Step.VOID),
        # The ledger refused to take it back: it is in force until somebody voids it there.
        (Live("CONFIRMED", 1, "open", reversal="REJECTED"), False, False, Step.NOTHING),
        (Live("CONFIRMED", 1, "void", reversal="REJECTED"), False, True, Step.NOTHING),
        (Live("CONFIRMED", 1, "void", reversal="REJECTED"), True, False, Step.CREATE),
        # Cancelled only once it is certain that the ledger has nothing in force any more.
        (Live("CONFIRMED", 1, "open", reversal="UNKNOWN"), False, True, Step.WAIT),
        (Live("CONFIRMED", 1, "open", reversal="HELD"), False, True, Step.WAIT),
    ],
)
def test_next_step(live, changed, cancelled, step):
    assert decide(live, changed=changed, cancelled=cancelled, policies=POLICIES) is step


DRAFT = Live("CONFIRMED", 1, "draft")
POSTED = Live("CONFIRMED", 1, "open")
CREDITING = Live("CONFIRMED", 1, "open", reversal="UNKNOWN")


@pytest.mark.parametrize(
    ("live", "changed", "cancelled", "step"),
    [
        # A draft is in the ledger, and the update of it never came to be there.
        (Live("READY", beneath=DRAFT), True, False, Step.SUPERSEDE),
        (Live("READY", beneath=DRAFT), False, True, Step.CANCEL),
        (Live("CANCELLED", beneath=DRAFT), False, True, Step.VOID),
        (Live("CANCELLED", beneath=DRAFT), False, False, Step.UPDATE),
        (Live("REJECTED", 1, beneath=DRAFT), False, False, Step.WAIT),
        (Live("REJECTED", 1, beneath=DRAFT), True, False, Step.UPDATE),
        (Live("REJECTED", 1, beneath=DRAFT), False, True, Step.VOID),
        # An invoice is being credited, and what is billed in its place waits for that.
        (Live("READY", beneath=CREDITING), False, True, Step.CANCEL),
        (Live("CANCELLED", beneath=CREDITING), False, True, Step.WAIT),
        (Live("CANCELLED", beneath=CREDITING), True, False, Step.WAIT),
        (Live("CANCELLED", beneath=POSTED), False, True, Step.VOID),
        (Live("CANCELLED", beneath=POSTED), True, False, Step.CREDIT_AND_REBILL),
        (Live("UNKNOWN", 1, beneath=CREDITING), True, False, Step.WAIT),
    ],
)
def test_an_earlier_invoice_that_is_in_force_is_not_forgotten(live, changed, cancelled, step):
    assert decide(live, changed=changed, cancelled=cancelled, policies=POLICIES) is step


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_is_billed_in_place_of_an_invoice_that_is_in_force_is_for_a_person(cancelled):
    live = Live("CANCELLED", beneath=Live("CONFIRMED", 1, "open", reversal="REJECTED"))
    result = decide(live, changed=False, cancelled=cancelled, policies=POLICIES)
    assert isinstance(result, Hold)
    assert result.reason == "reversal_refused"


@pytest.mark.parametrize(("changed", "cancelled"), [(False, True), (True, False)])
def test_an_invoice_that_the_ledger_does_not_take_back_is_for_a_person(changed, cancelled):
    live = Live("CONFIRMED", 1, "open", 100, reversal="REJECTED")
    result = decide(live, changed=changed, cancelled=cancelled, policies=POLICIES)
    assert isinstance(result, Hold)
    assert result.reason == "reversal_refused"


def test_change_after_payment_is_for_a_person():
    result = decide(Live("CONFIRMED", 1, "open", 100), changed=True, cancelled=False, policies=POLICIES)
    assert isinstance(result, Hold)
    assert result.reason == "changed_after_payment"


@pytest.mark.parametrize(("cancelled", "reason"), [(False, "changed_after_posting"), (True, "cancelled_after_posting")])
def test_policy_hold(cancelled, reason):
    result = decide(Live("CONFIRMED", 1, "open"), changed=True, cancelled=cancelled, policies=HOLD)
    assert isinstance(result, Hold)
    assert result.reason == reason


def test_change_after_finance_voided_the_invoice_is_for_a_person():
    result = decide(Live("CONFIRMED", 1, "void"), changed=True, cancelled=False, policies=POLICIES)
    assert isinstance(result, Hold)
    assert result.reason == "voided_in_ledger"
