"""The ASGI app: from HTTP to the functions behind it, with the fault plan around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sandbox.fault_middleware import FaultAnswer, FaultMiddleware
from sandbox.faults import Faults
from sandbox.salesforce import limits, oauth
from sandbox.salesforce.doors import open_door
from sandbox.salesforce.errors import ApiError, not_found
from sandbox.salesforce.org import DEFAULTS, EPOCH, Org, seed
from sandbox.salesforce.page import page
from sandbox.salesforce.routes import MAX_URL, answer
from sandbox.salesforce.wire import JSON, VERSIONS, Call, Reply, encode, reply_to
from sandbox.state import CLOCK_OFFSET, State

__all__ = ["check_settings", "create_app", "seed"]
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def create_app(state: State, faults: Faults) -> FaultMiddleware:
    """The organisation that `state` holds; a new one when it is empty."""
    if EPOCH not in state.settings:
        seed(state)
    org = Org(state)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/")
    async def index() -> Response:
        with state.lock:
            org.refresh()
            return HTMLResponse(page(org))

    @app.api_route("/_sandbox/{path:path}", methods=["GET", "POST"])
    async def door(path: str, request: Request) -> Response:
        body = await request.body()
        with state.lock:
            org.refresh()
            return _response(open_door(org, request.method, path, body), {})

    @app.api_route("/services/oauth2/{name}", methods=["GET", "POST"])
    async def oauth2(name: str, request: Request) -> Response:
        body = await request.body()
        with state.lock:
            org.refresh()
            return _response(_oauth(org, name, request, body), {})

    @app.get("/services/data")
    @app.get("/services/data/")
    async def versions() -> Response:
        shown = [{"label": one, "url": f"/services/data/{one}", "version": one[1:]} for one in VERSIONS]
        return _response(Reply(value=shown), {})

    @app.api_route("/services/data/{version}", methods=_METHODS)
    @app.api_route("/services/data/{version}/{path:path}", methods=_METHODS)
    async def data(version: str, request: Request) -> Response:
        body = await request.body()
        with state.lock:
            org.refresh()
            return _response(_data(org, faults, version, request, body), limits.header(org))

    return FaultMiddleware(app, faults, fault_answer)


def check_settings(state: State, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuses settings that this organisation does not have, with ValueError."""
    for name, value in changes.items():
        if name == CLOCK_OFFSET:
            continue
        if name not in DEFAULTS:
            raise ValueError(f"salesforce: no setting {name!r}; there are {', '.join([*DEFAULTS, CLOCK_OFFSET])}")
        if isinstance(DEFAULTS[name], int) and (not isinstance(value, int) or value < 0):
            raise ValueError(f"salesforce: {name} must be a whole number, not negative")
    return changes


def fault_answer(fault: str, params: Mapping[str, Any]) -> FaultAnswer:
    """What Salesforce says when a call is throttled, when it breaks, when the session is over."""
    if fault == "status_429":
        error = ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    elif fault == "expired_token":
        error = oauth.expired()
    else:
        error = ApiError(int(params.get("status", 500)), "UNKNOWN_EXCEPTION", "An unexpected error occurred.")
    return FaultAnswer(error.status, encode(error.errors), content_type=JSON)


def _data(org: Org, faults: Faults, version: str, request: Request, body: bytes) -> Reply:
    """A call of the data API: who is it, may it call again, then the call itself."""
    try:
        access = oauth.authenticate(org, request.headers.get("authorization", ""))
        if version not in VERSIONS:
            raise not_found()
        limits.count(org)
        raw_path = request.scope.get("raw_path") or request.url.path.encode()
        query = request.scope["query_string"]
        if len(raw_path) + len(query) > MAX_URL:
            raise ApiError(414, "URI_TOO_LONG", f"The URI is longer than {MAX_URL} bytes")
        # Segments are told apart before they are unquoted: an external id may contain a slash.
        path = raw_path.decode("ascii", "replace").partition(f"/services/data/{version}")[2].strip("/")
        parameters = dict(parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True))
        headers = {name.lower(): value for name, value in request.headers.items()}
        return answer(Call(org, access, faults, version, request.method, path, parameters, headers, body))
    except ApiError as error:
        return reply_to(error)


def _oauth(org: Org, name: str, request: Request, body: bytes) -> Reply:
    base = f"{request.url.scheme}://{request.headers.get('host', '')}{request.scope.get('root_path', '')}"
    text = body.decode("utf-8", "replace") or request.url.query
    form = dict(parse_qsl(text, keep_blank_values=True))
    authorization = request.headers.get("authorization", "")
    if name == "token":
        return oauth.token(org, form, authorization, base)
    if name == "revoke":
        return oauth.revoke(org, form)
    if name == "userinfo":
        try:
            oauth.authenticate(org, authorization)
        except ApiError:
            return Reply(403, raw=b"Bad_OAuth_Token", content_type="text/html")
        return Reply(value=oauth.introspect(org, authorization.partition(" ")[2]))
    return reply_to(not_found())


def _response(reply: Reply, headers: Mapping[str, str]) -> Response:
    content = reply.body()
    kind = {"content-type": reply.content_type} if content else {}
    return Response(content, reply.status, {**reply.headers, **headers, **kind})
