"""What a run would post for a fiscal period, worked out and kept before anything is posted; and the posting of it.

The verdicts are quote-to-cash's own (posting.judge). A plan writes nothing but itself: no intent, no crosswalk row, no
judgement. Applying it judges once more and commits what is judged as it was planned; a record that is judged otherwise
now is left to the next plan, and says so. A line is written as applied in the transaction that adds its intents, so a
plan can be applied again after whatever ended it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from tieout.model.calendar import Calendar, Period
from tieout.model.identity import content_hash
from tieout.model.link import ApprovalOver, Periods
from tieout.model.money import from_minor
from tieout.model.standing import VOID
from tieout.scenarios import posting
from tieout.scenarios.billing import Rules
from tieout.scenarios.credit.gate import Ahead
from tieout.scenarios.customer_book import CustomerBook, Party
from tieout.scenarios.frames import CHUNK, chunks, common_rows, many_rows
from tieout.scenarios.periods import rereading
from tieout.scenarios.plans import BILLED, Plan, plan_number
from tieout.scenarios.posting import Judged, Verdicts
from tieout.scenarios.revisions import Step
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import Subject, subject_of
from tieout.store import period_plans
from tieout.store.period_plans import Action, Kept, Line, NotAllowed

#: What each step is called in a plan.
ACTIONS: Mapping[Step, Action] = {
    Step.CREATE: "create", Step.SUPERSEDE: "change", Step.UPDATE: "change",
    Step.CREDIT_AND_REBILL: "credit_and_rebill", Step.CANCEL: "cancel", Step.VOID: "void", Step.CREDIT: "credit",
}  # fmt: skip
#: Of these a credit note is made, dated on the day on which the plan is applied.
CREDITED = (Step.CREDIT, Step.CREDIT_AND_REBILL)
#: Records that are foreseen together: more than one transaction posts, for much of a judgement costs the same for few
#: and for many. A multiple of CHUNK, so that a plan is cut where its posting is.
FORESEEN = 3 * CHUNK


@dataclass(frozen=True, slots=True)
class Need:
    """Whether a plan has to be approved, and why."""

    approval: bool
    reason: str


def plan(
    services: Services, rules: Rules, calendar: Calendar, period: Period, run_id: UUID, *, dry: bool
) -> period_plans.Plan:
    """Judges the records dated in the period, and those whose posted invoice is, as they are staged; keeps the plan.

    Records that did not change are judged too: a corrected mapping or tax code changes what should be billed.
    """
    subject = subject_of(services)
    with services.engine.connect() as conn:
        place = rereading.where(services, subject)
        versions = period_plans.in_period(conn, place, period.first, period.last)
    book, ahead = CustomerBook(services, run_id), Ahead(services, rules)
    names = {row["account_id"]: row.get("name") for row in common_rows(services, services.crm, "account")[0]}
    lines: list[Line] = []
    counts: Counter[str] = Counter()
    for ids in chunks([*versions], FORESEEN):
        with many_rows():
            judged = posting.foresee(services, subject, rules, book, {key: versions[key] for key in ids}, ahead)
            counts["new_customers"] += len(judged.customers.intents)
            for one in judged.final:
                line = _line(services, subject, judged, one, rules, calendar, names)
                if line is not None:
                    lines.append(line)
                else:
                    counts["in_flight" if one.judgement.outcome == "pending" else "unchanged"] += 1
            del judged
    lines.sort(key=lambda line: (line.posting_date or date.max, line.source_number or "", line.source_id))
    need = needs_approval(services.link.periods, lines)
    with many_rows(), services.engine.begin() as conn:
        return period_plans.keep(conn, period_plans.New(
            link=services.link.name, label=period.label, first=period.first, last=period.last, run_id=run_id, dry=dry,
            records=len(versions), unchanged=counts["unchanged"], in_flight=counts["in_flight"],
            new_customers=counts["new_customers"], needs_approval=need.approval, approval_reason=need.reason,
            approvers=services.link.periods.approvers, lines=lines,
        ))  # fmt: skip


def needs_approval(settings: Periods, lines: list[Line]) -> Need:
    """By the link's settings; a plan that posts nothing needs none."""
    totals = [one for one in period_plans.totals_of(lines) if one.action != "hold"]
    documents = sum(one.documents for one in totals)
    if not documents:
        return Need(False, "nothing is to be posted")
    if settings.approval == "never":
        return Need(False, "the link's plans need no approval")
    if not isinstance(settings.approval, ApprovalOver):
        return Need(True, "every plan of the link is approved by a person")
    over, moved = settings.approval.over, moved_minor(lines)
    if over.documents is not None and documents > over.documents:
        return Need(True, f"{documents} documents are more than {over.documents}")
    if over.amount_minor is not None:
        for currency, minor in sorted(moved.items()):
            if minor > over.amount_minor:
                bound = from_minor(over.amount_minor, currency)
                return Need(True, f"{from_minor(minor, currency)} {currency} is more than {bound}")
    return Need(False, f"{documents} documents are within what the link lets pass")


def moved_minor(lines: list[Line]) -> dict[str, int]:
    """currency -> what the plan's documents come to: the larger of before and after of each."""
    moved: Counter[str] = Counter()
    for line in lines:
        if line.action != "hold" and line.currency:
            moved[line.currency] += max(abs(line.before_minor), abs(line.after_minor))
    return dict(moved)


def apply(
    services: Services, rules: Rules, calendar: Calendar, kept: period_plans.Plan, run_id: UUID
) -> dict[str, int]:
    """Commits what is judged as it was planned; called again, it goes on where it was ended.

    Returns:
        `applied` and `changed` (since the plan) lines, `intents` added by this try.

    Raises:
        NotAllowed: it has to be approved and is not, or was sent back, replaced, or is a dry run.
        Retriable: another run was at work on the same records; the next try sees it.
    """
    if kept.waits or kept.state not in ("planned", "approved", "applied"):
        raise NotAllowed(
            f"period plan {kept.plan_id} of {kept.label} is {'not approved' if kept.waits else kept.state}: nothing of "
            f"it is posted; {'approve it' if kept.waits else 'plan anew'}"
        )
    subject, book = subject_of(services), CustomerBook(services, run_id)
    place = rereading.where(services, subject)
    with services.engine.connect() as conn:
        todo = {one.line.source_id: one for one in period_plans.lines(conn, kept.plan_id, state="planned")}
        versions = period_plans.in_period(conn, place, kept.first, kept.last) if todo else {}
    added = 0
    # Chunk by chunk as they were judged: who came first then has the credit that is left.
    for ids in chunks([*(versions | todo)]):
        wanted = {key: todo[key] for key in ids if key in todo}
        if not wanted:
            continue
        there = {key: versions[key] for key in wanted if key in versions}
        judged = posting.judge(services, subject, rules, book, there)
        differing = {key: "it is not dated in the period any more" for key in wanted if key not in there}
        differing |= dict(_differing(services, subject, judged, wanted, rules, calendar))
        as_planned = [key for key in wanted if key not in differing]
        if differing:
            judged = posting.only(services, subject, rules, judged, as_planned)
            # What it knows of customers is of records that are left out now.
            book = CustomerBook(services, run_id)
        if as_planned:
            counts = posting.commit(
                services, subject, judged, run_id,
                also=lambda conn, ids=as_planned: period_plans.mark(conn, kept.plan_id, ids),  # type: ignore[misc]
            )  # fmt: skip
            added += counts["intents"]
        with services.engine.begin() as conn:
            period_plans.mark_changed(conn, kept.plan_id, differing)
    with services.engine.begin() as conn:
        period_plans.finish(conn, kept)
        states = period_plans.counts(conn, kept.plan_id)
    return {"applied": states.get("applied", 0), "changed": states.get("changed", 0), "intents": added}


def _differing(
    services: Services, subject: Subject, judged: Judged, wanted: Mapping[str, Kept], rules: Rules, calendar: Calendar
) -> Iterator[tuple[str, str]]:
    """(source id, how it is judged now) of the records whose verdict is not the one that was planned."""
    for one in judged.final:
        planned = wanted[one.judgement.source_id].line
        line = _line(services, subject, judged, one, rules, calendar, {})
        if line is None:
            words = one.judgement.message or one.judgement.outcome
            yield planned.source_id, f"planned: {planned.action}; now there is nothing to do: {words}"
        elif (line.action, line.digest) != (planned.action, planned.digest) or (
            planned.vendor_customer_id is not None and line.vendor_customer_id != planned.vendor_customer_id
        ):
            yield planned.source_id, f"planned: {_words(planned)}; now: {_words(line)}"


def _words(line: Line) -> str:
    money = "" if line.currency is None else f" {from_minor(line.after_minor, line.currency)} {line.currency}"
    on = f" on {line.posting_date}" if line.posting_date else ""
    why = f" ({line.reason})" if line.reason else ""
    return f"{line.action}{money}{on} for {line.vendor_customer_id or line.customer_id or 'nobody'}{why}"


def _line(
    services: Services, subject: Subject, judged: Verdicts, one: Plan, rules: Rules, calendar: Calendar,
    names: Mapping[str, str | None],
) -> Line | None:  # fmt: skip
    """The record as a line of a plan; None where nothing is to be done for it."""
    judgement, live = one.judgement, one.live
    held = one.hold is not None
    if not one.steps and not held:
        return None
    step = one.steps[0] if one.steps else None
    action: Action = "hold" if step is None else ACTIONS[step]
    bill = one.bill if step in BILLED else None
    before = _before(one)
    after = before if step is None else bill.net_minor if bill else 0
    credited = rules.today if step in CREDITED else None
    account = one.bill.account_id if one.bill else judged.chunk.heads.get(judgement.source_id, {}).get("account_id")
    party = one.party if isinstance(one.party, Party) else None
    invoice = live.invoice if live else None
    number = (invoice or {}).get("number") or (live.intent["natural_key"] if live else None)
    digest = content_hash({
        "action": action,
        "bill": bill.content() if bill else None,
        "customer": party.doc_uid if party else None,
        "of": [live.intent["doc_uid"], live.intent["revision"]] if live else None,
        "due": (invoice or {}).get("due_minor") if step in CREDITED else None,
        # It may be applied on another day than it was planned on, but not in another period.
        "credited_in": calendar.period_of(credited).label if credited else None,
        "hold": one.hold.reason if one.hold else None,
    })  # fmt: skip
    return Line(
        object=subject.entity, source_id=judgement.source_id, source_number=judgement.source_number, action=action,
        customer_id=account, vendor_customer_id=party.vendor_id if party else None,
        customer=names.get(account or ""), document=plan_number(services.link, one) if bill else number,
        currency=judgement.currency, before_minor=before, after_minor=after,
        held_minor=(judgement.source_minor or 0) if held else 0,
        posting_date=bill.posting_date if bill else (invoice or {}).get("date"), credit_date=credited,
        reason=one.hold.reason if one.hold else None, message=one.hold.message if one.hold else None, digest=digest,
    )  # fmt: skip


def _before(one: Plan) -> int:
    """Minor units that the ledger has of the record, or will have by what is on its way."""
    live = one.live
    if live is None:
        return 0
    live = live.counts()
    if live.intent["state"] in ("CANCELLED", "REJECTED") or live.intent["reversal"] == "CONFIRMED":
        return 0
    if live.invoice is not None and live.invoice.get("subtotal_minor") is not None:
        return 0 if live.invoice.get("standing") == VOID else int(live.invoice["subtotal_minor"])
    return sum(line["net_minor"] for line in _billed(live.intent))


def _billed(intent: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((intent["frozen"].get("bill") or {}).get("lines", ()))
