"""New System's sandbox as an ASGI app: tokens, the API, doors for tests and a page."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from sandbox.fault_middleware import FaultMiddleware
from sandbox.faults import Faults
from sandbox.state import State
from scaffold.both.sandbox import auth
from scaffold.both.sandbox.api import Api
from scaffold.both.sandbox.doors import Doors
from scaffold.ledger.sandbox.rules import FIELDS, SEED


def seed(state: State) -> None:
    """What a new company has; settings included."""
    doors = Doors(state)
    with state.transaction():
        state.settings["clients"] = {"sandbox-client": "sandbox-secret"}
        state.settings["token_seconds"] = 1800
        for kind, records in SEED.items():
            doors.put(kind, records)


def create_app(state: State, faults: Faults) -> FaultMiddleware:
    """The app over a state; an empty one gets a new company."""
    if len(state.settings) == 0:
        seed(state)
    api, doors = Api(state, faults), Doors(state)

    async def token(request: Request) -> Response:
        form = (await request.body()).decode("utf-8", "replace")
        with state.lock:
            status, answer = auth.issue(state, form, request.headers.get("authorization", ""))
        return JSONResponse(answer, status)

    async def index(_: Request) -> Response:
        counts = "".join(f"<li>{escape(kind)}: {len(state.table(kind))}</li>" for kind in FIELDS)
        return HTMLResponse(f"<!doctype html><title>New System</title><h1>New System</h1><ul>{counts}</ul>")

    routes = [
        Route("/", index),
        Route("/oauth/token", token, methods=["POST"]),
        Route("/api/{kind}", api.window, methods=["GET"]),
        Route("/api/{kind}/find", api.find, methods=["POST"]),
        Route("/api/{kind}/batch", api.batch, methods=["POST"]),
        Route("/_sandbox/raw/{kind}", doors.raw, methods=["GET", "POST"]),
    ]
    return FaultMiddleware(Router(routes), faults)
