"""A fake wire that answers as Intuit does: query pages, batches, refresh tokens that rotate. For unit tests only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.connectors.wires import Time, Wire, answer, connection
from tieout.connectors import exact_json
from tieout.connectors.oauth import MemoryRefresh, TokenShelf
from tieout.connectors.outside import Outside
from tieout.connectors.quickbooks.connector import QuickBooksConnector

REALM = "4620816365"
API = f"/v3/company/{REALM}"
_CONDITION = re.compile(r"MetaData\.LastUpdatedTime (>=|<) '([^']+)'")
_PAGE = re.compile(r"STARTPOSITION (\d+) MAXRESULTS (\d+)$")


class Tokens:
    """The token endpoint: each use of the newest refresh token brings the next one; `grace` tokens stay good."""

    def __init__(self, grace: int = 0) -> None:
        self.good = ["first"]
        self.grace = grace
        self.uses = 0
        self.lose_answer = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = parse_qs(request.content.decode())["refresh_token"][0]
        if asked not in self.good[: self.grace + 1]:
            return answer({"error": "invalid_grant"}, 400)
        self.uses += 1
        self.good.insert(0, f"refresh-{self.uses}")
        if self.lose_answer:
            self.lose_answer = False
            raise httpx.ReadError("cut")
        return answer({"access_token": f"t-{self.uses}", "refresh_token": self.good[0], "expires_in": 3600})


def books(
    *rules: tuple[str, str, Any], tokens: Tokens | None = None, shelf: TokenShelf | None = None, **extra: Any
) -> tuple[QuickBooksConnector, Wire, Time]:
    """A connector on a wire that answers by `rules`."""
    wire, time = Wire(("POST", "/oauth2/v1/tokens/bearer", tokens or Tokens()), *rules), Time()
    conn = connection("quickbooks", "https://quickbooks.api.intuit.com", realm_id=REALM, refresh_token="first", **extra)
    return (
        QuickBooksConnector(
            conn, Outside(wire.transport, time.clock, shelf=shelf or TokenShelf(refresh=MemoryRefresh()))
        ),
        wire,
        time,
    )


class Ledger:
    """Records of one entity: id -> modification time, paged as Intuit pages. `before` may change them at each call."""

    def __init__(self, obj: str, stamps: Mapping[str, datetime]) -> None:
        self.obj = obj
        self.rows = dict(stamps)
        self.calls = 0
        self.before: Callable[[int], None] = lambda _: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        self.before(self.calls)
        statement = request.url.params["query"]
        rows = list(self.rows.items())
        for sign, text in _CONDITION.findall(statement):
            bound = datetime.fromisoformat(text)
            rows = [row for row in rows if (row[1] >= bound if sign == ">=" else row[1] < bound)]
        rows.sort(key=lambda row: row[0] if "ORDERBY Id" in statement else row[1])
        found = _PAGE.search(statement)
        assert found, statement
        start, most = int(found[1]) - 1, int(found[2])
        records = [{"Id": id_, "MetaData": {"LastUpdatedTime": spell(at)}} for id_, at in rows[start : start + most]]
        return answered({self.obj: records} if records else {})


def spell(moment: datetime) -> str:
    """Intuit's time stamps have an offset."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def answered(response: Mapping[str, Any]) -> httpx.Response:
    return answer({"QueryResponse": dict(response), "time": "2024-05-01T12:00:00.000-07:00"})


def fault(code: int, message: str, detail: str = "", kind: str = "ValidationFault") -> dict[str, Any]:
    return {"Fault": {"Error": [{"Message": message, "Detail": detail, "code": str(code)}], "type": kind}}


def batch(*results: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Callable[[httpx.Request], httpx.Response]:
    """Answers each item of a batch by its own function; None leaves its result out."""

    def handle(request: httpx.Request) -> httpx.Response:
        items = exact_json.loads(request.content)["BatchItemRequest"]
        made = [
            {"bId": item["bId"], **result}
            for item, make in zip(items, results, strict=True) if (result := make(item)) is not None
        ]  # fmt: skip
        return answer({"BatchItemResponse": made})

    return handle


def created(obj: str, id_: str, **changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The item's own body with an id."""
    return lambda item: {obj: {**item[obj], "Id": id_, "SyncToken": "0", **changes}}
