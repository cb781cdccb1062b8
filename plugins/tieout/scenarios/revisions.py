"""What becomes of a document that was judged before and is different now: pure rules, no I/O.

Here: the decision, from the state of the live document. Not here: making the intents (documents.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tieout.model.link import Policies
from tieout.model.standing import DRAFT, VOID
from tieout.scenarios.billing import Hold


class Step(StrEnum):
    """What is to be done for one document."""

    NOTHING = "nothing"
    CREATE = "create"  # a first revision, or a next one after a refusal that left nothing behind
    SUPERSEDE = "supersede"  # cancel the intent that was never sent, then create
    UPDATE = "update"  # the ledger's document is a draft: its lines are replaced
    CREDIT_AND_REBILL = "credit_and_rebill"
    CANCEL = "cancel"  # never sent: cancel the intent
    VOID = "void"
    CREDIT = "credit"  # a credit note for the whole invoice
    WAIT = "wait"  # its fate is not known yet: judged again in the next run


@dataclass(frozen=True, slots=True)
class Live:
    """The document's latest intent and what the ledger says of it.

    Attributes:
        state: the intent's state; None when there is none.
        sends: how often bytes may have gone out.
        standing: of the ledger's invoice (model/standing.py); None when not read yet.
        paid_minor: payments taken on it.
        reversal: state of our own void or credit of this document, None where there is none.
        beneath: the earlier revision that the ledger has in force, where this one is not confirmed: the draft that it
            was to update, or the invoice that was to be credited before it.
        ledger_status: the standing in the ledger's own word, for people.
    """

    state: str | None
    sends: int = 0
    standing: str | None = None
    paid_minor: int = 0
    reversal: str | None = None
    beneath: Live | None = None
    ledger_status: str | None = None

    @property
    def never_there(self) -> bool:
        """It came to its end, and the ledger has nothing of it."""
        return self.state in ("CANCELLED", "REJECTED")

    @property
    def counts(self) -> Live:
        """The revision that a further step is about: this one, or the one that is in force in its place."""
        return self.beneath if self.never_there and self.beneath is not None else self


def decide(live: Live, *, changed: bool, cancelled: bool, policies: Policies) -> Step | Hold:
    """The next step for one document.

    Args:
        live: where it stands.
        changed: the bill differs from what its latest intent was made from.
        cancelled: the source is cancelled or deleted (S15: a void or a credit, never a deletion of a posted one).
        policies: the link's.
    """
    if live.counts is not live:
        if live.state == "REJECTED" and not changed and not cancelled:
            return Step.WAIT
        # What was billed last is not what the ledger has.
        return decide(live.counts, changed=True, cancelled=cancelled, policies=policies)
    if live.state is None or live.never_there:
        if cancelled:
            return Step.NOTHING
        return Step.CREATE if live.state != "REJECTED" or changed else Step.WAIT
    if live.reversal is not None and live.reversal != "CANCELLED":
        return _after_reversal(live, changed, cancelled)
    if not changed and not cancelled:
        return Step.NOTHING
    if live.state in ("READY", "HELD") and live.sends == 0:
        return Step.CANCEL if cancelled else Step.SUPERSEDE
    if live.state != "CONFIRMED":
        return Step.WAIT
    return _after_posting(live, cancelled, policies)


def _after_reversal(live: Live, changed: bool, cancelled: bool) -> Step | Hold:
    """We voided or credited it ourselves: an order that is alive again is billed anew, once that is certain."""
    if live.reversal == "CONFIRMED" or live.standing == VOID:
        return Step.NOTHING if cancelled else Step.CREATE
    if live.reversal != "REJECTED":
        return Step.WAIT
    # The invoice is in force: to call the order cancelled would hide it.
    if not cancelled and not changed:
        return Step.NOTHING
    return Hold(
        "reversal_refused", "the ledger refused to take its invoice back", "an invoice that is voided or credited",
        f"the invoice is {live.ledger_status or 'in force'}",
        "see the dead letter of the void or credit; mend its cause and use `tieout intents try-again`, "
        "or void the invoice in the ledger",
    )  # fmt: skip


def _after_posting(live: Live, cancelled: bool, policies: Policies) -> Step | Hold:
    policy = policies.cancelled_after_posting if cancelled else policies.changed_after_posting
    if live.standing is None:
        return Step.WAIT  # confirmed, and not read back yet: the next extract brings it
    if live.standing == VOID:
        if cancelled:
            return Step.NOTHING
        return Hold(
            "voided_in_ledger", "the order was changed after finance voided its invoice", "an invoice in force",
            f"the invoice is {live.ledger_status}", "agree with finance: bill it by hand, or cancel the order",
        )  # fmt: skip
    word = "cancelled" if cancelled else "changed"
    if policy == "hold":
        return Hold(
            f"{word}_after_posting", f"the order was {word} after its invoice was posted", "no change after posting",
            f"the invoice is {live.ledger_status}", "correct the invoice in the ledger, or set the link's policy",
        )  # fmt: skip
    if live.standing == DRAFT:
        return Step.VOID if cancelled else Step.UPDATE
    if live.paid_minor > 0 and cancelled:
        return Step.CREDIT  # a ledger refuses to void what was paid; the open credit is finance's to refund
    if live.paid_minor > 0:
        return Hold(
            "changed_after_payment", "the order was changed after money was taken on its invoice",
            "an invoice without payments", f"{live.ledger_status} with payments",
            "agree with finance: refund or credit in the ledger by hand",
        )  # fmt: skip
    return Step.VOID if cancelled else Step.CREDIT_AND_REBILL
