"""Bugs of what an answer or a look-up is taken for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.mutants.planting import Patch, mutant
from tieout.connectors.base import Answer, Found, Operation
from tieout.delivery import claim, judge, worker
from tieout.delivery.judge import Verdict
from tieout.delivery.states import State

# -- what an answer means --------------------------------------------------------------------------------------------


def _as(patch: Patch, to: State, **more: Any) -> None:
    def verdict(operation: Operation, reason: str, message: str, http_status: int | None = None) -> Verdict:
        return Verdict(to, "uncertain", reason, message, **more)

    patch.setattr(judge, "uncertain", verdict)
    patch.setattr(worker, "uncertain", verdict)


@mutant("send", "error_applied")
def errors_count_as_refused(patch: Patch) -> None:
    """A 5xx, a time-out, a reset are taken for a no."""
    _as(patch, State.REJECTED)


@mutant("send", "error_applied")
def errors_count_as_not_applied(patch: Patch) -> None:
    """A 5xx, a time-out, a reset are taken for "nothing happened": it is sent again."""
    _as(patch, State.READY)


def _missing(patch: Patch, verdict: Verdict) -> None:
    def judged(operation: Any, requests: Sequence[Any], answers: Sequence[Answer]) -> Mapping[str, Verdict]:
        given = {answer.doc_uid for answer in answers}
        return right(operation, requests, answers) | {r.doc_uid: verdict for r in requests if r.doc_uid not in given}

    right = judge.judge_batch
    patch.setattr(worker, "judge_batch", judged)


@mutant("send", "item_missing_not_applied")
def missing_item_counts_as_applied(patch: Patch) -> None:
    """An item that the answer does not name is confirmed."""
    _missing(patch, Verdict(State.CONFIRMED, "applied"))


@mutant("send", "item_missing")
def missing_item_counts_as_refused(patch: Patch) -> None:
    """An item that the answer does not name is rejected."""
    _missing(patch, Verdict(State.REJECTED, "refused", "missing", "missing"))


def _answered(patch: Patch, which: Callable[[Answer], bool], verdict: Callable[[Answer], Verdict]) -> None:
    def judged(operation: Any, answer: Answer, *, alone: bool = True) -> Verdict:
        return verdict(answer) if which(answer) else right(operation, answer, alone=alone)

    right = judge.judge_answer
    patch.setattr(judge, "judge_answer", judged)


@mutant("send", "cut")
def unreadable_200_counts_as_applied(patch: Patch) -> None:
    """A status of 200 is believed although the answer cannot be read."""
    _answered(
        patch,
        lambda answer: answer.outcome == "uncertain" and answer.http_status == 200,
        lambda answer: Verdict(State.CONFIRMED, "applied", vendor_id=f"guessed-{answer.doc_uid}", origin="created"),
    )


@mutant("send", "throttled")
def throttled_counts_as_refused(patch: Patch) -> None:
    """A 429 is taken for a no for ever."""
    _answered(
        patch,
        lambda answer: answer.outcome == "throttled",
        lambda answer: Verdict(State.REJECTED, "refused", "throttled", "429"),
    )


@mutant("send", "throttled")
def throttled_counts_as_applied(patch: Patch) -> None:
    """A 429 is counted as sent."""
    _answered(
        patch,
        lambda answer: answer.outcome == "throttled",
        lambda answer: Verdict(State.CONFIRMED, "applied", vendor_id=f"guessed-{answer.doc_uid}", origin="created"),
    )


@mutant("found", "equal", "natural.create")
def duplicate_number_counts_as_refused(patch: Patch) -> None:
    """A number refused as taken is a rejection, though our own earlier send may have taken it."""
    _answered(
        patch,
        lambda answer: (answer.reason or "").startswith(judge.DUPLICATE),
        lambda answer: Verdict(State.REJECTED, "refused", answer.reason, "taken"),
    )


@mutant("send", "unauthorised")
def expired_token_counts_as_refused(patch: Patch) -> None:
    """A token that expires in mid-batch rejects the documents."""

    def answers(self: Any, operation: Any, requests: Any, latest_start: float) -> Any:
        verdicts, error = right(self, operation, requests, latest_start)
        no = Verdict(State.REJECTED, "refused", "not_allowed", "401")
        return {uid: no if v.reason == "not_allowed" else v for uid, v in verdicts.items()}, error

    right = worker.Worker._answers
    patch.setattr(worker.Worker, "_answers", answers)


@mutant("send", "item_missing_not_applied")
def batch_ends_as_one(patch: Patch) -> None:
    """The first item's answer is every item's."""

    def one_for_all(operation: Any, requests: Sequence[Any], answers: Sequence[Answer]) -> Mapping[str, Verdict]:
        if not answers:
            return right(operation, requests, answers)
        one = judge.judge_answer(operation, answers[0])
        return {request.doc_uid: one for request in requests}

    right = judge.judge_batch
    patch.setattr(worker, "judge_batch", one_for_all)


@mutant("send", "reordered")
def answers_by_position(patch: Patch) -> None:
    """The n-th answer is taken for the n-th item's, whatever it names."""

    def by_position(operation: Any, requests: Sequence[Any], answers: Sequence[Answer]) -> Mapping[str, Verdict]:
        named = [replace(answer, doc_uid=r.doc_uid) for r, answer in zip(requests, answers, strict=False)]
        return right(operation, requests, named)

    right = judge.judge_batch
    patch.setattr(worker, "judge_batch", by_position)


# -- what a look-up means --------------------------------------------------------------------------------------------


def _looked(patch: Patch, which: Callable[[Operation, Sequence[Found]], bool]) -> None:
    """Confirms where `which` says so, with the first that was found or without any."""

    def judged(operation: Operation, found: Sequence[Found], refused_as: str | None = None) -> Verdict:
        if not which(operation, found):
            return right(operation, found, refused_as)
        vendor_id = found[0].vendor_id if found else None
        origin = "found" if operation.creates and found else None
        return Verdict(State.CONFIRMED, "found_equal", vendor_id=vendor_id, origin=origin)  # type: ignore[arg-type]

    right = judge.judge_found
    patch.setattr(worker, "judge_found", judged)


@mutant("send", "lost_request")
def nothing_found_counts_as_applied(patch: Patch) -> None:
    """A look-up that finds nothing confirms."""
    _looked(patch, lambda operation, found: not found)


@mutant("found", "different")
def different_counts_as_equal(patch: Patch) -> None:
    """A look-up that finds a document with other content confirms it."""
    _looked(patch, lambda operation, found: len(found) == 1)


@mutant("found", "many")
def first_of_many(patch: Patch) -> None:
    """Of several live documents under one key the first is taken, and nobody is told."""
    _looked(patch, lambda operation, found: len(found) > 1)


@mutant("send", "lost_answer")
def unknown_for_ever(patch: Patch) -> None:
    """Nothing uncertain is ever looked up."""
    patch.setattr(claim, "unknown", lambda *arguments, **more: [])
