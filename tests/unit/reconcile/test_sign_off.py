"""Two people sign the hash of a day's report; a rerun that changes it suspends both and shows what changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from tests.support.differences import Difference, opened, reconciled
from tieout.reconcile import report_store, sign_off
from tieout.reconcile.people import NotAllowed
from tieout.reconcile.report_store import Report
from tieout.reconcile.sign_off import Role, SignOff
from tieout.store import audit

DAY = date(2026, 3, 31)
EDITED, DOUBLE = Difference("order:1", 44000), Difference("payment:2", -12000, "duplicate", "payments")


def sign(engine: Engine, report: Report, role: Role, person: str, seen: str | None = None) -> SignOff:
    with engine.begin() as conn:
        return sign_off.sign(conn, report.report_id, role, person, seen or str(report.hash))


def signed(engine: Engine) -> Report:
    """A report that both have signed."""
    report, _ = reconciled(engine, DAY, [EDITED, DOUBLE])
    sign(engine, report, "preparer", "Ann")
    sign(engine, report, "reviewer", "Bob")
    return report


def stands(engine: Engine) -> sign_off.Standing:
    with engine.connect() as conn:
        return sign_off.standing(conn, "acme", DAY)


def test_preparer_and_reviewer_sign_and_it_is_audited(engine: Engine) -> None:
    report = signed(engine)
    found = stands(engine)
    assert found.complete
    assert (found.report, found.suspended) == (report, ())
    assert found.preparer is not None
    assert (found.preparer.person, found.preparer.hash) == ("Ann", report.hash)
    with engine.connect() as conn:
        assert audit.verify(conn, "link:acme") is None
        signers = conn.execute(sa.text("select actor, detail ->> 'role' from tieout.audit_event "
                                       "where event = 'report.signed' order by seq")).all()  # fmt: skip
    assert [tuple(row) for row in signers] == [("Ann", "preparer"), ("Bob", "reviewer")]


@pytest.mark.parametrize("name", ["Ann", " ann", "A nn", "ＡNN", "ANN\u00a0"])
def test_one_person_is_not_two(engine: Engine, name: str) -> None:
    report, _ = reconciled(engine, DAY, [EDITED])
    sign(engine, report, "preparer", "Ann")
    with pytest.raises(NotAllowed, match="another person has to review it"):
        sign(engine, report, "reviewer", name)
    assert stands(engine).reviewer is None


def test_there_is_nothing_to_review_before_it_is_prepared(engine: Engine) -> None:
    report, _ = reconciled(engine, DAY, [EDITED])
    with pytest.raises(NotAllowed, match="is not signed by a preparer"):
        sign(engine, report, "reviewer", "Bob")


def test_a_role_signs_once(engine: Engine) -> None:
    report = signed(engine)
    with pytest.raises(NotAllowed, match="is signed by a preparer already"):
        sign(engine, report, "preparer", "Cid")


def test_an_untied_report_is_not_signed(engine: Engine) -> None:
    report, _ = reconciled(engine, DAY, [EDITED], off_by=1)
    with pytest.raises(NotAllowed, match="leaves a difference unexplained"):
        sign(engine, report, "preparer", "Ann")


def test_only_the_newest_report_and_only_what_was_seen(engine: Engine) -> None:
    old, _ = reconciled(engine, DAY, [EDITED])
    new, _ = reconciled(engine, DAY, [EDITED, DOUBLE])
    with pytest.raises(NotAllowed, match="is not the newest one"):
        sign(engine, old, "preparer", "Ann")
    with pytest.raises(NotAllowed, match="is not the hash of what it shows"):
        sign(engine, new, "preparer", "Ann", seen=str(old.hash))
    with pytest.raises(NotAllowed, match="is not the hash of what it shows"):
        sign(engine, new, "preparer", "Ann", seen=str(new.hash)[:11])
    assert sign(engine, new, "preparer", "Ann", seen=str(new.hash)[:12]).hash == new.hash


def test_a_running_report_is_not_signed(engine: Engine) -> None:
    with engine.begin() as conn:
        report = opened(conn, DAY)
        with pytest.raises(NotAllowed, match="is not finished"):
            sign_off.sign(conn, report.report_id, "preparer", "Ann", "0" * 64)


def test_a_rerun_that_finds_the_same_leaves_the_signatures(engine: Engine) -> None:
    signed(engine)
    rerun, _ = reconciled(engine, DAY, [DOUBLE, EDITED])
    found = stands(engine)
    assert found.complete
    assert found.report == rerun


def test_a_late_payment_suspends_the_sign_off_and_shows_the_one_line(engine: Engine) -> None:
    report = signed(engine)
    late = Difference("payment:7", -5000, "in_transit", "payments", customer_name="Acme")
    rerun, _ = reconciled(engine, DAY, [EDITED, DOUBLE, late])
    found = stands(engine)
    assert (found.complete, found.preparer) == (False, None)
    assert [(one.role, one.suspended_by) for one in found.suspended] == [
        ("reviewer", rerun.report_id), ("preparer", rerun.report_id),
    ]  # fmt: skip
    with engine.connect() as conn:
        changed = sign_off.changes_since(conn, found.suspended[0])
    assert (changed.before, changed.after, changed.count, changed.rules_changed) == (report, rerun, 1, False)
    (line,) = changed.changes
    assert (line.what, line.area, line.before, line.after, line.customer_name) == (
        "added", "payments", None, -5000, "Acme",
    )  # fmt: skip
    assert [(side.area, side.before_a, side.after_a) for side in changed.sides] == [
        ("payments", (1, 988000), (1, 983000))
    ]
    sign(engine, rerun, "preparer", "Bob")
    sign(engine, rerun, "reviewer", "Ann")
    assert stands(engine).complete


def test_what_went_and_what_changed_is_shown_too(engine: Engine) -> None:
    before, _ = reconciled(engine, DAY, [EDITED, DOUBLE, Difference("order:3", 10, "tax")])
    after, _ = reconciled(
        engine, DAY, [replace(EDITED, amount=44001), Difference("order:3", 10, "amount")], rules_hash="rules-2"
    )
    with engine.connect() as conn:
        found = sign_off.difference(conn, before, after)
    assert [(one.what, one.before_class, one.after_class, one.before, one.after) for one in found.changes] == [
        ("gone", "duplicate", None, -12000, None),
        ("changed", "amount", "amount", 44000, 44001),
        ("changed", "tax", "amount", 10, 10),
    ]
    assert (found.count, found.rules_changed) == (3, True)


def run(engine: Engine, statement: str, **values: Any) -> None:
    with engine.begin() as conn:
        conn.execute(sa.text(statement), values)


SIGN = ("insert into tieout.sign_off (report_id, link, as_of, role, person, hash{more}) values "
        "(:report, 'acme', '2026-03-31', :role, :person, :hash{values})")  # fmt: skip


def test_nobody_gets_around_the_rules_by_writing_to_the_tables(engine: Engine) -> None:
    report = signed(engine)
    values = {"report": report.report_id, "hash": report.hash}
    plain = SIGN.format(more="", values="")
    refused = [
        ("update tieout.sign_off set person = 'Cid' where role = 'reviewer'", {}),
        ("update tieout.sign_off set hash = repeat('0', 64)", {}),
        ("delete from tieout.sign_off", {}),
        ("truncate tieout.sign_off", {}),
        ("update tieout.report set hash = repeat('0', 64)", {}),
        ("delete from tieout.report", {}),
        (plain, {**values, "role": "auditor", "person": "Cid"}),
        (plain, {**values, "role": "preparer", "person": "Cid"}),
        (plain, {**values, "role": "preparer", "person": " "}),
        (plain, {**values, "role": "preparer", "person": "Cid", "hash": "0" * 64}),
        (SIGN.format(more=", suspended_at, suspended_by", values=", now(), :report"),
         {**values, "role": "preparer", "person": "Cid"}),
    ]  # fmt: skip
    for statement, more in refused:
        with pytest.raises(DBAPIError):
            run(engine, statement, **more)
    assert stands(engine).complete


def test_a_reviewer_does_not_become_the_preparer_by_suspending_by_hand(engine: Engine) -> None:
    report = signed(engine)
    suspend = "update tieout.sign_off set suspended_at = now(), suspended_by = :report where role = 'preparer'"
    run(engine, suspend, report=report.report_id)
    with pytest.raises(NotAllowed, match="another person has to prepare it"):
        sign(engine, report, "preparer", "bob")
    with pytest.raises(DBAPIError):
        run(engine, "update tieout.sign_off set suspended_at = null, suspended_by = null where role = 'preparer'")


def test_a_report_is_not_made_tied_by_hand(engine: Engine) -> None:
    with pytest.raises(DBAPIError, match="a report begins running"):
        run(engine, "insert into tieout.report (link, as_of, known_at, run_id, rules_hash, mapping_hash, code_version, "
            "state, hash, finished_at) values ('acme', '2026-03-31', now(), gen_random_uuid(), '', '', '', 'tied', "
            "repeat('0', 64), now())")  # fmt: skip
    untied, _ = reconciled(engine, DAY, [EDITED], off_by=1)
    with engine.begin() as conn:
        report = opened(conn, DAY)
        conn.execute(
            sa.text("insert into tieout.report_total select :to, area, currency, scale, a_count, b_count, a_amount, "
                    "b_amount, explained from tieout.report_total where report_id = :of"),
            {"to": report.report_id, "of": untied.report_id},
        )  # fmt: skip
    with pytest.raises(DBAPIError, match="it is not tied"):
        run(engine, "update tieout.report set state = 'tied', hash = repeat('0', 64), finished_at = now() "
            "where report_id = :id", id=report.report_id)  # fmt: skip
    with engine.connect() as conn:
        assert report_store.get(conn, report.report_id).state == "running"
