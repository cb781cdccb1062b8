"""The second check: what is ready to post, in the common model, before any intent is made of it."""

from __future__ import annotations

from collections.abc import Sequence

from tieout.model.errors import SuiteStopped
from tieout.quality.run import run_suite_on_frame
from tieout.scenarios.billing import Hold
from tieout.scenarios.frames import frame_of
from tieout.scenarios.plans import BILLED, Plan
from tieout.scenarios.services import Services


def checked(services: Services, plans: Sequence[Plan]) -> list[Plan]:
    """The plans; those whose bill fails an expectation of expectations/ready/ are held with its words.

    Raises:
        SuiteStopped: an expectation of severity `stop` does not hold.
    """
    billed = {plan.judgement.source_id: plan for plan in plans if plan.steps and plan.steps[0] in BILLED and plan.bill}
    holds: dict[str, Hold] = {}
    for entity, rows in (("invoice", _invoices(billed)), ("invoice_line", _lines(billed))):
        suite = services.suite("ready", entity)
        if suite is None or not rows:
            continue
        result = run_suite_on_frame(frame_of(rows), suite, "_key")
        for failure in result.failures:
            if failure.severity == "stop":
                raise SuiteStopped(f"ready {entity} {failure.key}: {failure.expected}, found {failure.found}")
            if failure.severity == "quarantine":
                holds[str(failure.key).partition(":")[0]] = Hold(
                    failure.reason,
                    f"its {entity} is not ready to post",
                    failure.expected,
                    failure.found,
                    failure.remedy,
                )
    return [_held(plan, holds.get(plan.judgement.source_id)) for plan in plans]


def _held(plan: Plan, hold: Hold | None) -> Plan:
    return plan.held(hold) if hold else plan


def _invoices(billed: dict[str, Plan]) -> list[dict[str, object]]:
    return [
        {
            "_key": key, "number": plan.judgement.source_number,
            "customer_id": plan.party.doc_uid if plan.party else None, "date": plan.bill.posting_date,
            "due_date": plan.bill.due_date, "currency": plan.bill.currency,
            "subtotal_minor": plan.bill.net_minor,
        }
        for key, plan in billed.items() if plan.bill
    ]  # fmt: skip


def _lines(billed: dict[str, Plan]) -> list[dict[str, object]]:
    return [
        {
            "_key": f"{key}:{position}", "invoice_id": key, "position": position, "product_code": line.product_code,
            "description": line.description, "quantity": line.quantity, "unit_price": line.unit_price,
            "discount_percent": line.discount_percent, "account_code": line.account_code, "tax_code": line.tax_code,
            "net_minor": line.net_minor,
        }
        for key, plan in billed.items() if plan.bill
        for position, line in enumerate(plan.bill.lines, start=1)
    ]  # fmt: skip
