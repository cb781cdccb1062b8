"""The HubSpot sandbox as an ASGI app: OAuth, the API, doors and a page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from sandbox.fault_middleware import FaultMiddleware
from sandbox.faults import Faults
from sandbox.hubspot import auth, page
from sandbox.hubspot.api import Api, read_form
from sandbox.hubspot.doors import Doors
from sandbox.hubspot.errors import Problem, fault_answer
from sandbox.hubspot.limits import Limiter
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.search import Searches
from sandbox.hubspot.seed import seed
from sandbox.hubspot.settings import check_settings
from sandbox.state import State

__all__ = ["check_settings", "create_app", "seed"]


def create_app(state: State, faults: Faults) -> FaultMiddleware:
    """The app over a state; an empty one gets a new portal."""
    if len(state.settings) == 0:
        seed(state)
    portal, limiter, searches = Portal(state), Limiter(), Searches()
    state.on_clear += [limiter.reset, searches.forget]
    api = Api(portal, faults, limiter, searches)

    async def token(request: Request) -> Response:
        try:
            form = read_form(await request.body())
            with state.lock, state.transaction():
                return JSONResponse(auth.issue(portal, form), headers={"Cache-Control": "no-store"})
        except Problem as problem:
            return JSONResponse(problem.body(), problem.status)

    async def index(_: Request) -> Response:
        with state.lock:
            return HTMLResponse(page.render(portal).encode("utf-8", "replace"))

    routes = [
        Route("/", index),
        Route("/oauth/v1/token", token, methods=["POST"]),
        *Doors(portal).routes(),
        Route("/{path:path}", api.handle, methods=["GET", "PUT", "POST", "PATCH", "DELETE"]),
    ]
    return FaultMiddleware(Router(routes), faults, fault_answer)
