"""The Xero sandbox as an ASGI app: identity, connections, the Accounting API, doors and a page."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from sandbox.fault_middleware import FaultMiddleware
from sandbox.faults import Faults
from sandbox.state import State
from sandbox.xero import auth, page
from sandbox.xero.api import PREFIX, Api
from sandbox.xero.books import Books
from sandbox.xero.doors import Doors
from sandbox.xero.errors import Problem, fault_answer
from sandbox.xero.limits import Limiter
from sandbox.xero.seed import seed
from sandbox.xero.settings import check_settings
from sandbox.xero.webhooks import Webhooks

__all__ = ["check_settings", "create_app", "seed"]


def create_app(state: State, faults: Faults) -> FaultMiddleware:
    """The app over a state; an empty one gets a new organisation."""
    if len(state.settings) == 0:
        seed(state)
    books = Books(state)
    limiter = Limiter()
    state.on_clear.append(limiter.reset)
    api = Api(books, faults, limiter)
    webhooks = Webhooks(books)

    async def token(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            with state.lock, state.transaction():
                issued = auth.issue(books, form, request.headers.get("authorization", ""), books.now())
        except auth.TokenRefused as error:
            return JSONResponse(auth.error_body(error), error.status)
        return JSONResponse(issued, headers={"Cache-Control": "no-store"})

    async def connections(request: Request) -> Response:
        try:
            return JSONResponse(auth.connections(books, request.headers.get("authorization", ""), books.now()))
        except Problem as problem:
            return JSONResponse(problem.body(), problem.status)

    async def index(_: Request) -> Response:
        with state.lock:
            return HTMLResponse(page.render(books).encode("utf-8", "replace"))

    routes = [
        Route("/", index),
        Route("/connect/token", token, methods=["POST"]),
        Route("/connections", connections),
        *Doors(books).routes(),
        *webhooks.routes(),
        Route(PREFIX + "{path:path}", api.handle, methods=["GET", "PUT", "POST", "DELETE"]),
    ]
    return FaultMiddleware(Router(routes), faults, fault_answer)
