"""The pages: `create_app` makes a FastAPI app that Airflow's API server mounts under /tieout.

Every route asks the caller's `authorize` first; nothing is shown to anybody without it. What is shown comes from
`Sources`; the only thing that changes anything is a replay, which is checked against CSRF and audited by the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException as StarletteHTTPException

from tieout.model.errors import TieoutError
from tieout.reports import present
from tieout.scenarios.checking import docs_pages
from tieout.store.dead_letters import Filter
from tieout.web import safety
from tieout.web.sources import Sources


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `may_edit`: may replay dead letters."""

    name: str
    may_edit: bool


#: "GET" or "PUT" -> a FastAPI dependency that returns the Visitor or raises 401 or 403.
Authorize = Callable[[str], Callable[..., Visitor]]

_STATIC = {"tieout.css": "text/css", "tieout.js": "text/javascript"}
_SYSTEMS = {"crm": ("salesforce",), "ledger": ("xero",)}
#: One click replays at most so many letters.
MOST_REPLAYS = 1000

_jinja = Environment(
    loader=PackageLoader("tieout.web"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_jinja.filters.update(
    amount=present.amount, moment=present.moment, words=present.words, plain=present.plain, duration=present.duration
)
_jinja.globals["PARTS"] = present.PARTS


def create_app(authorize: Authorize, sources: Sources, secret: bytes, login: Callable[[str], str]) -> FastAPI:
    """The app.

    Args:
        authorize: see `Authorize`.
        sources: the facts.
        secret: for CSRF tokens; the same in every worker.
        login: path that was asked for -> URL of the login page that leads back to it.
    """
    app = FastAPI(title="Tieout", docs_url=None, redoc_url=None, openapi_url=None)
    pages = _Pages(sources, secret)
    _add_reading(app, authorize("GET"), pages)
    _add_replay(app, authorize("PUT"), pages)
    _add_errors(app, login)
    return app


@dataclass(frozen=True, slots=True)
class _Pages:
    """Renders templates for a request."""

    sources: Sources
    secret: bytes

    def render(self, name: str, request: Request, visitor: Visitor, **values: Any) -> HTMLResponse:
        body = _jinja.get_template(name).render(
            base=_base(request),
            visitor=visitor,
            csrf=safety.csrf_token(self.secret, visitor.name),
            **values,
        )
        return _page(body)


def _add_reading(app: FastAPI, reader: Callable[..., Visitor], pages: _Pages) -> None:
    sources = pages.sources

    @app.get("/")
    def overview(request: Request, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        return pages.render("overview.html", request, visitor, links=sources.links())

    @app.get("/runs/{run_id}")
    def run(request: Request, run_id: UUID, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        found = sources.run(run_id)
        if found is None:
            raise HTTPException(404, "There is no sync run with this id.")
        letters = sources.letters(Filter(state=None, run_id=run_id))
        docs = docs_pages(sources.docs(run_id))
        rows = present.closing(found.counts, found.amounts)
        return pages.render("run.html", request, visitor, run=found, rows=rows, letters=letters, docs=docs)

    @app.get("/airflow-run")
    def airflow_run(request: Request, dag_id: str, run_id: str, visitor: Visitor = Depends(reader)) -> Response:
        found = sources.run_of_airflow(dag_id, run_id)
        if found is None:
            raise HTTPException(404, "This run of Airflow has not opened a sync run yet.")
        return RedirectResponse(f"{_base(request)}/runs/{found}", 303)

    @app.get("/trace")
    def trace(
        request: Request, visitor: Visitor = Depends(reader), key: Annotated[str, Query(max_length=200)] = ""
    ) -> HTMLResponse:
        key = key.strip()
        return pages.render("trace.html", request, visitor, key=key, steps=sources.trace(key) if key else [])

    @app.get("/dead-letters")
    def dead_letters(
        request: Request,
        visitor: Visitor = Depends(reader),
        state: str = "open",
        link: str = "",
        entity: str = "",
        reason: str = "",
        after: Annotated[int, Query(ge=0)] = 0,
        replayed: int | None = None,
    ) -> HTMLResponse:
        wanted = Filter(
            state=state or None, link=link or None, entity=entity or None, reason=reason or None, after=after
        )
        return pages.render(
            "dead_letters.html", request, visitor, wanted=wanted, letters=sources.letters(wanted),
            counts=sources.letter_counts(), page_size=sources.page_size, replayed=replayed,
        )  # fmt: skip

    @app.get("/dead-letters/{letter_id}")
    def dead_letter(request: Request, letter_id: int, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        found = sources.letter(letter_id)
        if found is None:
            raise HTTPException(404, "There is no dead letter with this number.")
        return pages.render("dead_letter.html", request, visitor, letter=found)

    @app.get("/mappings")
    def mappings(
        request: Request,
        visitor: Visitor = Depends(reader),
        crm: str = _SYSTEMS["crm"][0],
        ledger: str = _SYSTEMS["ledger"][0],
    ) -> HTMLResponse:
        if crm not in _SYSTEMS["crm"] or ledger not in _SYSTEMS["ledger"]:
            raise HTTPException(404, "There are no mappings of these systems.")
        rows = sources.matrix(crm, ledger)
        return pages.render("mappings.html", request, visitor, crm=crm, ledger=ledger, rows=rows)

    @app.get("/runs/{run_id}/data-docs/{path:path}")
    def data_docs(run_id: UUID, path: str, visitor: Visitor = Depends(reader)) -> Response:
        return _docs_file(sources.docs(run_id), path)

    @app.get("/static/{name}")
    def static(name: str, visitor: Visitor = Depends(reader)) -> Response:
        if name not in _STATIC:
            raise HTTPException(404, "There is no such file.")
        body = files("tieout.web").joinpath("static", name).read_bytes()
        return Response(
            body, media_type=_STATIC[name], headers={**safety.HEADERS, "Cache-Control": "private, max-age=300"}
        )


def _add_replay(app: FastAPI, operator: Callable[..., Visitor], pages: _Pages) -> None:
    @app.post("/dead-letters/replay")
    def replay(
        request: Request,
        csrf: Annotated[str, Form()],
        visitor: Visitor = Depends(operator),
        letter_id: Annotated[list[int] | None, Form()] = None,
    ) -> Response:
        if not safety.csrf_matches(pages.secret, visitor.name, csrf):
            raise HTTPException(403, "The form is out of date. Open the page again and repeat.")
        if not letter_id:
            raise HTTPException(400, "No dead letter was chosen.")
        if len(letter_id) > MOST_REPLAYS:
            raise HTTPException(400, f"At most {MOST_REPLAYS} dead letters can be replayed at once.")
        count = pages.sources.replay(letter_id, visitor.name)
        return RedirectResponse(f"{_base(request)}/dead-letters?replayed={count}", 303)


def _add_errors(app: FastAPI, login: Callable[[str], str]) -> None:
    @app.exception_handler(StarletteHTTPException)
    def refused(request: Request, error: StarletteHTTPException) -> HTMLResponse:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        body = _jinja.get_template("refused.html").render(
            status=error.status_code, detail=error.detail, login=login(asked) if error.status_code == 401 else None
        )
        return _page(body, error.status_code)

    @app.exception_handler(TieoutError)
    def in_words(request: Request, error: TieoutError) -> HTMLResponse:
        return _page(_jinja.get_template("refused.html").render(status=503, detail=str(error), login=None), 503)


def _docs_file(folder: Path, path: str) -> Response:
    found = safety.file_inside(folder, path)
    if found is None or found.suffix not in safety.DOCS_TYPES:
        raise HTTPException(404, "There is no such page in this run's Data Docs.")
    headers = {**safety.HEADERS, "Content-Security-Policy": safety.DOCS_POLICY}
    return FileResponse(found, media_type=safety.DOCS_TYPES[found.suffix], headers=headers)


def _page(body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(body, status, headers={**safety.HEADERS, "Content-Security-Policy": safety.PAGE_POLICY})


def _base(request: Request) -> str:
    """The path that the app is mounted at, quoted for a link."""
    return quote(str(request.scope.get("root_path", "")))
