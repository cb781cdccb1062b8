"""The trace of one record, the matrix of mappings, the files that the pages are made of."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from tieout.connectors.registry import of_role
from tieout.connectors.systems import label
from tieout.web import safety
from tieout.web.pages import Dependency, Pages, Visitor

_STATIC = {"tieout.css": "text/css", "tieout.js": "text/javascript"}


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
        crm: str = "salesforce",
        ledger: str = "xero",
    ) -> HTMLResponse:
        crms, ledgers = of_role("crm"), of_role("ledger")
        if crm not in crms or ledger not in ledgers:
            raise HTTPException(404, "There are no mappings of these systems.")
        others = [
            (one, other, f"{label(one)} and {label(other)}")
            for one in crms for other in ledgers if (one, other) != (crm, ledger)
        ]  # fmt: skip
        return pages.render(
            "mappings.html", request, visitor, crm=label(crm), ledger=label(ledger), rows=sources.matrix(crm, ledger),
            others=others,
        )  # fmt: skip

    @app.get("/static/{name}")
    def static(name: str, visitor: Visitor = Depends(reader)) -> Response:
        if name not in _STATIC:
            raise HTTPException(404, "There is no such file.")
        body = files("tieout.web").joinpath("static", name).read_bytes()
        return Response(
            body, media_type=_STATIC[name], headers={**safety.HEADERS, "Cache-Control": "private, max-age=300"}
        )
