"""What can be done to take one posted invoice back: void it, credit it, or nothing, and why. Pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tieout.model.standing import DRAFT, VOID
from tieout.scenarios.billing import Hold, Row, Rules, posting_date, shut
from tieout.scenarios.plans import Planned
from tieout.scenarios.revisions import Step

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
    standing, paid = invoice["standing"], invoice["paid_minor"] or 0
    if standing == VOID:
        return Can(None, "already_voided", f"it is {invoice['status']} in the ledger")
    if invoice["credited_minor"]:
        return Can(None, "credited_in_ledger", "finance credited it, in part or whole; credit the rest by hand")
    if standing == DRAFT:
        return Can(Step.VOID, "draft", "a draft is deleted")
    closed = shut(invoice["date"], rules)
    if closed is not None and rules.link.policies.closed_period == "hold":
        return Can(None, closed.reason, f"{closed.message}, and the link's policy is to hold")
    if closed is None and not paid:
        return Can(Step.VOID, "unpaid", "nothing was paid on it: it is voided")
    day = posting_date(rules.today, rules)
    if isinstance(day, Hold):
        return Can(None, day.reason, f"a credit cannot be dated today: {day.message}")
    if paid:
        return Can(Step.CREDIT, "paid", "money was taken on it: it is credited, a refund of what was paid is finance's")
    assert closed is not None  # else it was voided above
    return Can(Step.CREDIT, closed.reason, f"{closed.message}: it is credited, dated {day}")


def in_open_period(step: Step, invoice: Row | None, rules: Rules) -> Step | Hold:
    """The step that was decided for a changed or cancelled record, where the period of its invoice is open.

    What is in a closed period stays as it is: by the link's policy the record is held, or it is credited in the first
    open period.
    """
    if step not in (Step.VOID, Step.CREDIT, Step.CREDIT_AND_REBILL) or invoice is None or invoice["standing"] == DRAFT:
        return step
    closed = shut(invoice["date"], rules)
    if closed is not None and rules.link.policies.closed_period == "hold":
        return Hold(
            closed.reason, f"its invoice {invoice['number']} stays as it is: {closed.message}",
            "an invoice in an open period", str(invoice["date"]),
            "credit it in the ledger by hand, or set closed_period: next_open in the link (it is credited in the first "
            "open period then), or have the period opened again",
        )  # fmt: skip
    if closed is not None or step is not Step.VOID:
        day = posting_date(rules.today, rules)
        if isinstance(day, Hold):
            return day
    return Step.CREDIT if closed is not None and step is Step.VOID else step
