"""What HubSpot's tests on a fake wire share: a connector, records as HubSpot gives them, its index, its settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from tests.connectors.wires import NOW, Time, Wire, answer, connection, entity
from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.connectors.outside import Outside

HOST = "https://api.hubapi.com"
STAMP = "properties.hs_lastmodifieddate"
COMPANIES = entity("hubspot", "companies", "id", STAMP, account_id=("id", "text"), name=("properties.name", "text"))
LINES = entity(
    "hubspot", "line_items of orders", "id", STAMP, line_id=("id", "text"), parent=("associations.orders", "text")
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def crm(*rules: tuple[str, str, Any], **extra: Any) -> tuple[HubSpotConnector, Wire, Time]:
    wire, time = Wire(*rules), Time()
    return HubSpotConnector(connection("hubspot", HOST, **extra), Outside(wire.transport, time.clock)), wire, time


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def spelled(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def record(id_: int, moment: datetime = NOW, **properties: Any) -> dict[str, Any]:
    stamped = {"hs_lastmodifieddate": spelled(moment), **properties}
    return {"id": str(id_), "properties": stamped, "updatedAt": spelled(moment), "archived": False}


def body(request: httpx.Request) -> Any:
    return json.loads(request.content)


class Index:
    """A search and a batch read over records: first pages only are answered, as the connector promises to ask."""

    def __init__(self, moments: dict[int, datetime], page: int = 200) -> None:
        self.moments, self.page = moments, page
        self.searches: list[Any] = []

    def search(self, request: httpx.Request) -> httpx.Response:
        asked = body(request)
        self.searches.append(asked)
        assert "after" not in asked and asked["limit"] <= 200
        (group,) = asked["filterGroups"]
        hits = [
            (id_, moment)
            for id_, moment in self.moments.items()
            if all(self._fits(f, id_, moment) for f in group["filters"])
        ]
        by_id = asked["sorts"][0]["propertyName"] == "hs_object_id"
        # Ties come in no order of ours: here the highest id first.
        hits.sort(key=lambda hit: hit[0] if by_id else (hit[1], -hit[0]))
        return answer({"total": len(hits), "results": [record(i, m) for i, m in hits[: self.page]]})

    @staticmethod
    def _fits(condition: dict[str, str], id_: int, moment: datetime) -> bool:
        value = id_ if condition["propertyName"] == "hs_object_id" else ms(moment)
        bound = int(condition["value"])
        return {"GTE": value >= bound, "LT": value < bound, "GT": value > bound}[condition["operator"]]

    def read(self, request: httpx.Request) -> httpx.Response:
        asked = body(request)
        assert len(asked["inputs"]) <= 100
        return answer({"results": [record(int(one["id"]), self.moments[int(one["id"])]) for one in asked["inputs"]]})

    @property
    def rules(self) -> list[tuple[str, str, Callable[[httpx.Request], httpx.Response]]]:
        return [
            ("POST", "/crm/v3/objects/companies/search", self.search),
            ("POST", "/crm/v3/objects/companies/batch/read", self.read),
        ]


def ids(pages: Any) -> list[str]:
    return [one["id"] for page in pages for one in page.records]


def assoc(*pairs: tuple[int, list[tuple[int, str | None]]]) -> httpx.Response:
    return answer(
        {
            "status": "COMPLETE",
            "results": [
                {
                    "from": {"id": str(one)},
                    "to": [
                        {
                            "toObjectId": other,
                            "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 1, "label": label}],
                        }
                        for other, label in others
                    ],
                }
                for one, others in pairs
            ],
        }
    )


def rate(id_: str, value: str, on: str) -> dict[str, Any]:
    pair = {"fromCurrencyCode": "EUR", "toCurrencyCode": "USD", "conversionRate": Decimal(value)}
    return {"id": id_, **pair, "effectiveAt": f"{on}T00:00:00Z", "updatedAt": f"{on}T00:00:00Z"}


SETTINGS = [
    ("GET", "/settings/v3/currencies/company-currency", answer({"currencyCode": "USD"})),
    (
        "GET",
        "/settings/v3/currencies/exchange-rates",
        answer({"results": [rate("2", "1.10", "2024-02-01"), rate("1", "1.05", "2024-01-01")]}),
    ),
]
