"""What is to be done with one record: its judgement, the steps that follow, what is posted of it already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from tieout.model.link import Link
from tieout.model.money import from_minor
from tieout.model.standing import DRAFT
from tieout.scenarios.billing import Bill, Hold, Row
from tieout.scenarios.customer_book import Party
from tieout.scenarios.revisions import Live, Step
from tieout.store.documents import Judgement

#: Steps that need the body of an invoice.
BILLED = frozenset({Step.CREATE, Step.SUPERSEDE, Step.UPDATE, Step.CREDIT_AND_REBILL})
#: How the reference of a credit note of ours begins.
STAMP = "tieout:"


@dataclass(frozen=True, slots=True)
class Planned:
    """The latest invoice intent of a record (a row of `tieout.intent`) and the ledger's invoice as it was last read.

    `beneath`: the same of the earlier revision that is in force where this one is not confirmed.
    """

    intent: Mapping[str, Any]
    invoice: Row | None
    beneath: Planned | None = None

    def standing(self) -> Live:
        """What revisions.decide needs."""
        invoice = self.invoice or {}
        return Live(
            state=self.intent["state"],
            sends=self.intent["sends"],
            standing=invoice.get("standing"),
            ledger_status=invoice.get("status"),
            paid_minor=invoice.get("paid_minor") or 0,
            reversal=None if self._proposal_failed() else self.intent["reversal"],
            beneath=self.beneath.standing() if self.beneath else None,
        )

    def counts(self) -> Planned:
        """The revision that a further step is about, see revisions.Live."""
        standing = self.standing()
        return self.beneath if self.beneath and standing.counts is not standing else self

    def rolled_back(self, version: int) -> bool:
        """An approved proposal takes it back (or has done so), and since then its source is as it was.

        Args:
            version: the source's highest staged `_version`.
        """
        by_proposal = self.intent.get("reversal_proposal") is not None and not self._proposal_failed()
        return by_proposal and version <= self.intent["reversal_version"]

    def is_reversed(self) -> bool:
        """An approved proposal has taken it back: the ledger has nothing of it in force."""
        return self.intent.get("reversal_proposal") is not None and self.intent["reversal"] == "CONFIRMED"

    def _proposal_failed(self) -> bool:
        """The ledger refused what a proposal wanted, or a person gave it up: the invoice stands."""
        failed = self.intent["reversal"] in ("REJECTED", "CANCELLED")
        return failed and self.intent.get("reversal_proposal") is not None


@dataclass(frozen=True, slots=True)
class Credited:
    """What a credit note takes back, in minor units of `currency`.

    Attributes:
        customer_id: the ledger's.
        invoice_id: the invoice that it is set against; `due_minor`: with how much, tax included; 0: it stays open.
        refund_minor: what is paid back of it, from `refund_account` (the ledger's code).
        lines: rows of the common model's invoice_line, without position and currency.
        day: None: the run's, or the first open one after it.
        exchange_rate: None: the ledger's of the day.
        frozen: facts that are kept with the intent.
    """

    customer_id: str | None
    invoice_id: str
    currency: str
    due_minor: int
    lines: tuple[Row, ...]
    day: date | None = None
    exchange_rate: Decimal | None = None
    frozen: Mapping[str, Any] = field(default_factory=dict)
    refund_minor: int = 0
    refund_account: str | None = None


def _whole(live: Planned) -> Credited:
    """Each line of what was billed, at its net, without discount: credit notes have none."""
    content = live.intent["frozen"]["bill"]
    invoice = live.invoice or {}
    lines = tuple(
        {
            "product_code": line["product"], "description": line["description"], "quantity": Decimal(1),
            "unit_price": from_minor(line["net_minor"], content["currency"]), "account_code": line["account"],
            "tax_code": line["tax"], "net_minor": line["net_minor"], "tax_minor": line["tax_minor"],
        }
        for line in content["lines"]
    )  # fmt: skip
    vendor_id, due = live.intent["vendor_id"], invoice.get("due_minor") or 0
    # At the rate of the invoice: what is taken back leaves nothing behind in the books.
    rate = invoice.get("exchange_rate")
    return Credited(invoice.get("customer_id"), vendor_id, content["currency"], due, lines, exchange_rate=rate)


@dataclass(frozen=True)
class Plan:
    """A record's judgement, and the steps that follow from it."""

    judgement: Judgement
    steps: tuple[Step, ...] = ()
    bill: Bill | None = None
    party: Party | None = None
    live: Planned | None = None
    digest: str | None = None
    hold: Hold | None = None
    credited: Credited | None = None

    def what_is_credited(self) -> Credited | None:
        """What was said, else the whole invoice."""
        return self.credited or (_whole(self.live) if self.live else None)

    def held(self, hold: Hold) -> Plan:
        """The same record, stopped for a reason that was found later."""
        judgement = replace(self.judgement, outcome="held", reason=hold.reason, message=hold.message)
        return replace(self, judgement=judgement, steps=(), hold=hold)


def updated(plan: Plan) -> str | None:
    """The ledger's id of the draft whose lines the plan's invoice replaces; None where it is an invoice of its own.

    What takes the place of an update that was never sent is that update.
    """
    live = plan.live
    if live is None:
        return None
    if plan.steps[0] is Step.SUPERSEDE and live.intent["operation"] == "invoices.update" and live.beneath is not None:
        live = live.beneath
    elif plan.steps[0] is not Step.UPDATE:
        return None
    return str(live.intent["vendor_id"])


def credited_revision(plan: Plan) -> int:
    """A credit note counts as its invoice does; that of a return as the return."""
    return int(plan.live.intent["revision"]) if plan.live else plan.judgement.revision


def next_revision(plan: Plan) -> int:
    """Revisions count from 1."""
    return plan.judgement.revision + 1


def plan_number(link: Link, plan: Plan) -> str:
    """The number of the plan's invoice. One that was voided or credited keeps its number: the next is told apart."""
    if plan.steps[0] in (Step.SUPERSEDE, Step.UPDATE) and plan.live:
        return str(plan.live.intent["natural_key"])
    base = link.policies.invoice_number.format(number=plan.judgement.source_number)
    if plan.live is None or (plan.live.intent["state"] != "CONFIRMED" and plan.live.intent["revision"] == 1):
        return base  # nothing in the ledger has carried it
    return f"{base}-{next_revision(plan)}"


def with_original_date(reference: str | None, bill: Bill) -> str | None:
    """The invoice's reference; where it is not dated as its record is, it says so: finance reads it on the document."""
    if bill.posting_date == bill.original_date:
        return reference
    return f"{reference or ''} (of {bill.original_date})".strip()


def moved(frozen: Mapping[str, Any]) -> str | None:
    """What is said of an invoice that is not dated as its record is; None where it is.

    Args:
        frozen: what was frozen with its intent.
    """
    dated, original = (frozen.get("bill") or {}).get("date"), frozen.get("original_date")
    if dated is None or original is None or dated == original:
        return None
    return f"dated {dated} in the ledger: the period of {original} was closed when it was billed"


def in_the_books(document: Mapping[str, Any]) -> date | None:
    """The date of a ledger's document, a row of the common model; None where it is a draft: that is not in the books.

    Raises:
        ValueError: it has no date.
    """
    if document.get("standing") == DRAFT:
        return None
    day = document.get("date")
    if not isinstance(day, date):
        raise ValueError(f"{document.get('number') or document.get('_source_id')} of the ledger has no date")
    return day
