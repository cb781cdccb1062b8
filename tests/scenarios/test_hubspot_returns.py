"""Returns in HubSpot as the link says: tickets of one pipeline, of another one, or a custom object; to credit notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from tests.scenarios.hubspot_shop import Shop
from tests.support.sandbox import SandboxProcess
from tieout.mapping.lint import lint
from tieout.mapping.load import apply_overrides, load_system
from tieout.model.settings import PROJECT

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Place:
    """Where a portal has its returns: `head` and `lines` as the API names them, `pipeline` of tickets."""

    head: str
    lines: str
    objects: dict[str, str]
    pipeline: str | None = None


TICKETS = Place("tickets", "line_items", {}, "Returns")
RMA = Place(
    "tickets", "line_items", dict.fromkeys(("return_order", "return_order_status"), "tickets in pipeline RMA"), "RMA"
)
CUSTOM = Place(
    "returns", "return_lines",
    {"return_order": "returns", "return_order_status": "returns", "return_order_line": "return_lines of returns"},
)  # fmt: skip


class Returns:
    """A shop with one order of ten teas at 50 USD, billed and not paid."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine, place: Place) -> None:
        self.place, self.shop = place, Shop(sandbox, engine, objects=place.objects)
        stages = [{"label": label, "displayOrder": at, "metadata": {"ticketState": "OPEN"}}
                  for at, label in enumerate(("New", "Approved", "Closed", "Cancelled"))]  # fmt: skip
        self.shop.portal.api("POST", "/crm/v3/pipelines/tickets", {"label": "RMA", "displayOrder": 9, "stages": stages})
        self.order, self.line = self.shop.order("O-1", self.shop.company("Ann Ltd"), 10)
        assert self.shop.run()["posted"] == 1

    def enter(self, quantity: int, stage: str = "Approved", **fields: object) -> str:
        """A customer sends teas back."""
        name = "subject" if self.place.head == "tickets" else "tieout_return_name"
        placed = {"pipeline": self.place.pipeline} if self.place.pipeline else {}
        head = self.shop.insert(
            self.place.head,
            **{name: "Return", "tieout_currency": "USD", "stage": stage, "associations.orders": self.order},
            **placed, **fields,
        )  # fmt: skip
        self.shop.insert(
            self.place.lines, name="Tea", quantity=quantity, tieout_order_line_id=self.line,
            **{f"associations.{self.place.head}": head},
        )  # fmt: skip
        return head

    def notes(self) -> list[tuple[Decimal, Decimal]]:
        """(net, what is left of it) of the ledger's credit notes in force."""
        notes = [one for one in self.shop.hand.all("CreditNotes") if one["Status"] not in ("VOIDED", "DELETED")]
        return sorted((one["SubTotal"], one["RemainingCredit"]) for one in notes)


@pytest.fixture(params=[TICKETS, RMA, CUSTOM], ids=["tickets", "another pipeline", "custom object"])
def back(request: pytest.FixtureRequest, sandbox: SandboxProcess, engine: Engine) -> Iterator[Returns]:
    made = Returns(sandbox, engine, request.param)
    yield made
    made.shop.close()


def test_returns_are_credited_shown_and_done_once_wherever_the_link_says_that_they_are(back: Returns) -> None:
    shop = back.shop
    first, waiting = back.enter(3), back.enter(1, stage="New")
    numbers = shop.give_back()
    assert (numbers["posted"], numbers["held"], numbers["quarantined"]) == (1, 0, 0), shop.rows(
        "select stage, reason, message from tieout.dead_letter"
    )
    assert back.notes() == [(Decimal("150.00"), Decimal(0))]
    (note,) = shop.hand.all("CreditNotes")
    names = ("tieout_credit_id", "tieout_credit_number", "tieout_credit_total", "tieout_credit_open")
    assert shop.shown(back.place.head, first, *names) == [note["CreditNoteID"], note["CreditNoteNumber"], "150", "0"]
    assert shop.shown(back.place.head, waiting, *names) == [None] * 4

    sent = shop.sends()
    again = shop.give_back()
    assert (again["posted"], again["unchanged"], shop.sends()) == (0, 1, sent)
    assert back.notes() == [(Decimal("150.00"), Decimal(0))]

    # A month later, with a fee, and the one that waited is approved.
    fee = back.enter(2, tieout_restocking_fee=Decimal("7.50"))
    _approve(back, waiting)
    assert shop.give_back()["posted"] == 2
    assert back.notes() == [(Decimal(net), Decimal(0)) for net in ("50.00", "92.50", "150.00")]
    assert shop.shown(back.place.head, fee, "tieout_credit_total", "tieout_credit_open") == ["92.5", "0"]
    shop.run()
    numbers = shop.reconcile()
    assert (numbers["state"], {one["unexplained"] for one in numbers["totals"]}) == ("tied", {0})


def test_what_is_somewhere_else_is_no_return(back: Returns) -> None:
    others = {"subject": "Help", "tieout_currency": "USD", "stage": "New", "associations.orders": back.order}
    back.shop.insert("tickets", pipeline="0", **others)
    if back.place is not TICKETS:
        ticket = back.shop.insert("tickets", **{**others, "pipeline": "Returns", "stage": "Approved"})
        line = {"name": "Tea", "quantity": 1, "tieout_order_line_id": back.line, "associations.tickets": ticket}
        back.shop.insert("line_items", **line)
    numbers = back.shop.give_back()
    assert (numbers["read"], numbers["posted"], back.notes()) == (0, 0, [])


def test_the_mappings_hold_for_what_the_link_names(back: Returns) -> None:
    link = back.shop.link
    loaded = load_system(PROJECT / "include" / "mappings", "hubspot").values()
    found = [one for one in lint([apply_overrides(one, link) for one in loaded], link) if one.severity == "error"]
    assert found == []


def _approve(back: Returns, id_: str) -> None:
    portal = back.shop.portal
    if back.place.pipeline is None:
        portal.change(back.place.head, id_, tieout_stage="Approved")
        return
    pipelines = portal.api("GET", "/crm/v3/pipelines/tickets")["results"]
    stages = next(one["stages"] for one in pipelines if one["label"].lower() == back.place.pipeline.lower())
    portal.change("tickets", id_, hs_pipeline_stage=next(one["id"] for one in stages if one["label"] == "Approved"))
