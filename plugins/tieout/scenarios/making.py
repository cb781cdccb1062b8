"""From the step that was decided to the intents that carry it out: invoices, their updates, credits and voids.

Bodies are frozen here. What a revision was made of (the bill) is frozen beside its bytes, so that a later credit can
reverse it line by line and `tieout trace` can show each figure's origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from tieout.delivery.bodies import placeholder
from tieout.delivery.intents import NewIntent
from tieout.mapping.payload import bodies
from tieout.model.errors import ConfigurationFault
from tieout.model.identity import doc_uid, idempotency_key
from tieout.scenarios.billing import Bill, Hold, Row, Rules, posting_date
from tieout.scenarios.frames import native_frame
from tieout.scenarios.plans import (
    BILLED,
    STAMP,
    Credited,
    Plan,
    Planned,
    credited_revision,
    in_the_books,
    next_revision,
    plan_number,
    updated,
    with_original_date,
)
from tieout.scenarios.quarantine import hold_of
from tieout.scenarios.revisions import Step
from tieout.scenarios.services import Services
from tieout.store.documents import Judgement

#: Kind of what pays a credit note back; also the entity that writes it where it is a document of its own.
REFUND = "refund"


@dataclass
class Intents:
    """What comes of some plans. `judgements` replaces those of the plans by source id."""

    intents: list[NewIntent] = field(default_factory=list)
    cancel: list[str] = field(default_factory=list)
    judgements: dict[str, Judgement] = field(default_factory=dict)
    stopped: list[Plan] = field(default_factory=list)


def void_body(services: Services, entity: str, vendor_id: str, standing: str | None) -> bytes:
    """The body that takes a document of the ledger out of the books, by the ledger's mapping `<entity>_void`.

    Args:
        entity: `invoice`, `credit_memo` or `payment`.
        standing: where it stands; a draft may have to be taken out otherwise than what was approved.
    """
    return _written(services, f"{entity}_void", {f"{entity}_id": vendor_id, "standing": standing})


def application_body(services: Services, application: Row) -> bytes:
    """The body that sets a credit note against an invoice: a row of the common model's credit_application."""
    return _written(services, "credit_application", application)


def lines_name(services: Services) -> str:
    """The list in an invoice's or credit note's body that holds its lines."""
    return services.ledger.mappings["invoice_line"].object


def _written(services: Services, entity: str, row: Row) -> bytes:
    native, refused, _ = native_frame(services, services.ledger, entity, [{**row, "_key": entity}])
    if refused:
        raise ConfigurationFault(f"{services.ledger.system} {entity}: {refused[0].message}: {refused[0].expected}")
    body: bytes = bodies(native).iloc[0]
    return body


def refused(services: Services, entity: str, plans: Sequence[Plan], rules: Rules) -> list[Plan]:
    """Those of the plans that plan_intents would stop, as held; no body and no intent is made."""
    maker = _Maker(services, entity, rules, checks=True)
    credited = [plan for plan in plans if plan.steps[0] in (Step.CREDIT, Step.CREDIT_AND_REBILL)]
    holds = maker.refunds(credited)[1] | maker.credits(credited)[1]
    holds |= maker.invoices([plan for plan in plans if plan.steps[0] in BILLED])[1]
    return [plan.held(hold) for plan in plans if (hold := holds.get(plan.judgement.source_id))]


def plan_intents(services: Services, entity: str, plans: Sequence[Plan], rules: Rules) -> Intents:
    """Intents for the plans' steps; a record whose body the ledger could not take is held instead.

    So is one that is to be credited where no credit can be dated today, or on the first open day after it.
    """
    made = Intents()
    maker = _Maker(services, entity, rules)
    invoice_bodies, refused = maker.invoices([plan for plan in plans if plan.steps[0] in BILLED])
    credited = [plan for plan in plans if plan.steps[0] in (Step.CREDIT, Step.CREDIT_AND_REBILL)]
    credit_bodies, refused_credits = maker.credits(credited)
    refund_bodies, refused_refunds = maker.refunds(credited)
    for plan in plans:
        source_id = plan.judgement.source_id
        hold = refused.get(source_id) or refused_credits.get(source_id) or refused_refunds.get(source_id)
        if hold:
            made.stopped.append(plan.held(hold))
            made.judgements[source_id] = made.stopped[-1].judgement
            continue
        invoice, credit, refund = (one.get(source_id) for one in (invoice_bodies, credit_bodies, refund_bodies))
        maker.carry_out(plan, invoice, credit, refund, made)
    return made


class _Maker:
    """Makes the intents of one link and one kind of record; `checks`: says what could not be made, makes no body."""

    def __init__(self, services: Services, entity: str, rules: Rules, *, checks: bool = False) -> None:
        self._services = services
        self._checks = checks
        self._link = services.link
        self._entity = entity
        self._object = services.crm.mappings[entity].object
        self._child = lines_name(services)
        self._today = rules.today
        self._items = rules.items
        self._credit_day = posting_date(rules.today, rules)

    def _day(self, credited: Credited) -> date | Hold:
        """The date of a credit note, its allocation and its refund."""
        return credited.day or self._credit_day

    def carry_out(
        self, plan: Plan, invoice: bytes | None, credit: bytes | None, refund: bytes | None, made: Intents
    ) -> None:
        """Adds the plan's intents and its judgement to `made`."""
        step, live = plan.steps[0], plan.live
        uid = live.intent["doc_uid"] if live else None
        revision, after = plan.judgement.revision, self._after(plan)
        if live and step in (Step.SUPERSEDE, Step.CANCEL):
            made.cancel.append(live.intent["doc_uid"])
            uid = plan.judgement.doc_uid
        if live and step is Step.VOID:
            made.intents.append(self._void(plan, live))
            uid = made.intents[-1].doc_uid
        if credit is not None and (credited := plan.what_is_credited()) is not None:
            note, *allocation = self._credit(plan, credited, credit)
            made.intents += [note, *allocation]
            uid, after = note.doc_uid, (note.doc_uid,)
            if refund is not None:
                made.intents += self._refund(plan, credited, refund, [note, *allocation])
        if invoice is not None and plan.bill is not None:
            revision = next_revision(plan)
            made.intents.append(self._invoice(plan, plan.bill, revision, invoice, after))
            uid = made.intents[-1].doc_uid
        digest = plan.digest if step in BILLED else plan.judgement.content_hash
        made.judgements[plan.judgement.source_id] = replace(
            plan.judgement, doc_uid=uid, revision=revision, content_hash=digest
        )

    def number(self, plan: Plan) -> str:
        """See plan_number."""
        return plan_number(self._link, plan)

    # --- bodies -------------------------------------------------------------------------------------------------------

    def invoices(self, plans: Sequence[Plan]) -> tuple[dict[str, bytes], dict[str, Hold]]:
        """The bodies of the invoices by source id, and why some cannot be made."""
        heads, lines = [], []
        for plan in plans:
            bill, party = plan.bill, plan.party
            if bill is None or party is None:
                raise ValueError(f"{plan.judgement.source_id}: a step that bills needs a bill and a customer")
            heads.append(
                {
                    "_source_id": bill.source_id, "_key": bill.source_id, "invoice_id": updated(plan),
                    "number": self.number(plan), "customer_id": party.reference(), "date": bill.posting_date,
                    "due_date": bill.due_date, "currency": bill.currency, "exchange_rate": bill.exchange_rate,
                    "status": self._link.policies.invoice_status, "reference": with_original_date(bill.reference, bill),
                    "source_url": self._services.crm.record_url(bill.source_id),
                }
            )  # fmt: skip
            lines += [
                {
                    "_source_id": bill.source_id, "_key": bill.source_id, "position": position,
                    "product_code": line.product_code, "product_id": self._item(line.product_code),
                    "description": line.description, "quantity": line.quantity,
                    "unit_price": line.unit_price, "discount_percent": line.discount_percent or None,
                    "account_code": line.account_code, "tax_code": line.tax_code, "net_minor": line.net_minor,
                    "tax_minor": line.tax_minor, "currency": bill.currency,
                }
                for position, line in enumerate(bill.lines, start=1)
            ]  # fmt: skip
        return self._bodies("invoice", "invoice_line", heads, lines)

    def credits(self, plans: Sequence[Plan]) -> tuple[dict[str, bytes], dict[str, Hold]]:
        """The bodies of the credit notes by source id, and why some cannot be made."""
        heads, lines = [], []
        undated: dict[str, Hold] = {}
        for plan in plans:
            source_id, credited = plan.judgement.source_id, plan.what_is_credited()
            if credited is None:
                raise ValueError(f"{source_id}: nothing was posted that could be credited")
            currency, day = credited.currency, self._day(credited)
            if isinstance(day, Hold):
                undated[source_id] = day
                continue
            heads.append(
                {
                    "_source_id": source_id, "_key": source_id, "customer_id": credited.customer_id,
                    "date": day, "currency": currency, "status": "authorised",
                    "reference": self.credit_reference(plan), "exchange_rate": credited.exchange_rate,
                    "own_number": self._own_number(plan, "CN" if plan.live else "CR"),
                }
            )  # fmt: skip
            lines += [
                {
                    "_source_id": source_id,
                    "_key": source_id,
                    "position": position,
                    "currency": currency,
                    "product_id": self._item(line.get("product_code")),
                    **line,
                }
                for position, line in enumerate(credited.lines, start=1)
            ]
        made, refused = self._bodies("credit_memo", "invoice_line", heads, lines)
        return made, {**refused, **undated}

    def refunds(self, plans: Sequence[Plan]) -> tuple[dict[str, bytes], dict[str, Hold]]:
        """The bodies of what is paid back of credit notes, by source id: payments of the credit note, or documents of
        their own where the ledger has a mapping for these."""
        rows = []
        for plan in plans:
            source_id, credited = plan.judgement.source_id, plan.what_is_credited()
            if credited is None or not credited.refund_minor or isinstance(day := self._day(credited), Hold):
                continue
            foreign = credited.currency != self._link.base_currency
            rows.append(
                {
                    "_source_id": source_id, "_key": source_id,
                    "credit_memo_id": placeholder(self._uid(plan, "credit_memo", credited_revision(plan))),
                    "own_number": self._own_number(plan, "RF"), "customer_id": credited.customer_id,
                    "account_code": credited.refund_account, "date": day,
                    "currency": credited.currency, "amount_minor": credited.refund_minor,
                    "exchange_rate": credited.exchange_rate if foreign else None,
                    "reference": f"{STAMP}{self._uid(plan, 'refund', credited_revision(plan))}",
                }
            )  # fmt: skip
        return self._bodies(self._paid_back_by, None, rows, [])

    def _bodies(
        self, entity: str, line_entity: str | None, heads: list[dict[str, Any]], lines: list[dict[str, Any]]
    ) -> tuple[dict[str, bytes], dict[str, Hold]]:
        if not heads:
            return {}, {}
        ledger = self._services.ledger
        native, refused, _ = native_frame(self._services, ledger, entity, heads)
        if line_entity is None:
            holds = {item.source_id: hold_of(item) for item in refused}
            if self._checks:
                return {}, holds
            native = native[~native["_key"].isin(list(holds))]
            return dict(zip(native["_key"].tolist(), bodies(native).tolist(), strict=True)), holds
        native_lines, refused_lines, _ = native_frame(self._services, ledger, line_entity, lines)
        holds = {item.source_id: hold_of(item) for item in [*refused_lines, *refused]}
        if self._checks:
            return {}, holds
        native = native[~native["_key"].isin(list(holds))]
        native_lines = native_lines[native_lines["_key"].isin(list(native["_key"]))]
        made = bodies(native, native_lines, self._child, "_key")
        return dict(zip(native["_key"].tolist(), made.tolist(), strict=True)), holds

    # --- intents ------------------------------------------------------------------------------------------------------

    def _after(self, plan: Plan) -> tuple[str, ...]:
        """What takes the place of a rebill waits for the credit that it waited for: the credited invoice is in force
        until then."""
        if plan.live is None or plan.live.beneath is None or plan.steps[0] is not Step.SUPERSEDE:
            return ()
        credit = self._uid(plan, "credit_memo", plan.live.beneath.intent["revision"])
        return (credit,) if credit in plan.live.intent["depends_on"] else ()

    def _uid(self, plan: Plan, kind: str, revision: int) -> str:
        return doc_uid(self._link.name, self._link.crm, self._object, plan.judgement.source_id, kind, revision)

    def _item(self, code: str | None) -> str | None:
        """The ledger's id of an item."""
        return self._items.get(code) if code is not None else None

    @property
    def _paid_back_by(self) -> str:
        """The entity by which the ledger's mappings write a refund."""
        return REFUND if REFUND in self._services.ledger.mappings else "payment"

    def _own_number(self, plan: Plan, prefix: str) -> str:
        """A number of ours for ledgers that have none of their own: CN- of an order or deal, CR- of a return, RF- of
        what is paid back of either."""
        revision = credited_revision(plan)
        return f"{prefix}-{plan.judgement.source_number}" + (f"-{revision}" if revision > 1 else "")

    def credit_reference(self, plan: Plan) -> str:
        """Our stamp: credit notes have no unique number, so they are looked up by this reference."""
        return f"{STAMP}{self._uid(plan, 'credit_memo', credited_revision(plan))}"

    def _invoice(self, plan: Plan, bill: Bill, revision: int, body: bytes, after: tuple[str, ...]) -> NewIntent:
        waits = () if plan.party is None or plan.party.vendor_id else (plan.party.doc_uid,)
        rate_source = "crm" if bill.exchange_rate is not None else "ledger day rate"
        return self._intent(
            plan, "invoice", revision, day=bill.posting_date,
            operation="invoices.update" if updated(plan) else "invoices.create",
            natural_key=self.number(plan), body=body, entity="invoice", depends_on=(*waits, *after),
            amount_minor=bill.net_minor, currency=bill.currency,
            frozen={
                "bill": bill.content(), "rate": None if bill.exchange_rate is None else str(bill.exchange_rate),
                "rate_direction": f"{bill.currency} per {self._link.base_currency}", "rate_source": rate_source,
                "rate_date": bill.original_date.isoformat(), "original_date": bill.original_date.isoformat(),
                "expected_tax_minor": bill.expected_tax_minor, "line_ids": [line.line_id for line in bill.lines],
            },
        )  # fmt: skip

    def _void(self, plan: Plan, live: Planned) -> NewIntent:
        vendor_id, invoice = live.intent["vendor_id"], live.invoice or {}
        return self._intent(
            plan, "void", live.intent["revision"], day=in_the_books(invoice), operation="invoices.void",
            natural_key=vendor_id,
            body=void_body(self._services, "invoice", vendor_id, invoice.get("standing")),
            entity="invoice", currency=plan.judgement.currency, amount_minor=plan.judgement.source_minor,
        )  # fmt: skip

    def _credit(self, plan: Plan, credited: Credited, body: bytes) -> list[NewIntent]:
        """The credit note, and its allocation to what is still due on the invoice."""
        revision, currency, day = credited_revision(plan), credited.currency, self._dated(credited)
        net = sum(line["net_minor"] for line in credited.lines)
        frozen = dict(credited.frozen)
        if day != self._today:
            frozen["original_date"] = self._today.isoformat()
        note = self._intent(
            plan, "credit_memo", revision, day=day, operation="credit_notes.create",
            natural_key=self.credit_reference(plan), body=body, entity="credit_memo", currency=currency,
            amount_minor=net, frozen=frozen,
        )  # fmt: skip
        due, vendor_id = credited.due_minor, credited.invoice_id
        if due <= 0:
            return [note]
        allocation = self._intent(
            plan, "allocation", revision, day=day, operation="credit_notes.allocate",
            natural_key=f"{note.doc_uid}:{vendor_id}",
            body=application_body(self._services, {
                "credit_memo_id": placeholder(note.doc_uid), "invoice_id": vendor_id, "date": day,
                "customer_id": credited.customer_id, "amount_minor": due, "currency": currency,
                "exchange_rate": credited.exchange_rate,
            }),
            entity="allocation", depends_on=(note.doc_uid,), currency=currency, amount_minor=due,
        )  # fmt: skip
        return [note, allocation]

    def _refund(self, plan: Plan, credited: Credited, body: bytes, before: Sequence[NewIntent]) -> list[NewIntent]:
        """Paid back once all else is done: what is then open is this amount, and a ledger refuses more than is open.

        Where the refund is a document of its own it is then set against the credit note.
        """
        revision, day, entity = credited_revision(plan), self._dated(credited), self._paid_back_by
        refund = self._intent(
            plan, REFUND, revision, day=day, operation="refunds.create",
            natural_key=f"{STAMP}{self._uid(plan, REFUND, revision)}", body=body, entity=entity,
            depends_on=tuple(one.doc_uid for one in before), currency=credited.currency,
            amount_minor=credited.refund_minor,
        )  # fmt: skip
        if entity != REFUND:
            return [refund]
        note = before[0]
        foreign = credited.currency != self._link.base_currency
        application = self._intent(
            plan, "allocation", revision, day=day, operation="refunds.apply", part="refund",
            natural_key=f"{note.doc_uid}:{refund.doc_uid}",
            body=_written(self._services, "refund_application", {
                "credit_memo_id": placeholder(note.doc_uid), "refund_id": placeholder(refund.doc_uid), "date": day,
                "customer_id": credited.customer_id, "amount_minor": credited.refund_minor,
                "currency": credited.currency, "exchange_rate": credited.exchange_rate if foreign else None,
            }),
            entity="payment", depends_on=(note.doc_uid, refund.doc_uid), currency=credited.currency,
            amount_minor=credited.refund_minor,
        )  # fmt: skip
        return [refund, application]

    def _dated(self, credited: Credited) -> date:
        day = self._day(credited)
        if isinstance(day, Hold):
            raise ValueError(f"a credit of {credited.invoice_id} without a date: {day.message}")
        return day

    def _intent(
        self, plan: Plan, kind: str, revision: int, *, day: date | None, operation: str, natural_key: str,
        body: bytes, entity: str, depends_on: tuple[str, ...] = (), currency: str | None, amount_minor: int | None,
        frozen: Mapping[str, Any] | None = None, part: str = "",
    ) -> NewIntent:  # fmt: skip
        """`part` tells two intents of a kind apart that a revision may have."""
        uid, target = self._uid(plan, f"{kind} {part}".strip(), revision), self._link.ledger
        return NewIntent(
            link=self._link.name, target=target, doc_uid=uid, kind=kind, operation=operation, revision=revision,
            source=self._link.crm, source_object=self._object, source_id=plan.judgement.source_id,
            source_system=self._services.crm.system, source_entity=self._entity,
            natural_key=natural_key, idempotency_key=idempotency_key(uid, target, operation), body=body, entity=entity,
            depends_on=depends_on, currency=currency, amount_minor=amount_minor,
            frozen={"mapping": self._services.mapping_hash, **(frozen or {})},
            owner=self._link.owners.get("invoices", "finance"), posting_date=day,
        )  # fmt: skip
