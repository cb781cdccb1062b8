"""What an answer or a look-up means for an intent. Pure: no database, no clock, no vendor.

Only a definite answer means "not applied". Whatever is not definite is UNKNOWN and waits for a look-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tieout.connectors.base import UNREACHABLE, Answer, Found, Operation, Request
from tieout.delivery.states import State
from tieout.store.encoding import clean_text

#: How refusals begin that may be about our own document, applied by an earlier attempt: `duplicate_number` ...
DUPLICATE = "duplicate_"
#: A refusal of the whole request that does not say which item it is about.
BATCH_REFUSED = "batch_refused"
#: Documents of the vendor that are named to a person.
MOST_CANDIDATES = 10
#: Characters of a vendor's value or message that are kept in words for a person.
LONGEST_WORDS = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an intent, and why.

    Attributes:
        to: the next state.
        outcome: what the attempt's row says.
        reason, message: stable code and sentence; None where nothing needs words.
        wait: seconds from now until it may be claimed, or (HELD) looked up again; None: at once.
        vendor_id, number, content: of the vendor's document, where there is one.
        origin: how the crosswalk row came to be; None makes no row.
        expected, found, remedy: for the person who gets the dead letter of a REJECTED or HELD one.
        alarm: more than one document is live: somebody has to look today.
        candidates: the vendor's documents among which a person has to choose, at most MOST_CANDIDATES.
    """

    to: State
    outcome: str
    reason: str | None = None
    message: str | None = None
    wait: float | None = None
    vendor_id: str | None = None
    number: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    origin: Literal["created", "found"] | None = None
    expected: str = ""
    found: str = ""
    remedy: str = ""
    http_status: int | None = None
    alarm: bool = False
    candidates: tuple[str, ...] = ()


def judge_answer(operation: Operation, answer: Answer, *, alone: bool = True) -> Verdict:
    """What one item's answer means. `alone`: nothing else was in its request, so a refusal can only mean this item."""
    if answer.outcome == "applied":
        return _applied(operation, answer)
    if answer.outcome == "refused" and answer.reason == BATCH_REFUSED and not alone:
        # One bad item must not take the others with it (S18): nothing was applied, each goes again by itself.
        words = _cut(answer.message) or "the vendor refused the whole request without naming an item"
        return Verdict(State.READY, "refused", BATCH_REFUSED, words, http_status=answer.http_status)
    if answer.outcome == "refused":
        return _refused(operation, answer)
    if answer.outcome == "throttled":
        return Verdict(
            State.READY,
            "throttled",
            UNREACHABLE if answer.reason == UNREACHABLE else "throttled",
            _cut(answer.message) or "the vendor asked to wait",
            wait=max(answer.retry_after or 0.0, 0.0),
            http_status=answer.http_status,
        )
    return uncertain(operation, answer.reason or "no_answer", answer.message, answer.http_status)


def judge_batch(operation: Operation, requests: Sequence[Request], answers: Sequence[Answer]) -> dict[str, Verdict]:
    """Each item's own verdict by doc_uid (S18). An item without an answer, or with two that differ, is uncertain."""
    given: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer not in given.setdefault(answer.doc_uid, []):
            given[answer.doc_uid].append(answer)
    verdicts = {}
    for request in requests:
        mine = given.get(request.doc_uid, [])
        if len(mine) == 1:
            verdicts[request.doc_uid] = judge_answer(operation, mine[0], alone=len(requests) == 1)
        else:
            what = "no answer for this item" if not mine else f"{len(mine)} answers for this item"
            verdicts[request.doc_uid] = uncertain(operation, "item_unanswered", what)
    return verdicts


def uncertain(operation: Operation, reason: str, message: str, http_status: int | None = None) -> Verdict:
    """It may have been applied: a look-up decides once the quiet period is over."""
    return Verdict(
        State.UNKNOWN,
        "uncertain",
        reason,
        _cut(message) or "no definite answer came",
        wait=operation.quiet_period.total_seconds(),
        http_status=http_status,
    )


def judge_found(operation: Operation, found: Sequence[Found], refused_as: str | None = None) -> Verdict:
    """What a look-up means that was made when every send had had its time (or before the first send).

    Args:
        operation: the write that was looked up.
        found: the live documents with its natural key.
        refused_as: `duplicate_number` or the like when the last send was refused so; if the document that has the
            number is not equal to ours, a person took it.
    """
    if len(found) > 1:
        candidates = tuple(each.vendor_id for each in found[:MOST_CANDIDATES])
        ids = ", ".join(candidates)
        return Verdict(
            State.HELD,
            "found_many",
            "several_found",
            f"{len(found)} live documents carry this natural key: {ids}",
            expected="at most one live document",
            found=f"{len(found)} documents: {ids}",
            alarm=True,
            candidates=candidates,
            remedy="void the surplus documents in the ledger, then look up again or accept the right one",
        )
    if found and not found[0].differences:
        one = found[0]
        return Verdict(
            State.CONFIRMED,
            "found_equal",
            vendor_id=one.vendor_id,
            number=_number(one.number),
            content=one.content,
            origin="found" if operation.creates else None,
        )
    if found and not operation.repeatable:
        return _different(operation, found[0], refused_as)
    if refused_as is not None:
        what = _what(refused_as)
        return Verdict(
            State.HELD,
            "found_none",
            f"{what}_taken",
            f"the vendor refused it as {refused_as}, but no live document of ours is there",
            expected=f"a free {what.replace('_', ' ')}",
            found="it belongs to another, a voided or a hidden document",
            remedy="free it in the ledger or change it at its source, then look up again or cancel",
            wait=operation.quiet_period.total_seconds(),
        )
    if found:
        fields = ", ".join(name for name, _, _ in found[0].differences)
        return Verdict(State.READY, "found_different", "not_applied", _cut(f"the document still differs in: {fields}"))
    return Verdict(State.READY, "found_none", "not_applied", "the look-up after the quiet period found nothing")


def never_settles(verdict: Verdict, sends: int) -> Verdict:
    """In place of a READY verdict when an intent was sent as often as the limit allows."""
    return Verdict(
        State.HELD,
        verdict.outcome,
        "never_settles",
        f"sent {sends} times and never applied",
        expected="an applied document after a send",
        found=f"{sends} sends, none of them applied",
        remedy="find out why the vendor drops it, then look up again",
    )


def taken_by_another(verdict: Verdict, other_doc_uid: str) -> Verdict:
    """In place of CONFIRMED when the crosswalk gives the vendor's document to another of ours (S7)."""
    return Verdict(
        State.HELD,
        verdict.outcome,
        "vendor_id_taken",
        f"the vendor's document {verdict.vendor_id} already stands for document {other_doc_uid}",
        content=verdict.content,
        expected="a vendor document of its own",
        found=f"{verdict.vendor_id}, which belongs to {other_doc_uid}",
        alarm=True,
        remedy="compare both source records with the ledger's document, then cancel this intent or accept another",
        http_status=verdict.http_status,
    )


def _applied(operation: Operation, answer: Answer) -> Verdict:
    if operation.creates and not answer.vendor_id:
        # Without an id nothing can be proved or found again.
        return uncertain(operation, "no_id_in_answer", "the vendor says applied, without an id", answer.http_status)
    return Verdict(
        State.CONFIRMED,
        "applied",
        vendor_id=answer.vendor_id,
        number=_number(answer.number),
        content=answer.content,
        origin="created" if operation.creates else None,
        http_status=answer.http_status,
    )


def _refused(operation: Operation, answer: Answer) -> Verdict:
    if answer.reason is not None and answer.reason.startswith(DUPLICATE):
        # Nothing of this send was applied; whose document has the number is for a look-up to say.
        return Verdict(
            State.UNKNOWN,
            "refused",
            answer.reason,
            _cut(answer.message) or answer.reason,
            wait=operation.look_up_lag,
            http_status=answer.http_status,
        )
    reason = answer.reason or "refused"
    return Verdict(
        State.REJECTED,
        "refused",
        reason,
        _cut(answer.message) or "the vendor refused it",
        expected="a document that the vendor accepts",
        found=_cut(answer.message) or reason,
        remedy="mend the source record or the vendor's set-up; a changed record makes a new revision, "
        "an unchanged one may be tried again by a person",
        http_status=answer.http_status,
    )


def _different(operation: Operation, found: Found, refused_as: str | None) -> Verdict:
    shown = "; ".join(f"{name}: sent {sent!r}, found {there!r}" for name, sent, there in found.differences)
    reason = "found_different" if refused_as is None else f"{_what(refused_as)}_taken"
    return Verdict(
        State.HELD,
        "found_different",
        reason,
        _cut(f"document {found.vendor_id} has other content: {shown}"),
        content=found.content,
        candidates=(found.vendor_id,),
        expected=_cut("; ".join(f"{name} = {sent}" for name, sent, _ in found.differences)),
        found=_cut("; ".join(f"{name} = {there}" for name, _, there in found.differences)),
        remedy="if it is our document, correct it in the ledger and look up again, or accept it as it is; "
        "if a person took the number, change the number at its source and cancel this intent",
        # A duplicate is looked up soon after its refusal; the next look-up is to be proof whatever it finds (S6).
        wait=None if refused_as is None else operation.quiet_period.total_seconds(),
    )


def _what(refused_as: str) -> str:
    return refused_as.removeprefix(DUPLICATE)


def _number(number: str | None) -> str | None:
    return None if number is None else clean_text(number)


def _cut(text: str) -> str:
    text = clean_text(text)
    return text if len(text) <= LONGEST_WORDS else text[: LONGEST_WORDS - 1] + "…"
