"""Products of the CRM as finance has them: prices, stock, what sales had changed, what waits and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from tieout.scenarios.products.listing import SHOWN, Wanted
from tieout.web.pages import Dependency, Pages, Visitor


def add(app: FastAPI, reader: Dependency, operator: Dependency, pages: Pages) -> None:
    """The routes."""
    sources = pages.sources

    @app.get("/products")
    def products(
        request: Request,
        visitor: Visitor = Depends(reader),
        link: Annotated[str, Query(max_length=200)] = "",
        which: Annotated[str, Query(max_length=20)] = "",
        begins: Annotated[str, Query(max_length=100)] = "",
        after: Annotated[str, Query(max_length=300)] = "",
        after_id: Annotated[str, Query(max_length=100)] = "",
    ) -> HTMLResponse:
        links = sources.product_links()
        if (link and link not in links) or (which and which not in SHOWN):
            raise HTTPException(404, "There are no such products.")
        wanted = Wanted(link or next(iter(links), ""), which, begins.strip(), (after, after_id), sources.page_size)
        found = sources.products(wanted) if wanted.link else ()
        return pages.render(
            "products.html", request, visitor, wanted=wanted, links=links, which=SHOWN, products=found
        )  # fmt: skip
