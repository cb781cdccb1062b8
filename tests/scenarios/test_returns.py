"""Returns over real HTTP and a real database: lost answers, steps done again, changes before and after the credit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import Given, Return
from tests.scenarios.world import World, services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.model.connection import Connection
from tieout.scenarios import quote_to_cash, returns
from tieout.scenarios.services import Services

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "lost answers, steps done again and changes beside it make no second credit and no second refund",
        scenario="returns",
        pair=("salesforce", "xero"),
    ),
]
NOTHING = Decimal(0)
QUICK = {"time_out": 4, "latest_apply": 0, "look_up_lag": 0}
GIVEN: dict[str, Any] = {
    "story": "One order of ten chairs, billed and not paid.", "today": "2026-03-31",
    "crm": {
        "accounts": [{"name": "Acme Ltd", "tax_id": "GB980780684", "city": "Leeds", "country": "United Kingdom"}],
        "orders": [{"order": "A-1", "account": "Acme Ltd", "date": "2026-03-10",
                    "lines": [{"product": "CHAIR", "quantity": 10, "price": Decimal("50.00")}]}],
    },
}  # fmt: skip


class Back:
    """A world in which goods come back. `run` is `tieout returns`, with a vendor that applies at once."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine) -> None:
        self.world, self.sandbox, self.engine = World(Given.model_validate(GIVEN), sandbox, engine), sandbox, engine
        self.world.begin()
        self.crm, self.ledger = (
            Connection(one.name, one.system, one.host, one.login, one.password, {**one.extra, **QUICK})
            for one in (crm_connection(sandbox, "crm"), ledger_connection(sandbox, "ledger"))
        )
        with self.services() as services:
            quote_to_cash.run(services)

    @contextmanager
    def services(self) -> Iterator[Services]:
        """What the steps need."""
        with services_of(self.world.link, self.crm, self.ledger, self.engine) as services:
            yield services

    def enter(self, name: str, quantity: int, status: str = "Approved") -> None:
        given = {"return": name, "order": "A-1", "status": status, "lines": [{"line": 1, "quantity": quantity}]}
        self.world._enter_return(Return.model_validate(given))

    def change(self, name: str, **fields: Any) -> None:
        self.world._update("ReturnOrder", {"Id": self.world.ids[f"return:{name}"], **fields})

    def run(self) -> dict[str, Any]:
        with self.services() as services:
            return returns.run(services)

    def notes(self) -> list[tuple[Decimal, Decimal]]:
        """Total and open rest of the ledger's credit notes."""
        return sorted((one["Total"], one["RemainingCredit"]) for one in self.world.hand.all("CreditNotes"))

    def outcomes(self) -> dict[str, tuple[str, str | None]]:
        names = {id_: key.split(":")[1] for key, id_ in self.world.ids.items() if key.startswith("return:")}
        rows = self.rows("select source_id, outcome, reason from tieout.document where object = 'return_order'")
        return {names[row[0]]: (row[1], row[2]) for row in rows}

    def rows(self, query: str) -> list[Any]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(query))]

    def later(self) -> None:
        """Leases and quiet periods are over."""
        with self.engine.begin() as conn:
            for column in ("lease_until", "not_before", "sent_at"):
                conn.execute(
                    sa.text(
                        f"update tieout.intent set {column} = {column} - interval '15 minutes' where {column} is not "
                        "null and state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')"
                    )
                )


@pytest.fixture
def back(sandbox: SandboxProcess, engine: Engine) -> Iterator[Back]:
    back = Back(sandbox, engine)
    try:
        yield back
    finally:
        back.world.close()


def test_lost_answers_and_steps_done_again_make_no_second_credit(back: Back, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returns, "PATIENCE_SECONDS", 0.0)
    back.enter("R-1", 3)
    back.enter("R-2", 2)
    fault = {"system": "xero", "fault": "lost_answer", "probability": 1, "times": 1, "method": "PUT"}
    back.sandbox.faults({**fault, "path": "*/CreditNotes"}, {**fault, "path": "*/Allocations"})
    for _ in range(5):
        numbers = back.run()
        back.later()
    assert len(back.sandbox.hits()) == 2
    assert (numbers["read"], numbers["unchanged"], numbers["held"], numbers["in_flight"]) == (2, 2, 0, 0)
    assert back.notes() == [(Decimal("120.00"), NOTHING), (Decimal("180.00"), NOTHING)]
    before = back.rows("select count(*), max(intent_id) from tieout.intent")
    with back.services() as services:
        run_id = returns.start(services)
        for name in returns.STEPS:
            getattr(returns, name)(services, run_id)
            numbers = getattr(returns, name)(services, run_id)
    assert numbers["unchanged"] == 2
    assert back.rows("select count(*), max(intent_id) from tieout.intent") == before


def test_a_refund_whose_answer_is_lost_is_not_paid_a_second_time(back: Back, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returns, "PATIENCE_SECONDS", 0.0)
    paying = back.world.link.returns.model_copy(update={"of_paid": "refund", "refund_account": "090"})
    back.world.link = back.world.link.model_copy(update={"returns": paying})
    (invoice,) = back.world.hand.all("Invoices")
    back.world.hand.pay(invoice["InvoiceID"], Decimal("500.00"), date(2026, 3, 20))  # of 600.00
    back.enter("R-1", 3)
    back.enter("R-2", 2)
    lost = {"system": "xero", "fault": "lost_answer", "probability": 1, "times": 1, "method": "PUT"}
    back.sandbox.faults({**lost, "path": "*/Payments"}, {**lost, "path": "*/Allocations"})
    for _ in range(6):
        numbers = back.run()
        back.later()
    assert len(back.sandbox.hits()) == 2
    assert (numbers["unchanged"], numbers["held"], numbers["in_flight"]) == (2, 0, 0)
    assert back.notes() == [(Decimal("120.00"), NOTHING), (Decimal("180.00"), NOTHING)]
    refunds = [one["Amount"] for one in back.world.hand.all("Payments") if one["PaymentType"] == "ARCREDITPAYMENT"]
    # 100.00 were due and are credited; the customer gets back what it had paid for: 200.00.
    assert sorted(refunds) == [Decimal("80.00"), Decimal("120.00")]
    (invoice,) = back.world.hand.all("Invoices")
    assert (invoice["AmountPaid"], invoice["AmountCredited"]) == (Decimal("500.00"), Decimal("100.00"))


def test_what_finance_settles_itself_is_not_refunded_and_nothing_waits(back: Back) -> None:
    paying = back.world.link.returns.model_copy(update={"of_paid": "refund", "refund_account": "090"})
    back.world.link = back.world.link.model_copy(update={"returns": paying})
    (invoice,) = back.world.hand.all("Invoices")
    back.world.hand.pay(invoice["InvoiceID"], Decimal("600.00"), date(2026, 3, 20))
    back.enter("R-1", 3)
    back.world.hand.change("Accounts/" + account(back, "090"), {"Status": "ARCHIVED"})
    assert back.run()["held"] == 1
    assert back.outcomes()["R-1"][0] == "held"
    back.world.hand.change("Accounts/" + account(back, "090"), {"Status": "ACTIVE"})
    (note,) = back.world.hand.all("CreditNotes")
    back.world.hand.pay_back(note["CreditNoteID"], note["RemainingCredit"], date(2026, 3, 31))
    numbers = back.run()
    assert (numbers["posted"], numbers["held"]) == (1, 0)
    assert len([one for one in back.world.hand.all("Payments") if one["PaymentType"] == "ARCREDITPAYMENT"]) == 1


def account(back: Back, code: str) -> str:
    return next(str(one["AccountID"]) for one in back.world.hand.all("Accounts") if one["Code"] == code)


def test_what_is_cancelled_before_is_not_credited_and_afterwards_waits(back: Back) -> None:
    back.enter("R-1", 1)
    back.enter("R-2", 10)
    back.enter("R-3", 1)
    with back.services() as services:
        run_id = returns.start(services)
        for name in ("extract", "check", "transform"):
            getattr(returns, name)(services, run_id)
    assert back.outcomes()["R-2"] == ("held", "more_than_sold")
    # Its credit note is planned and not sent.
    back.change("R-3", Status="Canceled")
    back.change("R-2", Status="Canceled")
    numbers = back.run()
    assert (numbers["posted"], numbers["cancelled"], numbers["held"]) == (1, 2, 0)
    assert back.notes() == [(Decimal("60.00"), NOTHING)]
    back.change("R-1", Status="Canceled")
    assert back.run()["held"] == 1
    assert back.outcomes()["R-1"] == ("held", "cancelled_after_credit")
    back.enter("R-4", 9)
    numbers = back.run()
    assert (numbers["posted"], numbers["held"], numbers["cancelled"]) == (1, 1, 2)
    assert back.notes() == [(Decimal("60.00"), NOTHING), (Decimal("540.00"), NOTHING)]
