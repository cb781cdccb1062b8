"""What tests need and no vendor offers: /_sandbox/raw/<entity>, records as they are, past every rule.

POST puts a list of records in (one with a known Id takes its place) and answers with their ids; no posting, balance or
number follows from it. GET gives all of an entity. `?realm=` names the company, the US one by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.ordered import MAX_ID
from sandbox.quickbooks.books import TRANSACTIONS, Books
from sandbox.quickbooks.errors import Refused
from sandbox.quickbooks.settings import US_REALM
from sandbox.quickbooks.wire import dump, parse
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
            entity = str(request.path_params["entity"])
            records = [self._as_kept(entity, one) for one in parse(await request.body())]
        except (Refused, ValueError, TypeError, KeyError, AttributeError) as error:
            return JSONResponse(
                {"error": f"expected a list of records with MetaData, transactions with TxnDate: {error!r}"}, 400
            )
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
    def _as_kept(entity: str, record: Record) -> Record:
        """The record with what the indexes need. Raises ValueError and what a value of another kind raises."""
        meta = {name: datetime.fromisoformat(record["MetaData"][name]) for name in _STAMPS}
        if any(stamp.tzinfo is None for stamp in meta.values()):
            raise ValueError(f"times of MetaData need an offset, such as +00:00; found {record['MetaData']}")
        id_ = record.get("Id")
        if id_ is not None and not (isinstance(id_, str) and id_.isdecimal() and len(id_) <= MAX_ID):
            raise ValueError(f"Id must be a text of at most {MAX_ID} digits, or absent; found {id_!r}")
        if entity in TRANSACTIONS:
            date.fromisoformat(record["TxnDate"])
            if not isinstance(record.get("DocNumber", ""), str):
                raise ValueError(f"DocNumber must be a text; found {record['DocNumber']!r}")
        return {"SyncToken": "0", "domain": "QBO", "sparse": False, **record, "MetaData": meta}

    @staticmethod
    def _put(books: Books, entity: str, record: Record) -> str:
        id_ = str(record.get("Id") or books.next_id(entity))
        books.table(entity).put(id_, {**record, "Id": id_})
        return id_
