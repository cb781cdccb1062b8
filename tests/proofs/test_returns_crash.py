"""A delivery of returns that is killed: each return is credited, allocated and paid back once; none is forgotten."""

from __future__ import annotations

import os
import signal
import time
from datetime import date
from pathlib import Path

import pytest

from tests.proofs.company import Company
from tests.proofs.northwind_arithmetic import Expected
from tests.proofs.returns_arithmetic import credits, plan, sold_lines
from tests.proofs.returns_proof import assert_credited, enter, pays_back
from tests.proofs.test_crash import PATIENCE, until, worker
from tieout.scenarios import returns

pytestmark = [
    pytest.mark.long,
    pytest.mark.proves(
        "a killed delivery of returns credits, sets off and pays back once",
        scenario="crash",
        pair=("salesforce", "xero"),
    ),
]


@pytest.mark.parametrize("killed_at", ["CreditNotes", "Allocations", "Payments"])
def test_a_killed_delivery_of_returns_credits_and_pays_back_once(
    company: Company, expected: Expected, made_up_folder: Path, tmp_path: Path, killed_at: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(returns, "PATIENCE_SECONDS", 0.0)
    company.run_until_settled()
    sold = sold_lines(made_up_folder, expected)
    backs = plan(sold, 8)
    paid = {order: expected.orders[order] for order in sorted({back.order for back in backs})[::2]}
    with company.hand() as hand:
        for one in hand.all("Invoices"):
            if one["Reference"] in paid:
                hand.pay(one["InvoiceID"], one["AmountDue"], date(2026, 3, 20))
    wanted = credits(backs, sold, expected, paid)
    pays_back(company)
    link = tmp_path / f"{company.link.name}.yaml"
    # A link file by itself: no folder of calendars is beside it.
    link.write_text(company.link.model_copy(update={"calendar": "calendar_months"}).model_dump_json())
    enter(company, backs)
    with company.services() as services:
        run_id = returns.start(services)
        for step in ("extract", "check", "transform"):
            getattr(returns, step)(services, run_id)
    # Each call is taken, and applied half a second later: by then the worker is dead, and nobody got an answer.
    slow = {"system": "xero", "method": "PUT", "path": f"*/{killed_at}", "fault": "slow", "params": {"seconds": 0.5}}
    company.sandbox.faults(slow)
    with worker(company, run_id, "deliver", returns.NAME, link) as process:
        until(lambda: company.sandbox.hits(), process)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    time.sleep(1)
    company.sandbox.faults()
    with company.services() as services:  # the same run goes on, as Airflow's retry does it
        for _ in range(4):
            company.later()
            returns.deliver(services, run_id)
        returns.write_back(services, run_id)
        numbers = returns.summarise(services, run_id)
        assert (numbers["posted"], numbers["held"], numbers["in_flight"]) == (len(backs), 0, 0)
        assert_credited(company, wanted, expected)
        again = returns.run(services)
    assert (again["unchanged"], again["posted"]) == (len(backs), 0)
    assert_credited(company, wanted, expected)
