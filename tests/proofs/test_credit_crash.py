"""A credit sync that is killed: every account is told once, none is forgotten, and another sync has nothing to do."""

from __future__ import annotations

import os
import signal
import time
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from tests.proofs.company import Company
from tests.proofs.test_crash import PATIENCE, until, worker, working
from tieout.scenarios import credit_sync
from tieout.store import audit, credit, credit_positions

pytestmark = [
    pytest.mark.long,
    pytest.mark.proves(
        "a credit sync that is killed tells every account once", scenario="crash", pair=("salesforce", "xero")
    ),
]

#: More than one batch of Salesforce's, which takes 200 records in a call.
ACCOUNTS = 250


@pytest.fixture
def customers(company: Company, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """250 customers with approved limits, each another: account id -> limit in cents."""
    monkeypatch.setattr(credit_sync, "PATIENCE_SECONDS", 0.0)
    rows = [{"Name": f"Customer of credit {n}", "CurrencyIsoCode": "USD"} for n in range(ACCOUNTS)]
    with company.crm_hand() as crm:
        ids = [str(made.id) for made in crm.insert("Account", rows)]
    limits = {id_: 100_000 + number for number, id_ in enumerate(ids)}
    with company.engine.begin() as conn:
        made = [credit.Limit(id_, date(2020, 1, 1), "USD", minor) for id_, minor in limits.items()]
        change = credit.propose(conn, company.link.name, made, "a clerk", "limits.csv")
        credit.decide(conn, change, "a controller", approved=True)
    return limits


def shown(company: Company) -> dict[str, int]:
    """account id -> the limit that the CRM shows, in cents."""
    rows = company.crm_rows("Account", "Tieout_Credit_Limit__c")
    return {row["Id"]: int(row["Tieout_Credit_Limit__c"] * 100) for row in rows if row["Tieout_Credit_Limit__c"]}


def writes(company: Company) -> list[tuple[str, int, str, int]]:
    """(account id, revision, state, times that its bytes were sent) of each write."""
    with company.engine.connect() as conn:
        rows = conn.execute(sa.text(
            "select i.source_id, i.revision, i.state, count(a.*) filter (where a.kind = 'send') as sent "
            "from tieout.intent i left join tieout.attempt a using (intent_id) where i.kind = 'credit' "
            "group by i.intent_id"
        ))  # fmt: skip
        return [(row.source_id, row.revision, row.state, row.sent) for row in rows]


def arrived(company: Company) -> set[str]:
    """The accounts of which the CRM shows a limit, once there are any: the batch is applied, its sender is gone."""
    end = time.monotonic() + PATIENCE
    while not (found := shown(company)):
        assert time.monotonic() < end, "the batch was never applied"
        time.sleep(0.05)
    return set(found)


def finished(company: Company, run_id: str, step: str) -> dict[str, Any]:
    """The same run goes on from the step that was killed, as Airflow's retry does it, twice an hour later."""
    company.sandbox.faults()
    with company.services() as services:
        if step == "transform":
            credit_sync.transform(services, run_id)
        for _ in range(2):
            company.later()
            credit_sync.write_back(services, run_id)
        return credit_sync.summarise(services, run_id)


@pytest.mark.parametrize("step", ["transform", "write_back"])
def test_a_killed_credit_sync_tells_every_account_once(company: Company, customers: dict[str, int], step: str) -> None:
    with company.services() as services:
        run_id = credit_sync.start(services)
        for earlier in credit_sync.STEPS[: credit_sync.STEPS.index(step)]:
            getattr(credit_sync, earlier)(services, run_id)
    # A batch arrives and its answer never comes: the worker is killed while it waits for it.
    company.sandbox.faults({
        "system": "salesforce", "method": "PATCH", "fault": "late_apply", "times": 1,
        "params": {"seconds": 0.5, "hang": True},
    })  # fmt: skip
    with worker(company, run_id, step, "credit_sync") as process:
        until(company.sandbox.hits if step == "write_back" else lambda: working(company), process)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    there: set[str] = set()
    if step == "write_back":
        assert "IN_FLIGHT" in {state for _, _, state, _ in writes(company)}, "between the call and its answer"
        there = arrived(company)
    done = finished(company, run_id, step)
    assert (done["posted"], done["in_flight"], done["held"]) == (ACCOUNTS, 0, 0)
    assert shown(company) == customers
    told = writes(company)
    assert [(id_, 1, "CONFIRMED") for id_ in sorted(customers)] == sorted(each[:3] for each in told), "one write each"
    assert {sent for id_, _, _, sent in told if id_ in there} <= {1}, "what had arrived was found, not sent again"
    with company.engine.connect() as conn:
        assert audit.verify(conn, f"link:{company.link.name}") is None
        _, known = credit_positions.listing(conn, company.link.name, "limit")
    assert known == ACCOUNTS
    company.counting()
    with company.services() as services:
        again = credit_sync.run(services)
    assert (again["posted"], again["unchanged"], company.counted()[0]) == (0, ACCOUNTS, 0)
