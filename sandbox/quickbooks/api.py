"""/v3/company/<realm>: which call goes where, and what every call passes through.

In order: rights, limits, requestid, the operation in one transaction, the answer. Faults of the wire are outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.faults import Faults
from sandbox.quickbooks import auth, postings, querying, reference, saving
from sandbox.quickbooks.books import NAME_OF, Books
from sandbox.quickbooks.errors import Refused, bad_id, forbidden, missing, not_found, unknown_operation, unsupported
from sandbox.quickbooks.limits import Limiter
from sandbox.quickbooks.settings import setting
from sandbox.quickbooks.webhooks import Webhooks
from sandbox.quickbooks.wire import dump, parse
from sandbox.state import Record, State

PREFIX = "/v3/company/{realm}/{path:path}"
MAX_BATCH = 30
MAX_REQUEST_ID = 50
MAX_BATCH_REQUEST_ID = 36
STALE = 30  # seconds, when a stale_read fault does not say


@dataclass(frozen=True, slots=True)
class Call:
    books: Books
    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes
    unseen: datetime | None  # of a stale read


class Api:
    """The Accounting API over the companies' books."""

    def __init__(self, state: State, faults: Faults, limiter: Limiter, webhooks: Webhooks) -> None:
        self.state = state
        self.faults = faults
        self.limiter = limiter
        self.webhooks = webhooks
        self.companies = {realm: Books(state, realm) for realm in setting(state, "companies")}

    async def handle(self, request: Request) -> Response:
        """One call, from rights to answer."""
        realm = request.path_params["realm"]
        path = tuple(part for part in request.path_params["path"].split("/") if part)
        now = self.state.clock()
        if "json" not in request.headers.get("accept", ""):
            return PlainTextResponse(
                "Without 'Accept: application/json' Intuit answers XML, which is not modelled.", 406
            )
        try:
            client = auth.authorise(self.state, request.headers.get("authorization", ""), now)
            books = self.companies.get(realm)
            if books is None:
                raise forbidden(f"The app has no access to company {realm}")
            self.limiter.enter(realm, client, setting(self.state, "limits"), now, path[:1] == ("batch",))
        except Refused as refused:
            return _answer(refused.status, {"Fault": refused.fault(), "time": now.isoformat(timespec="milliseconds")})
        try:
            body = await request.body()
            latency = float(setting(self.state, "latency_seconds"))
            if latency:
                await asyncio.sleep(latency)
            stale = self.faults.take("stale_read", request.method, request.url.path)
            unseen = None if stale is None else now - timedelta(seconds=float(stale.get("seconds", STALE)))
            query = {name.lower(): value for name, value in request.query_params.items()}
            with self.state.lock:
                status, content = self._run(Call(books, request.method, path, query, body, unseen))
                changes, books.changes = books.changes, []
            if changes:
                self.webhooks.notify(books, changes)
        finally:
            self.limiter.leave(realm, client)
        content["time"] = books.local(self.state.clock())
        return _answer(status, content)

    def _run(self, call: Call) -> tuple[int, dict[str, Any]]:
        try:
            version = call.query.get("minorversion", "75")
            if not version.isdecimal():
                raise unsupported(f"minorversion must be a number. Supplied value:{version}")
            if call.path == ("batch",):
                return 200, self._batch(call)
            if call.method == "POST" and call.path and call.path[0].lower() in NAME_OF:
                return 200, self._write(call)
            return 200, self._read(call)
        except Refused as refused:
            call.books.changes.clear()
            return refused.status, {"Fault": refused.fault()}

    def _write(self, call: Call) -> dict[str, Any]:
        entity = NAME_OF[call.path[0].lower()]
        if len(call.path) != 1:
            raise unknown_operation("/".join(call.path))
        body = parse(call.body)
        operation, options = call.query.get("operation", ""), call.query.get("include", "")
        key = call.query.get("requestid")
        if key is not None and not 0 < len(key) <= MAX_REQUEST_ID:
            raise unsupported(f"requestid must have 1 to {MAX_REQUEST_ID} characters")
        with self.state.transaction():
            return self._once(
                call.books, key, lambda: {entity: saving.write(call.books, entity, operation, body, options)}
            )

    def _once(self, books: Books, key: str | None, work: Any) -> dict[str, Any]:
        """The first answer of this requestid, else the work's, which is then kept. A refusal is not kept (assumed)."""
        if key is None:
            return work()  # type: ignore[no-any-return]
        table = self.state.table(f"{books.realm}/Requests")
        oldest = self.state.clock() - timedelta(seconds=float(setting(self.state, "requestid_seconds")))
        kept = table.get(key)
        if kept is not None and kept["at"] > oldest:
            return dict(kept["answer"])
        answer: dict[str, Any] = work()
        table.put(key, {"at": self.state.clock(), "answer": answer})
        return answer

    def _batch(self, call: Call) -> dict[str, Any]:
        """At most 30 items, one after the other, each with its own end."""
        sent = parse(call.body)
        items = sent.get("BatchItemRequest") if isinstance(sent, dict) else None
        if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
            raise missing("BatchItemRequest")
        if len(items) > MAX_BATCH:
            raise Refused(
                "1040", "Batch size exceeded", f"A batch holds at most {MAX_BATCH} items; there are {len(items)}"
            )
        key = call.query.get("requestid")
        if key is not None and not 0 < len(key) <= MAX_BATCH_REQUEST_ID:
            raise unsupported(f"requestid of a batch must have 1 to {MAX_BATCH_REQUEST_ID} characters")
        answers = [self._item(call, item, key) for item in items]
        lost = self.faults.take("item_missing", call.method, f"/v3/company/{call.books.realm}/batch")
        if lost is not None:
            del answers[int(lost.get("index", -1)) % len(answers)]
        return {"BatchItemResponse": answers}

    def _item(self, call: Call, item: Record, key: str | None) -> Record:
        books, name = call.books, item.get("bId")
        before = len(books.changes)
        try:
            if not isinstance(name, str) or not name:
                raise missing("bId")
            if "Query" in item:
                if not isinstance(item["Query"], str):
                    raise unsupported("Property Name:Query specified is unsupported or invalid")
                return {"QueryResponse": querying.run(books, item["Query"], call.unseen), "bId": name}
            entity = next((field for field in item if field in NAME_OF.values()), None)
            operation, options = item.get("operation"), item.get("optionsData", "")
            if entity is None or not isinstance(operation, str) or not isinstance(options, str):
                raise unsupported("Property Name:a batch item needs bId, operation and one object of a known entity")
            if not operation:
                raise missing("operation")
            key = None if key is None else f"{key}{name[:10]}"
            with self.state.transaction():
                work = lambda: {entity: saving.write(books, entity, operation, item[entity], options)}  # noqa: E731
                return {**self._once(books, key, work), "bId": name}
        except Refused as refused:
            del books.changes[before:]
            return {"Fault": refused.fault(), "bId": name if isinstance(name, str) else ""}

    def _read(self, call: Call) -> dict[str, Any]:
        books, path = call.books, tuple(part.lower() for part in call.path)
        if path == ("query",) and call.method in ("GET", "POST"):
            text = call.query.get("query") if call.method == "GET" else call.body.decode("utf-8", "replace")
            return {"QueryResponse": querying.run(books, text or "", call.unseen)}
        if call.method != "GET":
            raise unknown_operation(f"{call.method} {'/'.join(call.path)}")
        if path == ("cdc",):
            return self._cdc(call)
        if path == ("reports", "trialbalance"):
            return postings.trial_balance(books, call.query)
        if path == ("exchangerate",):
            return {"ExchangeRate": books.view(reference.read_exchange_rate(books, call.query))}
        if path == ("preferences",):
            return {"Preferences": books.view(reference.preferences(books))}
        if len(path) == 2 and path[0] == "companyinfo":
            return {"CompanyInfo": books.view(reference.company_info(books))}
        if len(path) != 2 or path[0] not in NAME_OF:
            raise unknown_operation(f"GET {'/'.join(call.path)}")
        return self._one(call, NAME_OF[path[0]])

    def _one(self, call: Call, entity: str) -> dict[str, Any]:
        id_ = call.path[1]
        reference.refresh(call.books, entity)
        record = call.books.table(entity).get(id_)
        if record is None and not id_.isdecimal():
            raise bad_id(id_)
        if record is None or (call.unseen and record["MetaData"]["CreateTime"] > call.unseen):
            raise not_found()
        return {entity: call.books.view(record)}

    def _cdc(self, call: Call) -> dict[str, Any]:
        """What changed since a moment, entity by entity, cut at 1,000 objects over all of them without a word."""
        books = call.books
        entities = [part.strip() for part in call.query.get("entities", "").split(",") if part.strip()]
        if not entities or "changedsince" not in call.query:
            raise missing("changedSince" if entities else "entities")
        for entity in entities:
            if NAME_OF.get(entity.lower()) not in books.sorted:
                raise unsupported(
                    f"Property Name:entities specified is unsupported or invalid. Supplied value:{entity}"
                )
        try:
            since = querying.read_time(books, call.query["changedsince"])
        except ValueError:
            raise unsupported("Property Name:changedSince specified is unsupported or invalid") from None
        if since < books.now() - timedelta(days=setting(self.state, "cdc_days")):
            raise unsupported("changedSince is further back than 30 days")
        left = int(setting(self.state, "cdc_objects"))
        parts = []
        for entity in dict.fromkeys(NAME_OF[entity.lower()] for entity in entities):
            shown = self._changed(books, entity, since, left)
            left -= len(shown)
            parts.append({entity: shown, "startPosition": 1, "maxResults": len(shown)} if shown else {})
        return {"CDCResponse": [{"QueryResponse": parts}]}

    def _changed(self, books: Books, entity: str, since: datetime, most: int) -> list[Record]:
        index = books.sorted[entity]["MetaData.LastUpdatedTime"]
        ids = index.ids(index.span((since, True), None)[:most])
        shown = [books.view(books.table(entity)[id_]) for id_ in ids]
        for gone in books.deleted_since(since):
            if gone["entity"] == entity and len(shown) < most:
                meta = {"LastUpdatedTime": books.local(gone["at"])}
                shown.append({"domain": "QBO", "status": "Deleted", "Id": gone["Id"], "MetaData": meta})
        return shown


def _answer(status: int, content: dict[str, Any]) -> Response:
    return Response(dump(content), status, media_type="application/json")
