"""What customers owe by age, and the days of sales that are outstanding, for each link and currency."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from tieout.scenarios.receivables import BUCKETS, DAYS
from tieout.web.pages import Doors, Pages, Visitor


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""

    @app.get("/receivables")
    def shown(
        request: Request, visitor: Visitor = Depends(doors.reader), link: Annotated[str, Query(max_length=100)] = ""
    ) -> HTMLResponse:
        links = pages.sources.link_names()
        link = link or (links[0] if links else "")
        if link and link not in links:
            raise HTTPException(404, "There is no link of this name that has run.")
        owed = pages.sources.receivables(link) if link else []
        return pages.render(
            "receivables.html", request, visitor, link=link, links=links, owed=owed, buckets=BUCKETS, days=DAYS
        )
