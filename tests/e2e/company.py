"""A company in a whole system: CSV files in the CRM, Airflow beside it, and a few words to work with both."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from tests.proofs.company import QUICK, load_into
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.demo import ROOT
from tieout.mapping.load import load_link
from tieout.model.connection import Connection
from tieout.model.link import Link
from tieout.orchestration.demo.places import Places
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.system import System, bring_up
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.store.engine import connect

LIMIT = 400  # seconds for one run on a machine that others load, too


def link_of(name: str) -> Link:
    return load_link(ROOT / "include" / "links" / f"{name}.yaml")


def company_up(
    home: Path, link: Link, folder: Path, environment: Mapping[str, str] | None = None, time_out: int | None = None
) -> System:
    """A whole system whose CRM holds the CSV folder.

    Args:
        environment: further variables of Airflow's processes.
        time_out: of the connections, in seconds, where it is not to be the shortest that the tests use.
    """

    def load(system: System) -> None:
        load_into(system.sandbox_url, *both(system.sandbox_url, link, quick=False), folder, link)

    return bring_up(
        Places(ROOT, home),
        connections=lambda url: {one.name: as_airflow(one, time_out) for one in both(url, link)},
        with_sandbox=load,
        extra=environment,
    )


def both(url: str, link: Link, *, quick: bool = True) -> tuple[Connection, Connection]:
    """The link's connections to the sandbox at `url`; quick ones wait a short time only, for answers too."""
    at: Any = SimpleNamespace(url=url)
    pair = (crm_connection(at, link.crm), ledger_connection(at, link.ledger))
    if not quick:
        return pair
    return tuple(dataclasses.replace(one, extra={**one.extra, **QUICK}) for one in pair)  # type: ignore[return-value]


def as_airflow(connection: Connection, time_out: int | None = None) -> dict[str, Any]:
    fields = {**connection.extra, **({} if time_out is None else {"time_out": time_out})}
    return {
        "conn_type": f"tieout_{connection.system}", "host": connection.host, "login": connection.login,
        "password": connection.password, "extra": json.dumps(fields),
    }  # fmt: skip


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


def until(condition: Callable[[], bool], step: float = 0.3, limit: float = LIMIT) -> None:
    give_up = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(step)


def query(system: System, statement: str, **values: Any) -> Any:
    engine = connect(system.store_url)
    try:
        with engine.begin() as conn:
            result = conn.execute(sa.text(statement), values)
            return result.all() if result.returns_rows else None
    finally:
        engine.dispose()


def ledger_invoices(system: System, link: Link) -> list[dict[str, Any]]:
    """The ledger's live invoices."""
    with LedgerHand(both(system.sandbox_url, link)[1]) as hand:
        return [one for one in hand.all("Invoices") if one["Status"] not in ("VOIDED", "DELETED")]
