"""A client of the sandbox's CRM API over real HTTP, with short ways to say usual things."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.sandbox import SandboxProcess

TOKEN = "pat-sandbox"
NO_LIMITS = {"ten_seconds": None, "daily": None, "search_per_second": None}


class HubSpot:
    """One portal as a client sees it."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.root = f"{sandbox.url}/hubspot"
        self.http = httpx.Client(base_url=self.root, timeout=60, headers={"Authorization": f"Bearer {TOKEN}"})

    def settings(self, **changes: Any) -> None:
        self.sandbox.settings("hubspot", **changes)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """(status, parsed answer)."""
        content = None if body is None else json.dumps(body)
        answer = self.http.request(method, path, content=content, params=query)
        return answer.status_code, answer.json() if answer.content else None

    def get(self, path: str, **query: Any) -> Any:
        status, answer = self.call("GET", path, **query)
        assert status == 200, answer
        return answer

    def ok(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        status, answer = self.call(method, path, body, **query)
        assert status in (200, 201, 204), answer
        return answer

    def refused(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str, str]:
        """(status, category, message) of a refusal in HubSpot's form."""
        status, answer = self.call(method, path, body, **query)
        assert status >= 400 and answer["status"] == "error" and answer["correlationId"], answer
        return status, answer["category"], answer["message"]

    def make(self, kind: str, associations: Any = None, **properties: Any) -> str:
        """The id of a new record."""
        body = {"properties": properties} | ({"associations": associations} if associations else {})
        id_: str = self.ok("POST", f"/crm/v3/objects/{kind}", body)["id"]
        return id_

    def load(self, kind: str, records: list[dict[str, Any]]) -> list[str]:
        """Puts records in as they are."""
        ids: list[str] = self.ok("POST", f"/_sandbox/load/{kind}", records)["ids"]
        return ids

    def property(self, kind: str, name: str, type_: str = "string", field: str = "text", **more: Any) -> Any:
        group = {"deals": "dealinformation", "companies": "companyinformation", "products": "productinformation"}
        body = {"name": name, "label": name, "type": type_, "fieldType": field, "groupName": group.get(kind, "")}
        return self.ok("POST", f"/crm/v3/properties/{kind}", body | more)

    def search(self, kind: str, *filters: dict[str, Any], **more: Any) -> Any:
        groups = [{"filters": list(filters)}] if filters else []
        return self.ok("POST", f"/crm/v3/objects/{kind}/search", {"filterGroups": groups} | more)


def where(name: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator} | ({} if value is None else {"value": value}) | more


def spec(type_id: int, category: str = "HUBSPOT_DEFINED") -> dict[str, Any]:
    return {"associationCategory": category, "associationTypeId": type_id}


@pytest.fixture
def hubspot(sandbox: SandboxProcess) -> Iterator[HubSpot]:
    """A new portal without limits of rate."""
    sandbox.settings("hubspot", limits=NO_LIMITS)
    client = HubSpot(sandbox)
    yield client
    client.http.close()
