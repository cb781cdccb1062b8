"""Northwind and Maven, from CSV files through Airflow's scheduler into the ledger; deliver is killed on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.proofs.company import QUICK, load_into
from tests.proofs.maven_arithmetic import expected_maven
from tests.proofs.northwind_arithmetic import expected_northwind
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.demo import ROOT, end, new_home
from tests.support.shared import require_shared
from tieout.mapping.load import load_link
from tieout.model.connection import Connection
from tieout.model.link import Link
from tieout.orchestration.demo.places import Places
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.system import System, bring_up
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.store.engine import connect

pytestmark = [pytest.mark.slow, pytest.mark.shared]

LIMIT = 400  # seconds for one run on a machine that others load, too


def link_of(name: str) -> Link:
    return load_link(ROOT / "include" / "links" / f"{name}.yaml")


def both(url: str, link: Link, *, quick: bool = True) -> tuple[Connection, Connection]:
    """The link's connections to the sandbox at `url`; quick ones wait a short time only, for answers too."""
    at = SimpleNamespace(url=url)
    pair = (crm_connection(at, link.crm), ledger_connection(at, link.ledger))
    if not quick:
        return pair
    return tuple(dataclasses.replace(one, extra={**one.extra, **QUICK}) for one in pair)  # type: ignore[return-value]


def as_airflow(connection: Connection) -> dict[str, Any]:
    return {
        "conn_type": f"tieout_{connection.system}", "host": connection.host, "login": connection.login,
        "password": connection.password, "extra": json.dumps(dict(connection.extra)),
    }  # fmt: skip


@pytest.fixture
def company(request: pytest.FixtureRequest) -> Iterator[System]:
    """A whole system whose CRM holds the CSV folder named by the parameter."""
    name: str = request.param
    folder, link, home = require_shared("data", _FOLDERS[name]), link_of(name), new_home()
    try:
        yield bring_up(
            Places(ROOT, home),
            connections=lambda url: {one.name: as_airflow(one) for one in both(url, link)},
            with_sandbox=lambda system: load_into(
                system.sandbox_url, *both(system.sandbox_url, link, quick=False), folder, link
            ),
        )
    finally:
        end(home)


_FOLDERS = {"northwind": "northwind", "maven": "maven_crm"}


@pytest.mark.parametrize("company", ["northwind"], indirect=True)
def test_northwind_through_airflow_with_deliver_killed_and_cleared(company: System) -> None:
    expected = expected_northwind(require_shared("data", "northwind"))
    slow = {
        "system": "xero",
        "method": "PUT",
        "path": "/api.xro/2.0/Invoices*",
        "fault": "slow",
        "params": {"seconds": 1},
    }
    httpx.post(
        f"{company.sandbox_url}/_sandbox/faults", json={"seed": 1, "rules": [slow]}, timeout=30
    ).raise_for_status()
    with opened(company, "quote_to_cash__northwind") as (api, dag_id):
        run_id = api.trigger(dag_id)
        # Some invoices are posted, the answer of others is on its way: the worst moment.
        until(lambda: invoices_sent(company) >= 100)
        os.kill(worker_of(company), signal.SIGKILL)
        until(lambda: api.task_states(dag_id, run_id)["deliver"]["state"] in ("failed", "up_for_retry"))
        leases_are_over(company)
        httpx.delete(f"{company.sandbox_url}/_sandbox/faults", timeout=30).raise_for_status()
        api.clear(dag_id, run_id, ["deliver", "write_back", "summarise"])
        until(lambda: api.run_state(dag_id, run_id) in ("success", "failed"))
        leases_are_over(company)
        again = api.trigger(dag_id)
        until(lambda: api.run_state(dag_id, again) in ("success", "failed"))
        assert api.run_state(dag_id, again) == "success"
    posted = ledger_invoices(company, "northwind")
    assert len(posted) == len({one["InvoiceNumber"] for one in posted}) == len(expected.orders)
    assert {one["Reference"]: one["SubTotal"] for one in posted} == expected.orders


@pytest.mark.parametrize("company", ["maven"], indirect=True)
def test_maven_through_airflow(company: System) -> None:
    expected = expected_maven(require_shared("data", "maven_crm"))
    with opened(company, "quote_to_cash__maven") as (api, dag_id):
        run_id = api.trigger(dag_id)
        until(lambda: api.run_state(dag_id, run_id) in ("success", "failed"))
        assert api.run_state(dag_id, run_id) == "success"
    posted = ledger_invoices(company, "maven")
    assert len(posted) == len(expected.with_account)
    assert sum(one["SubTotal"] for one in posted) == expected.total_with_account


class opened:
    """The DAG, found and not paused, with a client that is logged in."""

    def __init__(self, system: System, dag_id: str) -> None:
        self._api, self._dag_id = system.api(), dag_id

    def __enter__(self) -> tuple[AirflowApi, str]:
        self._api.__enter__()
        self._api.log_in()
        until(lambda: self._api.dag(self._dag_id) is not None)
        self._api.unpause(self._dag_id)
        return self._api, self._dag_id

    def __exit__(self, *error: Any) -> None:
        self._api.__exit__(*error)


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.3)


def query(system: System, statement: str) -> Any:
    engine = connect(system.store_url)
    try:
        with engine.begin() as conn:
            result = conn.execute(sa.text(statement))
            return result.all() if result.returns_rows else None
    finally:
        engine.dispose()


def invoices_sent(system: System) -> int:
    found = query(system, "select to_regclass('tieout.intent')")
    if found[0][0] is None:
        return 0
    rows = query(system, "select count(*) from tieout.intent where kind = 'invoice' and state = 'CONFIRMED'")
    return int(rows[0][0])


def worker_of(system: System) -> int:
    """Process id of the task that delivers, as its attempts name it."""
    rows = query(system, "select worker from tieout.attempt order by attempt_id desc limit 1")
    return int(rows[0][0].rsplit(":", 1)[1])


def leases_are_over(system: System) -> None:
    """The store as it is a quarter of an hour later."""
    for column in ("lease_until", "not_before", "sent_at"):
        query(
            system,
            f"update tieout.intent set {column} = {column} - interval '15 minutes' where {column} is not null "
            "and state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')",
        )


def ledger_invoices(system: System, name: str) -> list[dict[str, Any]]:
    with LedgerHand(both(system.sandbox_url, link_of(name))[1]) as hand:
        return [one for one in hand.all("Invoices") if one["Status"] not in ("VOIDED", "DELETED")]
