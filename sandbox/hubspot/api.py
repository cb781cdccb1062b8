"""Which call goes to which endpoint, and what it passes through: rights, limits, one transaction, the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Faults
from sandbox.hubspot import auth, batches, definitions, linking, objects, pipelines, reference, schemas
from sandbox.hubspot.call import Call
from sandbox.hubspot.errors import Problem, invalid
from sandbox.hubspot.limits import Limiter
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.search import Searches, search
from sandbox.hubspot.webhooks import Webhooks
from sandbox.hubspot.wire import dump

MAX_BODY = 3_000_000  # bytes

Endpoint = Callable[[Call], Any]
Routes = Mapping[str, Mapping[str, Endpoint]]

_LABELS = "crm/v4/associations/{type}/{to_type}"
_OF_ONE = "crm/v4/objects/{type}/{id}/associations"
_SCHEMAS: Routes = {
    f"{root}{path}": methods
    for root in ("crm/v3/schemas", "crm-object-schemas/v3/schemas")
    for path, methods in (
        ("", {"GET": schemas.listing, "POST": schemas.create}),
        ("/{type}", {"GET": schemas.read, "DELETE": schemas.archive}),
        ("/{type}/associations", {"POST": schemas.add_association}),
    )
}


def _routes(searches: Searches) -> Routes:
    """`{name}` stands for one part of the path. What is written out comes before what has names."""
    objects_ = "crm/v3/objects/{type}"
    return {
        objects_: {"GET": objects.listing, "POST": objects.create},
        f"{objects_}/search": {"POST": partial(search, searches)},
        f"{objects_}/merge": {"POST": objects.merge},
        "crm/v3/objects/contacts/gdpr-delete": {"POST": objects.forget},
        f"{objects_}/batch/read": {"POST": batches.read},
        f"{objects_}/batch/create": {"POST": batches.create},
        f"{objects_}/batch/update": {"POST": batches.update},
        f"{objects_}/batch/upsert": {"POST": batches.upsert},
        f"{objects_}/batch/archive": {"POST": batches.archive},
        f"{objects_}/{{id}}": {"GET": objects.read, "PATCH": objects.update, "DELETE": objects.archive},
        f"{_OF_ONE}/{{to_type}}": {"GET": linking.listing},
        f"{_OF_ONE}/default/{{to_type}}/{{to_id}}": {"PUT": linking.put_default},
        f"{_OF_ONE}/{{to_type}}/{{to_id}}": {"PUT": linking.put, "DELETE": linking.remove},
        f"{_LABELS}/batch/read": {"POST": linking.batch_read},
        f"{_LABELS}/batch/create": {"POST": linking.batch_create},
        f"{_LABELS}/batch/associate/default": {"POST": linking.batch_default},
        f"{_LABELS}/batch/archive": {"POST": linking.batch_archive},
        f"{_LABELS}/batch/labels/archive": {"POST": linking.batch_unlabel},
        f"{_LABELS}/labels": {"GET": linking.labels, "POST": linking.add_label},
        "crm/v3/properties/{type}": {"GET": definitions.listing, "POST": definitions.create},
        "crm/v3/properties/{type}/batch/read": {"POST": definitions.batch_read},
        "crm/v3/properties/{type}/batch/create": {"POST": definitions.batch_create},
        "crm/v3/properties/{type}/batch/archive": {"POST": definitions.batch_archive},
        "crm/v3/properties/{type}/groups": {"GET": definitions.groups, "POST": definitions.add_group},
        "crm/v3/properties/{type}/groups/{name}": {"GET": definitions.one_group},
        "crm/v3/properties/{type}/{name}": {
            "GET": definitions.read,
            "PATCH": definitions.update,
            "DELETE": definitions.archive,
        },
        **_SCHEMAS,
        "crm/v3/pipelines/{type}": {"GET": pipelines.listing, "POST": pipelines.create},
        "crm/v3/pipelines/{type}/{pipeline}": {"GET": pipelines.read},
        "crm/v3/pipelines/{type}/{pipeline}/stages": {"GET": pipelines.stages, "POST": pipelines.add_stage},
        "crm/v3/owners": {"GET": reference.owners},
        "crm/v3/owners/{id}": {"GET": reference.owner},
        "account-info/v3/details": {"GET": reference.account},
        "settings/v3/currencies/company-currency": {"GET": reference.company_currency},
        "settings/v3/currencies/codes": {"GET": reference.codes},
        "settings/v3/currencies/exchange-rates": {"GET": reference.rates, "POST": reference.add_rate},
        "settings/v3/currencies/exchange-rates/current": {"GET": reference.current_rates},
        "settings/v3/currencies/exchange-rates/codes": {"GET": reference.codes},
    }


class Api:
    """The API over one portal."""

    def __init__(self, portal: Portal, faults: Faults, limiter: Limiter, searches: Searches) -> None:
        self.portal = portal
        self.faults = faults
        self.limiter = limiter
        self.webhooks = Webhooks(portal)
        self._routes = [(tuple(path.split("/")), methods) for path, methods in _routes(searches).items()]

    async def handle(self, request: Request) -> Response:
        """One call, from rights to answer."""
        path = "/" + request.path_params["path"].strip("/")
        body = await request.body()
        headers: dict[str, str] = {}
        try:
            app = auth.authenticate(self.portal, request.headers.get("authorization", ""))
            searches = path.startswith("/crm/v3/objects/") and path.endswith("/search")
            headers = self.limiter.enter(app, searches, self.portal.setting("limits"), self.portal.now())
            latency = float(self.portal.setting("latency_seconds"))
            if latency:
                await asyncio.sleep(latency)
            status, content, events = self._run(request, path, body)
        except Problem as problem:
            return _answer(problem.status, problem.body(), {**headers, **problem.headers})
        self.webhooks.send(events)
        return _answer(status, content, headers)

    def _run(self, request: Request, path: str, body: bytes) -> tuple[int, Any, list[dict[str, Any]]]:
        if len(body) > MAX_BODY:
            raise Problem(413, "VALIDATION_ERROR", f"The body exceeds {MAX_BODY} bytes.")
        auth.allow(self.portal, request.method, path)
        endpoint, args = self._endpoint(request.method, tuple(path.strip("/").split("/")))
        query = parse_qs(request.url.query, keep_blank_values=True)
        call = Call(self.portal, self.faults, request.method, path, query, body, args)
        with self.portal.state.lock:
            self.portal.events = []
            with self.portal.state.transaction():
                answer = endpoint(call)
            events = self.portal.events
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        return status, content, events

    def _endpoint(self, method: str, path: tuple[str, ...]) -> tuple[Endpoint, dict[str, str]]:
        fits = False
        for pattern, methods in self._routes:
            if len(pattern) != len(path):
                continue
            pairs = list(zip(pattern, path, strict=True))
            if all(part.startswith("{") or part == given for part, given in pairs):
                if method in methods:
                    return methods[method], {part[1:-1]: given for part, given in pairs if part.startswith("{")}
                fits = True
        if fits:
            raise Problem(405, "METHOD_NOT_ALLOWED", f"{method} is not allowed here.")
        raise Problem(404, "", "Unable to find the resource that was asked for.")


def _answer(status: int, content: Any, headers: Mapping[str, str]) -> Response:
    if content is None:
        return Response(b"", status, headers=dict(headers))
    return Response(dump(content), status, headers=dict(headers), media_type="application/json;charset=utf-8")


def read_form(body: bytes) -> dict[str, str]:
    """A form's fields, each once. Raises Problem."""
    try:
        return {name: values[-1] for name, values in parse_qs(body.decode()).items()}
    except (UnicodeDecodeError, ValueError) as error:
        raise invalid("the body is no form") from error
