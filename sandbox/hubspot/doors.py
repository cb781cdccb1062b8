"""What tests need: /_sandbox/ below the mount. No rights are asked."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.hubspot import records
from sandbox.hubspot.errors import Problem, invalid
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.values import as_text
from sandbox.hubspot.wire import parse, read_moment


class Doors:
    def __init__(self, portal: Portal) -> None:
        self.portal = portal

    def routes(self) -> list[Route]:
        return [Route("/_sandbox/load/{type}", self.load, methods=["POST"]),
                Route("/_sandbox/remove/{type}/{id}", self.remove, methods=["POST"]),
                Route("/_sandbox/restore/{type}/{id}", self.restore, methods=["POST"])]  # fmt: skip

    async def load(self, request: Request) -> Response:
        """[{properties, updatedAt}]: records as they are, no rule is asked; {"ids": [...]}. For large numbers."""
        try:
            sent, kind = parse(await request.body()), self.portal.kind(request.path_params["type"])
            ids = []
            with self.portal.state.lock, self.portal.state.transaction():
                for one in sent if isinstance(sent, list) else [sent]:
                    values = one.get("properties") if isinstance(one, dict) else None
                    if not isinstance(values, dict):
                        raise invalid("a record must be {properties}")
                    moment = read_moment(one.get("updatedAt")) or self.portal.now()
                    id_ = self.portal.new_id()
                    kept = {name: as_text(value) for name, value in values.items() if value is not None}
                    record = {"id": id_, "created": moment, "updated": moment, "archived": False, "archivedAt": None}
                    self.portal.records(kind).put(id_, record | {"properties": kept})
                    ids.append(id_)
        except Problem as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        return JSONResponse({"ids": ids})

    async def remove(self, request: Request) -> Response:
        """A record is gone without a trace, as after a deletion for data protection."""
        try:
            kind = self.portal.kind(request.path_params["type"])
            with self.portal.state.lock, self.portal.state.transaction():
                record = self.portal.record(kind, request.path_params["id"])
                records.forget(self.portal, kind, record)
                self.portal.events.clear()
        except Problem as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        return JSONResponse({"removed": record["id"]})

    async def restore(self, request: Request) -> Response:
        """A person brings an archived record back, which only HubSpot's pages can; no webhook goes out."""
        try:
            kind = self.portal.kind(request.path_params["type"])
            with self.portal.state.lock, self.portal.state.transaction():
                record = self.portal.record(kind, request.path_params["id"], archived=True)
                records.restore(self.portal, kind, record)
                self.portal.events.clear()
        except Problem as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        return JSONResponse({"restored": record["id"]})
