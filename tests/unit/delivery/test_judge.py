"""What each answer and each look-up means, without a database."""

from __future__ import annotations

import pytest

from tests.support.ledger import OPERATIONS
from tieout.connectors.base import Answer, Found
from tieout.delivery.judge import LONGEST_WORDS, judge_answer, judge_found
from tieout.delivery.states import BY_MACHINE, BY_PERSON, TERMINAL, State

CREATE, UPDATE = OPERATIONS["natural.create"], OPERATIONS["document.update"]
EQUAL = Found("v1", "INV-1", {"amount": 1}, ())
OTHER = Found("v2", "INV-1", {"amount": 2}, (("amount", "1", "2"),))


@pytest.mark.parametrize(
    ("answer", "to", "reason", "wait"),
    [
        (Answer("d", "applied", "v1", "INV-1"), "CONFIRMED", None, None),
        (Answer("d", "applied", None), "UNKNOWN", "no_id_in_answer", 35.0),
        (Answer("d", "refused", reason="validation"), "REJECTED", "validation", None),
        (Answer("d", "refused"), "REJECTED", "refused", None),
        (Answer("d", "refused", reason="duplicate_number"), "UNKNOWN", "duplicate_number", 5.0),
        (Answer("d", "refused", reason="duplicate_contact_name"), "UNKNOWN", "duplicate_contact_name", 5.0),
        (Answer("d", "throttled", retry_after=7.0), "READY", "throttled", 7.0),
        (Answer("d", "throttled"), "READY", "throttled", 0.0),
        (Answer("d", "throttled", reason="unreachable", retry_after=15.0), "READY", "unreachable", 15.0),
        (Answer("d", "uncertain", reason="server_error", http_status=500), "UNKNOWN", "server_error", 35.0),
    ],
)
def test_an_answer(answer: Answer, to: str, reason: str | None, wait: float | None) -> None:
    verdict = judge_answer(CREATE, answer)
    assert (verdict.to, verdict.reason, verdict.wait) == (to, reason, wait)
    assert (verdict.origin == "created") == (to == "CONFIRMED")


@pytest.mark.parametrize(
    ("found", "refused_as", "to", "reason"),
    [
        ([EQUAL], None, "CONFIRMED", None),
        ([EQUAL], "duplicate_number", "CONFIRMED", None),
        ([OTHER], None, "HELD", "found_different"),
        ([OTHER], "duplicate_number", "HELD", "number_taken"),
        ([EQUAL, OTHER], None, "HELD", "several_found"),
        ([], None, "READY", "not_applied"),
        ([], "duplicate_contact_name", "HELD", "contact_name_taken"),
    ],
)
def test_a_look_up_of_a_creating_write(found: list[Found], refused_as: str | None, to: str, reason: str | None) -> None:
    verdict = judge_found(CREATE, found, refused_as)
    assert (verdict.to, verdict.reason) == (to, reason)
    if to == "HELD":
        assert verdict.message and verdict.expected and verdict.found and verdict.remedy
    assert verdict.alarm == (len(found) > 1)


def test_an_update_that_is_not_there_yet_is_sent_again() -> None:
    assert judge_found(UPDATE, [OTHER]).to is State.READY
    equal = judge_found(UPDATE, [EQUAL])
    assert (equal.to, equal.origin) == (State.CONFIRMED, None)


def test_a_vendors_words_are_cut_and_storable() -> None:
    message = judge_answer(CREATE, Answer("d", "refused", message="a\x00" + "x" * 9_999)).message
    assert message is not None and len(message) == LONGEST_WORDS and "\x00" not in message


def test_nothing_leads_out_of_the_end_but_a_persons_order_after_a_refusal() -> None:
    assert {change for change in BY_MACHINE if change[0] in TERMINAL} == set()
    assert {change for change in BY_PERSON if change[0] in TERMINAL} == {(State.REJECTED, State.READY)}


def test_unknown_becomes_ready_and_nothing_else_may_send() -> None:
    assert {to for was, to in BY_MACHINE | BY_PERSON if was is State.UNKNOWN} == {
        State.CONFIRMED,
        State.READY,
        State.HELD,
    }
    assert {was for was, to in BY_MACHINE | BY_PERSON if to is State.IN_FLIGHT} == {State.CLAIMED}
