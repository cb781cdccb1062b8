"""The first task of webhooks__<link>: skipped with an empty inbox, and where nothing that waited was of use."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from sqlalchemy import Engine

from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.orchestration import hook_watch
from tieout.orchestration.hook_watch import ReadHooks
from tieout.store import hooks

TENANT = "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00001"
CONTEXT: dict[str, Any] = {
    "dag_run": SimpleNamespace(dag_id="webhooks__demo", run_id="scheduled__1", run_type="scheduled")
}


@pytest.fixture
def read(
    sandbox: SandboxProcess, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Any]]:
    """Does the task with this password for the ledger, on connections as Airflow's environment holds them."""
    monkeypatch.setenv("TIEOUT_DATABASE_URL", database_url)

    def run(password: str = "sandbox-secret") -> dict[str, Any]:
        for one in (crm_connection(sandbox), ledger_connection(sandbox)):
            entry = {"conn_type": f"tieout_{one.system}", "host": one.host, "login": one.login, "password": password,
                     "extra": dict(one.extra)}  # fmt: skip
            monkeypatch.setenv(f"AIRFLOW_CONN_{one.name.upper()}", json.dumps(entry))
        numbers: dict[str, Any] = ReadHooks(task_id="read", link="demo").execute(CONTEXT)
        return numbers

    return run


def keep(engine: Engine, *events: dict[str, str]) -> None:
    with engine.begin() as conn:
        hooks.keep(conn, "xero_demo", json.dumps({"events": events, "entropy": uuid4().hex}).encode(), {})


CONTACT = {"resourceId": TENANT, "eventCategory": "CONTACT", "tenantId": TENANT}


def test_an_empty_inbox_is_skipped_before_a_connection_is_looked_for(
    read: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(name: str) -> None:
        raise AssertionError(f"the connection {name} was asked for")

    monkeypatch.setattr(hook_watch, "get_connection", asked)
    with pytest.raises(AirflowSkipException, match="no webhooks wait for link demo"):
        read()


def test_what_was_read_goes_on_and_what_is_of_no_use_is_skipped(
    read: Callable[..., dict[str, Any]], engine: Engine
) -> None:
    keep(engine)
    with pytest.raises(AirflowSkipException, match="nothing that waited"):
        read()
    keep(engine, CONTACT)
    numbers = read()
    assert (numbers["rows"], numbers["read"]) == (1, 1)


def test_a_limit_gives_the_worker_back_and_refused_credentials_fail_at_once(
    read: Callable[..., dict[str, Any]], engine: Engine, sandbox: SandboxProcess
) -> None:
    keep(engine, CONTACT)
    with pytest.raises(AirflowFailException, match="AuthenticationFailed"):
        read("wrong")
    with engine.begin() as conn:
        (row,) = hooks.listing(conn)
        assert (row.state, row.attempts) == ("waiting", 1)
        hooks.retry(conn, [row.hook_id], by="Olga")
    sandbox.faults({"system": "xero", "path": "/api.xro/*", "fault": "status_429",
                    "params": {"which": "day", "retry_after": 4000}})  # fmt: skip
    with pytest.raises(TaskDeferred) as deferred:
        read()
    assert deferred.value.method_name == "go_on"
    assert deferred.value.trigger.moment > datetime.now(UTC)
