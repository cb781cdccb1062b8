"""Suggestions are kept once, decided by a named person, and remembered."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from tieout.reconcile import suggestions
from tieout.reconcile.suggestions import NotDecided, Suggestion
from tieout.store import audit

PAIR = Suggestion("payments", ["order:2", "order:1"], ["payment:9"], "sum", 0.7, {"why": "they come to it"})
OTHER = Suggestion("payments", ["order:3"], ["payment:9"], "amount", 0.6)


def keep(engine: Engine, *found: Suggestion) -> list[int]:
    with engine.begin() as conn:
        suggestions.suggest(conn, "acme", found)
        return [kept.match_id for kept in suggestions.listing(conn, "acme", None)]


def test_the_same_suggestion_is_kept_once(engine: Engine) -> None:
    assert len(keep(engine, PAIR)) == 1
    with engine.begin() as conn:
        assert suggestions.suggest(conn, "acme", [PAIR]) == 0
        again = Suggestion("payments", ["order:1", "order:2"], ["payment:9"], "sum", 0.8)
        assert suggestions.suggest(conn, "acme", [again]) == 1
        [kept] = suggestions.listing(conn, "acme")
    assert (kept.a_keys, str(kept.score)) == (("order:1", "order:2"), "0.8000")


def test_a_decision_stays_when_the_suggestion_comes_again(engine: Engine) -> None:
    [match_id] = keep(engine, PAIR)
    with engine.begin() as conn:
        suggestions.decide(conn, match_id, "refused", "ann", "not theirs")
        assert suggestions.suggest(conn, "acme", [PAIR]) == 0
        assert suggestions.listing(conn, "acme") == []
        kept = suggestions.get(conn, match_id)
        assert kept is not None and (kept.state, kept.decided_by, kept.note) == ("refused", "ann", "not theirs")
        assert audit.verify(conn, "link:acme") is None


def test_what_a_newer_report_does_not_suggest_again_is_closed(engine: Engine) -> None:
    report = (
        "insert into tieout.report (link, as_of, known_at, run_id, rules_hash, mapping_hash, code_version) "
        "values ('acme', '2026-01-31', now(), gen_random_uuid(), 'r', 'm', 'c') returning report_id"
    )
    with engine.begin() as conn:
        first, second = (conn.execute(sa.text(report)).scalar_one() for _ in range(2))
        suggestions.suggest(conn, "acme", [PAIR, OTHER], first)
        suggestions.suggest(conn, "acme", [PAIR], second)
        assert suggestions.withdraw(conn, "acme", second) == 1
        assert [kept.a_keys for kept in suggestions.listing(conn, "acme")] == [("order:1", "order:2")]


def test_a_record_is_confirmed_in_one_match_only(engine: Engine) -> None:
    keep(engine, PAIR, OTHER)
    with engine.begin() as conn:
        first, second = suggestions.listing(conn, "acme")
        suggestions.decide(conn, first.match_id, "confirmed", "ann")
        with pytest.raises(NotDecided, match=f"match {first.match_id} already"):
            suggestions.decide(conn, second.match_id, "confirmed", "bob")
        suggestions.decide(conn, first.match_id, "refused", "ann")
        assert suggestions.decide(conn, second.match_id, "confirmed", "bob").state == "confirmed"
        assert suggestions.counts(conn, "acme") == {"confirmed": 1, "refused": 1}


@pytest.mark.parametrize("by", ["", "  "])
def test_nobody_decides_nothing(engine: Engine, by: str) -> None:
    [match_id] = keep(engine, PAIR)
    with engine.begin() as conn, pytest.raises(NotDecided, match="name of the person"):
        suggestions.decide(conn, match_id, "confirmed", by)


def test_an_unknown_match_is_told(engine: Engine) -> None:
    with engine.begin() as conn, pytest.raises(NotDecided, match="no match 77"):
        suggestions.decide(conn, 77, "confirmed", "ann")


@pytest.mark.parametrize(
    "statement",
    [
        "delete from tieout.matching",
        "update tieout.matching set a_keys = '{order:7}'",
        "update tieout.matching set state = 'suggested', decided_by = null, decided_at = null",
    ],
)
def test_what_was_decided_cannot_be_talked_around(engine: Engine, statement: str) -> None:
    [match_id] = keep(engine, PAIR)
    with engine.begin() as conn:
        suggestions.decide(conn, match_id, "confirmed", "ann")
    with engine.begin() as conn, pytest.raises(DBAPIError, match=r"append-only|decided anew"):
        conn.execute(sa.text(statement))
