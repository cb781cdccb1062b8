"""Judgements on real PostgreSQL: what says the same again is not written, what is open is judged again."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from tieout.model.staged import StagedEntity, StagedField
from tieout.store import documents, staging
from tieout.store.documents import Judgement, Outcome

FIRST, SECOND = uuid4(), uuid4()
POSTED = Judgement(
    "801A", "00000100", "posted", 7, revision=1, content_hash="c", doc_uid="d", currency="EUR", source_minor=1000,
    posted_minor=1000,
)  # fmt: skip
ORDERS, LINES = (
    StagedEntity(
        system="salesforce", entity=entity, object=object_, key="Id", modified=None,
        fields=(StagedField("id", "Id", "text"), StagedField("order_id", "OrderId", "text")),
    )
    for entity, object_ in (("order", "Order"), ("order_line", "OrderItem"))
)  # fmt: skip


def write(engine: Engine, run_id: UUID, *judgements: Judgement) -> int:
    with engine.begin() as conn:
        return documents.upsert(conn, "demo", "order", judgements, run_id)


def stored(engine: Engine) -> tuple[int, UUID, object]:
    """(transaction that wrote the row, its run, its time)."""
    with engine.connect() as conn:
        row = conn.execute(text("select xmin::text::bigint, run_id, updated_at from tieout.document")).one()
        return row[0], row[1], row[2]


def test_the_same_judgement_again_writes_nothing(engine: Engine) -> None:
    assert write(engine, FIRST, POSTED) == 1
    before = stored(engine)
    assert write(engine, SECOND, POSTED) == 0
    assert stored(engine) == before


def test_a_new_version_judged_the_same_keeps_the_run_that_posted_it(engine: Engine) -> None:
    write(engine, FIRST, POSTED)
    assert write(engine, SECOND, replace(POSTED, seen_version=8)) == 1
    assert stored(engine)[1] == FIRST
    with engine.connect() as conn:
        assert documents.latest(conn, "demo", "order", ["801A"])["801A"].seen_version == 8


@pytest.mark.parametrize(
    "changed",
    [
        replace(POSTED, outcome="held", reason="x"), replace(POSTED, posted_minor=None),
        replace(POSTED, content_hash="other"), replace(POSTED, revision=2), replace(POSTED, message="words"),
    ],
)  # fmt: skip
def test_another_judgement_is_the_runs_that_made_it(engine: Engine, changed: Judgement) -> None:
    write(engine, FIRST, POSTED)
    assert write(engine, SECOND, changed) == 1
    assert stored(engine)[1] == SECOND
    with engine.connect() as conn:
        assert documents.latest(conn, "demo", "order", ["801A", "801B"]) == {"801A": changed}


def test_nothing_to_write_is_no_statement(engine: Engine) -> None:
    assert write(engine, FIRST) == 0


def test_only_what_is_on_its_way_is_waiting(engine: Engine) -> None:
    pending = replace(POSTED, source_id="2", outcome="pending")
    write(engine, FIRST, POSTED, pending, replace(pending, source_id="3", doc_uid=None))
    with engine.connect() as conn:
        assert documents.waiting(conn, "demo", "order") == [pending]
        assert documents.waiting(conn, "other", "order") == []


def _to_judge(engine: Engine) -> set[str]:
    parts = documents.Parts(ORDERS.table, LINES.table, "order_id")
    with engine.connect() as conn:
        return set(documents.to_judge(conn, "demo", "order", "crm", parts))


def _judge_all(engine: Engine, outcome: Outcome = "posted") -> None:
    parts = documents.Parts(ORDERS.table, LINES.table, "order_id")
    with engine.connect() as conn:
        versions = documents.to_judge(conn, "demo", "order", "crm", parts)
    write(engine, FIRST, *(Judgement(key, None, outcome, version) for key, version in versions.items()))


@pytest.fixture
def staged(engine: Engine) -> Engine:
    """Two orders of one line each."""
    with engine.begin() as conn:
        staging.ensure(conn, ORDERS)
        staging.ensure(conn, LINES)
    staging.stage(engine, ORDERS, "crm", [[{"Id": "1", "OrderId": None}, {"Id": "2", "OrderId": None}]], FIRST)
    staging.stage(engine, LINES, "crm", [[{"Id": "a", "OrderId": "1"}, {"Id": "b", "OrderId": "2"}]], FIRST)
    return engine


def test_new_records_are_judged_once(staged: Engine) -> None:
    assert _to_judge(staged) == {"1", "2"}
    _judge_all(staged)
    assert _to_judge(staged) == set()


def test_a_changed_line_has_its_order_judged_again(staged: Engine) -> None:
    _judge_all(staged)
    staging.stage(staged, LINES, "crm", [[{"Id": "c", "OrderId": "2"}]], SECOND)
    assert _to_judge(staged) == {"2"}


@pytest.mark.parametrize(("outcome", "again"), [("held", True), ("quarantined", True), ("pending", True),
                                                ("cancelled", False), ("not_billable", False)])  # fmt: skip
def test_what_is_open_is_judged_again_unchanged(staged: Engine, outcome: Outcome, again: bool) -> None:
    _judge_all(staged, outcome)
    assert _to_judge(staged) == ({"1", "2"} if again else set())
