"""What people may do with breaks, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.support.differences import Difference, live, reconciled
from tieout.reconcile import attachments, people
from tieout.reconcile.people import NotAllowed
from tieout.store import audit

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
REASONS = {"rounding", "timing"}
CENT, EDITED = Difference("order:1", 1, "rounding", within_tolerance=True), Difference("order:2", -44000)


def made(engine: Engine, differences: Sequence[Difference] = (CENT, EDITED)) -> dict[str, int]:
    """Key -> break_id."""
    reconciled(engine, DAY, differences)
    return {key: row["break_id"] for key, row in live(engine).items()}


def told(engine: Engine, break_id: int) -> list[tuple[str, str]]:
    with engine.connect() as conn:
        return [(event.actor, event.event) for event in people.history(conn, break_id)]


def moved(engine: Engine, ids: Sequence[int], *steps: tuple[str, str]) -> None:
    for state, by in steps:
        with engine.begin() as conn:
            people.move(conn, ids, state, by)


def test_many_breaks_are_assigned_at_once_and_it_is_audited(engine: Engine) -> None:
    ids = made(engine)
    with engine.begin() as conn:
        assert people.assign(conn, list(ids.values()), "Sales", "Ann", note="which price is right?") == 2
        assert people.assign(conn, list(ids.values()), "Sales", "Ann") == 0
    assert {row["owner"] for row in live(engine).values()} == {"Sales"}
    assert told(engine, ids["order:1"]) == [("tieout", "opened"), ("Ann", "assigned")]
    with engine.connect() as conn:
        assert audit.verify(conn, "link:acme") is None
        rows = conn.execute(
            sa.text("select actor, detail from tieout.audit_event where event = 'break.assigned'")
        ).all()
        event = people.history(conn, ids["order:1"])[-1]
    assert [(row.actor, row.detail["breaks"], row.detail["owner"]) for row in rows] == [
        ("Ann", sorted(ids.values()), "Sales")
    ]
    assert event.detail == {"owner": "Sales", "was": {"owner": None}, "note": "which price is right?", "amount": 1}


def test_one_bad_break_and_nothing_is_done(engine: Engine) -> None:
    ids = made(engine)
    with engine.begin() as conn, pytest.raises(NotAllowed, match="there is no break 999"):
        people.assign(conn, [*ids.values(), 999], "Sales", "Ann")
    assert {row["owner"] for row in live(engine).values()} == {None}


def test_what_changed_since_it_was_seen_is_not_decided_on(engine: Engine) -> None:
    ids = made(engine)
    seen = {row["break_id"]: row["updated_at"] for row in live(engine).values()}
    with engine.begin() as conn:
        people.assign(conn, [ids["order:1"]], "Bob", "Bob", seen=seen)
    with engine.begin() as conn, pytest.raises(NotAllowed, match=f"break {ids['order:1']}: changed since you looked"):
        people.assign(conn, list(ids.values()), "Ann", "Ann", seen=seen)
    with engine.begin() as conn:
        assert people.assign(conn, [ids["order:2"]], "Ann", "Ann", seen=seen) == 1


def test_a_reconciliation_that_finds_the_same_is_no_change_to_who_looks(engine: Engine) -> None:
    ids = made(engine)
    seen = {row["break_id"]: row["updated_at"] for row in live(engine).values()}
    reconciled(engine, NEXT, [CENT, replace(EDITED, amount=-43000)])
    with engine.begin() as conn:
        assert people.assign(conn, [ids["order:1"]], "Ann", "Ann", seen=seen) == 1
        with pytest.raises(NotAllowed, match="changed since you looked"):
            people.assign(conn, [ids["order:2"]], "Ann", "Ann", seen=seen)


def test_a_break_goes_from_preparer_to_reviewer_to_closed_by_two_people(engine: Engine) -> None:
    ids = made(engine)
    one = [ids["order:2"]]
    moved(engine, one, ("with_preparer", "Ann"), ("with_reviewer", "Ann"))
    with engine.begin() as conn, pytest.raises(NotAllowed, match="ANN handed it to the reviewer"):
        people.move(conn, one, "closed", " ANN ")
    moved(engine, one, ("closed", "Bob"))
    assert live(engine)["order:2"]["state"] == "closed"
    assert told(engine, one[0]) == [("tieout", "opened"), ("Ann", "moved"), ("Ann", "moved"), ("Bob", "moved")]


@pytest.mark.parametrize("to", ["closed", "with_reviewer", "accepted", "done"])
def test_an_open_break_is_not_moved_past_anybody(engine: Engine, to: str) -> None:
    ids = made(engine)
    with engine.begin() as conn, pytest.raises(NotAllowed, match=r"cannot become|is no state"):
        people.move(conn, [ids["order:2"]], to, "Ann")


def test_a_cent_is_accepted_with_a_reason_and_stays_in_the_reports(engine: Engine) -> None:
    ids = made(engine)
    with engine.begin() as conn:
        people.accept(conn, [ids["order:1"]], "rounding", "Ann", allowed=REASONS, tolerance=lambda _: 1)
    row = live(engine)["order:1"]
    assert (row["state"], row["reason_code"]) == ("accepted", "rounding")
    _, recorded = reconciled(engine, NEXT, [CENT, EDITED])
    assert (recorded.live, live(engine)["order:1"]["state"]) == (2, "accepted")


def test_more_than_the_tolerance_is_not_accepted(engine: Engine) -> None:
    ids = made(engine)
    with (
        engine.begin() as conn,
        pytest.raises(NotAllowed, match=r"above the tolerance, 440\.00 GBP of at most 0\.05 GBP"),
    ):
        people.accept(conn, list(ids.values()), "timing", "Ann", allowed=REASONS, tolerance=lambda _: 5)
    assert live(engine)["order:1"]["state"] == "open"


def test_a_reason_that_the_rules_do_not_know_is_refused(engine: Engine) -> None:
    ids = made(engine)
    with engine.begin() as conn:
        with pytest.raises(NotAllowed, match="'because' is no reason code of this link; one of rounding, timing"):
            people.accept(conn, [ids["order:1"]], "because", "Ann", allowed=REASONS, tolerance=lambda _: 5)
        with pytest.raises(NotAllowed, match="'because'"):
            people.give_reason(conn, [ids["order:1"]], "because", "Ann", allowed=REASONS)
        assert people.give_reason(conn, [ids["order:1"]], "timing", "Ann", allowed=REASONS) == 1


def test_a_cleared_break_takes_notes_and_no_decisions(engine: Engine) -> None:
    ids = made(engine)
    reconciled(engine, NEXT, [EDITED])
    one = [ids["order:1"]]
    with engine.begin() as conn:
        with pytest.raises(NotAllowed, match="cleared on 2026-03-03"):
            people.move(conn, one, "open", "Ann")
        assert people.note(conn, one, "it was the bank's rounding", "Ann") == 1
    assert told(engine, one[0])[-1] == ("Ann", "noted")


def test_overdue_breaks_are_found_until_somebody_settles_them(engine: Engine) -> None:
    ids = made(engine)
    with engine.begin() as conn:
        people.set_due(conn, list(ids.values()), NEXT, "Ann")
        assert people.overdue(conn, "acme", NEXT) == []
        late = people.overdue(conn, "acme", date(2026, 3, 9))
        assert [one.break_id for one in late] == sorted(ids.values())
        people.accept(conn, [ids["order:1"]], "rounding", "Ann", allowed=REASONS, tolerance=lambda _: 5)
        assert [one.break_id for one in people.overdue(conn, "acme", date(2026, 3, 9))] == [ids["order:2"]]


def test_nobody_decides_without_a_name(engine: Engine) -> None:
    ids = made(engine)
    with engine.begin() as conn, pytest.raises(NotAllowed, match="the name of the person"):
        people.note(conn, list(ids.values()), "hello", "  ")


def test_a_file_is_kept_as_it_was_and_audited(engine: Engine) -> None:
    ids = made(engine)
    with engine.begin() as conn:
        added = attachments.attach(conn, ids["order:1"], "bank statement.pdf", b"%PDF-1.7 ...", "Ann")
    assert told(engine, ids["order:1"])[-1] == ("Ann", "attached")
    with engine.begin() as conn:
        assert attachments.listing(conn, ids["order:1"]) == [added]
        assert attachments.read(conn, added.attachment_id) == (added, b"%PDF-1.7 ...")
        assert added.media_type == "application/pdf"
        with pytest.raises(NotAllowed, match="there is no attachment 999"):
            attachments.read(conn, 999)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("page.html", b"<script>", "files of this kind are not kept"),
        ("drawing.svg", b"<svg onload='x'>", "files of this kind are not kept"),
        ("statement.pdf", b"<html>", "its content is not application/pdf"),
        ("sums.csv", b"\xff\xfe\x00", "its content is not text/csv"),
        ("../etc/passwd.txt", b"x", "cannot be kept"),
        ("fdp.\u202etxt", b"x", "cannot be kept"),
        ("empty.txt", b"", "0 bytes"),
        ("large.txt", b"x" * (attachments.LARGEST + 1), "expected 1 to 5242880"),
        ("noending", b"x", "files of this kind are not kept"),
    ],
)
def test_what_a_browser_would_run_or_a_name_hides_is_not_kept(
    engine: Engine, name: str, content: bytes, why: str
) -> None:
    ids = made(engine)
    with engine.begin() as conn, pytest.raises(NotAllowed, match=why):
        attachments.attach(conn, ids["order:1"], name, content, "Ann")
