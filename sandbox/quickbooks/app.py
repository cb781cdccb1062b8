"""The QuickBooks sandbox as an ASGI app: OAuth, the Accounting API, doors and a page."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from sandbox.fault_middleware import FaultMiddleware
from sandbox.faults import Faults
from sandbox.quickbooks import auth, page
from sandbox.quickbooks.api import PREFIX, Api
from sandbox.quickbooks.doors import RawDoor
from sandbox.quickbooks.errors import fault_answer
from sandbox.quickbooks.limits import Limiter
from sandbox.quickbooks.seed import seed
from sandbox.quickbooks.settings import check_settings
from sandbox.quickbooks.webhooks import Webhooks
from sandbox.state import State

__all__ = ["check_settings", "create_app", "seed"]


def create_app(state: State, faults: Faults) -> FaultMiddleware:
    """The app over a state; an empty one gets two new companies."""
    if len(state.settings) == 0:
        seed(state)
    limiter = Limiter()
    state.on_clear.append(limiter.reset)
    api = Api(state, faults, limiter, Webhooks())
    raw = RawDoor(state, api.companies)

    async def token(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            with state.lock, state.transaction():
                issued = auth.issue(state, form, request.headers.get("authorization", ""), state.clock())
        except auth.TokenRefused as error:
            return JSONResponse(error.body, error.status)
        return JSONResponse(issued, headers={"Cache-Control": "no-store"})

    async def revoke(request: Request) -> Response:
        text = (await request.body()).decode("utf-8", "replace")
        try:
            sent = json.loads(text) if text.startswith("{") else dict(parse_qsl(text))
        except ValueError:
            return JSONResponse({"error": "invalid_request"}, 400)
        try:
            with state.lock, state.transaction():
                auth.revoke(state, str(sent.get("token")), request.headers.get("authorization", ""))
        except auth.TokenRefused as error:
            return JSONResponse(error.body, error.status)
        return Response(status_code=200)

    async def discovery(request: Request) -> Response:
        root = str(request.url).partition("/.well-known")[0]  # below the mount
        return JSONResponse(
            {
                "issuer": root,
                "authorization_endpoint": f"{root}/connect/oauth2",
                "token_endpoint": f"{root}/oauth2/v1/tokens/bearer",
                "userinfo_endpoint": f"{root}/v1/openid_connect/userinfo",
                "revocation_endpoint": f"{root}/v2/oauth2/tokens/revoke",
                "jwks_uri": f"{root}/op/v1/jwks",
            }
        )

    async def consent(request: Request) -> Response:
        """A first refresh token, as after a person's consent: {"client_id"}."""
        with state.lock, state.transaction():
            value, _ = auth.new_refresh_token(state, "sandbox-client", state.clock())
        return JSONResponse({"refresh_token": value})

    async def index(_: Request) -> Response:
        with state.lock:
            return HTMLResponse(page.render(list(api.companies.values())))

    routes = [
        Route("/", index),
        Route("/.well-known/openid_sandbox_configuration", discovery),
        Route("/oauth2/v1/tokens/bearer", token, methods=["POST"]),
        Route("/v2/oauth2/tokens/revoke", revoke, methods=["POST"]),
        Route("/_sandbox/consent", consent, methods=["POST"]),
        Route("/_sandbox/raw/{entity}", raw.read, methods=["GET"]),
        Route("/_sandbox/raw/{entity}", raw.write, methods=["POST"]),
        Route(PREFIX, api.handle, methods=["GET", "POST"]),
    ]
    return FaultMiddleware(Router(routes), faults, fault_answer)
