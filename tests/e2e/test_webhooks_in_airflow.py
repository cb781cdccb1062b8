"""Webhooks through Airflow's own API server and scheduler: told by the sandbox, kept, read, judged, shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.company import as_airflow, both, ledger_invoices, link_of, opened, query, until
from tests.proofs.company import load_into
from tests.proofs.conftest import made_up_folder  # noqa: F401 - a fixture
from tests.support.demo import ROOT, end, new_home
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.orchestration.demo.places import Places
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.system import System, bring_up
from tieout.scenarios.crm_load import ConnectorCrm
from tieout.scenarios.ledger_hand import LedgerHand

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.proves(
        "a payment that a webhook tells of is shown in the CRM, through Airflow",
        scenario="webhooks",
        pair=("salesforce", "xero"),
        systems=("xero",),
    ),
]

KEY = "key of the app"
LINK = "northwind"


def _with_key(connection: Connection) -> Connection:
    return dataclasses.replace(connection, extra={**connection.extra, "webhook_key": KEY})


def _ended(api: AirflowApi, dag_id: str, run_id: str) -> Mapping[str, str]:
    """The states of a run's tasks, when it has ended well."""
    until(lambda: api.run_state(dag_id, run_id) in ("success", "failed"))
    states = {name: task["state"] for name, task in api.task_states(dag_id, run_id).items()}
    assert api.run_state(dag_id, run_id) == "success", states
    return states


def test_a_payment_that_is_told_by_a_webhook_is_shown_in_the_crm(made_up_folder: Path) -> None:  # noqa: F811
    link, home = link_of(LINK), new_home()

    def load(system: System) -> None:
        load_into(system.sandbox_url, *both(system.sandbox_url, link, quick=False), made_up_folder, link)

    def connections(url: str) -> dict[str, Any]:
        return {one.name: as_airflow(_with_key(one) if one.system == "xero" else one) for one in both(url, link)}

    try:
        system = bring_up(Places(ROOT, home), connections=connections, with_sandbox=load)
        billing_dag, reading_dag = f"quote_to_cash__{LINK}", f"webhooks__{LINK}"
        with opened(system, billing_dag) as (api, billing), opened(system, reading_dag) as (_, dag_id):
            _ended(api, billing, api.trigger(billing))
            assert _ended(api, dag_id, api.trigger(dag_id)) == {"read": "skipped", "quote_to_cash": "skipped"}

            address = f"{system.url}/tieout/hooks/{link.ledger}"
            settings = {"webhook_url": address, "webhook_key": KEY}
            httpx.patch(f"{system.sandbox_url}/_sandbox/settings", json={"xero": settings}).raise_for_status()
            door = f"{system.sandbox_url}/xero/_sandbox/webhooks/intent-to-receive"
            assert httpx.post(door, timeout=60).json() == {"status": "OK"}
            assert httpx.post(address + "x", content=b"").status_code == 404
            paid = ledger_invoices(system, link)[0]
            with LedgerHand(both(system.sandbox_url, link)[1]) as hand:
                hand.pay(paid["InvoiceID"], Decimal("0.01"), date(2026, 3, 20))
            told = "select count(*) from tieout.hook_inbox where convert_from(body, 'UTF8') like :id"
            until(lambda: query(system, told, id=f"%{paid['InvoiceID']}%")[0][0] > 0)

            assert _ended(api, dag_id, api.trigger(dag_id)) == {"read": "success", "quote_to_cash": "success"}
            assert _ended(api, dag_id, api.trigger(dag_id))["read"] == "skipped"
        triggers = query(system, "select scenario, trigger from tieout.sync_run order by started_at")
        assert [tuple(row) for row in triggers] == [
            ("quote_to_cash", "manual"), ("webhooks", "manual"), ("quote_to_cash", "webhook"),
        ]  # fmt: skip
        of_invoices = "select distinct state from tieout.hook_inbox where convert_from(body, 'UTF8') like '%INVOICE%'"
        states = query(system, of_invoices)
        assert [row[0] for row in states] == ["read"]
        refused = query(system, "select reason, times from tieout.hook_refusal")
        assert [tuple(row) for row in refused] == [("wrong_signature", 2)]
        connector = SalesforceConnector(both(system.sandbox_url, link)[0])
        rows = ConnectorCrm(connector).rows("Order", ("Tieout_Invoice_Id__c", "Tieout_Amount_Paid__c"))
        shown = {row["Tieout_Invoice_Id__c"]: row["Tieout_Amount_Paid__c"] for row in rows}
        connector.close()
        assert shown[paid["InvoiceID"]] == Decimal("0.01")
    finally:
        end(home)
