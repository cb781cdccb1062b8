"""What can be done to mend each break, and the intents that do it; or why nothing can be done. Nothing is written.

The worst that a fix could do is to bill a customer twice. So a record is sent again only where the ledger shows that
what stood for it is out of force, and not where it has another document that looks like it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from tieout.delivery.intents import NewIntent
from tieout.model.standing import DRAFT, VOID
from tieout.reconcile.rules import load_rules as load_reconciliation_rules
from tieout.scenarios import doubles, write_off
from tieout.scenarios.approval import frozen_intents
from tieout.scenarios.billing import Hold, Row, Rules, posting_date, shut
from tieout.scenarios.frames import common_rows
from tieout.scenarios.making import plan_intents
from tieout.scenarios.plans import Plan, Planned
from tieout.scenarios.posting import billed_anew
from tieout.scenarios.rules import load_rules
from tieout.scenarios.services import Services
from tieout.scenarios.stamped import Verdict
from tieout.scenarios.subjects import live_documents, subject_of
from tieout.scenarios.write_off import WriteOff
from tieout.store.proposals import Action, Item

Fix = Literal["resend", "relink", "void_duplicate", "write_off"]
#: The ledger's documents that a fix may concern.
DOCUMENTS = ("invoice", "credit_memo", "payment")


@dataclass(frozen=True, slots=True)
class Mended:
    """A break as its fix needs it: the keys of both sides are `<entity>:<source_id>`; amount in minor units, A - B."""

    break_id: int
    component: str
    currency: str
    amount: int
    a_keys: tuple[str, ...]
    b_keys: tuple[str, ...]

    def record(self, entity: str) -> str | None:
        """The id of the one record of the CRM that it is about."""
        ids = [key.partition(":")[2] for key in self.a_keys if key.startswith(f"{entity}:")]
        return ids[0] if len(ids) == 1 == len(self.a_keys) else None

    def documents(self, entity: str) -> list[str]:
        """The ids of the ledger's documents of an entity."""
        return [key.partition(":")[2] for key in self.b_keys if key.startswith(f"{entity}:")]


@dataclass(frozen=True, slots=True)
class _Can:
    """What is to be done for one break: the intents that do it, or none and why."""

    reason: str
    why: str
    intents: Sequence[NewIntent] = ()
    entity: str = "invoice"
    document: Row | None = None
    amount_minor: int | None = None
    number: str | None = None


def documents_of(services: Services, mended: Sequence[Mended]) -> dict[str, list[str]]:
    """entity -> the ledger's documents that these breaks are about: what is read before anything is decided."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in mended:
        for entity in DOCUMENTS:
            found[entity] |= set(one.documents(entity))
    records = sorted({id_ for one in mended if (id_ := one.record(subject_of(services).entity))})
    for live in live_documents(services, subject_of(services), records).values():
        if live.intent["vendor_id"]:
            found["invoice"].add(live.intent["vendor_id"])
    return {entity: sorted(ids) for entity, ids in found.items() if ids}


def items(services: Services, kind: Fix, mended: Sequence[Mended], run_id: UUID) -> list[Item]:
    """One item of the proposal for each break."""
    seen = _Seen(services, load_rules(services), run_id)
    decided = _MAKERS[kind](seen, mended)
    return [_item(services, kind, one, decided[one.break_id]) for one in mended]


class _Seen:
    """What both systems have staged at this moment, and the rules."""

    def __init__(self, services: Services, rules: Rules, run_id: UUID) -> None:
        self.services, self.rules, self.run_id = services, rules, run_id
        self.entity = subject_of(services).entity

    def records(self, mended: Sequence[Mended]) -> list[str]:
        return sorted({id_ for one in mended if (id_ := one.record(self.entity))})

    def documents(self, entity: str, ids: Sequence[str]) -> dict[str, Row]:
        """id -> row of the common model, of what is there and can be read."""
        rows = common_rows(self.services, self.services.ledger, entity, ids=set(ids))[0] if ids else []
        return {row["_source_id"]: row for row in rows}

    def of_customer(self, customer_id: str) -> list[Row]:
        """The invoices of one customer of the ledger."""
        ledger = self.services.ledger
        rows, _ = common_rows(self.services, ledger, "invoice", parents=[customer_id], parent="customer_id")
        return list(rows)

    def staged(self, ids: Sequence[str]) -> set[str]:
        """Those invoices that the ledger has, readable or not."""
        table = self.services.ledger.mappings["invoice"].staged_entity().table
        return self._ids(
            f"select _source_id from staging.{table} where _connection = :target and not _deleted "  # noqa: S608
            "and _source_id = any(:ids)", ids,
        )  # fmt: skip

    def linked(self, ids: Sequence[str]) -> set[str]:
        """Those of the ledger's documents that stand for a record already."""
        return self._ids(
            "select vendor_id from tieout.crosswalk where target = :target and vendor_id = any(:ids) "
            "and entity in ('invoice', 'credit_memo', 'payment')", ids,
        )  # fmt: skip

    def _ids(self, query: str, ids: Sequence[str]) -> set[str]:
        with self.services.engine.connect() as conn:
            return set(conn.execute(text(query), {"target": self.services.ledger.name, "ids": list(ids)}).scalars())

    def bill(self, plans: Sequence[Plan]) -> tuple[dict[str, NewIntent], dict[str, str]]:
        """source id -> the intent of its invoice, and why some cannot be made."""
        made = plan_intents(self.services, self.entity, plans, self.rules)
        stopped = {plan.judgement.source_id: plan.hold.message for plan in made.stopped if plan.hold}
        return {intent.source_id: intent for intent in made.intents}, stopped


# --- sent again, and linked -------------------------------------------------------------------------------------------


def _resend(seen: _Seen, mended: Sequence[Mended]) -> dict[int, _Can]:
    plans = billed_anew(seen.services, seen.rules, seen.records(mended), seen.run_id)
    stops = {one.break_id: _not_to_send(seen, plans.get(one.record(seen.entity) or "")) for one in mended}
    good = {one.break_id: plans[str(one.record(seen.entity))] for one in mended if stops[one.break_id] is None}
    made, stopped = seen.bill(list(good.values()))
    decided = {}
    for one in mended:
        stop = stops[one.break_id]
        source_id = str(one.record(seen.entity))
        if stop is None and source_id in stopped:
            stop = _Can("not_possible", stopped[source_id])
        decided[one.break_id] = stop or _sent(good[one.break_id], made[source_id])
    return decided


def _sent(plan: Plan, intent: NewIntent) -> _Can:
    assert plan.live is not None  # what was never planned is not sent again
    was = "was refused" if plan.live.intent["state"] == "REJECTED" else "is not in force any more"
    why = f"{plan.live.intent['natural_key']} {was}: it is billed once more, as {intent.natural_key}"
    return _Can(
        "gone", why, [intent], document=plan.live.invoice, amount_minor=intent.amount_minor, number=intent.natural_key
    )


def _not_to_send(seen: _Seen, plan: Plan | None) -> _Can | None:
    """Why a record is not sent again; None where it is."""
    if plan is None:
        return _Can("not_judged", "it is not about one record that a run of this link has judged")
    if plan.hold is not None:
        return _Can(plan.hold.reason, f"{plan.hold.message}; {plan.hold.remedy}")
    if plan.live is None or plan.live.intent["state"] == "CANCELLED":
        return _Can("not_planned", "nothing of it is posted or refused: the link's next run bills it by itself")
    if (stop := _in_force(seen, plan.live)) is not None:
        return stop
    assert plan.bill is not None and plan.party is not None  # a plan without a hold has both
    alike = [
        row for row in seen.of_customer(str(plan.party.vendor_id))
        if row["standing"] != VOID and row["currency"] == plan.bill.currency
        and row["subtotal_minor"] == plan.bill.net_minor and row["kind"] == "invoice"
    ]  # fmt: skip
    unlinked = [row for row in alike if row["invoice_id"] not in seen.linked([one["invoice_id"] for one in alike])]
    if unlinked:
        number = unlinked[0]["number"] or unlinked[0]["invoice_id"]
        return _Can(
            "maybe_entered_by_hand", f"the ledger has {number} of the same customer over the same amount, which stands "
            "for nothing in the CRM: if it is this one's, propose to relink it; if not, bill it by hand",
        )  # fmt: skip
    return None


def _in_force(seen: _Seen, live: Planned) -> _Can | None:
    """Why what stands for a record still counts; None where it is refused, voided or vanished."""
    intent = live.intent
    if intent["state"] == "REJECTED":
        return None
    if intent["state"] == "HELD":
        return _Can("held", "its invoice is held for a person: `tieout intents list --state HELD`")
    if intent["state"] != "CONFIRMED":
        return _Can("on_its_way", f"its invoice is {intent['state']}: wait until its fate is known")
    if intent["reversal"] == "CONFIRMED":
        return _Can("taken_back", "Tieout took it back itself: `tieout rollback bill-again` bills it anew")
    if intent["reversal"] not in (None, "REJECTED", "CANCELLED"):
        return _Can("reversal_under_way", f"a reversal of it is {intent['reversal']}")
    if live.invoice is not None and live.invoice["standing"] != VOID:
        return _Can("in_force", f"the ledger has it as {live.invoice['number']}, {live.invoice['status']}")
    if live.invoice is None and seen.staged([intent["vendor_id"]]):
        return _Can("not_readable", "the ledger has it, and its amounts cannot be read exactly")
    return None


def _relink(seen: _Seen, mended: Sequence[Mended]) -> dict[int, _Can]:
    plans = billed_anew(seen.services, seen.rules, seen.records(mended), seen.run_id)
    ids = sorted({id_ for one in mended for id_ in one.documents("invoice")})
    rows, linked = seen.documents("invoice", ids), seen.linked(ids)
    decided: dict[int, _Can] = {}
    wanted: dict[int, tuple[Plan, Row]] = {}
    for one in mended:
        plan = plans.get(one.record(seen.entity) or "")
        free = [rows[id_] for id_ in one.documents("invoice") if id_ in rows and id_ not in linked
                and rows[id_]["standing"] != VOID]  # fmt: skip
        stop = _not_to_link(seen, plan, free)
        if stop is not None or plan is None:
            decided[one.break_id] = stop or _Can("not_judged", "no run of this link has judged its record")
        else:
            wanted[one.break_id] = (plan, free[0])
    made, stopped = seen.bill([plan for plan, _ in wanted.values()])
    for break_id, (plan, row) in wanted.items():
        source_id = plan.judgement.source_id
        if source_id in stopped:
            decided[break_id] = _Can("not_possible", stopped[source_id])
            continue
        intent = replace(made[source_id], natural_key=row["number"] or row["invoice_id"])
        why = f"{row['number'] or row['invoice_id']} stands for {plan.judgement.source_number}: nothing is sent"
        decided[break_id] = _Can("unlinked", why, [intent], document=row, amount_minor=row["total_minor"])
    return decided


def _not_to_link(seen: _Seen, plan: Plan | None, free: Sequence[Row]) -> _Can | None:
    """Why a record and a document are not linked; None where they are."""
    if plan is None:
        why = "it names no record of the CRM that a run of this link has judged: say which one it belongs to"
        return _Can("not_judged", why)
    if len(free) != 1:
        return _Can("not_one_document", f"the ledger has {len(free)} invoices of it that stand for nothing, expected 1")
    if plan.hold is not None:
        return _Can(plan.hold.reason, f"{plan.hold.message}; {plan.hold.remedy}")
    if plan.live is not None and plan.live.intent["state"] == "HELD":
        return _Can("held", "its invoice is held: `tieout intents accept` says that the ledger's document is the one")
    going_on = plan.live is not None and plan.live.intent["state"] != "CANCELLED"
    if going_on and plan.live is not None and (stop := _in_force(seen, plan.live)) is not None:
        return stop
    assert plan.bill is not None and plan.party is not None  # a plan without a hold has both
    if free[0]["currency"] != plan.bill.currency or free[0]["customer_id"] != plan.party.vendor_id:
        return _Can("another_customer", f"{free[0]['number']} is of another customer or in another currency")
    if free[0]["subtotal_minor"] != plan.bill.net_minor:
        why = f"{free[0]['number']} is over another amount than its record: correct the one that is wrong first"
        return _Can("another_amount", why)
    return None


# --- voided, and written off ------------------------------------------------------------------------------------------


def _void(seen: _Seen, mended: Sequence[Mended]) -> dict[int, _Can]:
    decided = {}
    for one in mended:
        named = [(entity, id_) for entity in DOCUMENTS for id_ in one.documents(entity)]
        if named and all(entity == "payment" for entity, _ in named):
            decided[one.break_id] = _paid_twice(seen, one)
        elif len(named) != 1:
            decided[one.break_id] = _Can(
                "not_one_document", "it is about several documents: finance takes back the one too many in the ledger"
            )
        else:
            decided[one.break_id] = _voided(seen, *named[0])
    return decided


def _paid_twice(seen: _Seen, one: Mended) -> _Can:
    """Of payments that are alike, of one invoice, day and amount, the one that was entered last is taken back."""
    rows = [row for row in seen.documents("payment", one.documents("payment")).values() if row["standing"] != VOID]
    same = ("invoice_id", "date", "amount_minor", "currency")
    alike = [row for row in rows if row["amount_minor"] == abs(one.amount) and row["currency"] == one.currency]
    if len(alike) < 2 or any(row[name] != alike[0][name] for row in alike for name in same):
        why = f"the ledger has {len(alike)} payments of that amount and day on one invoice, expected two or more"
        return _Can("not_one_document", why, entity="payment")
    *_, first, last = sorted(alike, key=lambda row: (row["modified_at"], row["_source_id"]))
    closed = shut(last["date"], seen.rules)
    if closed is not None:
        return _Can(closed.reason, f"{closed.message}: finance books it back", entity="payment", document=last)
    void = doubles.void_of(seen.services, "payment", Verdict("duplicate", last, keeps=first["_source_id"]))
    why = f"payment {first['_source_id']} of the same invoice, day and amount stays; this one is taken back"
    return _Can("duplicate", why, [void], entity="payment", document=last, amount_minor=last["amount_minor"])


def _voided(seen: _Seen, entity: str, id_: str) -> _Can:
    row = seen.documents(entity, [id_]).get(id_)
    if row is None or row["standing"] == VOID:
        return _Can("not_in_ledger", "the ledger does not have it in force any more", entity=entity)
    if seen.linked([id_]):
        why = "it stands for a record of the CRM: it is not the one too many"
        return _Can("linked", why, entity=entity, document=row)
    obstacle = doubles.obstacle(entity, row, seen.rules)
    if obstacle is not None:
        return _Can("not_possible", obstacle, entity=entity, document=row)
    void = doubles.void_of(seen.services, entity, Verdict("duplicate", row))
    return _Can("duplicate", "another one of the same amount stands for the record; this one is voided", [void],
                entity=entity, document=row, amount_minor=row["total_minor"])  # fmt: skip


def _write_off(seen: _Seen, mended: Sequence[Mended]) -> dict[int, _Can]:
    account = seen.services.link.reconciliation.write_off_account
    if account is None:
        why = "the link names no account for it: reconciliation.write_off_account in its file"
        return {one.break_id: _Can("no_account", why) for one in mended}
    if write_off.NO_TAX not in seen.services.link.tax_codes:
        why = f"the link does not say how the ledger calls no tax: tax_codes.{write_off.NO_TAX} in its file"
        return {one.break_id: _Can("no_tax_code", why) for one in mended}
    most = load_reconciliation_rules(seen.services.settings.include).rounding_minor
    records = seen.records(mended)
    live = live_documents(seen.services, subject_of(seen.services), records)
    revisions = _write_offs(seen, records)
    decided = {}
    for one in mended:
        source_id = one.record(seen.entity) or ""
        planned = live.get(source_id)
        stop = _not_to_write_off(seen, one, planned, most)
        if stop is None and planned is not None and planned.invoice is not None:
            revision = revisions.get(source_id, 0) + 1
            day = posting_date(seen.rules.today, seen.rules)
            assert not isinstance(day, Hold)  # else it is not written off
            off = WriteOff(source_id, planned.invoice, one.amount, revision, day, account)
            stop = _Can("rounding", _words(one, planned.invoice, account), write_off.intents(seen.services, off),
                        document=planned.invoice, amount_minor=abs(one.amount))  # fmt: skip
        decided[one.break_id] = stop or _Can("not_in_ledger", "the ledger does not show its invoice, or not readably")
    return decided


def _words(one: Mended, invoice: Row, account: str) -> str:
    if one.amount < 0:
        return f"a credit note of the cents too much, on account {account}, is set against {invoice['number']}"
    return f"an invoice of the cents that {invoice['number']} lacks, on account {account}"


def _not_to_write_off(seen: _Seen, one: Mended, planned: Planned | None, most: int) -> _Can | None:
    """Why a break is not written off; None where it is, or where there is no invoice."""
    if planned is None or planned.invoice is None:
        return None
    invoice, day = planned.invoice, posting_date(seen.rules.today, seen.rules)
    if one.component != "amount" or not 0 < abs(one.amount) <= most:
        return _Can("not_rounding", f"only amounts of up to {most} minor units are written off", document=invoice)
    if invoice["standing"] in (VOID, DRAFT):
        return _Can("not_in_force", f"its invoice is {invoice['status']}: correct that in the ledger", document=invoice)
    if one.amount < 0 and (invoice["due_minor"] or 0) < -one.amount:
        return _Can("nothing_due", "nothing is due on its invoice that a credit could be set against: finance books it",
                    document=invoice)  # fmt: skip
    if isinstance(day, Hold):
        return _Can(day.reason, f"it cannot be dated today: {day.message}", document=invoice)
    return None


def _write_offs(seen: _Seen, records: Sequence[str]) -> dict[str, int]:
    """source id -> how often something of it was written off before."""
    with seen.services.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select source_id, max(revision) as last from tieout.intent where link = :link and target = :target "
                "and source = :source and kind = :kind and source_id = any(:ids) group by 1"
            ),
            {"link": seen.services.link.name, "target": seen.services.ledger.name, "source": seen.services.crm.name,
             "kind": write_off.KIND, "ids": list(records)},
        )  # fmt: skip
        return {row.source_id: row.last for row in rows}


_MAKERS: Mapping[Fix, Callable[[_Seen, Sequence[Mended]], dict[int, _Can]]] = {
    "resend": _resend, "relink": _relink, "void_duplicate": _void, "write_off": _write_off,
}  # fmt: skip
_ACTIONS: Mapping[Fix, Action] = {
    "resend": "resend", "relink": "relink", "void_duplicate": "void", "write_off": "write_off",
}  # fmt: skip


def _item(services: Services, kind: Fix, one: Mended, can: _Can) -> Item:
    document: Mapping[str, Any] = can.document or {}
    entity = subject_of(services).entity
    source_id = one.record(entity)
    return Item(
        entity=can.entity, vendor_id=document.get("_source_id") or "",
        vendor_number=can.number or document.get("number"),
        doc_uid=can.intents[0].doc_uid if can.intents else None,
        source_object=services.crm.mappings[entity].object if source_id else None, source_id=source_id,
        source_number=None, currency=document.get("currency") or one.currency, amount_minor=can.amount_minor,
        action=_ACTIONS[kind] if can.intents else "none", reason=can.reason, why=can.why,
        staged_in=services.ledger.mappings[can.entity].staged_entity().table,
        ledger_version=document.get("_version"), intents=frozen_intents(can.intents), break_id=one.break_id,
    )  # fmt: skip
