"""Limits come into force by a second person, and the database keeps that whoever asks; releases are used once."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from tieout.model.errors import ConfigurationFault
from tieout.store import audit, credit
from tieout.store.credit import Limit, NotAllowed

JANUARY, MARCH = date(2026, 1, 1), date(2026, 3, 1)


def proposed(engine: Engine, *limits: Limit, by: str = "Ann") -> int:
    with engine.begin() as conn:
        return credit.propose(conn, "demo", limits, by, "limits.csv")


def decide(engine: Engine, change: int, by: str, *, approved: bool = True) -> None:
    with engine.begin() as conn:
        credit.decide(conn, change, by, approved=approved)


def in_force(engine: Engine, day: date, link: str = "demo") -> dict[str, int | None]:
    with engine.connect() as conn:
        return {key: limit.limit_minor for key, limit in credit.in_force(conn, link, day).items()}


def test_a_limit_holds_from_its_day_once_another_person_approved_it(engine: Engine) -> None:
    first = proposed(engine, Limit("a", JANUARY, "GBP", 100), Limit("b", JANUARY, "GBP", 7))
    assert in_force(engine, MARCH) == {}, "nobody has approved it"
    decide(engine, first, "Bob")
    decide(engine, proposed(engine, Limit("a", MARCH, "GBP", 250)), "Bob")
    refused = proposed(engine, Limit("a", JANUARY, "GBP", 999))
    decide(engine, refused, "ann", approved=False)  # one may take back one's own
    assert in_force(engine, date(2026, 2, 28)) == {"a": 100, "b": 7}
    assert in_force(engine, MARCH) == {"a": 250, "b": 7}
    assert in_force(engine, date(2025, 12, 31)) == {} == in_force(engine, MARCH, "other")
    decide(engine, proposed(engine, Limit("a", MARCH, "GBP", 300)), "Bob")
    assert in_force(engine, MARCH) == {"a": 300, "b": 7}, "of the same day the one approved last"
    with engine.connect() as conn:
        assert [one.state for one in credit.changes(conn, "demo")] == ["approved", "refused", "approved", "approved"]
        assert audit.verify(conn, "link:demo") is None


def test_nobody_approves_alone_and_nothing_is_decided_twice(engine: Engine) -> None:
    change = proposed(engine, Limit("a", JANUARY, "GBP", 100))
    for name, words in ((" ANN ", "another person"), ("  ", "needs the name")):
        with pytest.raises(NotAllowed, match=words):
            decide(engine, change, name)
    decide(engine, change, "Bob")
    with pytest.raises(NotAllowed, match="approved by Bob"):
        decide(engine, change, "Cy", approved=False)
    with pytest.raises(NotAllowed, match="no change 999"):
        decide(engine, 999, "Bob")
    with pytest.raises(ConfigurationFault, match="0 limits"):
        proposed(engine)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("update tieout.credit_change set state = 'approved', decided_by = ' ann', decided_at = now()", "four_eyes"),
        ("update tieout.credit_change set proposed_by = 'Zoe'", "does not change"),
        ("update tieout.credit_limit set limit_minor = 1", "append-only"),
        ("delete from tieout.credit_limit", "append-only"),
        ("delete from tieout.credit_change", "append-only"),
        ("insert into tieout.credit_limit values (1, 'z', '2026-01-01', 'GBP', -1, null, 1)", "not_negative"),
        ("insert into tieout.credit_limit values (1, 'z', '2026-01-01', null, null, null, 1)", "own_or_shared"),
        ("insert into tieout.credit_change (link, source, proposed_by, state, decided_by, decided_at) "
         "values ('demo', 'x', 'Ann', 'approved', 'Bob', now())", "begins as proposed"),
    ],
)  # fmt: skip
def test_the_database_keeps_the_rules(engine: Engine, statement: str, words: str) -> None:
    proposed(engine, Limit("a", JANUARY, "GBP", 100))
    with engine.connect() as conn, pytest.raises(DBAPIError, match=words):
        conn.execute(sa.text(statement))


def test_a_decided_change_takes_no_more_limits(engine: Engine) -> None:
    change = proposed(engine, Limit("a", JANUARY, "GBP", 100))
    decide(engine, change, "Bob")
    with engine.connect() as conn, pytest.raises(DBAPIError, match="is decided"):
        row = {"change": change}
        conn.execute(sa.text("insert into tieout.credit_limit values (:change, 'z', now(), 'GBP', 1, null, 1)"), row)


def test_a_release_is_for_one_order_one_time(engine: Engine) -> None:
    with engine.begin() as conn:
        made = credit.release(conn, "demo", "order", "801", "A-1", ("GBP", 500), "Ann", "they pay on Friday")
        with pytest.raises(NotAllowed, match="released already, by Ann"):
            credit.release(conn, "demo", "order", "801", "A-1", ("GBP", 400), "Bob", "again")
        with pytest.raises(NotAllowed, match="why"):
            credit.release(conn, "demo", "order", "802", "A-2", ("GBP", 500), "Ann", " ")
        assert credit.releases(conn, "demo", "order", ["801", "802"]) == {
            "801": [credit.Release(made, "801", "GBP", 500)]
        }
        assert credit.use(conn, "demo", made, "uid", "tieout") and not credit.use(conn, "demo", made, "uid2", "tieout")
        assert credit.releases(conn, "demo", "order", ["801"]) == {}
    with engine.connect() as conn, pytest.raises(DBAPIError, match="one time"):
        conn.execute(sa.text("update tieout.credit_release set used_at = null, used_doc_uid = null"))
