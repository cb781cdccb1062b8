"""Proposals: what was shown is what another person approves; the database keeps that as well as the code does."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from tests.support.differences import Difference, live, reconciled
from tieout.model.errors import ConfigurationFault
from tieout.store import audit, proposals
from tieout.store.proposals import Item, New, NotAllowed

RUN = UUID("00000000-0000-4000-8000-000000000001")
INVOICE = Item(
    "invoice", "v-1", "INV-1", "uid-1", "Order", "801A", "1", "GBP", 12000, "void", "unpaid", "nothing was paid on it",
    "xero_invoice", 7, ({"doc_uid": "void-1", "body": '{"InvoiceID":"v-1"}', "kind": "void"},),
)  # fmt: skip
PAID = replace(
    INVOICE, vendor_id="v-2", action="credit", amount_minor=6000, currency="EUR",
    intents=({"doc_uid": "credit-2", "body": "{}", "kind": "credit_memo"},),
)  # fmt: skip
LOCKED = replace(INVOICE, vendor_id="v-3", action="none", amount_minor=100, reason="period_locked", intents=())
NEW = New("rollback", "acme", "books", "wrong prices", "Ann", False, RUN, (INVOICE, PAID, LOCKED))


def made(engine: Engine, new: New = NEW) -> proposals.Proposal:
    with engine.begin() as conn:
        found = proposals.get(conn, proposals.propose(conn, new))
    assert found is not None
    return found


def approve(engine: Engine, proposal_id: int, by: str, seen: str) -> None:
    with engine.begin() as conn:
        proposals.approve(conn, proposals.locked(conn, proposal_id), by, seen)


def test_what_is_read_is_what_was_proposed(engine: Engine) -> None:
    found = made(engine)
    assert (found.state, found.proposed_by, found.reason) == ("proposed", "Ann", "wrong prices")
    assert [(item.vendor_id, item.action) for item in found.items] == [("v-1", "void"), ("v-2", "credit"),
                                                                       ("v-3", "none")]  # fmt: skip
    assert proposals.items_hash(found.kind, found.link, found.target, found.items) == found.items_hash
    with engine.connect() as conn:
        (listed,) = proposals.listing(conn, "acme", "proposed")
        assert proposals.listing(conn, "other") == proposals.listing(conn, state="done") == []
    assert (listed.proposal.proposal_id, listed.documents, listed.sums) == (found.proposal_id, 3, found.sums())
    assert found.sums() == {"EUR": {"void": 0, "credit": 6000, "none": 0, "documents": 1},
                            "GBP": {"void": 12000, "credit": 0, "none": 100, "documents": 2}}  # fmt: skip


def test_the_hash_covers_amounts_and_the_bytes_that_are_sent() -> None:
    def seen(*items: Item) -> str:
        return proposals.items_hash("rollback", "acme", "books", items)

    other_body = replace(INVOICE, intents=({**INVOICE.intents[0], "body": '{"InvoiceID":"v-9"}'},))
    hashes = {seen(INVOICE), seen(replace(INVOICE, amount_minor=12001)), seen(other_body), seen(INVOICE, PAID)}
    assert len(hashes) == 4


def test_another_person_approves_with_the_hash_that_was_shown(engine: Engine) -> None:
    found = made(engine)
    with pytest.raises(NotAllowed, match="not the hash"):
        approve(engine, found.proposal_id, "Ben", "0" * 64)
    with pytest.raises(NotAllowed, match="not the hash"):
        approve(engine, found.proposal_id, "Ben", found.items_hash[:8])
    with pytest.raises(NotAllowed, match="another person"):
        approve(engine, found.proposal_id, " ann ", found.items_hash)
    approve(engine, found.proposal_id, "Ben", found.items_hash[:12])
    with engine.connect() as conn:
        now = proposals.get(conn, found.proposal_id)
        assert now is not None
        assert (now.state, now.decided_by, now.decided_hash) == ("approved", "Ben", found.items_hash)
        events = conn.execute(
            sa.text("select event, actor from tieout.audit_event where chain = 'link:acme' order by seq")
        ).all()
        assert [tuple(event) for event in events] == [("proposal.made", "Ann"), ("proposal.approved", "Ben")]
        assert audit.verify(conn, "link:acme") is None
    with pytest.raises(NotAllowed, match="is approved by Ben"):
        approve(engine, found.proposal_id, "Cid", found.items_hash)


def test_one_person_is_enough_for_what_the_machine_proposes(engine: Engine) -> None:
    found = made(engine, replace(NEW, by="tieout", by_machine=True))
    approve(engine, found.proposal_id, "Ann", found.items_hash)
    with engine.connect() as conn:
        decided = proposals.get(conn, found.proposal_id)
    assert decided is not None and (decided.state, decided.decided_by) == ("approved", "Ann")


def test_who_made_it_may_take_it_back_and_a_refused_one_stays_refused(engine: Engine) -> None:
    found = made(engine)
    with engine.begin() as conn:
        proposals.refuse(conn, found.proposal_id, "Ann", "the prices were right")
    with pytest.raises(NotAllowed, match="is refused by Ann"):
        approve(engine, found.proposal_id, "Ben", found.items_hash)
    with engine.connect() as conn:
        assert proposals.proposed_before(conn, "books", ["v-1"], only_open=True) == {}
        assert proposals.proposed_before(conn, "books", ["v-1"], only_open=False) == {"v-1": found.proposal_id}


@pytest.mark.parametrize(
    "statement",
    [
        "update tieout.proposal_item set amount_minor = 1",
        "delete from tieout.proposal_item",
        "truncate tieout.proposal_item",
        "delete from tieout.proposal",
        "update tieout.proposal set items_hash = 'x'",
        "update tieout.proposal set by_machine = true",
        "update tieout.proposal set decided_by = 'Cid'",
        "update tieout.proposal set state = 'proposed', decided_by = null, decided_at = null",
        "insert into tieout.proposal_item (proposal_id, position, entity, vendor_id, action, reason, why, staged_in) "
        "select proposal_id, 9, 'invoice', 'v-9', 'none', 'x', 'x', 'x' from tieout.proposal",
    ],
)
def test_the_database_keeps_an_approved_proposal_as_it_was(engine: Engine, statement: str) -> None:
    found = made(engine)
    approve(engine, found.proposal_id, "Ben", found.items_hash)
    rules = r"append-only|does not change|cannot become|is decided"
    with engine.connect() as conn, pytest.raises(DBAPIError, match=rules):
        conn.execute(sa.text(statement))


@pytest.mark.parametrize(
    ("by", "seen"), [("ANN ", "items_hash"), ("Ben", "null"), ("Ben", "'something else'")]
)  # fmt: skip
def test_the_database_wants_another_person_and_the_hash(engine: Engine, by: str, seen: str) -> None:
    made(engine)
    with engine.connect() as conn, pytest.raises(DBAPIError, match=r"proposal_(four_eyes|hash_was_seen)"):
        conn.execute(
            sa.text(
                "update tieout.proposal set state = 'approved', decided_by = :by, decided_at = now(), "
                f"decided_hash = {seen}"
            ),
            {"by": by},
        )


def test_nothing_nameless_and_nothing_empty_is_proposed(engine: Engine) -> None:
    for new in (replace(NEW, items=()), replace(NEW, by=" "), replace(NEW, reason="")):
        with engine.begin() as conn, pytest.raises(ConfigurationFault, match=r"nothing to propose|needs the name"):
            proposals.propose(conn, new)
    with engine.connect() as conn:
        assert proposals.listing(conn) == []


def test_a_proposal_without_settled_intents_is_not_done(engine: Engine) -> None:
    found = made(engine)
    approve(engine, found.proposal_id, "Ben", found.items_hash)
    with engine.begin() as conn:
        assert proposals.finish(conn, "acme") == []


def test_a_fix_names_its_break_and_its_hash_covers_that(engine: Engine) -> None:
    reconciled(engine, date(2026, 3, 2), [Difference("order:1", 1, "rounding"), Difference("order:2", -1, "rounding")])
    first, second = sorted(row["break_id"] for row in live(engine).values())
    item = replace(INVOICE, action="write_off", amount_minor=1, break_id=first)
    found = made(engine, replace(NEW, kind="write_off", items=(item,)))
    assert found.sums() == {"GBP": {"void": 0, "credit": 0, "none": 0, "documents": 1, "write_off": 1}}
    assert proposals.shown_actions(found.sums()) == ("void", "credit", "write_off", "none")
    other = proposals.items_hash("write_off", "acme", "books", [replace(item, break_id=second)])
    assert other != found.items_hash
    with engine.connect() as conn:
        assert proposals.of_breaks(conn, [first, second]) == [(first, found.proposal_id, "write_off", "proposed")]
