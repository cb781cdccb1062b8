"""The API: lists in order of change, look-ups by a field, and batches of which each item ends on its own.

A record has `id` and `modified`. What is deleted is kept and listed by `deleted=true` alone. A page ends with a cursor:
the next one begins after that place in the order, whatever has changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.faults import Faults
from sandbox.ordered import Ordered
from sandbox.state import Record, State
from scaffold.both.sandbox import auth
from scaffold.both.sandbox.fields import Refused, parse, typed
from scaffold.ledger.sandbox import rules

MOST = 1000  # records of a page, values of a look-up
BATCH = 100  # items


def stamp(moment: datetime) -> str:
    """As modification times are kept: texts of one length in UTC, so that they sort."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def by_change(state: State, kind: str) -> Ordered:
    """The records of a kind by (modified, id)."""

    def key(record: Record) -> tuple[str, int]:
        return record["modified"], int(record["id"])

    return cast(Ordered, state.table(kind).attach("by_change", lambda: _filled(state, kind, key)))


def _filled(state: State, kind: str, key: Callable[[Record], Any]) -> Ordered:
    index = Ordered(key)
    for id_, record in state.table(kind).items():
        index.add(id_, record)
    return index


class Api:
    """What a client with a token can do."""

    def __init__(self, state: State, faults: Faults) -> None:
        self.state, self.faults = state, faults

    async def window(self, request: Request) -> Response:
        """GET /api/{kind}: a page of what changed in [modified_since, modified_before), or is dated in [from, to]."""
        with self.state.lock:
            return self._refused(request) or self._window(request.path_params["kind"], request.query_params)

    async def find(self, request: Request) -> Response:
        """POST /api/{kind}/find {"field", "values"}: all live records with one of the values."""
        body = await request.body()
        with self.state.lock:
            return self._refused(request) or self._find(request.path_params["kind"], body)

    async def batch(self, request: Request) -> Response:
        """POST /api/{kind}/batch {"items": [{"key", "act", "record"}]}: {"results": [{"key", "record" or "error"}]}."""
        body = await request.body()
        with self.state.lock:
            return self._refused(request) or self._batch(request.path_params["kind"], body)

    def _refused(self, request: Request) -> Response | None:
        if not auth.is_signed_in(self.state, request.headers.get("authorization", "")):
            return _error(401, "unauthorised", "no token, or one that has ended")
        if request.path_params["kind"] not in rules.FIELDS:
            return _error(404, "not_found", "there is no such resource")
        return None

    def _window(self, kind: str, query: Mapping[str, str]) -> Response:
        try:
            low = stamp(datetime.fromisoformat(query["modified_since"])) if "modified_since" in query else ""
            high = stamp(datetime.fromisoformat(query["modified_before"])) if "modified_before" in query else "~"
            after = ((found := query["after"].partition("/"))[0], int(found[2])) if "after" in query else (low, -1)
        except ValueError as error:
            return _error(400, "bad_request", str(error))
        index = by_change(self.state, kind)
        page: list[Record] = []
        for record in self._between(kind, index, max(after, (low, -1)), (high, -1)):
            if bool(record.get("deleted")) is (query.get("deleted") == "true") and _is_dated(record, query):
                page.append(record)
                if len(page) == MOST:
                    return JSONResponse({"records": page, "next": f"{record['modified']}/{record['id']}"})
        return JSONResponse({"records": page, "next": None})

    def _between(self, kind: str, index: Ordered, after: Any, before: Any) -> Iterator[Record]:
        table = self.state.table(kind)
        return (table[id_] for id_ in index.ids(index.span((after, False), (before, False))))

    def _find(self, kind: str, body: bytes) -> Response:
        try:
            asked = parse(body)
            field, values = asked["field"], [str(value) for value in asked["values"]]
            if not 0 < len(values) <= MOST or field not in {"id", *rules.FIELDS[kind]}:
                raise ValueError(f"expected a field and at most {MOST} values")
        except (ValueError, TypeError, KeyError) as error:
            return _error(400, "bad_request", str(error))
        index = self.state.table(kind).index(field)
        found = [record for value in values for record in index(value) if not record.get("deleted")]
        return JSONResponse({"records": found})

    def _batch(self, kind: str, body: bytes) -> Response:
        try:
            items = parse(body)["items"]
            if not 0 < len(items) <= BATCH or not all(isinstance(item["key"], str) for item in items):
                raise ValueError(f"expected 1 to {BATCH} items, each with a key")
        except (ValueError, TypeError, KeyError) as error:
            return _error(400, "bad_request", str(error))
        results = [self._saved(kind, item) for item in items]
        lost = self.faults.take("item_missing", "POST", f"/api/{kind}/batch")
        if lost is not None:
            del results[int(lost.get("index", -1)) % len(results)]
        return JSONResponse({"results": results})

    def _saved(self, kind: str, item: Mapping[str, Any]) -> Record:
        table, keys = self.state.table(kind), self.state.table("keys")
        known = keys.get(item["key"])
        if item.get("act") == "create" and known is not None and known["kind"] == kind:
            return {"key": item["key"], "record": table[known["id"]]}  # the same request again
        try:
            with self.state.transaction():
                given = typed({**rules.FIELDS[kind], **rules.ID}, item.get("record"))
                record = self._done(kind, str(item.get("act")), given)
                keys.put(item["key"], {"kind": kind, "id": record["id"]})
        except Refused as error:
            return {"key": item["key"], "error": {"code": error.code, "message": str(error)}}
        return {"key": item["key"], "record": record}

    def _done(self, kind: str, act: str, given: Record) -> Record:
        if act not in ("create", "update", "upsert", *rules.ACTS):
            raise Refused("unknown_act", f"{act}: cannot be done")
        there = self._there(kind, act, given) or {**rules.NEW.get(kind, {}), "id": next_id(self.state, kind)}
        record: Record = {**there, **given, "id": there["id"]}
        self._is_free(kind, record)
        return rules.keep(self.state, kind, act, record, stamp(self.state.clock()))

    def _there(self, kind: str, act: str, given: Record) -> Record | None:
        """The record that the item is about; None: a new one."""
        if act == "create":
            return None
        table = self.state.table(kind)
        if act == "upsert":
            return table.index(rules.UNIQUE[kind]).first(given.get(rules.UNIQUE[kind]))
        there = table.get(str(given.get("id")))
        if there is None or there.get("deleted"):
            raise Refused("not_found", f"{kind} {given.get('id')}: there is none")
        return there

    def _is_free(self, kind: str, record: Record) -> None:
        name = rules.UNIQUE.get(kind)
        if name is None:
            return
        if not record.get(name):
            raise Refused("missing_field", f"{name}: every record has one")
        for other in self.state.table(kind).index(name)(record[name]):
            if other["id"] != record["id"] and rules.is_live(other):
                raise Refused("duplicate", f"{name}: {record[name]} is taken by {other['id']}")


def next_id(state: State, kind: str) -> str:
    """The next id of a kind; they count from 1."""
    last = (state.table("last_ids").get(kind) or {"id": 0})["id"] + 1
    state.table("last_ids").put(kind, {"id": last})
    return str(last)


def _is_dated(record: Record, query: Mapping[str, str]) -> bool:
    if "date_field" not in query:
        return True
    return query["date_from"] <= (record.get(query["date_field"]) or "") <= query["date_to"]


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
