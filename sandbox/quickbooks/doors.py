"""What tests need and no vendor offers: /_sandbox/raw/<entity>, records as they are, past every rule.

POST puts a list of records in (one with a known Id takes its place) and answers with their ids; no posting, balance or
number follows from it. GET gives all of an entity. `?realm=` names the company, the US one by default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.quickbooks.books import Books
from sandbox.quickbooks.settings import US_REALM
from sandbox.quickbooks.wire import dump
from sandbox.state import Record, State

_STAMPS = ("CreateTime", "LastUpdatedTime")


class RawDoor:
    """The handlers. `companies`: realm -> its books."""

    def __init__(self, state: State, companies: Mapping[str, Books]) -> None:
        self._state, self._companies = state, companies

    async def read(self, request: Request) -> Response:
        with self._state.lock:
            books, entity = self._of(request)
            records = [books.view(one) for one in books.table(entity).values()] if books else None
        if records is None:
            return JSONResponse({"error": "no such company or entity"}, 404)
        return Response(dump(records), media_type="application/json")

    async def write(self, request: Request) -> Response:
        try:
            given = json.loads(await request.body(), parse_float=Decimal)
            records = [self._as_kept(one) for one in given]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return JSONResponse({"error": f"expected a list of records with MetaData: {error}"}, 400)
        with self._state.lock, self._state.transaction():
            books, entity = self._of(request)
            if books is None:
                return JSONResponse({"error": "no such company or entity"}, 404)
            ids = [self._put(books, entity, record) for record in records]
        return JSONResponse({"ids": ids})

    def _of(self, request: Request) -> tuple[Books | None, str]:
        books = self._companies.get(request.query_params.get("realm", US_REALM))
        entity = str(request.path_params["entity"])
        return (books if books is not None and entity in books.sorted else None), entity

    @staticmethod
    def _as_kept(record: Record) -> Record:
        meta = {name: datetime.fromisoformat(record["MetaData"][name]) for name in _STAMPS}
        return {"SyncToken": "0", "domain": "QBO", "sparse": False, **record, "MetaData": meta}

    @staticmethod
    def _put(books: Books, entity: str, record: Record) -> str:
        id_ = str(record.get("Id") or books.next_id(entity))
        books.table(entity).put(id_, {**record, "Id": id_})
        return id_
