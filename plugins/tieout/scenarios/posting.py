"""Judges every billable record of the CRM and plans what has to be posted for it, a chunk of records at a time.

A chunk is one transaction: crosswalk links, intents, judgements and dead letters commit together. The rules are in
billing.py, customers.py and revisions.py; here they meet the staged rows and the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from tieout.delivery import intents
from tieout.model.errors import Rejection, Retriable
from tieout.model.identity import content_hash
from tieout.model.standing import DRAFT
from tieout.scenarios import ready
from tieout.scenarios.billing import Bill, Hold, Row, Rules, bill
from tieout.scenarios.credit import gate
from tieout.scenarios.customer_book import CustomerBook, Customers, Party
from tieout.scenarios.frames import chunks, many_rows
from tieout.scenarios.making import Intents, plan_intents, refused
from tieout.scenarios.plans import Plan, Planned, moved
from tieout.scenarios.quarantine import letters_of
from tieout.scenarios.reversal import in_open_period
from tieout.scenarios.revisions import Live, Step, decide
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import Chunk, Subject, invoice_intents, parts_of, read_chunk, subject_of
from tieout.scenarios.successors import are_one
from tieout.store import crosswalk, dead_letters, documents
from tieout.store.documents import Judgement

#: States of a reversal of which nobody knows the end yet.
UNDER_WAY = ("READY", "CLAIMED", "IN_FLIGHT", "UNKNOWN", "HELD")
#: Steps about what the ledger has.
AFTER_POSTING = frozenset({Step.UPDATE, Step.VOID, Step.CREDIT, Step.CREDIT_AND_REBILL})


def plan(services: Services, rules: Rules, run_id: UUID) -> dict[str, int]:
    """Judges all records that are new, changed or open, and plans their postings.

    Returns:
        Counts: `judged` and one for each outcome, `intents` planned, `cancelled` intents.
    """
    subject = subject_of(services)
    book = CustomerBook(services, run_id)
    parts = parts_of(services, subject)
    with services.engine.connect() as conn:
        versions = documents.to_judge(conn, services.link.name, subject.entity, services.crm.name, parts)
    counts: Counter[str] = Counter()
    for ids in chunks(sorted(versions)):
        judged = judge(services, subject, rules, book, {key: versions[key] for key in ids})
        counts.update(commit(services, subject, judged, run_id))
    return dict(counts)


@dataclass(frozen=True)
class Verdicts:
    """Some records and the verdict on each. Nothing of it is written.

    Attributes:
        plans: one for each record.
        stopped: those of which the ledger could not take the body, as held.
    """

    chunk: Chunk
    customers: Customers
    plans: Sequence[Plan]
    stopped: Sequence[Plan]

    @property
    def final(self) -> list[Plan]:
        """The plans, those that were stopped as held."""
        stopped = {plan.judgement.source_id: plan for plan in self.stopped}
        return [stopped.get(plan.judgement.source_id, plan) for plan in self.plans]


@dataclass(frozen=True)
class Judged(Verdicts):
    """Verdicts with what would come of them: the intents of those that have steps, and their judgements."""

    passed: gate.Passed
    planned: Intents


@many_rows()
def judge(
    services: Services, subject: Subject, rules: Rules, book: CustomerBook, versions: Mapping[str, int]
) -> Judged:
    """The verdicts on these records as they are staged, ready to be committed; writes nothing.

    Args:
        versions: source id -> its highest staged `_version`.
    """
    chunk, customers, plans = _judged(services, subject, rules, book, versions)
    plans, passed = gate.checked(services, plans, rules)
    planned = _intents_of(services, subject, plans, rules)
    return Judged(chunk, customers, plans, planned.stopped, passed, planned)


@many_rows()
def foresee(
    services: Services, subject: Subject, rules: Rules, book: CustomerBook, versions: Mapping[str, int],
    ahead: gate.Ahead,
) -> Verdicts:  # fmt: skip
    """The same verdicts, to be shown and not committed: no body is made and no intent.

    Args:
        versions: may be of several chunks; each is looked at as if the one before it had been committed.
        ahead: what was foreseen before; what is foreseen now is added.
    """
    chunk, customers, judged = _judged(services, subject, rules, book, versions)
    plans: list[Plan] = []
    stopped: list[Plan] = []
    for some in chunks(judged):
        passed, _ = gate.checked(services, some, rules, ahead)
        held = refused(services, subject.entity, [plan for plan in passed if plan.steps], rules)
        accounts = _accounts(chunk, [plan.judgement.source_id for plan in some])
        links = [link for link in customers.links if link.source_id in accounts]
        ahead.add(Verdicts(chunk, customers, passed, held).final, links)
        plans += passed
        stopped += held
    return Verdicts(chunk, customers, plans, stopped)


def _judged(
    services: Services, subject: Subject, rules: Rules, book: CustomerBook, versions: Mapping[str, int]
) -> tuple[Chunk, Customers, list[Plan]]:
    chunk = read_chunk(services, subject, versions)
    accounts = _accounts(chunk, versions)
    customers = book.plan(accounts, letters_of(services, "account", accounts))
    chunk = replace(chunk, parties=customers.parties, merged=book.merges())
    plans = [_judge(chunk, source_id, rules) for source_id in versions]
    return chunk, customers, ready.checked(services, plans)


def _accounts(chunk: Chunk, ids: Iterable[str]) -> set[str]:
    """The customers of what is billable of these records."""
    heads = (chunk.heads.get(source_id) for source_id in ids)
    return {row["account_id"] for row in heads if row and row.get("billable") and row.get("account_id")}


def only(services: Services, subject: Subject, rules: Rules, judged: Judged, ids: Collection[str]) -> Judged:
    """The same verdicts on these records alone, with the customers that they need."""
    plans = [plan for plan in judged.plans if plan.judgement.source_id in ids]
    accounts = {plan.bill.account_id for plan in plans if plan.bill}
    customers = replace(
        judged.customers,
        links=[link for link in judged.customers.links if link.source_id in accounts],
        intents=[intent for intent in judged.customers.intents if intent.source_id in accounts],
    )
    planned = _intents_of(services, subject, plans, rules)
    return replace(judged, customers=customers, plans=plans, stopped=planned.stopped, planned=planned)


def _intents_of(services: Services, subject: Subject, plans: Sequence[Plan], rules: Rules) -> Intents:
    return plan_intents(services, subject.entity, [plan for plan in plans if plan.steps], rules)


@many_rows()
def commit(
    services: Services,
    subject: Subject,
    judged: Judged,
    run_id: UUID,
    also: Callable[[Connection], None] | None = None,
) -> Counter[str]:
    """Writes what was judged, all of it or nothing: links of customers, intents, judgements, dead letters.

    Args:
        also: what else is written in the same transaction.

    Raises:
        Retriable: another run linked a customer, took the credit or reversed an invoice since it was judged.
    """
    customers, planned = judged.customers, judged.planned
    judgements = [planned.judgements.get(item.judgement.source_id, item.judgement) for item in judged.plans]
    with services.engine.begin() as conn:
        gate.keep(conn, services, judged.passed, {item.source_id: item.doc_uid for item in planned.judgements.values()})
        if taken := crosswalk.link_existing(conn, customers.links, run_id):
            # Another run linked one of them since we looked: nothing of this chunk is kept, the next try sees it.
            raise Retriable(f"account {taken[0].wanted.source_id} was linked by another run at the same time")
        _refuse_overtaken(conn, services, subject, judged.chunk)
        cancelled = intents.cancel(
            conn, services.ledger.name, planned.cancel, run_id, services.actor, "source_changed_or_cancelled"
        )
        added = intents.add(conn, [*customers.intents, *planned.intents], run_id, services.actor)
        documents.upsert(conn, services.link.name, subject.entity, judgements, run_id)
        _letters(conn, services, subject, judgements, [*judged.plans, *planned.stopped], run_id)
        if also:
            also(conn)
    counts: Counter[str] = Counter(judgement.outcome for judgement in judgements)
    counts.update(judged=len(judgements), intents=len(added.new), cancelled_intents=len(cancelled))
    return counts


def billed_anew(services: Services, rules: Rules, ids: Sequence[str], run_id: UUID) -> dict[str, Plan]:
    """source id -> the plan that bills a record once more, as it is now, whatever was billed of it before.

    A record that cannot be billed comes with its `hold`. One that no run of the link has judged is left out. Nothing is
    written; the credit gate is not asked: a person has to approve what comes of it.
    """
    subject = subject_of(services)
    with services.engine.connect() as conn:
        judged = documents.latest(conn, services.link.name, subject.entity, ids)
    chunk = read_chunk(services, subject, {source_id: one.seen_version for source_id, one in judged.items()})
    accounts = {row["account_id"] for row in chunk.heads.values() if row.get("account_id")}
    customers = CustomerBook(services, run_id).plan(accounts, letters_of(services, "account", accounts))
    chunk = replace(chunk, parties=customers.parties)
    return {plan.judgement.source_id: plan for plan in ready.checked(services, [
        _anew(chunk, judged[source_id], rules) for source_id in sorted(judged)
    ])}  # fmt: skip


def _anew(chunk: Chunk, judged: Judgement, rules: Rules) -> Plan:
    source_id = judged.source_id
    head, live = chunk.heads.get(source_id), chunk.live.get(source_id)
    base = replace(judged, outcome="pending", revision=live.intent["revision"] if live else 0)
    if source_id in chunk.stopped:
        return Plan(base, live=live, hold=chunk.stopped[source_id])
    if head is None or head.get("cancelled") or not head.get("billable"):
        hold = Hold("not_billable", "the CRM does not have it to be billed any more", "a billable record",
                    "none, or one that is cancelled or open", "leave it, or activate it in the CRM")  # fmt: skip
        return Plan(base, live=live, hold=hold)
    made = _bill(head, chunk, source_id, rules)
    if isinstance(made, Hold):
        return Plan(base, live=live, hold=made)
    party = chunk.parties.get(made.account_id)
    if not isinstance(party, Party) or party.vendor_id is None:
        hold = Hold("customer_not_in_ledger", "its customer is not in the ledger yet", "a customer that is linked",
                    f"account {made.account_id} without one", "let a run carry the customer over first")  # fmt: skip
        return Plan(base, live=live, hold=hold)
    base = replace(base, currency=made.currency, source_minor=made.net_minor)
    return Plan(base, (Step.CREATE,), made, party, live, content_hash(made.content()))


def _refuse_overtaken(conn: Connection, services: Services, subject: Subject, chunk: Chunk) -> None:
    """Stops the chunk where somebody approved a proposal since it was read: what was judged would undo that.

    Raises:
        Retriable: the next try sees it.
    """
    if not chunk.live:
        return
    intents.wait_for_other_adders(conn, services.ledger.name)
    now = invoice_intents(conn, services, subject, sorted(chunk.live))
    for source_id, rows in now.items():
        seen = chunk.live[source_id]
        reversals = {row["doc_uid"]: row["reversal_uid"] for row in rows}
        replaced = rows[0]["doc_uid"] != seen.intent["doc_uid"]
        if replaced or any(
            reversals[read.intent["doc_uid"]] != read.intent["reversal_uid"] for read in (seen, seen.beneath) if read
        ):
            raise Retriable(
                f"{subject.entity} {source_id}: its invoice was reversed or replaced while it was being judged"
            )


def _judge(chunk: Chunk, source_id: str, rules: Rules) -> Plan:
    """The verdict on one record, and the steps that follow from it."""
    head = chunk.heads.get(source_id)
    previous = chunk.previous.get(source_id)
    live = chunk.live.get(source_id)
    base = Judgement(
        source_id=source_id,
        source_number=(head or {}).get("number") or (previous.source_number if previous else None) or source_id,
        outcome="held",
        seen_version=chunk.versions[source_id],
        revision=live.intent["revision"] if live else 0,
        content_hash=previous.content_hash if previous else None,
        doc_uid=live.intent["doc_uid"] if live else None,
        currency=(head or {}).get("currency") or (previous.currency if previous else None),
        source_minor=(head or {}).get("total_minor"),
    )
    if live and previous and live.rolled_back(base.seen_version):
        return Plan(_rolled_back(previous, live, base.seen_version))
    if source_id in chunk.stopped:
        stop = chunk.stopped[source_id]
        return Plan(replace(base, outcome="quarantined", reason=stop.reason, message=stop.message), hold=stop)
    cancelled = head is None or bool(head.get("cancelled"))
    if head is not None and not head.get("billable") and not cancelled:
        return _not_billable(base, live)
    if head is None or cancelled:
        return _next(rules, base, live, previous, None, chunk, cancelled)
    made = _bill(head, chunk, source_id, rules)
    if live and previous and (posted := _as_posted(head, chunk, source_id, live, previous, rules)) is not None:
        made, base = posted, replace(base, message=_noted(live.intent["frozen"], head))
    if isinstance(made, Hold):
        return Plan(replace(base, reason=made.reason, message=made.message), hold=made)
    return _next(rules, base, live, previous, made, chunk, cancelled)


def _rolled_back(previous: Judgement, live: Planned, version: int) -> Judgement:
    """As it was judged last, with its reversal as the document that counts. It is not billed again by itself."""
    words = f"taken back by proposal {live.intent['reversal_proposal']}"
    done = live.intent["reversal"] == "CONFIRMED"
    return replace(
        previous, outcome="reversed" if done else "pending", reason="rolled_back", message=words, seen_version=version,
        doc_uid=live.intent["reversal_uid"], posted_minor=0 if done else previous.posted_minor,
    )  # fmt: skip


def _bill(head: Row, chunk: Chunk, source_id: str, rules: Rules, dated: date | None = None) -> Bill | Hold:
    made = bill(
        head, chunk.lines.get(source_id, ()), chunk.quotes.get(source_id), chunk.quote_lines.get(source_id, ()), rules,
        dated=dated,
    )  # fmt: skip
    party = chunk.parties.get(head.get("account_id") or "")
    return party if isinstance(made, Bill) and isinstance(party, Hold) else made


def _as_posted(
    head: Row, chunk: Chunk, source_id: str, live: Planned, previous: Judgement, rules: Rules
) -> Bill | None:
    """The bill as it was posted, where nothing of it has changed since but which periods are open, or only the rate.

    What is posted stays as it is when its period is closed or reopened, when its account is merged into another one,
    and, unless the link says otherwise or it is still a draft, when the CRM corrects the rate.
    """
    intent, content = live.intent, live.intent["frozen"]["bill"]
    in_force = intent["state"] == "CONFIRMED" and intent["reversal"] in (None, "CANCELLED")
    if not in_force or previous.content_hash != content_hash(content) or head.get("order_date") is None:
        return None
    if intent["frozen"].get("original_date") != head["order_date"].isoformat():
        return None
    if are_one(chunk.merged, head.get("account_id"), content["account"]):
        head = {**head, "account_id": content["account"]}
    made = _bill(head, chunk, source_id, rules, date.fromisoformat(content["date"]))
    if isinstance(made, Hold):
        return None
    approved = live.invoice is not None and live.invoice["standing"] != DRAFT
    if approved and rules.link.policies.rate_after_posting == "keep":
        made = replace(made, exchange_rate=None if content["rate"] is None else Decimal(content["rate"]))
    return made if content_hash(made.content()) == previous.content_hash else None


def _noted(frozen: Mapping[str, Any], head: Row) -> str | None:
    """What is to be known of a posted document: another date than its record's, a rate that was corrected since."""
    posted, now = frozen["bill"]["rate"], head.get("exchange_rate")
    words = [moved(frozen)]
    if posted is not None and now is not None and Decimal(posted) != now:
        words.append(f"posted at the rate {posted}; the CRM says {now.normalize():f} since, and what is posted stays")
    return "; ".join(word for word in words if word) or None


def _not_billable(base: Judgement, live: Planned | None) -> Plan:
    never_there = live is None or (live.intent["state"] in ("CANCELLED", "REJECTED") and live.beneath is None)
    if live is None or never_there or live.is_reversed():
        return Plan(replace(base, outcome="not_billable"))
    hold = Hold(
        "no_longer_billable", "it was billed and is not billable any more",
        "an activated or a cancelled order, a won deal", "neither",
        "activate or win it again, or cancel the order in the CRM; a lost deal's invoice is finance's to void",
    )  # fmt: skip
    return Plan(replace(base, reason=hold.reason, message=hold.message), hold=hold)


def _next(
    rules: Rules, base: Judgement, live: Planned | None, previous: Judgement | None, made: Bill | None,
    chunk: Chunk, cancelled: bool,
) -> Plan:  # fmt: skip
    digest = content_hash(made.content()) if made else base.content_hash
    changed = made is not None and (previous is None or previous.content_hash != digest)
    step = decide(
        live.standing() if live else Live(None), changed=changed, cancelled=cancelled, policies=rules.link.policies
    )
    if live is not None and isinstance(step, Step):
        step = in_open_period(step, live.counts().invoice, rules)
    if made is not None:
        base = replace(base, source_minor=made.net_minor, currency=made.currency)
    if isinstance(step, Hold):
        return Plan(replace(base, reason=step.reason, message=step.message), hold=step)
    party = chunk.parties.get(made.account_id) if made else None
    if live is not None and step in AFTER_POSTING:
        live = live.counts()
    return Plan(
        _standing(base, live, step, cancelled),
        steps=(step,) if step not in (Step.NOTHING, Step.WAIT) else (),
        bill=made,
        party=party if isinstance(party, Party) else None,
        live=live,
        digest=digest,
    )


def _standing(base: Judgement, live: Planned | None, step: Step, cancelled: bool) -> Judgement:
    """The outcome as it is before anything new is delivered; `settle` goes on from there."""
    state = live.intent["state"] if live else None
    if step is Step.CANCEL and live and live.beneath:
        words = "what was not sent is cancelled; the next run takes back what is in the ledger"
        return replace(base, outcome="pending", reason="reversal_under_way", message=words, doc_uid=None)
    if cancelled and step in (Step.NOTHING, Step.CANCEL):
        return replace(base, outcome="cancelled", reason="source_cancelled", message="the source is cancelled")
    if step is Step.NOTHING and state == "CONFIRMED":
        # A record that was stopped and is as it was again: the ledger has it already.
        subtotal = (live.invoice or {}).get("subtotal_minor") if live else None
        return replace(base, outcome="posted", posted_minor=base.source_minor if subtotal is None else subtotal)
    if step is Step.WAIT and live and (one := live.counts()).standing().reversal in UNDER_WAY:
        # A cancelled one is settled by its reversal. Else there is no document that `settle` could wait for: the next
        # run goes on.
        words = "its invoice is being taken back" + ("" if cancelled else "; it is billed anew once that is certain")
        uid = one.intent["reversal_uid"] if cancelled else None
        return replace(base, outcome="pending", reason="reversal_under_way", message=words, doc_uid=uid)
    return replace(base, outcome="pending", reason=None, message=None)


def _letters(
    conn: Connection,
    services: Services,
    subject: Subject,
    judgements: Sequence[Judgement],
    plans: Sequence[Plan],
    run_id: UUID,
) -> None:
    """A dead letter for each record that this step stopped; those of records that go on now are closed."""
    stopped = {item.judgement.source_id: item for item in plans if item.hold and item.judgement.outcome == "held"}
    letters = [
        Rejection(
            services.crm.system, subject.entity, source_id, item.hold.reason, item.hold.message, item.hold.expected,
            item.hold.found, item.hold.remedy,
        )
        for source_id, item in stopped.items() if item.hold
    ]  # fmt: skip
    dead_letters.record(
        conn, letters, link=services.link.name, connection=services.crm.name, stage="transform", run_id=run_id
    )
    dead_letters.close_mended(
        conn, connection=services.crm.name, link=services.link.name, entity=subject.entity, stages=["transform"],
        source_ids=[item.source_id for item in judgements],
        failing=[(letter.source_id, letter.reason) for letter in letters],
    )  # fmt: skip
