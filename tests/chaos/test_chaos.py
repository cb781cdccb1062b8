"""A part of `make chaos` for every commit. What the whole of it tries, and what it found: docs/chaos.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.chaos import kills, mixed, pauses
from tests.chaos.company import DAY
from tests.chaos.worker import ledger_at
from tests.chaos.world import World
from tieout.delivery.deliver import CRASH_POINTS
from tieout.scenarios.ledger_hand import LedgerHand

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        yield world


def test_workers_killed_at_each_named_point_leave_no_duplicate_and_lose_nothing(world: World) -> None:
    met: kills.Met = Counter()
    # Credit notes: Xero knows no second one from the first, so that each second send would show.
    tally = kills.at_every_point(world, ["credit_memo"], 1, met, orders=40)
    assert tally.words == []
    assert tally.kills == sum(met.values()) == len(CRASH_POINTS)


def test_workers_stopped_past_their_lease_neither_send_nor_confirm_over_another(world: World) -> None:
    points = ("after_claim", "after_mark", "before_send", "after_send", "before_confirm_commit")
    tally = pauses.stopped_past_the_lease(world, 1, 1, orders=20, points=points)
    assert tally.words == []
    assert tally.hits == len(points)


def test_a_bad_network_killed_workers_and_a_killed_postgresql_at_once(world: World) -> None:
    tally = mixed.everything(world, 1, 4, orders=16)
    assert tally.words == []
    assert tally.kills >= 2 and tally.hits >= 2


def test_the_oracle_sees_what_is_there_twice_missing_different_or_nobodys(world: World) -> None:
    with world.run(3) as run:
        assert run.settle()[1].words() == []
        with LedgerHand(ledger_at(world.sandbox.url)) as hand:
            note = next(one for one in hand.all("CreditNotes") if one["Reference"] == "CR-1")
            more = {name: note[name] for name in ("Type", "Contact", "Reference", "Status", "LineItems")}
            hand.create("CreditNotes", [{**more, "Date": DAY}, {**more, "Date": DAY, "Reference": "CR-99"}])
            draft = next(one for one in hand.all("Invoices") if one["InvoiceNumber"] == "INV-2-B")
            line = {"Description": "Other", "Quantity": 1, "UnitAmount": Decimal("1.00"), "AccountCode": "200"}
            hand.change("Invoices", {"InvoiceID": draft["InvoiceID"], "LineItems": [line]})
            customer = next(one for one in hand.all("Contacts") if one["ContactNumber"] == "C-3")
            hand.change("Contacts", {"ContactID": customer["ContactID"], "ContactNumber": "C-98"})
        judged = run.judge()
    assert judged.duplicates == ["CreditNotes CR-1 is there 2 times"]
    assert "Contacts C-3" in judged.losses
    assert any(word.startswith("Invoices INV-2-B.LineItems") for word in judged.differing)
    assert {"CreditNotes CR-99", "Contacts C-98"} <= set(judged.orphans)
    assert not judged.open
