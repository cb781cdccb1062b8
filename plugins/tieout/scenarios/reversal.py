"""What can be done to take one posted invoice back: void it, credit it, or nothing, and why. Pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tieout.scenarios.billing import Row, Rules
from tieout.scenarios.plans import Planned
from tieout.scenarios.revisions import Step

DRAFT = ("DRAFT", "SUBMITTED")
GONE = ("VOIDED", "DELETED")
_KIND: dict[Step, str] = {Step.VOID: "void", Step.CREDIT: "credit_memo"}


@dataclass(frozen=True, slots=True)
class Can:
    """What is to be done with one document; `step` None: nothing is possible. `reason` is a stable code."""

    step: Literal[Step.VOID, Step.CREDIT] | None
    reason: str
    why: str


def reversal(live: Planned, doc_uid: str, failed: Mapping[str, str], rules: Rules) -> Can:
    """How one posted invoice can be taken back.

    Args:
        live: the latest revision of its record, with the ledger's invoice as it is.
        doc_uid: the document that is meant.
        failed: kind of an earlier reversal of it that came to nothing -> the state it ended in.
        rules: lock dates, today and the link's policies.
    """
    intent = live.intent
    if intent["doc_uid"] != doc_uid:
        return Can(None, "later_revision", f"revision {intent['revision']} took its place")
    if intent["state"] != "CONFIRMED":
        return Can(None, "not_posted", f"it is {intent['state']}: nobody knows yet that it is in the ledger")
    if intent["reversal"] is not None and intent["reversal"] not in ("REJECTED", "CANCELLED"):
        return Can(None, "already_reversed", f"a reversal of it is {intent['reversal']}")
    if live.invoice is None:
        return Can(None, "not_in_ledger", "the ledger does not show it, or not readably")
    can = _by_status(live.invoice, rules)
    ended = failed.get(_KIND[can.step]) if can.step else None
    if ended is not None and can.step is not None:
        # The same document cannot be made twice: that intent is there, and a person has to go on with it.
        kind = _KIND[can.step].replace("_", " ")
        remedy = "try it again by `tieout intents try-again`" if ended == "REJECTED" else "do it in the ledger"
        return Can(None, "reversal_failed", f"a {kind} of it was {ended}: {remedy}")
    return can


def _by_status(invoice: Row, rules: Rules) -> Can:
    status, paid, until = invoice["status"], invoice["paid_minor"] or 0, rules.locked_until
    if status in GONE:
        return Can(None, "already_voided", f"it is {status} in the ledger")
    if invoice["credited_minor"]:
        return Can(None, "credited_in_ledger", "finance credited it, in part or whole; credit the rest by hand")
    if status in DRAFT:
        return Can(Step.VOID, "draft", "a draft is deleted")
    closed = until is not None and invoice["date"] <= until
    if closed and rules.link.policies.closed_period == "hold":
        return Can(None, "period_locked", f"its period is closed up to {until}, and the link's policy is to hold")
    if until is not None and rules.today <= until and (closed or paid):
        return Can(None, "period_locked", f"the ledger is closed up to {until}: a credit cannot be dated today")
    if paid:
        return Can(Step.CREDIT, "paid", "money was taken on it: it is credited, a refund of what was paid is finance's")
    if closed:
        return Can(
            Step.CREDIT, "period_locked", f"its period is closed up to {until}: it is credited with today's date"
        )
    return Can(Step.VOID, "unpaid", "nothing was paid on it: it is voided")
