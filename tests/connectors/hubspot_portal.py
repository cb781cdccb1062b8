"""A HubSpot portal in the sandbox as the connector's own tests use it: one clock for both sides, and people's hands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.connectors.vendor_hubspot import NO_LIMITS, TOKEN, set_up
from tests.connectors.vendors import post, spell
from tests.support.sandbox import ROOT, SandboxProcess
from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.connectors.oauth import TokenShelf
from tieout.connectors.outside import Outside
from tieout.connectors.wire import Clock
from tieout.mapping.load import load_system
from tieout.model.connection import Connection
from tieout.model.staged import StagedEntity
from tieout.scenarios.extraction import OVERLAP

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def entities() -> dict[str, StagedEntity]:
    """The staged entities of include/mappings/hubspot by name."""
    mappings = load_system(ROOT / "include" / "mappings", "hubspot")
    return {name: mapping.staged_entity() for name, mapping in mappings.items() if mapping.is_staged}


ENTITIES = entities()


class Portal:
    """One portal and its connectors. Who waits moves both clocks on: nobody waits really.

    Attributes:
        waited: seconds that connectors slept, each time.
    """

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox, self.root = sandbox, f"{sandbox.url}/hubspot"
        self.ahead = 0.0
        self.waited: list[float] = []
        self.clock = Clock(self._monotonic, self._sleep, self.now, lambda: 0.5)
        self._made: list[HubSpotConnector] = []
        self._http = httpx.Client(base_url=self.root, headers=TOKEN, timeout=60)
        self.settings(limits=NO_LIMITS)
        set_up(self.root)

    def close(self) -> None:
        self._http.close()
        for connector in self._made:
            connector.close()

    def connector(
        self, shelf: TokenShelf | None = None, password: str = "pat-sandbox", **extra: Any
    ) -> HubSpotConnector:
        """By the private app's token, unless `extra` says otherwise."""
        login = "sandbox-client" if extra.get("auth") == "oauth" else ""
        fields = {"allowed_hosts": "127.0.0.1", **extra}
        made = HubSpotConnector(
            Connection("portal", "hubspot", self.root, login, password, fields),
            Outside(clock=self.clock, shelf=shelf),
        )
        self._made.append(made)
        return made

    # --- time

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def later(self, seconds: float) -> None:
        """Time goes by for everybody."""
        self.ahead += seconds
        self.settings(clock_offset_seconds=round(self.ahead, 3))

    def _monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def _sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.later(seconds)

    # --- people

    def settings(self, **changes: Any) -> None:
        self.sandbox.settings("hubspot", **changes)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to somebody else's call."""
        answer = self._http.request(method, path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def make(self, kind: str, **properties: Any) -> str:
        id_: str = self.api("POST", f"/crm/v3/objects/{kind}", {"properties": properties})["id"]
        return id_

    def change(self, kind: str, id_: str, **properties: Any) -> None:
        self.api("PATCH", f"/crm/v3/objects/{kind}/{id_}", {"properties": properties})

    def join(self, kind: str, id_: str, to: str, to_id: str) -> None:
        """Associates two records by the pair's default type."""
        self.api("PUT", f"/crm/v4/objects/{kind}/{id_}/associations/default/{to}/{to_id}")

    def archive(self, kind: str, id_: str) -> None:
        self.api("DELETE", f"/crm/v3/objects/{kind}/{id_}")

    def restore(self, kind: str, id_: str) -> None:
        self.api("POST", f"/_sandbox/restore/{kind}/{id_}")

    def merge(self, kind: str, winner: str, loser: str) -> str:
        """The id of what the two have become."""
        body = {"primaryObjectId": winner, "objectIdToMerge": loser}
        id_: str = self.api("POST", f"/crm/v3/objects/{kind}/merge", body)["id"]
        return id_

    def load(self, kind: str, stamps: Sequence[datetime]) -> list[str]:
        """Records that were changed last at these times."""
        records = [{"properties": {"name": f"N{n}"}, "updatedAt": f"{spell(at)}Z"} for n, at in enumerate(stamps)]
        ids: list[str] = post(f"{self.root}/_sandbox/load/{kind}", records)["ids"]
        return ids


class Reading:
    """One entity read window by window, as extraction does it. `known`: id -> the record as it was read last."""

    def __init__(self, portal: Portal, connector: HubSpotConnector, entity: StagedEntity) -> None:
        self.portal, self.connector, self.entity = portal, connector, entity
        self.since: datetime | None = None
        self.known: dict[str, Any] = {}
        self.gone: set[str] = set()

    def run(self) -> list[str]:
        """A run now; the ids that it read, in order."""
        upto = self.portal.now()
        read = [record for page in self.connector.changed(self.entity, self.since, upto) for record in page.records]
        self.known |= {record["id"]: record for record in read}
        self.gone -= {record["id"] for record in read}
        if self.since is not None:
            self.gone |= {id_ for some in self.connector.deleted(self.entity, self.since, upto) for id_ in some}
        self.since = upto - OVERLAP
        return [record["id"] for record in read]
