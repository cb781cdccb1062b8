"""The HubSpot sandbox as the standard suite sees it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from tests.connectors.vendors import DRY, LONG_AGO
from tests.connectors.wires import Time, entity, item
from tests.support.sandbox import ROOT, SandboxProcess
from tieout.connectors import exact_json
from tieout.connectors.base import Connector, Request
from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.connectors.registry import connect
from tieout.model.connection import Connection

TOKEN = {"Authorization": "Bearer pat-sandbox"}
SETUP = ROOT / "include" / "crm_setup" / "hubspot.json"
NO_LIMITS = {"ten_seconds": None, "daily": None, "search_per_second": None}


class HubSpot:
    """Companies are read; write-backs go to companies."""

    name = "hubspot"
    exact = Decimal("1234567890123456.78")
    page = 1000  # of the connector: ten pages of HubSpot's list
    operation = "accounts.write_back"
    read_path = "/crm/v3/objects/companies"
    write_path = "/crm/v3/objects/companies/batch/update"
    entity = entity(
        "hubspot",
        "companies",
        "id",
        "properties.hs_lastmodifieddate",
        account_id=("id", "text"),
        name=("properties.name", "text"),
        revenue=("properties.annualrevenue", "decimal"),
    )

    def __init__(self, sandbox: SandboxProcess, time: Time) -> None:
        self.root = f"{sandbox.url}/hubspot"
        self.sandbox, self.time = sandbox, time
        sandbox.settings("hubspot", limits=NO_LIMITS)
        set_up(self.root)
        self.targets: list[str] = []

    def connector(self, login: str | None = None, password: str = DRY, **extra: Any) -> Connector:
        fields = {
            "auth": "oauth", "refresh_token": "sandbox-refresh", "allowed_hosts": "127.0.0.1", "time_out": "4", **extra
        }  # fmt: skip
        conn = Connection("crm", self.name, self.root, login or "sandbox-client", password, fields)
        return connect(conn, clock=self.time.clock)

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        records = [
            {"properties": {"name": f"{text} {n}", "annualrevenue": amount}, "updatedAt": _spell(stamp)}
            for n, stamp in enumerate(stamps)
        ]
        answer = httpx.post(f"{self.root}/_sandbox/load/companies", content=exact_json.dumps(records), timeout=60)
        assert answer.status_code == 200, answer.text
        found: list[str] = answer.json()["ids"]
        return found

    def touch(self, id_: str, stamp: datetime) -> None:
        # HubSpot stamps a change itself: at that moment its clock shows what the test wants.
        self.sandbox.settings("hubspot", clock_offset_seconds=(stamp - datetime.now(UTC)).total_seconds())
        body = {"properties": {"description": f"changed at {_spell(stamp)}"}}
        answer = httpx.patch(f"{self.root}/crm/v3/objects/companies/{id_}", json=body, headers=TOKEN, timeout=60)
        self.sandbox.settings("hubspot", clock_offset_seconds=0)
        assert answer.status_code == 200, answer.text

    def read_back(self, record: Any) -> tuple[Decimal, str]:
        properties = record["properties"]
        return Decimal(properties["annualrevenue"]), properties["name"].rsplit(" ", 1)[0]

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        self.targets = self.targets or self.put([LONG_AGO] * count, Decimal(1), "write")
        return [
            item(
                n,
                self.operation,
                {
                    "id": id_,
                    "properties": {
                        "tieout_ledger_id": f"L-{n}",
                        "tieout_ledger_number": f"N-{n} é",
                        "tieout_credit_limit": "no number" if n in bad else Decimal("1234567890123456.78"),
                    },
                },
                id_,
            )
            for n, id_ in enumerate(self.targets[:count])
        ]

    def applied(self) -> int:
        params = {"limit": "100", "properties": "tieout_ledger_id"}
        answer = httpx.get(f"{self.root}/crm/v3/objects/companies", params=params, headers=TOKEN, timeout=60)
        return sum(1 for one in answer.json()["results"] if one["properties"].get("tieout_ledger_id"))


def set_up(root: str) -> list[str]:
    """What a new portal lacks, made by the connector's own set-up; what was made."""
    fields = {"allowed_hosts": "127.0.0.1"}
    connector = HubSpotConnector(Connection("set-up", "hubspot", root, "", "pat-sandbox", fields))
    try:
        return connector.set_up(json.loads(SETUP.read_text(encoding="utf-8")), optional=True)
    finally:
        connector.close()


def _spell(stamp: datetime) -> str:
    return stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"
