"""The pages: `create_app` makes a FastAPI app that Airflow's API server mounts under /tieout.

Every route asks the caller's `authorize` first; nothing is shown to anybody without it. The one exception is where
vendors send their webhooks (hooks.py): it shows nothing, and a signature is the right to it. What is shown comes from
`Sources`; what changes anything is a POST with the edit right and a token against CSRF, audited under the visitor's
name. The routes are one module for each topic, each with `add(app, reader, operator, pages)`, or, where more than one
right counts, `add(app, doors, pages)`.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from tieout.model.errors import TieoutError
from tieout.web import (
    break_acts,
    breaks,
    calendar,
    closing,
    credit,
    health,
    hook_inbox,
    hooks,
    letters,
    matches,
    periods,
    plans,
    products,
    proposals,
    receivables,
    records,
    runs,
    signing,
    tie_outs,
    writes,
)
from tieout.web.pages import RIGHTS, Dependency, Doors, Pages, Visitor, refused
from tieout.web.sources import Sources

__all__ = ["Authorize", "Visitor", "create_app"]

#: "GET", "PUT" or a right (pages.py) -> the dependency that lets in who may read, who may operate, who has the right.
Authorize = Callable[[str], Dependency]

#: Modules of routes, in the order in which their paths are tried; each of the first with the door to what it changes.
TOPICS = (
    (runs, "operator"), (writes, "operator"), (letters, "operator"), (proposals, "decide"), (credit, "decide"),
    (plans, "decide"), (products, "operator"), (records, "operator"), (hook_inbox, "operator"), (hooks, "operator"),
)  # fmt: skip
#: Finance's pages: several rights to a page.
FINANCE = (tie_outs, signing, breaks, break_acts, matches, health, receivables, periods, closing, calendar)


def create_app(authorize: Authorize, sources: Sources, secret: bytes, login: Callable[[str], str]) -> FastAPI:
    """The app.

    Args:
        authorize: see `Authorize`.
        sources: the facts.
        secret: for CSRF tokens; the same in every worker.
        login: path that was asked for -> URL of the login page that leads back to it.
    """
    app = FastAPI(title="Tieout", docs_url=None, redoc_url=None, openapi_url=None)
    pages = Pages(sources, secret)
    doors = Doors(authorize("GET"), authorize("PUT"), *(authorize(right) for right in RIGHTS))
    for topic, door in TOPICS:
        topic.add(app, doors.reader, getattr(doors, door), pages)
    for page in FINANCE:
        page.add(app, doors, pages)
    _add_errors(app, login)
    return app


def _add_errors(app: FastAPI, login: Callable[[str], str]) -> None:
    @app.exception_handler(StarletteHTTPException)
    def not_shown(request: Request, error: StarletteHTTPException) -> HTMLResponse:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return refused(error.status_code, error.detail, login(asked) if error.status_code == 401 else None)

    @app.exception_handler(TieoutError)
    def in_words(request: Request, error: TieoutError) -> HTMLResponse:
        return refused(503, str(error))
