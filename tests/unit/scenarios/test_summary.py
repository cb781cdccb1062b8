"""The closing account on a real database: it closes, or it says by how much it does not."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from tieout.model.errors import BooksDoNotClose
from tieout.model.staged import StagedEntity, StagedField
from tieout.scenarios.summary import NO_CURRENCY, summary
from tieout.store import documents, staging
from tieout.store.documents import Judgement

FIRST, NOW = uuid4(), uuid4()
ORDERS = StagedEntity(
    system="salesforce", entity="order", object="Order", key="Id", modified=None,
    fields=(StagedField("order_id", "Id", "text"),),
)  # fmt: skip


def judged(source_id: str, outcome: documents.Outcome, source: int | None = None, **more: Any) -> Judgement:
    posted = {"posted_minor": source} if outcome == "posted" else {}
    return Judgement(source_id, source_id, outcome, 1, **{"currency": "EUR", "source_minor": source, **posted, **more})


EVERYTHING = (
    judged("2", "posted", 200),
    judged("3", "pending", 300),
    judged("4", "held", 400, reason="unknown_product"),
    judged("5", "quarantined", None, currency=None, reason="required_null"),
    judged("6", "cancelled", 600),
    judged("7", "not_billable", 700),
    judged("8", "posted", 5, currency="JPY"),
)


@pytest.fixture
def staged(engine: Engine) -> Engine:
    """Eight staged orders; the first was posted by an earlier run."""
    with engine.begin() as conn:
        staging.ensure(conn, ORDERS)
    staging.stage(engine, ORDERS, "crm", [[{"Id": str(n)} for n in range(1, 9)]], FIRST)
    write(engine, FIRST, judged("1", "posted", 100))
    return engine


def write(engine: Engine, run_id: UUID, *judgements: Judgement) -> int:
    with engine.begin() as conn:
        return documents.upsert(conn, "demo", "order", judgements, run_id)


def closed(engine: Engine) -> dict[str, Any]:
    with engine.connect() as conn:
        return summary(conn, "demo", "order", "salesforce_order", "crm", NOW)


def test_every_record_has_one_outcome_by_count_and_amount(staged: Engine) -> None:
    write(staged, NOW, *EVERYTHING)
    numbers = closed(staged)
    names = ("posted", "unchanged", "quarantined", "held", "in_flight", "cancelled")
    assert [numbers[name] for name in names] == [2, 1, 1, 1, 1, 1]
    assert numbers["read"] == sum(numbers[name] for name in names) == 7
    assert numbers["not_billable"] == 1
    assert numbers["amounts"]["EUR"] == {
        "read": 1600, "posted": 200, "unchanged": 100, "held": 400, "in_flight": 300, "cancelled": 600,
        "not_billable": 700,
    }  # fmt: skip
    assert numbers["amounts"]["JPY"] == {"read": 5, "posted": 5}
    assert sorted(numbers["amounts"]) == ["EUR", "JPY"]
    assert sorted(numbers["reasons"]) == [
        ["held", "unknown_product", 1], ["pending", "in_flight", 1], ["quarantined", "required_null", 1],
    ]  # fmt: skip


def test_an_amount_without_a_currency_is_not_left_out(staged: Engine) -> None:
    write(staged, NOW, *EVERYTHING)
    write(staged, NOW, judged("5", "quarantined", 500, currency=None, reason="required_null"))
    assert closed(staged)["amounts"][NO_CURRENCY] == {"read": 500, "quarantined": 500}


def test_a_record_without_an_outcome_stops_the_run(staged: Engine) -> None:
    write(staged, NOW, *EVERYTHING[:-1])
    with pytest.raises(BooksDoNotClose, match="8 order records are staged and 7 have an outcome"):
        closed(staged)


def test_an_outcome_without_a_record_stops_the_run(staged: Engine) -> None:
    write(staged, NOW, *EVERYTHING, judged("99", "posted", 1))
    with pytest.raises(BooksDoNotClose, match="8 order records are staged and 9 have an outcome"):
        closed(staged)


def test_another_links_outcomes_do_not_fill_the_gap(staged: Engine) -> None:
    write(staged, NOW, *EVERYTHING[:-1])
    with staged.begin() as conn:
        documents.upsert(conn, "other", "order", EVERYTHING[-1:], NOW)
    with pytest.raises(BooksDoNotClose, match="7 have an outcome"):
        closed(staged)


def test_a_ledger_amount_that_differs_stops_the_run_and_names_the_command(staged: Engine) -> None:
    write(staged, NOW, *EVERYTHING)
    write(staged, NOW, judged("2", "posted", 200, posted_minor=205))
    with pytest.raises(BooksDoNotClose, match=r"1 documents .* \{'EUR': 5\}; `tieout differences demo` lists them"):
        closed(staged)


def test_too_much_here_and_too_little_there_do_not_cancel_out(staged: Engine) -> None:
    write(staged, NOW, *EVERYTHING, judged("1", "posted", 100, posted_minor=95))
    write(staged, NOW, judged("2", "posted", 200, posted_minor=205))
    with pytest.raises(BooksDoNotClose, match=r"2 documents .* \{'EUR': 0\}"):
        closed(staged)


def test_a_posted_document_without_a_ledger_amount_stops_the_run(staged: Engine) -> None:
    write(staged, NOW, *EVERYTHING)
    write(staged, NOW, judged("8", "posted", 5, currency="JPY", posted_minor=None))
    with pytest.raises(BooksDoNotClose, match=r"1 documents .* \{'JPY': -5\}"):
        closed(staged)
