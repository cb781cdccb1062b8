"""The fiscal periods of each link: a fiscal year as a table, the present period marked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from tieout.scenarios.periods.calendar import lines, year_of
from tieout.web.pages import Doors, Pages, Visitor


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""

    @app.get("/calendar")
    def shown(
        request: Request,
        visitor: Visitor = Depends(doors.reader),
        link: Annotated[str, Query(max_length=100)] = "",
        year: Annotated[int | None, Query(ge=1, le=9999)] = None,
    ) -> HTMLResponse:
        links = pages.sources.links_with_files()
        link = link or next(iter(links), "")
        if not link:
            return pages.render("calendar.html", request, visitor, link=None, links=links)
        if link not in links:
            raise HTTPException(404, "There is no link of this name.")
        found, calendar = pages.sources.calendar(link)
        zone, now = ZoneInfo(found.time_zone), datetime.now(UTC)
        years = (calendar.periods[0].year, calendar.periods[-1].year)
        wanted = year_of(calendar, zone, now) if year is None else year
        if not years[0] <= wanted <= years[1]:
            raise HTTPException(404, f"The calendar {calendar.name} has the fiscal years {years[0]} to {years[1]}.")
        return pages.render(
            "calendar.html", request, visitor, link=found, links=links, calendar=calendar, year=wanted, years=years,
            lines=lines(calendar, zone, wanted, now),
        )  # fmt: skip
