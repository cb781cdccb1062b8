"""The sandbox's own doors: what no vendor's API offers and a demo needs. Known by URL alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tieout.connectors import exact_json
from tieout.model.errors import ConfigurationFault, VendorFault
from tieout.model.settings import PROJECT

TIME_OUT = 60.0  # seconds for one call
CRM_SETUP = PROJECT / "include" / "crm_setup" / "salesforce.json"
#: The rule that an administrator deploys so that the CRM blocks orders beyond the available credit.
CREDIT_RULE = (
    PROJECT / "include/crm_setup/credit/force-app/main/default/objects/Order/validationRules"
    / "Tieout_Credit_Limit.validationRule-meta.xml"
)  # fmt: skip


class Doors:
    """Doors of one sandbox process at `url` (the root, without /salesforce or /xero)."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        if httpx.URL(self._url).host not in ("127.0.0.1", "localhost"):
            raise ConfigurationFault("the demo's doors are those of a sandbox on this machine")

    def settings(self, system: str, **changes: Any) -> None:
        """Changes settings of `salesforce` or `xero`."""
        self._send("PATCH", "/_sandbox/settings", {system: changes})

    def custom_fields(self, path: Path = CRM_SETUP) -> None:
        """Gives the sandbox's Salesforce the custom fields that Tieout needs."""
        self._send("POST", "/salesforce/_sandbox/metadata", json.loads(path.read_text(encoding="utf-8")))

    def validation_rule(self, object_name: str, path: Path = CREDIT_RULE) -> None:
        """Deploys a validation rule's metadata file."""
        self._send_bytes("POST", f"/salesforce/_sandbox/validation-rules/{object_name}", path.read_bytes())

    def raw(self, object_name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Puts field values into Salesforce records as they are, past every rule; each record has its `Id`."""
        rows = list(records)
        if rows:
            self._send("POST", f"/salesforce/_sandbox/raw/{object_name}", {"records": rows})

    def raw_items(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Puts items into Xero as they are: with a quantity on hand, which its API does not take."""
        rows = list(items)
        if rows:
            self._send("POST", "/xero/_sandbox/raw/Items", rows)

    def raw_documents(self, table: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Puts documents such as `Invoices` into Xero as they are: past every rule, and past its journals."""
        self._send("POST", f"/xero/_sandbox/raw/{table}", list(records))

    def _send(self, method: str, path: str, body: Any) -> None:
        self._send_bytes(method, path, exact_json.dumps(body))

    def _send_bytes(self, method: str, path: str, content: bytes) -> None:
        headers = {"Content-Type": "application/json" if content[:1] in b"{[" else "application/xml"}
        answer = httpx.request(method, self._url + path, content=content, headers=headers, timeout=TIME_OUT)
        if answer.status_code >= 300:
            raise VendorFault(f"{method} {path}: HTTP {answer.status_code}: {answer.text[:500]}")
