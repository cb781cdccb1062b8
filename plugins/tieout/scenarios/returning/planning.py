"""Judges returns and plans their credit notes, a chunk at a time; a chunk is one transaction.

Called again after delivery: a return counts as posted only once its credit note, and what of it is to be set against
the invoice, are in the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from sqlalchemy import Connection

from tieout.delivery import intents
from tieout.model.errors import Rejection, Retriable
from tieout.model.identity import content_hash
from tieout.model.standing import VOID
from tieout.scenarios.billing import Hold, Row, Rules
from tieout.scenarios.frames import chunks, parent_column
from tieout.scenarios.making import plan_intents
from tieout.scenarios.plans import Credited, Plan
from tieout.scenarios.returning.facts import SUBJECT, Chunk, read_chunk, takers_now
from tieout.scenarios.returning.rules import Billed, Taken, content, credit, kept
from tieout.scenarios.revisions import Step
from tieout.scenarios.services import Services
from tieout.store import dead_letters, documents
from tieout.store.documents import Judgement


@dataclass
class _Judged:
    """The plans of a chunk; `cancel`: intents that nobody needs any more."""

    plans: list[Plan] = field(default_factory=list)
    cancel: list[str] = field(default_factory=list)


def plan(services: Services, rules: Rules, run_id: UUID) -> dict[str, int]:
    """Judges all returns that are new, changed or open, and plans their credit notes.

    Returns:
        Counts: `judged` and one for each outcome, `intents` planned, `cancelled_intents`.
    """
    crm = services.crm
    parts = documents.Parts(
        head=crm.mappings[SUBJECT.entity].staged_entity().table,
        lines=crm.mappings[SUBJECT.lines].staged_entity().table,
        parent_column=parent_column(crm, SUBJECT.lines),
    )
    with services.engine.connect() as conn:
        versions = documents.to_judge(conn, services.link.name, SUBJECT.entity, crm.name, parts)
    counts: Counter[str] = Counter()
    for ids in chunks(sorted(versions)):
        counts.update(_plan_chunk(services, rules, {key: versions[key] for key in ids}, run_id))
    return dict(counts)


def _plan_chunk(services: Services, rules: Rules, versions: Mapping[str, int], run_id: UUID) -> Counter[str]:
    chunk = read_chunk(services, versions)
    taken = dict(chunk.taken)
    judged = _Judged()
    for source_id in sorted(versions, key=lambda key: (str((chunk.heads.get(key) or {}).get("number") or ""), key)):
        judged.plans.append(_judge(chunk, source_id, taken, rules, judged.cancel))
    made = plan_intents(services, SUBJECT.entity, [one for one in judged.plans if one.steps], rules)
    judgements = [made.judgements.get(one.judgement.source_id, one.judgement) for one in judged.plans]
    with services.engine.begin() as conn:
        _refuse_overtaken(conn, services, chunk)
        gone = intents.cancel(conn, services.ledger.name, judged.cancel, run_id, services.actor, "return_changed")
        added = intents.add(conn, made.intents, run_id, services.actor)
        documents.upsert(conn, services.link.name, SUBJECT.entity, judgements, run_id)
        _letters(conn, services, judgements, [*judged.plans, *made.stopped], run_id)
    counts: Counter[str] = Counter(judgement.outcome for judgement in judgements)
    counts.update(judged=len(judgements), intents=len(added.new), cancelled_intents=len(gone))
    return counts


def _refuse_overtaken(conn: Connection, services: Services, chunk: Chunk) -> None:
    """Stops the chunk where another run credited a return of one of its invoices since it was read.

    Raises:
        Retriable: the next try sees it.
    """
    invoices = [one.invoice_id for one in chunk.billed.values() if isinstance(one, Billed)]
    if not invoices:
        return
    intents.wait_for_other_adders(conn, services.ledger.name)
    now = takers_now(conn, services, invoices)
    for invoice, uids in now.items():
        if uids - chunk.takers.get(invoice, frozenset()):
            raise Retriable(f"another run credited a return of invoice {invoice} at the same time")


def _judge(chunk: Chunk, source_id: str, taken: dict[str, Taken], rules: Rules, cancel: list[str]) -> Plan:
    """The verdict on one return, and the credit that follows from it."""
    head, previous, live = chunk.heads.get(source_id), chunk.previous.get(source_id), chunk.live.get(source_id)
    base = Judgement(
        source_id=source_id,
        source_number=(head or {}).get("number") or (previous.source_number if previous else None) or source_id,
        outcome="held",
        seen_version=chunk.versions[source_id],
        revision=live["revision"] if live else 0,
        content_hash=live["frozen"]["return"]["digest"] if live else None,
        doc_uid=live["doc_uid"] if live else None,
        currency=(head or {}).get("currency") or (previous.currency if previous else None),
    )
    if source_id in chunk.stopped:
        stop = chunk.stopped[source_id]
        return Plan(replace(base, outcome="quarantined", reason=stop.reason, message=stop.message), hold=stop)
    lines = chunk.lines.get(source_id, ())
    digest = None if head is None else content_hash(content(head, lines))
    if live is not None and live["state"] != "CANCELLED":
        stands = _standing(base, live, head, digest, cancel)
        if stands is not None:
            return stands
    if head is None or head.get("cancelled"):
        words = "the return was cancelled before it was credited"
        return Plan(replace(base, outcome="cancelled", reason="source_cancelled", message=words, doc_uid=None))
    if not head.get("creditable"):
        return Plan(replace(base, outcome="not_billable", doc_uid=None))
    return _credited(base, head, lines, chunk.billed.get(head.get("order_id") or ""), taken, rules, digest)


def _standing(base: Judgement, live: Row, head: Row | None, digest: str | None, cancel: list[str]) -> Plan | None:
    """What becomes of a return that has a credit note; None where it is judged as one that has none."""
    note = live["note"]
    base = replace(base, source_minor=live["amount_minor"], currency=live["currency"])
    wanted = head is not None and not head.get("cancelled") and bool(head.get("creditable"))
    changed = not wanted or digest != base.content_hash
    if live["state"] == "REJECTED":
        return None if changed else Plan(replace(base, reason=live["reason"], message=live["message"]))
    if live["state"] in ("READY", "HELD") and not live["sends"] and changed:
        # The next judgement sees that it is cancelled, and goes on from there.
        cancel += [*(one["doc_uid"] for one in live["follow"]), live["doc_uid"]]
        words = "the return was changed before its credit note was sent"
        return Plan(replace(base, outcome="pending", reason="return_changed", message=words, doc_uid=None))
    if live["state"] != "CONFIRMED":
        outcome = "held" if live["state"] == "HELD" else "pending"
        return Plan(replace(base, outcome=outcome, reason=live["reason"], message=live["message"]))  # type: ignore[arg-type] # a literal
    if note is None:
        return Plan(replace(base, outcome="pending", reason=None, message=None))
    if note["standing"] == VOID:
        return _voided(base, wanted, note)
    if changed:
        return _changed(base, head, note)
    return _settled(base, live["follow"], note, cancel)


def _settled(base: Judgement, follow: Sequence[Row], note: Row, cancel: list[str]) -> Plan:
    """Whether allocation and refund are done; those that failed do not matter once finance has settled the note.

    What was paid back and could not be set against the note does: the money is gone, and the note was used otherwise.
    """
    failed = [one for one in follow if one["state"] in ("REJECTED", "HELD")]
    paid_back = any(one["kind"] == "refund" and one["state"] == "CONFIRMED" for one in follow)
    in_vain = paid_back and any(one["operation"] == "refunds.apply" for one in failed)
    if failed and (note["remaining_minor"] or in_vain):
        return Plan(replace(base, reason=failed[0]["reason"], message=failed[0]["message"]))
    if any(one["state"] not in ("CONFIRMED", "CANCELLED", "REJECTED", "HELD") for one in follow):
        return Plan(replace(base, outcome="pending", reason=None, message=None))
    cancel += [one["doc_uid"] for one in failed if one["state"] == "HELD" and not one["sends"]]
    return Plan(replace(base, outcome="posted", posted_minor=note["subtotal_minor"]))


def _voided(base: Judgement, wanted: bool, note: Row) -> Plan:
    if not wanted:
        words = "cancelled, and finance has voided its credit note"
        return Plan(replace(base, outcome="cancelled", reason="source_cancelled", message=words, posted_minor=0))
    hold = Hold(
        "credit_voided", "finance has voided the credit note of the return", "a credit note in force",
        str(note["status"]),
        "agree with finance: cancel the return, and enter another one if the goods did come back",
    )  # fmt: skip
    return Plan(replace(base, reason=hold.reason, message=hold.message), hold=hold)


def _changed(base: Judgement, head: Row | None, note: Row) -> Plan:
    cancelled = head is None or bool(head.get("cancelled"))
    word = "cancelled" if cancelled else "changed"
    hold = Hold(
        f"{word}_after_credit", f"the return was {word} after credit note {note['number']} was posted",
        "no change after the credit", str((head or {}).get("status") or "deleted"),
        "void the credit note in the ledger, or enter the return as it was credited",
    )  # fmt: skip
    return Plan(replace(base, reason=hold.reason, message=hold.message), hold=hold)


def _credited(
    base: Judgement, head: Row, lines: Sequence[Row], billed: Billed | Hold | None, taken: dict[str, Taken],
    rules: Rules, digest: str | None,
) -> Plan:  # fmt: skip
    if billed is None:
        billed = Hold(
            "invoice_unknown", "the return names no order", "an order that was billed", "nothing",
            "choose the order of the return in the CRM",
        )  # fmt: skip
    if isinstance(billed, Hold):
        return _held(base, billed)
    made = credit(head, lines, billed, taken.setdefault(billed.invoice_id, Taken()), rules)
    if isinstance(made, Hold):
        return _held(base, made)
    made.added_to(taken[billed.invoice_id])
    frozen = {
        "return": {
            "invoice": billed.invoice_id, "digest": digest, "parts": kept(made.parts),
            "total_minor": made.total_minor, "allocate_minor": made.allocate_minor,
            "refund_minor": made.refund_minor,
        }
    }  # fmt: skip
    credited = Credited(
        billed.customer_id, billed.invoice_id, billed.currency, made.allocate_minor, made.lines, made.day,
        billed.exchange_rate, frozen, made.refund_minor, rules.link.returns.refund_account,
    )  # fmt: skip
    judgement = replace(
        base, outcome="pending", reason=None, message=None, revision=base.revision + 1, content_hash=digest,
        currency=billed.currency, source_minor=made.net_minor,
    )  # fmt: skip
    return Plan(judgement, steps=(Step.CREDIT,), digest=digest, credited=credited)


def _held(base: Judgement, hold: Hold) -> Plan:
    return Plan(replace(base, doc_uid=None, reason=hold.reason, message=hold.message), hold=hold)


def _letters(
    conn: Connection, services: Services, judgements: Sequence[Judgement], plans: Sequence[Plan], run_id: UUID
) -> None:
    """A dead letter for each return that this step stopped; those of returns that go on now are closed."""
    stopped = {one.judgement.source_id: one.hold for one in plans if one.hold and one.judgement.outcome == "held"}
    letters = [
        Rejection(
            services.crm.system, SUBJECT.entity, source_id, hold.reason, hold.message, hold.expected, hold.found,
            hold.remedy,
        )
        for source_id, hold in stopped.items()
    ]  # fmt: skip
    dead_letters.record(
        conn, letters, link=services.link.name, connection=services.crm.name, stage="transform", run_id=run_id
    )
    dead_letters.close_mended(
        conn, connection=services.crm.name, link=services.link.name, entity=SUBJECT.entity, stages=["transform"],
        source_ids=[one.source_id for one in judgements],
        failing=[(letter.source_id, letter.reason) for letter in letters],
    )  # fmt: skip
