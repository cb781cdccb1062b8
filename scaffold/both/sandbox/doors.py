"""Doors of the sandbox that the vendor does not have: records as they are, past every rule."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.state import State
from scaffold.both.sandbox.api import by_change, next_id, stamp


class Doors:
    """GET, POST /_sandbox/raw/{kind}: all records; puts some in, each with its `modified` where it has one."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def raw(self, request: Request) -> Response:
        kind, body = request.path_params["kind"], await request.body()
        with self.state.lock:
            if request.method == "GET":
                return JSONResponse(list(self.state.table(kind).values()))
            with self.state.transaction():
                return JSONResponse({"ids": self.put(kind, json.loads(body, parse_float=str))})

    def put(self, kind: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Puts records in; their ids."""
        by_change(self.state, kind)
        ids = []
        for given in records:
            id_ = str(given.get("id") or next_id(self.state, kind))
            self.state.table(kind).put(id_, {"modified": stamp(self.state.clock()), **given, "id": id_})
            ids.append(id_)
        return ids
