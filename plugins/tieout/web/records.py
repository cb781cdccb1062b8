"""The trace of one record, the matrix of mappings, the files that the pages are made of."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from tieout.web import safety
from tieout.web.pages import Dependency, Pages, Visitor

_STATIC = {"tieout.css": "text/css", "tieout.js": "text/javascript"}
_SYSTEMS = {"crm": ("salesforce",), "ledger": ("xero",)}


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    sources = pages.sources

    @app.get("/trace")
    def trace(
        request: Request, visitor: Visitor = Depends(reader), key: Annotated[str, Query(max_length=200)] = ""
    ) -> HTMLResponse:
        key = key.strip()
        return pages.render("trace.html", request, visitor, key=key, steps=sources.trace(key) if key else [])

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

    @app.get("/static/{name}")
    def static(name: str, visitor: Visitor = Depends(reader)) -> Response:
        if name not in _STATIC:
            raise HTTPException(404, "There is no such file.")
        body = files("tieout.web").joinpath("static", name).read_bytes()
        return Response(
            body, media_type=_STATIC[name], headers={**safety.HEADERS, "Cache-Control": "private, max-age=300"}
        )
