"""Closing a fiscal period: its report, the checklist, acts about single facts, the button, and what moved afterwards.

Who prepares begins closing (page Periods) and puts down acts; who reviews closes, and is not who began.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from tieout.model.calendar import Period
from tieout.model.errors import ConfigurationFault
from tieout.reconcile import period_report
from tieout.scenarios.periods import acts, checklist, closing, recount
from tieout.scenarios.periods.acts import Act, NotAccepted
from tieout.store import periods
from tieout.store.periods import Refused
from tieout.web.pages import Doors, Pages, Visitor, back_to

#: Differences that the page lists.
MOST_LINES = 200
#: What is said above the page when somebody did something.
DONE = {"closed": "is closed.", "accepted": "has one more act: the checklist is as it stands now."}

_Text = Annotated[str, Query(max_length=200)]
_Line = Annotated[str, Form(max_length=200)]
_Note = Annotated[str, Form(max_length=2000)]


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""

    @app.get("/close")
    def page(
        request: Request, visitor: Visitor = Depends(doors.reader), link: _Text = "", period: _Text = "",
        done: _Text = "",
    ) -> HTMLResponse:  # fmt: skip
        return pages.render("close.html", request, visitor, **_found(pages, link, period), told=DONE.get(done))

    @app.get("/close/print")
    def printed(
        request: Request, visitor: Visitor = Depends(doors.reader), link: _Text = "", period: _Text = ""
    ) -> HTMLResponse:
        return pages.render("close_printed.html", request, visitor, **_found(pages, link, period))

    @app.post("/close/accept")
    def accept(
        request: Request, csrf: _Line, link: _Line, period: _Line, act: Annotated[Act, Form()], subject: _Line,
        note: _Note, visitor: Visitor = Depends(doors.prepare),
    ) -> Response:  # fmt: skip
        pages.require_token(visitor, csrf)
        found, of, before = _known(pages, link, period)
        try:
            with pages.sources.open_engine().begin() as conn:
                now = checklist.evaluate(conn, pages.sources.settings(), found, of, before)
                closing.accept(conn, now, act, subject, visitor.name, note)
        except NotAccepted as error:
            raise HTTPException(409, f"Nothing was put down: {error}.") from error
        return _back(request, link, period, "accepted")

    @app.post("/close/period")
    def close(
        request: Request, csrf: _Line, link: _Line, period: _Line, visitor: Visitor = Depends(doors.review)
    ) -> Response:
        pages.require_token(visitor, csrf)
        _known(pages, link, period)
        try:
            pages.sources.closer(link, period, visitor.name)
        except Refused as error:
            raise HTTPException(409, f"{error}.") from error
        return _back(request, link, period, "closed")


def _found(pages: Pages, link: str, label: str) -> dict[str, Any]:
    found, of, before = _known(pages, link, label)
    with pages.sources.open_engine().connect() as conn:
        state = periods.state_of(conn, link, label)
        now = checklist.evaluate(conn, pages.sources.settings(), found, of, before)
        lines = period_report.lines(conn, now.report.report_id, MOST_LINES) if now.report else []
        counted = recount.newest(conn, link, label)
        return {
            "link": link, "label": label, "period": of, "before": before, "state": state.state if state else "open",
            "by": state, "found": now, "lines": lines, "acts": acts.of_period(conn, link, label),
            "recount": counted, "moved": recount.told(conn, counted.recount_id) if counted else [],
            "acceptable": checklist.ACCEPTABLE, "most": MOST_LINES,
        }  # fmt: skip


def _known(pages: Pages, link: str, label: str) -> tuple[Any, Period, Period | None]:
    """The link, its period and the one before; 404 where there is none."""
    try:
        found, calendar = pages.sources.calendar(link)
        of = calendar.period(label)
    except ConfigurationFault as error:
        raise HTTPException(404, f"{error}.") from error
    return found, of, calendar.before(of)


def _back(request: Request, link: str, label: str, done: str) -> Response:
    return back_to(request, f"/close?{urlencode({'link': link, 'period': label, 'done': done})}")
